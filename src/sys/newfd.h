/* SPDX-License-Identifier: MIT */
/* Giving the guest descriptors for objects that were just made. */
#ifndef TK_SYS_NEWFD_H
#define TK_SYS_NEWFD_H

#include "sys/sys.h"

/*
 * Install both files and tell their descriptors at @out (int[2]). Takes over both references,
 * whatever happens. 0, -EMFILE, -ENOMEM, -EFAULT (nothing stays installed).
 */
long tk_new_fd_pair(struct tk_task *task, struct tk_file *files[2], bool cloexec, gva_t out);

/* Would one more descriptor exceed RLIMIT_NOFILE? To fail before side effects. */
bool tk_fds_full(const struct tk_task *task);

#endif
