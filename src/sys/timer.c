/* SPDX-License-Identifier: MIT */
/* POSIX timers: timer_create(2) and its family. How they expire is task/timer.c's part. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "sys/cpuclock.h"
#include "sys/sys.h"
#include "task/timer.h"

#define TIMER_ABSTIME_FLAG 1

/* The kernel's struct sigevent, 64 bytes. */
struct sigevent_abi {
	u64 value;
	int signo, notify, tid;
	int pad[11];
};

/* Which clock is @id, if timers can be on it? Sets timer->clock and cpu_tid. */
static int set_clock(struct tk_task *task, struct tk_timer *timer, clockid_t id)
{
	int pid = tk_cpu_clock_pid(id);
	bool thread = id == CLOCK_THREAD_CPUTIME_ID || (id < 0 && (id & TK_CPU_PERTHREAD));

	if (id < 0) {
		if ((id & TK_CPU_WHICH) == TK_CPU_FD)
			return -EINVAL;
		if (thread ? pid && !tk_task_by_tid(task->proc, pid)
			   : !tk_is_process_clock(task->proc, id))
			return -EINVAL;
		timer->cpu_tid = pid;
		id = thread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID;
	}
	timer->clock = timer->base = id;
	if (thread && !timer->cpu_tid)
		timer->cpu_tid = task->tid;
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		return 0;
	default:
		return tk_clock_known(id) ? -EOPNOTSUPP : -EINVAL;
	}
}

/* What shall happen when it expires: the kernel's good_sigevent(). */
static int set_event(struct tk_task *task, struct tk_timer *timer, const struct sigevent_abi *ev)
{
	timer->notify = ev->notify;
	timer->signo = ev->signo;
	timer->value = ev->value;
	switch (ev->notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_THREAD_ID:
		if (!tk_task_by_tid(task->proc, ev->tid))
			return -EINVAL;
		timer->tid = ev->tid;
		break;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		break;
	default:
		return -EINVAL;
	}
	return ev->signo >= 1 && ev->signo <= TK_NSIG ? 0 : -EINVAL;
}

static int next_id(struct tk_proc *proc)
{
	do {
		if (proc->next_timer_id == INT_MAX)
			proc->next_timer_id = 0;
		proc->next_timer_id++;
	} while (tk_timer_find(proc, proc->next_timer_id - 1));
	return proc->next_timer_id - 1;
}

static int fill(struct tk_task *task, struct tk_timer *timer, clockid_t clock, gva_t sevp)
{
	struct sigevent_abi ev = {.signo = SIGALRM, .value = (u32)timer->id};
	int rc;

	if (sevp && tk_copy_in(task->proc->mm, &ev, sevp, sizeof(ev)))
		return -EFAULT;
	rc = set_clock(task, timer, clock);
	return rc ? rc : set_event(task, timer, &ev);
}

long tk_sys_timer_create(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	struct tk_timer *timer;
	int rc;

	if (proc->n_timers >= TK_MAX_TIMERS)
		return -EAGAIN;
	timer = calloc(1, sizeof(*timer));
	if (!timer)
		return -EAGAIN;
	timer->id = next_id(proc);
	tk_list_init(&timer->entry.link);
	rc = fill(task, timer, (clockid_t)a[0], a[1]);
	if (!rc)
		rc = tk_copy_out(proc->mm, a[2], &timer->id, sizeof(timer->id));
	if (rc) {
		free(timer);
		return rc;
	}
	tk_list_add_tail(&proc->timers, &timer->link);
	proc->n_timers++;
	return 0;
}

static bool get_time(const struct timespec *ts, s64 *ns)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= TK_NSEC_PER_SEC)
		return false;
	*ns = ts->tv_sec < TK_FOREVER / TK_NSEC_PER_SEC ? tk_timespec_ns(ts) : TK_FOREVER;
	return true;
}

static struct itimerspec setting(struct tk_proc *proc, struct tk_timer *timer)
{
	return (struct itimerspec){
		.it_value = tk_ns_timespec(tk_timer_left(proc, timer)),
		.it_interval = tk_ns_timespec(timer->interval),
	};
}

long tk_sys_timer_settime(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	struct itimerspec new, old;
	struct tk_timer *timer;
	s64 value, interval;

	if (!a[2])
		return -EINVAL;
	if (tk_copy_in(proc->mm, &new, a[2], sizeof(new)))
		return -EFAULT;
	timer = tk_timer_find(proc, (int)a[0]);
	if (!get_time(&new.it_value, &value) || !get_time(&new.it_interval, &interval) || !timer)
		return -EINVAL;
	old = setting(proc, timer);
	tk_timer_set(proc, timer, (int)a[1] & TIMER_ABSTIME_FLAG, value, interval);
	if (a[3] && tk_copy_out(proc->mm, a[3], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

long tk_sys_timer_gettime(struct tk_task *task, const u64 a[6])
{
	struct tk_timer *timer = tk_timer_find(task->proc, (int)a[0]);
	struct itimerspec now;

	if (!timer)
		return -EINVAL;
	now = setting(task->proc, timer);
	return tk_copy_out(task->proc->mm, a[1], &now, sizeof(now));
}

long tk_sys_timer_getoverrun(struct tk_task *task, const u64 a[6])
{
	struct tk_timer *timer = tk_timer_find(task->proc, (int)a[0]);

	return timer ? timer->overrun_last : -EINVAL;
}

long tk_sys_timer_delete(struct tk_task *task, const u64 a[6])
{
	struct tk_timer *timer = tk_timer_find(task->proc, (int)a[0]);

	if (!timer)
		return -EINVAL;
	tk_timer_free(task->proc, timer);
	return 0;
}
