/* SPDX-License-Identifier: MIT */
/* The kvmserver command: its exit statuses and its subcommands. */
#ifndef KVMSERVER_KVMSERVER_H
#define KVMSERVER_KVMSERVER_H

#include "options.h"

/* What kvmserver exits with when the program's own status is not the answer. */
enum ks_exit {
	KS_EXIT_USAGE = 2,	      /* mistake in the command line or configuration */
	KS_EXIT_TIME = 124,	      /* --max-time reached, as timeout(1) */
	KS_EXIT_FAILED = 125,	      /* kvmserver could not do its part */
	KS_EXIT_NOT_EXECUTABLE = 126, /* as a shell */
	KS_EXIT_NOT_FOUND = 127,      /* as a shell */
	KS_EXIT_SIGNAL = 128,	      /* plus the signal's number, as a shell */
	KS_EXIT_MEMORY = 128 + 9, /* a memory limit reached, as if killed by the kernel for it */
};

/* One line on standard error: "kvmserver: " and the text. */
void ks_message(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for text as it is, of whole lines. */
void ks_text(const char *text);
/* From now on drop what standard error does not take at once, rather than wait. Before threads. */
void ks_messages_hurry(void);

/* Subcommands: @argv[0] is the subcommand's name. Return an exit status. */
int ks_run(const struct ks_config *config, int argc, char **argv);
int ks_run_with_storage(const struct ks_config *config, int argc, char **argv);
int ks_doctor(const struct ks_config *config, int argc, char **argv);

/*
 * program.c: the path of the program that a shell would run for @name (which goes to *@ret, to be
 * freed), or an exit status after a message. @cwd: the program's current directory, if not ours.
 */
int ks_find_program(const char *name, const char *cwd, char **ret);

/* environment.c: the program's environment, to be freed with ks_env_free(). NULL: no memory. */
char **ks_env_make(const struct ks_config *config);
void ks_env_free(char **env);

#endif
