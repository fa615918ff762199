/* SPDX-License-Identifier: MIT */
/*
 * Sleeping. A sleep is a blocked call with a deadline in CLOCK_MONOTONIC; on other clocks the
 * deadline is translated, and looked at again when it has passed (CLOCK_REALTIME may be set,
 * CPU time runs slower).
 */
#include <errno.h>
#include <time.h>

#include "sys/cpuclock.h"
#include "sys/sys.h"
#include "task/timer.h"

#ifndef TIMER_ABSTIME
#define TIMER_ABSTIME 1
#endif

static int get_time(struct tk_task *task, gva_t addr, s64 *ns)
{
	struct timespec ts;

	if (tk_copy_in(task->proc->mm, &ts, addr, sizeof(ts)))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= TK_NSEC_PER_SEC)
		return -EINVAL;
	*ns = ts.tv_sec < TK_FOREVER / TK_NSEC_PER_SEC ? tk_timespec_ns(&ts) : TK_FOREVER;
	return 0;
}

/* A signal ended a relative sleep: say how much was left. */
static long interrupted(struct tk_task *task, long rc, s64 deadline, gva_t rem)
{
	struct timespec left = tk_ns_timespec(TK_MAX(deadline - tk_now_ns(), 0));

	if (rem && tk_copy_out(task->proc->mm, rem, &left, sizeof(left)))
		return -EFAULT;
	return rc;
}

static long sleep_for(struct tk_task *task, s64 ns, gva_t rem)
{
	s64 deadline = tk_deadline(task, ns);
	long rc;

	if (tk_timed_out(task))
		return 0;
	tk_block_restart(task, TK_RESTART_NEVER);
	rc = tk_block(task, deadline);
	return rc == -EINTR ? interrupted(task, rc, deadline, rem) : rc;
}

/* Until @clock reads @when. */
static long sleep_until(struct tk_task *task, clockid_t clock, s64 when)
{
	s64 now = tk_timer_clock_ns(task->proc, task, clock);

	if (now >= when)
		return 0;
	tk_block_restart(task, TK_RESTART_NOHAND);
	return tk_block(task, tk_later(tk_now_ns(), when - now));
}

long tk_sys_nanosleep(struct tk_task *task, const u64 a[6])
{
	s64 ns;
	int rc = get_time(task, a[0], &ns);

	return rc ? rc : sleep_for(task, ns, a[1]);
}

/* Clocks that clock_nanosleep(2) takes. */
static int check_clock(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
	case CLOCK_PROCESS_CPUTIME_ID:
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

/* CPU time: relative to what is used at the first entry, kept in wait.progress. */
static long sleep_cpu(struct tk_task *task, s64 ns, gva_t rem)
{
	s64 now = tk_timer_clock_ns(task->proc, task, CLOCK_PROCESS_CPUTIME_ID), until;
	long rc;

	if (!task->wait.begun)
		task->wait.progress = (u64)tk_later(now, ns);
	until = (s64)task->wait.progress;
	rc = sleep_until(task, CLOCK_PROCESS_CPUTIME_ID, until);
	if (rc != -TK_ERESTARTNOHAND)
		return rc;
	return interrupted(task, -EINTR, tk_later(tk_now_ns(), TK_MAX(until - now, 0)), rem);
}

long tk_sys_clock_nanosleep(struct tk_task *task, const u64 a[6])
{
	clockid_t clock = (clockid_t)a[0];
	s64 ns;
	int rc;

	/* This is how the C library names the process's. */
	if (tk_is_process_clock(task->proc, clock))
		clock = CLOCK_PROCESS_CPUTIME_ID;
	rc = check_clock(clock);
	if (!rc)
		rc = get_time(task, a[2], &ns);
	if (rc)
		return rc;
	if ((int)a[1] & TIMER_ABSTIME)
		return sleep_until(task, clock, ns);
	if (tk_clock_is_cpu(clock))
		return sleep_cpu(task, ns, a[3]);
	return sleep_for(task, ns, a[3]);
}
