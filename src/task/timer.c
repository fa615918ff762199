/* SPDX-License-Identifier: MIT */
/*
 * POSIX and interval timers: expiry, overruns, signals. A timer's expiry is a number on its own
 * clock; the run loop's deadline is a lower bound in CLOCK_MONOTONIC, for CPU-time clocks too
 * (they never run faster). A periodic timer's next expiry is computed when its signal is taken,
 * which also counts the overruns (timer_getoverrun(2)), so a guest that does not look cannot
 * make the VMM work. And expiries are paced (PAUSE_NS), so that it gets on with its own work.
 */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "task/siginfo.h"
#include "task/signalfd.h"
#include "task/timer.h"

/*
 * After timers have expired none does for so long. Each interruption, with a handler, takes some
 * 100 us under PVM: a program with a timer of 100 us would never again run an instruction besides.
 */
#define PAUSE_NS 250000

static const struct {
	clockid_t clock;
	int signo;
} itimer_kinds[] = {
	[ITIMER_REAL] = {CLOCK_MONOTONIC, SIGALRM},
	[ITIMER_VIRTUAL] = {CLOCK_PROCESS_CPUTIME_ID, SIGVTALRM},
	[ITIMER_PROF] = {CLOCK_PROCESS_CPUTIME_ID, SIGPROF},
};

bool tk_clock_is_cpu(clockid_t clock)
{
	return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

bool tk_clock_known(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return true;
	default:
		return false;
	}
}

s64 tk_timer_clock_ns(struct tk_proc *proc, struct tk_task *task, clockid_t clock)
{
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return tk_proc_cpu_ns(proc);
	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return task ? tk_task_cpu_ns(task) : -1;
	return tk_clock_known(clock) ? tk_lagging(&proc->lag, clock, tk_clock_ns(clock)) : -1;
}

static s64 timer_now(struct tk_proc *proc, const struct tk_timer *timer)
{
	struct tk_task *task = NULL;

	if (timer->base == CLOCK_THREAD_CPUTIME_ID)
		task = tk_task_by_tid(proc, timer->cpu_tid);
	return tk_timer_clock_ns(proc, task, timer->base);
}

struct tk_timer *tk_timer_find(struct tk_proc *proc, int id)
{
	struct tk_timer *timer;

	tk_list_for_each (timer, &proc->timers, link) {
		if (timer->id == id)
			return timer;
	}
	return NULL;
}

static struct tk_sigqueue *queue_of(struct tk_proc *proc, const struct tk_timer *timer)
{
	struct tk_task *task = timer->tid ? tk_task_by_tid(proc, timer->tid) : NULL;

	return task ? &task->sig.own : &proc->sig.shared;
}

/* Its signal, if queued, goes with it. */
static void unqueue(struct tk_proc *proc, struct tk_timer *timer)
{
	struct tk_sigqueue *queue = queue_of(proc, timer);
	struct tk_sigentry *entry;

	if (!timer->queued)
		return;
	tk_list_del(&timer->entry.link);
	queue->n--;
	timer->queued = false;
	tk_list_for_each (entry, &queue->list, link) {
		if (entry->info.signo == timer->signo)
			return;
	}
	queue->pending &= ~TK_SIGBIT(timer->signo);
	tk_signalfds_update(proc);
}

void tk_timer_free(struct tk_proc *proc, struct tk_timer *timer)
{
	unqueue(proc, timer);
	tk_list_del(&timer->link);
	proc->n_timers--;
	free(timer);
}

void tk_timers_clear(struct tk_proc *proc)
{
	struct tk_timer *timer, *tmp;

	tk_list_for_each_safe (timer, tmp, &proc->timers, link)
		tk_timer_free(proc, timer);
}

/* Move @*expiry past @now by whole intervals; returns how many were needed. */
static s64 forward(s64 *expiry, s64 interval, s64 now)
{
	s64 n;

	if (*expiry > now)
		return 0;
	n = (now - *expiry) / interval + 1;
	if (__builtin_add_overflow(*expiry, n * interval, expiry))
		*expiry = TK_FOREVER;
	return n;
}

void tk_timer_set(struct tk_proc *proc, struct tk_timer *timer, bool absolute, s64 value,
		  s64 interval)
{
	unqueue(proc, timer);
	timer->overrun_last = 0;
	timer->base = timer->clock == CLOCK_REALTIME && !absolute ? CLOCK_MONOTONIC : timer->clock;
	timer->expiry = value;
	if (value && !absolute)
		timer->expiry = tk_later(timer_now(proc, timer), value);
	timer->interval = value ? interval : 0;
	proc->attention = true;
}

s64 tk_timer_left(struct tk_proc *proc, struct tk_timer *timer)
{
	s64 now, expiry = timer->expiry;

	if (!expiry)
		return 0;
	now = timer_now(proc, timer);
	/* Its signal is on the way, or nobody is told: the next expiration counts. */
	if (timer->interval && (timer->queued || timer->notify == SIGEV_NONE))
		forward(&expiry, timer->interval, now);
	if (expiry > now)
		return expiry - now;
	return timer->notify == SIGEV_NONE ? 0 : 1; /* due, but not yet sent */
}

void tk_itimer_set(struct tk_proc *proc, unsigned int which, s64 value, s64 interval)
{
	struct tk_itimer *it = &proc->itimers[which];

	it->expiry = value;
	if (value)
		it->expiry =
			tk_later(tk_timer_clock_ns(proc, NULL, itimer_kinds[which].clock), value);
	it->interval = interval;
	proc->attention = true;
}

s64 tk_itimer_left(struct tk_proc *proc, unsigned int which)
{
	const struct tk_itimer *it = &proc->itimers[which];
	s64 left;

	if (!it->expiry)
		return 0;
	left = it->expiry - tk_timer_clock_ns(proc, NULL, itimer_kinds[which].clock);
	return TK_MAX(left, 1000); /* armed: a microsecond at least (getitimer(2)) */
}

void tk_timer_taken(struct tk_proc *proc, struct tk_timer *timer, struct tk_siginfo *info)
{
	timer->queued = false;
	timer->overrun_last = 0;
	proc->attention = true;
	if (timer->interval && timer->expiry) {
		s64 missed = forward(&timer->expiry, timer->interval, timer_now(proc, timer)) - 1;

		timer->overrun_last = (int)TK_MIN(TK_MAX(missed, 0), (s64)INT_MAX);
	}
	if (info)
		tk_siginfo_put(info, TK_SI_OVERRUN, &timer->overrun_last, sizeof(int));
}

/* The moment in CLOCK_MONOTONIC before which @expiry, on a clock that reads @now, cannot be. */
static s64 as_deadline(s64 expiry, s64 now, s64 mono)
{
	return expiry <= now ? mono : tk_later(mono, expiry - now);
}

s64 tk_timers_deadline(struct tk_proc *proc)
{
	s64 deadline = TK_FOREVER, mono = 0;
	struct tk_timer *timer;

	for (unsigned int i = 0; i < TK_ARRAY_SIZE(itimer_kinds); i++) {
		if (!proc->itimers[i].expiry)
			continue;
		mono = mono ? mono : tk_now_ns();
		deadline = TK_MIN(deadline,
				  as_deadline(proc->itimers[i].expiry,
					      tk_timer_clock_ns(proc, NULL, itimer_kinds[i].clock),
					      mono));
	}
	tk_list_for_each (timer, &proc->timers, link) {
		if (!timer->expiry || timer->queued || timer->notify == SIGEV_NONE)
			continue;
		mono = mono ? mono : tk_now_ns();
		deadline =
			TK_MIN(deadline, as_deadline(timer->expiry, timer_now(proc, timer), mono));
	}
	return TK_MAX(deadline, proc->timers_pause);
}

/* True if it has expired. */
static bool run_itimer(struct tk_proc *proc, unsigned int kind)
{
	struct tk_itimer *it = &proc->itimers[kind];
	struct tk_siginfo info = tk_siginfo_kernel(itimer_kinds[kind].signo);
	s64 now;

	if (!it->expiry)
		return false;
	now = tk_timer_clock_ns(proc, NULL, itimer_kinds[kind].clock);
	if (now < it->expiry)
		return false;
	if (it->interval)
		forward(&it->expiry, it->interval, now);
	else
		it->expiry = 0;
	tk_signal_proc(proc, &info);
	return true;
}

static void send_signal(struct tk_proc *proc, struct tk_timer *timer)
{
	struct tk_task *target = timer->tid ? tk_task_by_tid(proc, timer->tid) : NULL;

	timer->entry.info = (struct tk_siginfo){.signo = timer->signo, .code = SI_TIMER};
	timer->entry.timer = timer;
	tk_siginfo_put(&timer->entry.info, TK_SI_TIMERID, &timer->id, sizeof(timer->id));
	tk_siginfo_put(&timer->entry.info, TK_SI_VALUE, &timer->value, sizeof(timer->value));
	timer->queued = tk_signal_enqueue(proc, target, &timer->entry);
}

static void expire(struct tk_proc *proc, struct tk_timer *timer, s64 now)
{
	if (timer->notify == SIGEV_NONE)
		return; /* not looked at here, see tk_timers_deadline() */
	if (timer->tid && !tk_task_by_tid(proc, timer->tid)) {
		timer->expiry = 0;
		return;
	}
	send_signal(proc, timer);
	if (!timer->interval)
		timer->expiry = 0;
	else if (!timer->queued)
		forward(&timer->expiry, timer->interval, now);
}

void tk_timers_run(struct tk_proc *proc)
{
	struct tk_timer *timer, *tmp;
	bool expired = false;
	s64 now;

	if (proc->timers_pause > tk_now_ns())
		return;
	for (unsigned int i = 0; i < TK_ARRAY_SIZE(itimer_kinds); i++)
		expired |= run_itimer(proc, i);
	tk_list_for_each_safe (timer, tmp, &proc->timers, link) {
		if (!timer->expiry || timer->queued || timer->notify == SIGEV_NONE)
			continue;
		now = timer_now(proc, timer);
		if (now < timer->expiry)
			continue;
		expire(proc, timer, now);
		expired = true;
	}
	if (expired)
		proc->timers_pause = tk_now_ns() + PAUSE_NS;
}
