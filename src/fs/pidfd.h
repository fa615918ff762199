/* SPDX-License-Identifier: MIT */
/* pidfd_open(2) objects. */
#ifndef TK_FS_PIDFD_H
#define TK_FS_PIDFD_H

#include "fs/file.h"

/* One that stands for the guest's own process. @flags: O_NONBLOCK or 0. 0 or -errno. */
int tk_pidfd_new(struct tk_file **ret, int flags) TK_MUST_CHECK;

bool tk_is_pidfd(const struct tk_file *file);

#endif
