/* SPDX-License-Identifier: MIT */
#ifndef KVMSERVER_CLOCK_H
#define KVMSERVER_CLOCK_H

#include <stdint.h>
#include <time.h>

#define KS_MS 1000000ull
#define KS_S  1000000000ull

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t ks_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * KS_S + (uint64_t)ts.tv_nsec;
}

#endif
