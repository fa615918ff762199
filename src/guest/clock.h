/* SPDX-License-Identifier: MIT */
/*
 * Keeping the vDSO's data page right: the guest's clocks are the host's, to within a microsecond,
 * and never run backwards (but CLOCK_REALTIME is set when the host's is set). A fork's monotonic
 * clocks are the host's less what it has lain in its image for.
 */
#ifndef TK_GUEST_CLOCK_H
#define TK_GUEST_CLOCK_H

#include <time.h>

#include "base/clock.h"
#include "base/types.h"
#include "guest/vvar.h"

/* Where host time comes from; tests have their own. */
struct tk_clock_source {
	u64 (*tsc)(void *ctx);
	s64 (*ns)(void *ctx, clockid_t clock); /* host clock, nanoseconds */
	void *ctx;
};

/* The clocks that are CLOCK_MONOTONIC plus something that seldom changes. */
enum tk_clock_offset { TK_CLOCK_REALTIME, TK_CLOCK_BOOTTIME, TK_CLOCK_TAI, TK_CLOCK_OFFSETS };

/* One clock that runs at a rate of its own: what was measured and what the page says. */
struct tk_clock_line {
	u64 old_tsc, mid_tsc, last_tsc; /* measured points; the rate is that since the oldest */
	s64 old_ns, mid_ns, last_ns;
	u64 rate;    /* measured, ns per cycle * 2^32; 0: not known yet */
	u64 pub_tsc; /* published: ns = pub_ns + (tsc - pub_tsc) * pub_mult / 2^32 */
	s64 pub_ns;
	u64 pub_mult; /* 0: nothing published */
};

struct tk_clock {
	struct tk_vvar *vvar;
	struct tk_clock_source source;
	bool off;	  /* the page says "ask", for good */
	u64 guest_offset; /* guest TSC - host TSC */
	u64 stale;	  /* host TSC at which what the page says ends */
	u64 due;	  /* host TSC from which on the page is to be refreshed */
	s64 coarse_ns;	  /* CLOCK_MONOTONIC_COARSE as it stands in the page */
	u64 width;	  /* cycles that a good measurement took lately */
	struct tk_clock_line mono, raw;
	s64 offset[TK_CLOCK_OFFSETS], offset_hi[TK_CLOCK_OFFSETS]; /* lower and upper bound */
	struct tk_clock_lag lag;
};

/*
 * Start keeping @vvar, which must stay where it is until the last call for @clock. Unless @on the
 * page makes the guest use system calls: for a guest TSC that is not the host's plus
 * @guest_offset, and on hosts where tk_clock_host_ok() is false. @source NULL: the host.
 * The page begins to serve after some milliseconds, when the TSC's rate is known.
 */
void tk_clock_init(struct tk_clock *clock, struct tk_vvar *vvar, bool on, u64 guest_offset,
		   const struct tk_clock_source *source);

/* The same for a fork: takes over what @parent has learned, so that its page serves at once. */
void tk_clock_fork(struct tk_clock *clock, const struct tk_clock *parent, struct tk_vvar *vvar,
		   u64 guest_offset);

/*
 * To be called before every entry into the guest, behind everything else that the exit did: one
 * TSC and one coarse clock are read, the rest is done only when it is due (every few ms, and only
 * while there are exits: a guest that makes none finds the page stale and makes one).
 */
void tk_clock_update(struct tk_clock *clock);

/* From now on the page shows clocks that are @lag behind. Not while the guest runs. */
void tk_clock_set_lag(struct tk_clock *clock, const struct tk_clock_lag *lag);

/* The guest's TSC in @ns nanoseconds from now; 0: not known. */
u64 tk_clock_deadline(const struct tk_clock *clock, u64 ns);

/* The host's clocks come from the TSC, so a line through TSC values describes them. Reads /sys. */
bool tk_clock_host_ok(void);

#endif
