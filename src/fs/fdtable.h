/* SPDX-License-Identifier: MIT */
/* The guest's descriptor table: small numbers to open files. */
#ifndef TK_FS_FDTABLE_H
#define TK_FS_FDTABLE_H

#include "fs/file.h"

struct tk_fdtable {
	struct tk_fd {
		struct tk_file *file; /* NULL: free */
		bool cloexec;
	} * fds;
	unsigned int size;	       /* entries allocated */
	unsigned int limit;	       /* RLIMIT_NOFILE, soft */
	unsigned int lowest;	       /* no free descriptor below this one */
	unsigned int open;	       /* how many are in use */
	struct tk_lock_carrier *locks; /* the process's record locks (fs/locks.c) */
	struct tk_memfds *memfds;      /* what its memfds hold (fs/memfds.c) */
};

void tk_fdtable_init(struct tk_fdtable *table, unsigned int limit);
void tk_fdtable_destroy(struct tk_fdtable *table); /* closes all */

/* The file behind @fd, borrowed; NULL: -EBADF. @fd as the guest passed it. */
struct tk_file *tk_fd_get(const struct tk_fdtable *table, u64 fd);

/*
 * Install @file at the lowest free descriptor >= @min; takes over the caller's reference if it
 * succeeds and leaves it with the caller if not. Returns the descriptor, -EMFILE, -ENOMEM.
 */
int tk_fd_install(struct tk_fdtable *table, struct tk_file *file, unsigned int min, bool cloexec);

/* The same at exactly @fd, closing what was there (dup2). -EBADF: @fd is out of range. */
int tk_fd_install_at(struct tk_fdtable *table, struct tk_file *file, u64 fd, bool cloexec);

/* As tk_fd_install(table, file, 0, cloexec), but drops the reference if it fails. */
int tk_fd_install_or_put(struct tk_fdtable *table, struct tk_file *file, bool cloexec);

int tk_fd_close(struct tk_fdtable *table, u64 fd); /* 0 or -EBADF */

#endif
