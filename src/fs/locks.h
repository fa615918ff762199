/* SPDX-License-Identifier: MIT */
/* POSIX record locks of a guest process: fcntl F_SETLK and F_GETLK. */
#ifndef TK_FS_LOCKS_H
#define TK_FS_LOCKS_H

#include <fcntl.h>

#include "fs/fdtable.h"

/*
 * fcntl(2) @cmd F_GETLK or F_SETLK on @file, l_whence being SEEK_SET or SEEK_END. Never waits:
 * -EAGAIN where F_SETLKW would. Other results as documented for fcntl.
 */
int tk_locks_posix(struct tk_fdtable *table, struct tk_file *file, int cmd,
		   struct flock *lock) TK_MUST_CHECK;

/* A descriptor of @file is being closed: the process's locks on that file go, all of them. */
void tk_locks_drop(struct tk_fdtable *table, const struct tk_file *file);

void tk_locks_destroy(struct tk_fdtable *table);

#endif
