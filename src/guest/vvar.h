/* SPDX-License-Identifier: MIT */
/*
 * The vDSO's data page: written by the VMM (guest/clock.c), read by the guest (vdso/vdso.c),
 * which has it mapped read-only. A guest's clock is, until the data is stale,
 *
 *	base[clock] + (guest TSC - tsc) * mult / 2^32	nanoseconds.
 */
#ifndef TK_GUEST_VVAR_H
#define TK_GUEST_VVAR_H

#include "base/types.h"

/* Clock ids 0 to 11 (CLOCK_REALTIME to CLOCK_TAI), of which those in TK_VVAR_CLOCKS are served. */
#define TK_VVAR_BASES  12
#define TK_VVAR_FINE   (1u << 0 | 1u << 1 | 1u << 4 | 1u << 7 | 1u << 11)
#define TK_VVAR_COARSE (1u << 5 | 1u << 6)
#define TK_VVAR_CLOCKS (TK_VVAR_FINE | TK_VVAR_COARSE)

struct tk_vvar_time {
	s64 sec;
	u64 nsec; /* below 10^9 */
};

struct tk_vvar {
	u32 seq;     /* odd while being written; changed by every write */
	u32 tick_ns; /* resolution of the coarse clocks; 0 only while nothing was written yet */
	u64 tsc;
	/* Stale once this many cycles have passed since @tsc: ask the VMM. 0: always. Below 2^31.
	 */
	u64 valid;
	u64 mult, raw_mult; /* below 2^32; the latter is CLOCK_MONOTONIC_RAW's */
	/*
	 * The two coarse clocks' entries are what the host's showed at the last exit. They are
	 * stale when the precise ones are two ticks ahead: the host's move when it gets round to
	 * it, and nothing may be ahead of them.
	 */
	struct tk_vvar_time base[TK_VVAR_BASES];
	int tz_minuteswest, tz_dsttime; /* gettimeofday(2) */
};

#endif
