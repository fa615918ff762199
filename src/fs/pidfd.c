/* SPDX-License-Identifier: MIT */
/*
 * A descriptor of a process, of which a guest has one: itself. It is readable once that has ended,
 * so nobody is ever there to see it; what can be waited for is a host timer that is never armed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>

#include "fs/anon.h"
#include "fs/fork.h"
#include "fs/pidfd.h"

static int pidfd_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		      const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	return tk_pidfd_new(&ret[0], 0);
}

static const struct tk_file_ops pidfd_ops = {
	.kind = "pidfd",
	.fork = pidfd_fork,
	.reset = tk_fork_reset_plain,
};

int tk_pidfd_new(struct tk_file **ret, int flags)
{
	struct tk_file *file;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	file = tk_anon_new(sizeof(*file), &pidfd_ops, fd, O_RDWR | (flags & O_NONBLOCK),
			   "anon_inode:[pidfd]");
	if (!file)
		return -ENOMEM;
	*ret = file;
	return 0;
}

bool tk_is_pidfd(const struct tk_file *file)
{
	return file->ops == &pidfd_ops;
}
