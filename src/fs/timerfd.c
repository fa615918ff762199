/* SPDX-License-Identifier: MIT */
/*
 * timerfd(2), host-backed: guest and host share their clocks, but for what a fork's are behind, so
 * a timer is the host's timer with the same numbers. Clock and settime flags are kept so that the
 * object can be made anew.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "fs/anon.h"
#include "fs/fork.h"
#include "fs/timerfd.h"

struct timerfd {
	struct tk_file file;
	int clock;
	int settime_flags;
	struct {
		bool armed;
		clockid_t base; /* what @expiry counts on */
		s64 expiry, interval;
		s64 at; /* CLOCK_MONOTONIC: when it was frozen */
	} frozen;
};

static struct timerfd *of(const struct tk_file *file)
{
	return tk_container_of(file, struct timerfd, file);
}

/* A relative timer does not follow changes of the clock that it is on. */
static clockid_t base_of(const struct timerfd *timer)
{
	bool relative = !(timer->settime_flags & TFD_TIMER_ABSTIME);

	return timer->clock == CLOCK_REALTIME && relative ? CLOCK_MONOTONIC : timer->clock;
}

/* Expirations that were not read yet are put in front: the kernel counts them again. */
static int timerfd_freeze(struct tk_file *file)
{
	struct timerfd *timer = of(file);
	struct itimerspec its;
	u64 ticks;
	int rc = tk_fork_fdinfo(file->hostfd, "ticks:", 10, &ticks);

	if (!rc)
		rc = tk_timerfd_gettime(file, &its);
	if (rc)
		return rc;
	timer->frozen.base = base_of(timer);
	timer->frozen.at = tk_now_ns();
	timer->frozen.interval = tk_timespec_ns(&its.it_interval);
	timer->frozen.armed = ticks || its.it_value.tv_sec || its.it_value.tv_nsec;
	timer->frozen.expiry =
		tk_later(tk_timespec_ns(&its.it_value), tk_clock_ns(timer->frozen.base));
	timer->frozen.expiry -= (s64)TK_MIN(ticks, (u64)1 << 20) * timer->frozen.interval;
	return 0;
}

/*
 * On the clock's own time line, unless that is one which can be set and the timer is not on it.
 * @late: for how long clocks that stand still have done so since the freezing.
 */
static int arm(int fd, const struct timerfd *tmpl, s64 late)
{
	struct itimerspec its = {.it_interval = tk_ns_timespec(tmpl->frozen.interval)};
	bool same = tmpl->frozen.base == tmpl->clock;
	bool relative = !(tmpl->settime_flags & TFD_TIMER_ABSTIME);
	int flags = same ? tmpl->settime_flags | TFD_TIMER_ABSTIME : 0;
	s64 value = tmpl->frozen.expiry - (same ? 0 : tk_clock_ns(tmpl->frozen.base));

	if (relative || tmpl->frozen.base == CLOCK_MONOTONIC)
		value = tk_later(value, late);
	if (tmpl->frozen.armed)
		its.it_value = tk_ns_timespec(TK_MAX(value, (s64)1));
	/* ECANCELED: it is armed, and the clock was set meanwhile (TFD_TIMER_CANCEL_ON_SET) */
	return timerfd_settime(fd, flags, &its, NULL) && errno != ECANCELED ? -errno : 0;
}

static s64 since_freezing(const struct timerfd *tmpl)
{
	return tk_now_ns() - tmpl->frozen.at;
}

bool tk_timerfd_is_armed(const struct tk_file *tmpl)
{
	return tk_is_timerfd(tmpl) && of(tmpl)->frozen.armed;
}

int tk_timerfd_start(struct tk_file *file, const struct tk_file *tmpl,
		     const struct tk_clock_lag *lag)
{
	return arm(file->hostfd, of(tmpl), lag->mono);
}

static int timerfd_fork(const struct tk_file *tmpl, const struct tk_file *mate,
			const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	const struct timerfd *from = of(tmpl);
	int rc = tk_timerfd_new(&ret[0], from->clock, 0);

	if (rc)
		return rc;
	of(ret[0])->settime_flags = from->settime_flags;
	rc = from->frozen.armed ? arm(ret[0]->hostfd, from, since_freezing(from)) : 0;
	if (rc)
		tk_file_put(ret[0]);
	return rc;
}

static int timerfd_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	of(file)->settime_flags = of(tmpl)->settime_flags;
	return arm(file->hostfd, of(tmpl), since_freezing(of(tmpl))) ? -ESTALE : 1;
}

static const struct tk_file_ops timerfd_ops = {
	.kind = "timerfd",
	.readv = tk_anon_readv,
	.seek = tk_anon_seek,
	.freeze = timerfd_freeze,
	.fork = timerfd_fork,
	.reset = timerfd_reset,
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

/*
 * In the host's CLOCK_MONOTONIC what the program put in its own. What makes no sense is for the
 * host to refuse; zero stops the timer.
 */
static struct timespec to_host(struct timespec ts, const struct tk_clock_lag *lag)
{
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= TK_NSEC_PER_SEC ||
	    ts.tv_sec >= TK_FOREVER / TK_NSEC_PER_SEC || (!ts.tv_sec && !ts.tv_nsec))
		return ts;
	return tk_ns_timespec(tk_host_deadline(lag, tk_timespec_ns(&ts)));
}

int tk_timerfd_settime(struct tk_file *file, int flags, const struct itimerspec *new,
		       struct itimerspec *old, const struct tk_clock_lag *lag)
{
	struct itimerspec its = *new;

	if (!tk_is_timerfd(file))
		return -EINVAL;
	if (flags & TFD_TIMER_ABSTIME && of(file)->clock == CLOCK_MONOTONIC)
		its.it_value = to_host(its.it_value, lag);
	if (timerfd_settime(file->hostfd, flags, &its, old))
		return -errno;
	of(file)->settime_flags = flags;
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
