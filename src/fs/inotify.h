/* SPDX-License-Identifier: MIT */
/* inotify(7) objects. */
#ifndef TK_FS_INOTIFY_H
#define TK_FS_INOTIFY_H

#include "base/list.h"
#include "fs/file.h"

/* A watch as the guest set it; kept so that the object can be made anew. */
struct tk_inotify_watch {
	struct tk_list link;
	int wd;
	u32 mask;
	char path[]; /* canonical guest path */
};

struct tk_inotify {
	struct tk_file file;
	struct tk_list watches;
};

/* @flags: IN_NONBLOCK | IN_CLOEXEC, others -EINVAL. */
int tk_inotify_new(struct tk_file **ret, int flags) TK_MUST_CHECK;

struct tk_inotify *tk_inotify_of(struct tk_file *file); /* NULL: @file is something else */

/*
 * Watch the object that the host descriptor @pathfd (O_PATH) refers to, known to the guest as
 * @path. A watch descriptor or -errno.
 */
int tk_inotify_add(struct tk_inotify *in, int pathfd, const char *path, u32 mask);
int tk_inotify_remove(struct tk_inotify *in, int wd);

#endif
