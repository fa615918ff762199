/* SPDX-License-Identifier: MIT */
/*
 * Reading clocks. Wall and monotonic clocks are the host's (the vDSO shows the same ones), the
 * latter behind by what a fork has been frozen for; CPU-time clocks count what the guest's threads
 * used. Clocks cannot be set.
 */
#include <errno.h>
#include <sys/time.h>

#include "sys/cpuclock.h"
#include "sys/sys.h"

/* CPU time that clock @id stands for: nanoseconds, or -EINVAL if it is no such clock. */
static s64 cpu_clock_ns(struct tk_task *task, clockid_t id)
{
	struct tk_task *other = task;
	int pid = tk_cpu_clock_pid(id);

	if (id == CLOCK_PROCESS_CPUTIME_ID || tk_is_process_clock(task->proc, id))
		return tk_proc_cpu_ns(task->proc);
	if (id == CLOCK_THREAD_CPUTIME_ID)
		return tk_task_cpu_ns(task);
	if (id >= 0 || !(id & TK_CPU_PERTHREAD) || (id & TK_CPU_WHICH) == TK_CPU_FD)
		return -EINVAL;
	if (pid)
		other = tk_task_by_tid(task->proc, pid);
	return other ? tk_task_cpu_ns(other) : -EINVAL;
}

/* The host's clock under the same number, if programs may read it. */
static bool is_host_clock(clockid_t id)
{
	return id >= CLOCK_REALTIME && id <= CLOCK_TAI && id != CLOCK_PROCESS_CPUTIME_ID &&
	       id != CLOCK_THREAD_CPUTIME_ID;
}

long tk_sys_clock_gettime(struct tk_task *task, const u64 a[6])
{
	clockid_t id = (clockid_t)a[0];
	struct timespec ts;

	s64 ns;

	if (is_host_clock(id)) {
		if (clock_gettime(id, &ts) < 0)
			return -errno;
		ns = tk_lagging(&task->proc->lag, id, tk_timespec_ns(&ts));
	} else {
		ns = cpu_clock_ns(task, id);
		if (ns < 0)
			return ns;
	}
	ts = tk_ns_timespec(ns);
	return tk_copy_out(task->proc->mm, a[1], &ts, sizeof(ts));
}

long tk_sys_clock_getres(struct tk_task *task, const u64 a[6])
{
	clockid_t id = (clockid_t)a[0];
	struct timespec ts = {.tv_nsec = 1};

	if (is_host_clock(id)) {
		if (clock_getres(id, &ts) < 0)
			return -errno;
	} else if (cpu_clock_ns(task, id) < 0) {
		return -EINVAL;
	}
	return a[1] ? tk_copy_out(task->proc->mm, a[1], &ts, sizeof(ts)) : 0;
}

long tk_sys_clock_settime(struct tk_task *task, const u64 a[6])
{
	clockid_t id = (clockid_t)a[0];
	struct timespec ts;

	/* Only these can be set at all; the kernel looks at the clock first. */
	if (id != CLOCK_REALTIME && (id >= 0 || cpu_clock_ns(task, id) < 0))
		return -EINVAL;
	if (tk_copy_in(task->proc->mm, &ts, a[1], sizeof(ts)))
		return -EFAULT;
	if (id == CLOCK_REALTIME &&
	    (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= TK_NSEC_PER_SEC))
		return -EINVAL;
	return -EPERM;
}

long tk_sys_gettimeofday(struct tk_task *task, const u64 a[6])
{
	struct timezone tz = {0};
	struct timespec ts;
	struct timeval tv;

	clock_gettime(CLOCK_REALTIME, &ts);
	tv = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
	if (a[0] && tk_copy_out(task->proc->mm, a[0], &tv, sizeof(tv)))
		return -EFAULT;
	/* The kernel's time zone is a relic; hosts leave it at UTC. */
	if (a[1] && tk_copy_out(task->proc->mm, a[1], &tz, sizeof(tz)))
		return -EFAULT;
	return 0;
}

long tk_sys_time(struct tk_task *task, const u64 a[6])
{
	struct timespec ts;
	s64 seconds;

	/* time(2) reads the coarse clock: a second later here than in gettimeofday is allowed. */
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	seconds = ts.tv_sec;
	if (a[0] && tk_copy_out(task->proc->mm, a[0], &seconds, sizeof(seconds)))
		return -EFAULT;
	return seconds;
}
