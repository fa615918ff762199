/* SPDX-License-Identifier: MIT */
/* Regular files and the harmless devices, by host descriptor. */
#ifndef TK_FS_REGULAR_H
#define TK_FS_REGULAR_H

#include "fs/file.h"

/*
 * A regular file (memfds too). Takes ownership of @hostfd, whose description must be the guest's
 * own: its offset is not used, its O_APPEND and O_DIRECT follow the guest's. 0 or -ENOMEM.
 */
int tk_regular_new(int hostfd, int flags, const char *path, struct tk_file **ret) TK_MUST_CHECK;

/*
 * A file that is read and written at the host descriptor's own offset: /dev/null and its kind, and
 * regular files shared with the outside world (inherited stdio).
 */
int tk_shared_new(int hostfd, int flags, const char *path, struct tk_file **ret) TK_MUST_CHECK;

/* O_PATH of anything that is not a directory: something to call fstat and *at() on. */
int tk_opath_new(int hostfd, int flags, const char *path, struct tk_file **ret) TK_MUST_CHECK;

bool tk_is_regular(const struct tk_file *file); /* tk_regular_new() */
bool tk_is_opath(const struct tk_file *file);	/* tk_opath_new() */

#endif
