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
#include "fs/fork.h"

struct eventfd {
	struct tk_file file;
	bool semaphore;
	u64 frozen; /* the counter when the machine was frozen */
};

static struct eventfd *of(const struct tk_file *file)
{
	return tk_container_of(file, struct eventfd, file);
}

static int eventfd_freeze(struct tk_file *file)
{
	return tk_fork_fdinfo(file->hostfd, "eventfd-count:", 16, &of(file)->frozen);
}

static int fill(int fd, u64 value)
{
	return value && eventfd_write(fd, value) ? -errno : 0;
}

static int eventfd_fork(const struct tk_file *tmpl, const struct tk_file *mate,
			const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int flags = of(tmpl)->semaphore ? EFD_SEMAPHORE : 0;
	int rc = tk_eventfd_new(&ret[0], 0, flags);

	if (rc)
		return rc;
	rc = fill(ret[0]->hostfd, of(tmpl)->frozen);
	if (rc)
		tk_file_put(ret[0]);
	return rc;
}

/* A semaphore is read one at a time: some are made anew sooner. */
static int eventfd_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	eventfd_t value;
	int n = of(file)->semaphore ? 8 : 1;

	while (n-- > 0 && !eventfd_read(file->hostfd, &value))
		if (of(file)->semaphore && !n)
			return -ESTALE;
	return fill(file->hostfd, of(tmpl)->frozen) ? -ESTALE : 1;
}

static const struct tk_file_ops eventfd_ops = {
	.kind = "eventfd",
	.readv = tk_anon_readv,
	.writev = tk_anon_writev,
	.seek = tk_anon_seek,
	.freeze = eventfd_freeze,
	.fork = eventfd_fork,
	.reset = eventfd_reset,
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
