/* SPDX-License-Identifier: MIT */
/*
 * Host time as one number: nanoseconds of CLOCK_MONOTONIC. And what programs see of it, whose
 * monotonic clocks stand still while they are frozen.
 */
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

/* @ns after @when; TK_FOREVER if that is too late to be a number. */
static inline s64 tk_later(s64 when, s64 ns)
{
	return __builtin_add_overflow(when, ns, &when) ? TK_FOREVER : when;
}

/* How far these clocks of a program are behind the host's. All zero: it was never frozen. */
struct tk_clock_lag {
	s64 mono, raw; /* CLOCK_MONOTONIC and its coarse version; CLOCK_MONOTONIC_RAW */
	s64 floor; /* where CLOCK_MONOTONIC stood: the coarse one lags, and must not be before */
};

/* What the program's @clock reads when the host's reads @ns. */
static inline s64 tk_lagging(const struct tk_clock_lag *lag, clockid_t clock, s64 ns)
{
	switch (clock) {
	case CLOCK_MONOTONIC:
		return ns - lag->mono;
	case CLOCK_MONOTONIC_COARSE:
		return TK_MAX(ns - lag->mono, lag->floor);
	case CLOCK_MONOTONIC_RAW:
		return ns - lag->raw;
	default:
		return ns;
	}
}

/* When the program's CLOCK_MONOTONIC reads @ns, the host's reads this. */
static inline s64 tk_host_deadline(const struct tk_clock_lag *lag, s64 ns)
{
	return tk_later(ns, lag->mono);
}

#endif
