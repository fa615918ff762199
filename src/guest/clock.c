/* SPDX-License-Identifier: MIT */
/*
 * Owns what the vDSO's data page says. The host's clocks are only ever *measured* (TSC, clock,
 * TSC), never taken from the host kernel's own data page, whose layout is nobody's business.
 *
 * Invariants:
 *  - A published line starts at or above the previous one, so time never runs backwards. If the
 *    old one was ahead of the host, the new one is slower until they meet.
 *  - A line is published for a limited time only (vvar->valid); then the guest asks.
 *  - It starts at the reading's *later* TSC, and errs on the late side: system calls, which show
 *    the host's own clock, never seem to be behind the vDSO.
 *  - The distance of CLOCK_REALTIME, BOOTTIME and TAI from CLOCK_MONOTONIC is constant until
 *    somebody sets a clock, so each reading narrows an interval around it. The lower end is
 *    used, which moves forward only. A reading outside of the interval means that it was set.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "guest/clock.h"

#define NS_PER_MS 1000000ll

#define VALID_NS     (10 * NS_PER_MS)	/* longest life of a published line */
#define REFRESH_NS   (5 * NS_PER_MS)	/* exits refresh it from this age on */
#define RETRY_NS     (NS_PER_MS / 5)	/* nothing could be measured: try again then */
#define FIRST_NS     NS_PER_MS		/* shortest distance that gives a usable rate */
#define WINDOW_NS    (1000 * NS_PER_MS) /* the rate is measured over one to two of these */
#define TOLERANCE_NS 150 /* a prediction that is off by more: the host's rate has changed */
#define SLACK_NS     2	 /* roundings of two clocks against each other */
#define MAX_WIDTH_NS 600 /* a measurement that took longer says too little */
#define TRIES	     6
#define MAX_CYCLES   ((1ull << 31) - 1) /* bound of vvar->valid */

static const clockid_t offset_clocks[TK_CLOCK_OFFSETS] = {
	[TK_CLOCK_REALTIME] = CLOCK_REALTIME,
	[TK_CLOCK_BOOTTIME] = CLOCK_BOOTTIME,
	[TK_CLOCK_TAI] = CLOCK_TAI,
};

/* A reading of a clock: its value was @ns at some TSC between @tsc - @width and @tsc. */
struct reading {
	u64 tsc, width;
	s64 ns;
};

static u64 host_tsc(void *ctx)
{
	/* not before the loads of the reading that it ends (SDM 2B, RDTSC) */
	_mm_lfence();
	return __rdtsc();
}

static s64 host_ns(void *ctx, clockid_t clock)
{
	return tk_clock_ns(clock);
}

static const struct tk_clock_source host_source = {.tsc = host_tsc, .ns = host_ns};

static u64 now_tsc(const struct tk_clock *clock)
{
	return clock->source.tsc(clock->source.ctx);
}

static s64 now_ns(const struct tk_clock *clock, clockid_t id)
{
	return clock->source.ns(clock->source.ctx, id);
}

static u64 scale(u64 cycles, u64 mult)
{
	return (u64)((unsigned __int128)cycles * mult >> 32);
}

/* @ns at the rate @mult, in cycles. */
static u64 cycles_of(u64 ns, u64 mult)
{
	return mult ? (u64)(((unsigned __int128)ns << 32) / mult) : 0;
}

static s64 line_at(const struct tk_clock_line *line, u64 tsc)
{
	/* processors' TSCs may differ by a few cycles */
	if (tsc <= line->pub_tsc)
		return line->pub_ns;
	return line->pub_ns + (s64)scale(tsc - line->pub_tsc, line->pub_mult);
}

/* The latest that a guest can have read from the line when the TSC is @tsc. */
static s64 latest_read(const struct tk_clock *clock, const struct tk_clock_line *line, u64 tsc)
{
	return line_at(line, TK_MIN(tsc, clock->stale));
}

static struct reading read_once(const struct tk_clock *clock, clockid_t id)
{
	struct reading r;
	u64 before = now_tsc(clock);

	r.ns = now_ns(clock, id);
	r.tsc = now_tsc(clock);
	r.width = r.tsc - before;
	return r;
}

/* The best of a few readings: an interrupt in between makes one useless. */
static struct reading read_clock(struct tk_clock *clock, clockid_t id)
{
	struct reading best = read_once(clock, id), r;
	u64 enough = clock->width + clock->width / 4;

	for (int i = 1; i < TRIES && best.width > enough; i++) {
		r = read_once(clock, id);
		if (r.width < best.width)
			best = r;
	}
	/* follows slowly, in both directions */
	clock->width = clock->width ? (clock->width * 7 + best.width) / 8 : best.width;
	return best;
}

/* Is the reading where the rate measured so far put it? */
static bool as_predicted(const struct tk_clock_line *line, const struct reading *r)
{
	s64 error, width = (s64)scale(r->width, line->rate);

	if (r->tsc < line->last_tsc)
		return false;
	error = r->ns - line->last_ns - (s64)scale(r->tsc - line->last_tsc, line->rate);
	return error <= TOLERANCE_NS + width && error >= -TOLERANCE_NS - width;
}

static void line_begin(struct tk_clock_line *line, u64 tsc, s64 ns)
{
	line->old_tsc = line->mid_tsc = tsc;
	line->old_ns = line->mid_ns = ns;
}

/* Take a reading into the measured rate. False: still too close to the first one. */
static bool line_learn(struct tk_clock_line *line, const struct reading *r)
{
	if (line->rate && !as_predicted(line, r))
		line_begin(line, line->last_tsc, line->last_ns);
	if (r->ns - line->old_ns < FIRST_NS || r->tsc <= line->old_tsc)
		return false;
	line->rate = (u64)(((unsigned __int128)(u64)(r->ns - line->old_ns) << 32) /
			   (r->tsc - line->old_tsc));
	line->last_tsc = r->tsc;
	line->last_ns = r->ns;
	if (r->ns - line->mid_ns > WINDOW_NS) {
		line->old_tsc = line->mid_tsc;
		line->old_ns = line->mid_ns;
		line->mid_tsc = r->tsc;
		line->mid_ns = r->ns;
	}
	return line->rate >> 32 == 0;
}

/*
 * Start a new published line at the reading. @life: ns within which an old line that was ahead
 * is to be met again; never at less than half of the rate.
 */
static void line_publish(const struct tk_clock *clock, struct tk_clock_line *line,
			 const struct reading *r, s64 life)
{
	s64 ahead = line->pub_mult ? latest_read(clock, line, r->tsc) - r->ns : 0;

	line->pub_tsc = r->tsc;
	line->pub_ns = r->ns;
	line->pub_mult = line->rate;
	if (ahead <= 0)
		return;
	line->pub_ns += ahead;
	ahead = ahead < life / 2 ? ahead : life / 2;
	line->pub_mult -= (u64)((unsigned __int128)line->rate * (u64)ahead / (u64)life);
}

/* How long the line may be trusted: not longer than it was watched. */
static s64 line_life(const struct tk_clock_line *line)
{
	return TK_MIN(VALID_NS, 2 * (line->last_ns - line->old_ns));
}

static void learn_offset(struct tk_clock *clock, enum tk_clock_offset i)
{
	s64 before = now_ns(clock, CLOCK_MONOTONIC), ns = now_ns(clock, offset_clocks[i]);
	s64 after = now_ns(clock, CLOCK_MONOTONIC);
	s64 lo = ns - after, hi = ns - before;

	if (lo > clock->offset_hi[i] + SLACK_NS || hi < clock->offset[i] - SLACK_NS) {
		clock->offset[i] = lo;
		clock->offset_hi[i] = hi;
		return;
	}
	hi = TK_MIN(hi, clock->offset_hi[i]);
	lo = TK_MAX(lo, clock->offset[i]);
	clock->offset[i] = TK_MIN(lo, clock->offset_hi[i]);
	clock->offset_hi[i] = TK_MAX(hi, clock->offset[i]);
}

static void write_begin(struct tk_vvar *vvar)
{
	__atomic_store_n(&vvar->seq, vvar->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void write_end(struct tk_vvar *vvar)
{
	__atomic_store_n(&vvar->seq, vvar->seq + 1, __ATOMIC_RELEASE);
}

static void set_base(struct tk_vvar *vvar, clockid_t id, s64 ns)
{
	vvar->base[id].sec = ns / TK_NSEC_PER_SEC;
	vvar->base[id].nsec = (u64)(ns % TK_NSEC_PER_SEC);
}

/* The whole page but for the coarse clocks. Both lines start at the same TSC in it. */
static void write_page(struct tk_clock *clock, u64 tsc)
{
	struct tk_vvar *vvar = clock->vvar;
	s64 mono = line_at(&clock->mono, tsc), raw = line_at(&clock->raw, tsc);

	write_begin(vvar);
	vvar->tsc = tsc + clock->guest_offset;
	vvar->valid = clock->stale - tsc;
	vvar->mult = clock->mono.pub_mult;
	vvar->raw_mult = clock->raw.pub_mult;
	set_base(vvar, CLOCK_MONOTONIC, tk_lagging(&clock->lag, CLOCK_MONOTONIC, mono));
	set_base(vvar, CLOCK_MONOTONIC_RAW, tk_lagging(&clock->lag, CLOCK_MONOTONIC_RAW, raw));
	for (int i = 0; i < TK_CLOCK_OFFSETS; i++)
		set_base(vvar, offset_clocks[i], mono + clock->offset[i]);
	write_end(vvar);
}

static void refresh(struct tk_clock *clock)
{
	struct reading mono = read_clock(clock, CLOCK_MONOTONIC);
	struct reading raw = read_clock(clock, CLOCK_MONOTONIC_RAW);
	u64 worst = TK_MAX(mono.width, raw.width);
	bool known;
	s64 life;

	if (clock->mono.rate && scale(worst, clock->mono.rate) > MAX_WIDTH_NS) {
		clock->due = raw.tsc + cycles_of(RETRY_NS, clock->mono.rate);
		return;
	}
	known = line_learn(&clock->mono, &mono);
	known &= line_learn(&clock->raw, &raw);
	for (int i = 0; i < TK_CLOCK_OFFSETS; i++)
		learn_offset(clock, i);
	if (!known)
		return; /* due at the next exit again */
	life = TK_MIN(line_life(&clock->mono), line_life(&clock->raw));
	line_publish(clock, &clock->mono, &mono, life);
	line_publish(clock, &clock->raw, &raw, life);
	clock->stale = raw.tsc + TK_MIN(cycles_of((u64)life, clock->mono.rate), MAX_CYCLES);
	write_page(clock, raw.tsc);
	clock->coarse_ns = 0; /* CLOCK_REALTIME may have been set */
	clock->due = raw.tsc + cycles_of((u64)TK_MIN(life / 2, REFRESH_NS), clock->mono.rate);
}

/* File times are coarse: what the guest sees now must not be before what an exit has stamped. */
static void update_coarse(struct tk_clock *clock)
{
	s64 ns = now_ns(clock, CLOCK_MONOTONIC_COARSE);

	if (ns == clock->coarse_ns)
		return;
	clock->coarse_ns = ns;
	write_begin(clock->vvar);
	set_base(clock->vvar, CLOCK_MONOTONIC_COARSE,
		 tk_lagging(&clock->lag, CLOCK_MONOTONIC_COARSE, ns));
	set_base(clock->vvar, CLOCK_REALTIME_COARSE, now_ns(clock, CLOCK_REALTIME_COARSE));
	write_end(clock->vvar);
}

void tk_clock_update(struct tk_clock *clock)
{
	if (clock->off)
		return;
	if ((s64)(now_tsc(clock) - clock->due) >= 0)
		refresh(clock);
	update_coarse(clock);
}

static void init_page(struct tk_vvar *vvar)
{
	struct timespec tick = {.tv_nsec = 4 * NS_PER_MS};
	struct timezone tz = {0, 0};

	memset(vvar, 0, sizeof(*vvar));
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	vvar->tick_ns = (u32)tick.tv_nsec;
	/* libc's gettimeofday() hides the zone */
	syscall(SYS_gettimeofday, NULL, &tz);
	vvar->tz_minuteswest = tz.tz_minuteswest;
	vvar->tz_dsttime = tz.tz_dsttime;
}

void tk_clock_init(struct tk_clock *clock, struct tk_vvar *vvar, bool on, u64 guest_offset,
		   const struct tk_clock_source *source)
{
	struct reading mono, raw;

	*clock = (struct tk_clock){
		.vvar = vvar,
		.source = source ? *source : host_source,
		.off = !on,
		.guest_offset = guest_offset,
	};
	init_page(vvar);
	if (!on)
		return;
	clock->due = now_tsc(clock);
	mono = read_clock(clock, CLOCK_MONOTONIC);
	raw = read_clock(clock, CLOCK_MONOTONIC_RAW);
	line_begin(&clock->mono, mono.tsc, mono.ns);
	line_begin(&clock->raw, raw.tsc, raw.ns);
	for (int i = 0; i < TK_CLOCK_OFFSETS; i++) {
		clock->offset[i] = INT64_MIN / 2;
		clock->offset_hi[i] = INT64_MIN / 2;
		learn_offset(clock, i);
	}
}

void tk_clock_fork(struct tk_clock *clock, const struct tk_clock *parent, struct tk_vvar *vvar,
		   u64 guest_offset)
{
	*clock = *parent;
	clock->vvar = vvar;
	clock->guest_offset = guest_offset;
	init_page(vvar);
	clock->coarse_ns = 0;
	clock->due = clock->off ? 0 : now_tsc(clock);
	tk_clock_update(clock);
}

void tk_clock_set_lag(struct tk_clock *clock, const struct tk_clock_lag *lag)
{
	u64 tsc = now_tsc(clock);

	clock->lag = *lag;
	clock->coarse_ns = 0;
	/* A stale page is written before it serves again. */
	if (!clock->off && clock->mono.pub_mult && (s64)(tsc - clock->stale) < 0)
		write_page(clock, tsc);
}

u64 tk_clock_deadline(const struct tk_clock *clock, u64 ns)
{
	if (clock->off || !clock->mono.rate)
		return 0;
	return now_tsc(clock) + cycles_of(ns, clock->mono.rate) + clock->guest_offset;
}

bool tk_clock_host_ok(void)
{
	const char *path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
	char name[8] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, name, sizeof(name));
	close(fd);
	return n == 4 && memcmp(name, "tsc\n", 4) == 0;
}
