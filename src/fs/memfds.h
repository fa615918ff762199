/* SPDX-License-Identifier: MIT */
/*
 * What a guest's memfds may hold: memory that no page table shows and no file system bounds. And
 * nameless files, which are memfds and files that were unlinked: nobody but the program can have
 * them, so their content is its state, and every fork has a copy of its own (a memfd).
 */
#ifndef TK_FS_MEMFDS_H
#define TK_FS_MEMFDS_H

#include <sys/stat.h>

#include "fs/fdtable.h"

struct tk_mm;

/* Where the guest's open files and their contents can be. */
struct tk_holders {
	struct tk_fdtable *table;
	struct tk_mm *mm;
	/* Calls @mark for each file that is held elsewhere: on its way through a socket. */
	void (*each_other)(void *ctx, void (*mark)(void *arg, const struct tk_file *file),
			   void *arg);
	void *ctx;
};

/* A memfd was made. 0 or -ENOMEM. */
int tk_memfds_add(struct tk_fdtable *table, int hostfd) TK_MUST_CHECK;

/*
 * The file described by @st is to have @size bytes: may it, if all memfds together may have
 * @limit (0: any number)? 0 or -ENOSPC. Files that are no memfd of ours always may.
 */
int tk_memfds_grow(const struct tk_holders *holders, const struct stat *st, u64 size,
		   u64 limit) TK_MUST_CHECK;

/* What the memfds of @table hold as far as is known, in bytes. */
u64 tk_memfds_held(const struct tk_fdtable *table);

/* Is it a nameless file whose content can change? */
bool tk_is_nameless(int hostfd, const struct stat *st);

/* The machine is being frozen: set tk_file.memfd of nameless files. */
void tk_memfds_mark(struct tk_fdtable *table);

/* Call @fn with a descriptor of each open file that is marked, until it fails. */
int tk_memfds_each(const struct tk_fdtable *table, int (*fn)(void *ctx, int hostfd),
		   void *ctx) TK_MUST_CHECK;

/* A memfd with the content, mode and seals of nameless file @from; or -errno. */
int tk_memfd_copy(int from) TK_MUST_CHECK;

/*
 * Give memfd @fd, a copy of @tmpl, its content and mode again. 0, or -ESTALE if that is too much,
 * or its seals have changed.
 */
int tk_memfd_restore(int fd, int tmpl) TK_MUST_CHECK;

void tk_memfds_destroy(struct tk_fdtable *table);

#endif
