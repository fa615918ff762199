/* SPDX-License-Identifier: MIT */
/* Interval timers: setitimer(2), getitimer(2), alarm(2). */
#include <errno.h>
#include <sys/time.h>

#include "sys/sys.h"
#include "task/timer.h"

static bool get_time(const struct timeval *tv, s64 *ns)
{
	if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
		return false;
	*ns = tv->tv_sec < TK_FOREVER / TK_NSEC_PER_SEC - 1
		      ? tv->tv_sec * TK_NSEC_PER_SEC + tv->tv_usec * 1000
		      : TK_FOREVER;
	return true;
}

static struct timeval to_timeval(s64 ns)
{
	return (struct timeval){ns / TK_NSEC_PER_SEC, ns % TK_NSEC_PER_SEC / 1000};
}

static struct itimerval setting(struct tk_proc *proc, unsigned int which)
{
	return (struct itimerval){
		.it_value = to_timeval(tk_itimer_left(proc, which)),
		.it_interval = to_timeval(proc->itimers[which].interval),
	};
}

long tk_sys_getitimer(struct tk_task *task, const u64 a[6])
{
	unsigned int which = (unsigned int)a[0];
	struct itimerval now;

	if (which > ITIMER_PROF)
		return -EINVAL;
	now = setting(task->proc, which);
	return tk_copy_out(task->proc->mm, a[1], &now, sizeof(now));
}

long tk_sys_setitimer(struct tk_task *task, const u64 a[6])
{
	struct itimerval new = {0}, old;
	unsigned int which = (unsigned int)a[0];
	struct tk_proc *proc = task->proc;
	s64 value, interval;

	/* NULL stops the timer: setitimer(2), BUGS */
	if (a[1] && tk_copy_in(proc->mm, &new, a[1], sizeof(new)))
		return -EFAULT;
	if (!get_time(&new.it_value, &value) || !get_time(&new.it_interval, &interval) ||
	    which > ITIMER_PROF)
		return -EINVAL;
	old = setting(proc, which);
	tk_itimer_set(proc, which, value, interval);
	if (a[2] && tk_copy_out(proc->mm, a[2], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

long tk_sys_alarm(struct tk_task *task, const u64 a[6])
{
	struct timeval left = to_timeval(tk_itimer_left(task->proc, ITIMER_REAL));
	unsigned int seconds = (unsigned int)a[0];

	tk_itimer_set(task->proc, ITIMER_REAL, seconds * TK_NSEC_PER_SEC, 0);
	/* Never 0 while an alarm was pending; otherwise to the nearest. */
	if ((!left.tv_sec && left.tv_usec) || left.tv_usec >= 500000)
		left.tv_sec++;
	return (long)TK_MIN(left.tv_sec, (time_t)UINT32_MAX);
}
