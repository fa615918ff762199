/* SPDX-License-Identifier: MIT */
/*
 * POSIX timers and interval timers of a process. They have no host object: the run loop asks for
 * the earliest deadline and calls tk_timers_run() when it has passed.
 */
#ifndef TK_TASK_TIMER_H
#define TK_TASK_TIMER_H

#include "task/task.h"

struct tk_timer {
	struct tk_list link; /* in proc->timers */
	int id;
	clockid_t clock;
	clockid_t base; /* what @expiry counts on: a relative CLOCK_REALTIME timer is monotonic */
	int notify;	/* SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID */
	int signo;
	u64 value;	      /* sigev_value */
	int tid;	      /* SIGEV_THREAD_ID: who gets it; 0: the process */
	int cpu_tid;	      /* CLOCK_THREAD_CPUTIME_ID: whose */
	s64 expiry, interval; /* on @base; expiry 0: disarmed */
	int overrun_last;     /* expirations beyond the first that the last signal stood for */
	bool queued;	      /* the signal is on its way: @expiry rests until it is taken */
	struct tk_sigentry entry;
};

/* Of one guest; Linux has RLIMIT_SIGPENDING instead. */
#define TK_MAX_TIMERS 4096

struct tk_timer *tk_timer_find(struct tk_proc *proc, int id);
void tk_timer_free(struct tk_proc *proc, struct tk_timer *timer);
void tk_timers_clear(struct tk_proc *proc);

/*
 * Arm it, forgetting its previous setting and a signal not yet taken. @value: nanoseconds from
 * now, or with @absolute a time on its clock; 0 disarms.
 */
void tk_timer_set(struct tk_proc *proc, struct tk_timer *timer, bool absolute, s64 value,
		  s64 interval);
/* Nanoseconds to the next expiration; 0: disarmed. */
s64 tk_timer_left(struct tk_proc *proc, struct tk_timer *timer);

/* The same for setitimer(2)'s timers, @which below 3. */
void tk_itimer_set(struct tk_proc *proc, unsigned int which, s64 value, s64 interval);
s64 tk_itimer_left(struct tk_proc *proc, unsigned int which);

/*
 * Its signal was taken (@info, for the overrun count) or discarded (NULL): a periodic timer is
 * set to its next expiration in the future.
 */
void tk_timer_taken(struct tk_proc *proc, struct tk_timer *timer, struct tk_siginfo *info);

/*
 * A clock that timers can be on, as the program sees it now. CPU-time clocks of the guest included.
 * -1: no such clock.
 */
s64 tk_timer_clock_ns(struct tk_proc *proc, struct tk_task *task, clockid_t clock);
bool tk_clock_is_cpu(clockid_t clock);
/* One of the host's clocks that guests may read directly. */
bool tk_clock_known(clockid_t clock);

/* No timer expires before this moment (CLOCK_MONOTONIC), TK_FOREVER if none is armed. */
s64 tk_timers_deadline(struct tk_proc *proc);

/* Send the signals of all timers that have expired, unless some did only just now. */
void tk_timers_run(struct tk_proc *proc);

#endif
