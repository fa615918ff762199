/* SPDX-License-Identifier: MIT */
/*
 * Operations shared by the host-backed anonymous files. Their host descriptors are non-blocking,
 * so -EAGAIN comes back where the guest's call has to wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/anon.h"

void *tk_anon_new(size_t size, const struct tk_file_ops *ops, int hostfd, int flags,
		  const char *name)
{
	struct tk_file *file = calloc(1, size);

	if (!file) {
		close(hostfd);
		return NULL;
	}
	tk_file_init(file, ops, hostfd, flags, name);
	file->pollable = true;
	return file;
}

ssize_t tk_anon_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	ssize_t rc;

	if (pos)
		return -ESPIPE;
	rc = readv(file->hostfd, iov, n);
	return rc < 0 ? -errno : rc;
}

ssize_t tk_anon_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	ssize_t rc;

	if (pos)
		return -ESPIPE;
	rc = writev(file->hostfd, iov, n);
	return rc < 0 ? -errno : rc;
}

s64 tk_anon_seek(struct tk_file *file, s64 offset, int whence)
{
	return 0;
}
