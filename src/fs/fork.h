/* SPDX-License-Identifier: MIT */
/*
 * The open files of frozen machines and of their forks.
 *
 * A frozen machine's files are *templates*: kept open, only read, by any thread. Each has a slot.
 * A fork has a copy of each template; a copy that its program has not closed altogether is known
 * from the fork's slot (without a reference: when the program drops the last one it goes as any
 * file does, and the slot is empty). Reset closes what is no copy, puts copies right, makes missing
 * ones anew, and fills the descriptor table.
 */
#ifndef TK_FS_FORK_H
#define TK_FS_FORK_H

#include "base/clock.h"
#include "base/error.h"
#include "fs/fdtable.h"
#include "fs/path.h"

struct tk_net;

/* A memfd of the master, and the fork's own copy of it. */
struct tk_memfd_copy {
	u64 dev, ino;
	int fd; /* owned by the fork */
};

/* Everything that making a copy of a file may need of the fork. */
struct tk_fork_ctx {
	struct tk_ns *ns;
	struct tk_net *net;
	const struct tk_policy *policy;
	void *proc; /* struct tk_proc, for kinds that live above */
	bool share_listeners;
	const struct tk_memfd_copy *memfds;
	unsigned int n_memfds;
	struct tk_budget *host_fds, *host_memory; /* the fork's */
};

struct tk_frozen_files {
	struct tk_file **tmpl; /* by slot */
	unsigned int n;
	bool timers; /* there are timerfds that will expire */
	const struct tk_fdtable *table;
	const struct tk_ns *ns;
};

/*
 * Collect and note the state of all files of a machine, which stays as it is. -ENOTSUP: one of
 * them cannot be copied (named in the message). Ends with tk_files_thaw().
 */
int tk_files_freeze(struct tk_frozen_files *frozen, struct tk_fdtable *table, struct tk_ns *ns,
		    struct tkvm_error *err) TK_MUST_CHECK;
void tk_files_thaw(struct tk_frozen_files *frozen);

struct tk_forked_files {
	const struct tk_frozen_files *frozen;
	struct tk_file **now; /* by slot; NULL: closed by the program */
	struct tk_fdtable *table;
	struct tk_fork_ctx ctx;
	bool stirred; /* a reset put files right that may look ready now */
	u64 renewed;  /* made anew by resets */
};

/* Copy everything into empty @table and @ctx->ns. To be ended with tk_files_unfork() in any case.
 */
int tk_files_fork(struct tk_forked_files *forked, const struct tk_frozen_files *frozen,
		  struct tk_fdtable *table, const struct tk_fork_ctx *ctx,
		  struct tkvm_error *err) TK_MUST_CHECK;
/* 0, or -ESTALE with the files in any state. */
int tk_files_reset(struct tk_forked_files *forked) TK_MUST_CHECK;
/* Its program will run now, @lag behind: timers count on from here. 0 or -errno. */
int tk_files_start(struct tk_forked_files *forked, const struct tk_clock_lag *lag) TK_MUST_CHECK;
/* Before the table and the namespace go. */
void tk_files_unfork(struct tk_forked_files *forked);

/* For the operations of the kinds (fs/file.h): */

/* A second descriptor for the template's description; -errno. */
int tk_fork_dup(const struct tk_file *tmpl);
/* A description of its own; for a memfd that the fork has a copy of, of that. */
int tk_fork_reopen(const struct tk_file *tmpl, const struct tk_fork_ctx *ctx);
/*
 * Try at freezing what the forks will need: to open @tmpl once more, or to read it for their
 * copies. A descriptor, or -errno.
 */
int tk_fork_reopenable(const struct tk_file *tmpl);
/* An operation @reset for kinds whose state is all in struct tk_file. */
int tk_fork_reset_plain(struct tk_file *file, const struct tk_file *tmpl);
/* The number behind @key in /proc/self/fdinfo. 0 or -errno. */
int tk_fork_fdinfo(int fd, const char *key, int base, u64 *value) TK_MUST_CHECK;

#endif
