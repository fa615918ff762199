/* SPDX-License-Identifier: MIT */
/*
 * timerfd(2), host-backed: guest and host share their clocks, so a timer is the host's timer with
 * the same numbers. Clock and settime flags are kept so that the object can be made anew.
 */
#include <errno.h>
#include <fcntl.h>

#include "fs/anon.h"
#include "fs/timerfd.h"

struct timerfd {
	struct tk_file file;
	int clock;
	int settime_flags;
};

static const struct tk_file_ops timerfd_ops = {
	.kind = "timerfd",
	.readv = tk_anon_readv,
	.seek = tk_anon_seek,
};

int tk_timerfd_new(struct tk_file **ret, int clock, int flags)
{
	struct timerfd *timer;
	int fd;

	if (flags & ~(TFD_NONBLOCK | TFD_CLOEXEC))
		return -EINVAL;
	/* The VMM may have CAP_WAKE_ALARM; its guests do not. */
	if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
		return -EPERM;
	fd = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	timer = tk_anon_new(sizeof(*timer), &timerfd_ops, fd, O_RDWR | (flags & O_NONBLOCK),
			    "anon_inode:[timerfd]");
	if (!timer)
		return -ENOMEM;
	timer->clock = clock;
	*ret = &timer->file;
	return 0;
}

bool tk_is_timerfd(const struct tk_file *file)
{
	return file->ops == &timerfd_ops;
}

int tk_timerfd_settime(struct tk_file *file, int flags, const struct itimerspec *new,
		       struct itimerspec *old)
{
	if (!tk_is_timerfd(file))
		return -EINVAL;
	if (timerfd_settime(file->hostfd, flags, new, old))
		return -errno;
	tk_container_of(file, struct timerfd, file)->settime_flags = flags;
	return 0;
}

int tk_timerfd_gettime(struct tk_file *file, struct itimerspec *now)
{
	if (!tk_is_timerfd(file))
		return -EINVAL;
	return timerfd_gettime(file->hostfd, now) ? -errno : 0;
}

void tk_timerfd_describe(const struct tk_file *file, int *clock, int *settime_flags)
{
	const struct timerfd *timer = tk_container_of(file, struct timerfd, file);

	*clock = timer->clock;
	*settime_flags = timer->settime_flags;
}
