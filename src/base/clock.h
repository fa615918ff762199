/* SPDX-License-Identifier: MIT */
/* Host time as one number: nanoseconds of CLOCK_MONOTONIC. */
#ifndef TK_BASE_CLOCK_H
#define TK_BASE_CLOCK_H

#include <time.h>

#include "base/types.h"

#define TK_NSEC_PER_SEC 1000000000ll
#define TK_FOREVER	INT64_MAX

static inline s64 tk_timespec_ns(const struct timespec *ts)
{
	return (s64)ts->tv_sec * TK_NSEC_PER_SEC + ts->tv_nsec;
}

static inline struct timespec tk_ns_timespec(s64 ns)
{
	return (struct timespec){.tv_sec = ns / TK_NSEC_PER_SEC, .tv_nsec = ns % TK_NSEC_PER_SEC};
}

static inline s64 tk_clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return tk_timespec_ns(&ts);
}

static inline s64 tk_now_ns(void)
{
	return tk_clock_ns(CLOCK_MONOTONIC);
}

#endif
