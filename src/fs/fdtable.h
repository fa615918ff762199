/* SPDX-License-Identifier: MIT */
/* The guest's descriptor table: small numbers to open files. */
#ifndef TK_FS_FDTABLE_H
#define TK_FS_FDTABLE_H

#include "base/budget.h"
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
	/*
	 * What the machine may take of the VMM's own descriptors. Each entry counts for one (and
	 * several of one file for as many), and so do files in flight and the pipes that tell when
	 * those have landed, second registrations in epolls, and what mappings keep open.
	 */
	struct tk_budget host_fds;
	/*
	 * Bytes that the host's kernel may keep for the machine in buffers, which no limit on its
	 * memory sees: what its pipes, and its sockets other than TCP connections, can hold.
	 */
	struct tk_budget host_memory;
};

void tk_fdtable_init(struct tk_fdtable *table, unsigned int limit);
void tk_fdtable_destroy(struct tk_fdtable *table); /* closes all */

/* The file behind @fd, borrowed; NULL: -EBADF. @fd as the guest passed it. */
struct tk_file *tk_fd_get(const struct tk_fdtable *table, u64 fd);

/* Where tk_fd_install(table, file, 0, ...) would install one, or -EMFILE. */
int tk_fd_next(const struct tk_fdtable *table);

/*
 * Install @file at the lowest free descriptor >= @min; takes over the caller's reference if it
 * succeeds and leaves it with the caller if not. Returns the descriptor, -EMFILE (@limit, or
 * @host_fds), -ENOMEM.
 */
int tk_fd_install(struct tk_fdtable *table, struct tk_file *file, unsigned int min, bool cloexec);

/*
 * The same at exactly @fd, closing what was there (dup2). -EBADF: @fd is out of range; -EMFILE: it
 * was free, and @host_fds are used up.
 */
int tk_fd_install_at(struct tk_fdtable *table, struct tk_file *file, u64 fd, bool cloexec);

/* As tk_fd_install(table, file, 0, cloexec), but drops the reference if it fails. */
int tk_fd_install_or_put(struct tk_fdtable *table, struct tk_file *file, bool cloexec);

int tk_fd_close(struct tk_fdtable *table, u64 fd); /* 0 or -EBADF */

/* Would one more be too many, wherever it is? */
bool tk_fdtable_full(const struct tk_fdtable *table);

#endif
