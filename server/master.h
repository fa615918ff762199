/* SPDX-License-Identifier: MIT */
/* The machine in which a server program starts: booted, warmed up, and then frozen. */
#ifndef KVMSERVER_MASTER_H
#define KVMSERVER_MASTER_H

#include <stdatomic.h>

#include "guest.h"

#define KS_MAX_LISTENERS 64

struct ks_master {
	const struct ks_guest *guest;
	struct tkvm_machine *machine; /* NULL once it is frozen */
	struct tkvm_image *image;     /* NULL until then */
	const atomic_bool *cancel;
	const struct ks_master *replaces; /* NULL: it is the first */
	bool ended;			  /* the program did, before it could be frozen */
	const char *call;		  /* what the program waits in */
	uint64_t boot_ns, warmup_ns;
	int listeners[KS_MAX_LISTENERS]; /* the host's sockets; ours */
	unsigned int n_listeners;
	struct tkvm_listener known[KS_MAX_LISTENERS]; /* the same, for the next master */
};

/*
 * Load the program and run it until it is ready to serve and, if asked, warmed up. 0, or an exit
 * status: after a message, or, with @ended, the program's own, which may be 0. ks_master_destroy()
 * in any case.
 * @old: the one that it will replace, whose listening sockets it gets, or NULL: signals go to the
 * program meanwhile, and if it succeeds until ks_signals_forward(NULL). *@cancel (may be NULL) ends
 * it.
 */
int ks_master_boot(struct ks_master *master, const struct ks_guest *guest,
		   const struct ks_master *old, const atomic_bool *cancel);

/* Freeze it: forks can be made then. 0 or an exit status after a message. */
int ks_master_freeze(struct ks_master *master);

void ks_master_destroy(struct ks_master *master);

#endif
