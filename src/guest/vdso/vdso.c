/* SPDX-License-Identifier: MIT */
/*
 * The vDSO: the clock calls of vdso(7), run by the guest in its own right. Owns no data; reads
 * the page before it (guest/vvar.h). Whatever it cannot answer, and whatever is stale, becomes
 * the real system call, after which the VMM has made the page fresh.
 *
 * Built on its own, without libc, relocations and vector registers. Bad pointers fault here, as
 * they do in Linux's vDSO.
 */
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "guest/layout.h"
#include "guest/vvar.h"

#define NSEC_PER_SEC 1000000000u
#define EXPORT	     __attribute__((visibility("default")))

struct getcpu_cache;

EXPORT int __vdso_clock_gettime(clockid_t clock, struct timespec *ts);
EXPORT int __vdso_clock_getres(clockid_t clock, struct timespec *ts);
EXPORT int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
EXPORT time_t __vdso_time(time_t *t);
EXPORT long __vdso_getcpu(unsigned int *cpu, unsigned int *node, struct getcpu_cache *unused);

/* The page lies before the image, which begins at tk_image_start (vdso.ld). */
static const volatile struct tk_vvar *data_page(void)
{
	const volatile struct tk_vvar *page;

	__asm__("lea tk_image_start - %c1(%%rip), %0" : "=r"(page) : "i"(TK_VVAR_SIZE));
	return page;
}

static long syscall2(long nr, long a, long b)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return ret;
}

/* LFENCE keeps the read from moving ahead of the loads before it (SDM 2B, RDTSC). */
static u64 read_tsc(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

static u32 read_begin(const volatile struct tk_vvar *page)
{
	u32 seq;

	while ((seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE)) & 1)
		__builtin_ia32_pause();
	return seq;
}

static bool read_retry(const volatile struct tk_vvar *page, u32 seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&page->seq, __ATOMIC_RELAXED) != seq;
}

static struct tk_vvar_time add_ns(struct tk_vvar_time t, u64 ns)
{
	t.nsec += ns;
	while (t.nsec >= NSEC_PER_SEC) {
		t.nsec -= NSEC_PER_SEC;
		t.sec++;
	}
	return t;
}

static bool before(struct tk_vvar_time a, struct tk_vvar_time b)
{
	return a.sec < b.sec || (a.sec == b.sec && a.nsec < b.nsec);
}

/*
 * A coarse clock moves when the host's does, and nobody here knows when: it stands as the last exit
 * left it, for less than two of the host's ticks. False: ask.
 */
static bool coarse_stands(struct tk_vvar_time coarse, struct tk_vvar_time fine, u32 tick)
{
	return before(fine, add_ns(coarse, 2 * (u64)tick));
}

/* @clock is one of TK_VVAR_CLOCKS. False: stale, or not served at all. */
static bool read_clock(unsigned int clock, struct tk_vvar_time *out)
{
	const volatile struct tk_vvar *page = data_page();
	bool is_coarse = TK_VVAR_COARSE >> clock & 1;
	/* 5 and 6 are the coarse versions of 0 and 1 */
	unsigned int fine = is_coarse ? clock - CLOCK_REALTIME_COARSE : clock;
	struct tk_vvar_time t, stood;
	u64 delta, mult, valid;
	u32 seq, tick;

	do {
		seq = read_begin(page);
		delta = read_tsc() - page->tsc;
		valid = page->valid;
		mult = clock == CLOCK_MONOTONIC_RAW ? page->raw_mult : page->mult;
		t.sec = page->base[fine].sec;
		t.nsec = page->base[fine].nsec;
		stood.sec = page->base[clock].sec;
		stood.nsec = page->base[clock].nsec;
		tick = page->tick_ns;
	} while (read_retry(page, seq));
	if (delta >= valid)
		return false;
	t = add_ns(t, delta * mult >> 32);
	*out = is_coarse ? stood : t;
	return !is_coarse || coarse_stands(stood, t, tick);
}

EXPORT int __vdso_clock_gettime(clockid_t clock, struct timespec *ts)
{
	struct tk_vvar_time t;

	if ((unsigned int)clock >= TK_VVAR_BASES || !(TK_VVAR_CLOCKS >> clock & 1) ||
	    !read_clock((unsigned int)clock, &t))
		return (int)syscall2(SYS_clock_gettime, clock, (long)ts);
	ts->tv_sec = t.sec;
	ts->tv_nsec = (long)t.nsec;
	return 0;
}

EXPORT int __vdso_clock_getres(clockid_t clock, struct timespec *ts)
{
	u32 tick = data_page()->tick_ns;

	if ((unsigned int)clock >= TK_VVAR_BASES || !(TK_VVAR_CLOCKS >> clock & 1) || tick == 0)
		return (int)syscall2(SYS_clock_getres, clock, (long)ts);
	if (ts) {
		ts->tv_sec = 0;
		ts->tv_nsec = TK_VVAR_COARSE >> clock & 1 ? tick : 1;
	}
	return 0;
}

EXPORT int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	const volatile struct tk_vvar *page = data_page();
	struct tk_vvar_time t;

	if (!read_clock(CLOCK_REALTIME, &t))
		return (int)syscall2(SYS_gettimeofday, (long)tv, (long)tz);
	if (tv) {
		tv->tv_sec = t.sec;
		tv->tv_usec = (u32)t.nsec / 1000;
	}
	if (tz) {
		tz->tz_minuteswest = page->tz_minuteswest;
		tz->tz_dsttime = page->tz_dsttime;
	}
	return 0;
}

/* The coarse second, as in Linux: not later than what the file system stamps on files. */
EXPORT time_t __vdso_time(time_t *t)
{
	struct tk_vvar_time now;

	if (!read_clock(CLOCK_REALTIME_COARSE, &now))
		return syscall2(SYS_time, (long)t, 0);
	if (t)
		*t = now.sec;
	return now.sec;
}

/* The guest sees one processor. */
EXPORT long __vdso_getcpu(unsigned int *cpu, unsigned int *node, struct getcpu_cache *unused)
{
	if (cpu)
		*cpu = 0;
	if (node)
		*node = 0;
	return 0;
}

/* The names without prefix, which Linux exports as weak aliases. */
#define ALIAS(name) __asm__(".weak " #name "\n.set " #name ", __vdso_" #name)

ALIAS(clock_gettime);
ALIAS(clock_getres);
ALIAS(gettimeofday);
ALIAS(time);
ALIAS(getcpu);
