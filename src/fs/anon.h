/* SPDX-License-Identifier: MIT */
/* What the host-backed anonymous files (eventfd, timerfd, inotify, epoll) have in common. */
#ifndef TK_FS_ANON_H
#define TK_FS_ANON_H

#include "fs/file.h"

/*
 * Make the object of @size bytes that begins with its struct tk_file (calloc) over @hostfd,
 * which is consumed in every case. NULL: out of memory. @name: what /proc/self/fd shows, or NULL.
 */
void *tk_anon_new(size_t size, const struct tk_file_ops *ops, int hostfd, int flags,
		  const char *name);

/* readv and writev of the host descriptor; no positions. */
ssize_t tk_anon_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos);
ssize_t tk_anon_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos);

/* lseek(2) on these succeeds and does nothing (the kernel's noop_llseek). */
s64 tk_anon_seek(struct tk_file *file, s64 offset, int whence);

#endif
