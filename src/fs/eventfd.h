/* SPDX-License-Identifier: MIT */
/* eventfd(2) objects. */
#ifndef TK_FS_EVENTFD_H
#define TK_FS_EVENTFD_H

#include "fs/file.h"

/* @flags: EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC, others -EINVAL. 0 or -errno. */
int tk_eventfd_new(struct tk_file **ret, unsigned int value, int flags) TK_MUST_CHECK;

bool tk_is_eventfd(const struct tk_file *file);
bool tk_eventfd_is_semaphore(const struct tk_file *file);

#endif
