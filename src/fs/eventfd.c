/* SPDX-License-Identifier: MIT */
/*
 * eventfd(2), host-backed: the counter and its rules are the host kernel's. The kind (semaphore or
 * not) is kept so that the object can be made anew; its value can be taken with read(2) and put
 * back with write(2), or seen in /proc/self/fdinfo.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include "fs/anon.h"
#include "fs/eventfd.h"

struct eventfd {
	struct tk_file file;
	bool semaphore;
};

static const struct tk_file_ops eventfd_ops = {
	.kind = "eventfd",
	.readv = tk_anon_readv,
	.writev = tk_anon_writev,
	.seek = tk_anon_seek,
};

int tk_eventfd_new(struct tk_file **ret, unsigned int value, int flags)
{
	struct eventfd *ev;
	int fd;

	fd = eventfd(value, flags | EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	ev = tk_anon_new(sizeof(*ev), &eventfd_ops, fd, O_RDWR | (flags & O_NONBLOCK),
			 "anon_inode:[eventfd]");
	if (!ev)
		return -ENOMEM;
	ev->semaphore = flags & EFD_SEMAPHORE;
	*ret = &ev->file;
	return 0;
}

bool tk_is_eventfd(const struct tk_file *file)
{
	return file->ops == &eventfd_ops;
}

bool tk_eventfd_is_semaphore(const struct tk_file *file)
{
	return tk_is_eventfd(file) && tk_container_of(file, struct eventfd, file)->semaphore;
}
