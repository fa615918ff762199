/* SPDX-License-Identifier: MIT */
/* The program that a command line asks for, and machines that have it loaded. */
#ifndef KVMSERVER_GUEST_H
#define KVMSERVER_GUEST_H

#include <time.h>

#include "options.h"
#include "tinykvm/tinykvm.h"

struct ks_storage;

struct ks_guest {
	const struct ks_config *config;
	const char *name; /* as it was typed */
	char *path;
	char *const *argv;
	char **env;
	int trace_fd;
	struct tkvm_policy *policy;
	struct timespec start;
	bool is_storage;	    /* it is the storage program */
	struct ks_storage *storage; /* what its calls go to; NULL: nothing */
};

/*
 * Everything that can be wrong before KVM is needed. @argv[0] is the subcommand. @beside: the
 * program that was prepared before, which it may share a trace with, or NULL. 0, or an exit status
 * after a message; ks_guest_destroy() in any case.
 */
int ks_guest_prepare(struct ks_guest *guest, const struct ks_config *config,
		     const struct ks_guest *beside, int argc, char **argv);
void ks_guest_destroy(struct ks_guest *guest);

/*
 * A machine with the program loaded. @gated: connections come to it by offers only; it then gets
 * the @n sockets @listeners where it would bind to their addresses. 0, or an exit status after a
 * message.
 */
int ks_guest_load(const struct ks_guest *guest, bool gated, const struct tkvm_listener *listeners,
		  unsigned int n, struct tkvm_machine **ret);

/* The exit status that says how the program ended, after a message if people need one. */
int ks_guest_end_status(const struct ks_guest *guest, struct tkvm_machine *machine,
			const struct tkvm_result *result);

#endif
