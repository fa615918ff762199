/* SPDX-License-Identifier: MIT */
/* timerfd(2) objects. */
#ifndef TK_FS_TIMERFD_H
#define TK_FS_TIMERFD_H

#include <sys/timerfd.h>

#include "base/clock.h"
#include "fs/file.h"

/* @flags: TFD_NONBLOCK | TFD_CLOEXEC, others -EINVAL. -EPERM: a clock that can wake the host. */
int tk_timerfd_new(struct tk_file **ret, int clock, int flags) TK_MUST_CHECK;

/* 0 or -errno, -EINVAL if @file is no timerfd. @old may be NULL. @lag: of who sets it. */
int tk_timerfd_settime(struct tk_file *file, int flags, const struct itimerspec *new,
		       struct itimerspec *old, const struct tk_clock_lag *lag);
int tk_timerfd_gettime(struct tk_file *file, struct itimerspec *now);

/* What is needed to make one anew, besides gettime: its clock and the flags of the last settime. */
bool tk_is_timerfd(const struct tk_file *file);
void tk_timerfd_describe(const struct tk_file *file, int *clock, int *settime_flags);

/* A frozen one will expire. */
bool tk_timerfd_is_armed(const struct tk_file *tmpl);
/* Set fork's @file to what frozen @tmpl had left, for who is @lag behind. 0 or -errno. */
int tk_timerfd_start(struct tk_file *file, const struct tk_file *tmpl,
		     const struct tk_clock_lag *lag);

#endif
