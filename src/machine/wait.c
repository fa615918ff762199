/* SPDX-License-Identifier: MIT */
/*
 * Time and the outside world. While the program runs, a kick ends KVM_RUN when the next thing is
 * due (timer, deadline of a blocked task, end of a time slice, time limit); while nobody can run,
 * one ppoll() waits for all of it. A kick may come early: whoever gets it looks at everything.
 *
 * The host does not say when a descriptor of a blocked task becomes ready while another task runs;
 * that is asked from time to time, less often the longer the answer is "none": each time costs the
 * running task an exit.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"
#include "task/timer.h"
#include "task/wait.h"

/* How stale the view of descriptors may be while something runs; the longest nap. */
#define POLL_MIN_NS (1 * 1000 * 1000)
#define POLL_MAX_NS (4 * 1000 * 1000)
#define NAP_NS	    (10 * 1000 * 1000)

static void take_signals(struct tkvm_machine *machine)
{
	u64 set = atomic_exchange(&machine->signals, 0);

	for (; set; set &= set - 1) {
		struct tk_siginfo info = tk_siginfo_user(__builtin_ctzll(set) + 1, 0, 0, 0);

		tk_signal_proc(&machine->proc, &info);
	}
}

static s64 earliest_wait(const struct tk_proc *proc)
{
	const struct tk_task *task;
	s64 when = TK_FOREVER;

	tk_list_for_each (task, &proc->tasks, link) {
		if (task->state == TK_TASK_BLOCKED)
			when = TK_MIN(when, task->wait.deadline);
	}
	return when;
}

/* True if any. */
static bool wake_expired(struct tk_proc *proc, s64 now)
{
	struct tk_task *task;
	bool any = false;

	tk_list_for_each (task, &proc->tasks, link) {
		if (task->state != TK_TASK_BLOCKED || task->wait.deadline > now)
			continue;
		task->state = TK_TASK_RUNNABLE;
		any = true;
	}
	return any;
}

static struct pollfd kick_pollfd(struct tkvm_machine *machine)
{
	return (struct pollfd){.fd = tk_kick_fd(atomic_load(&machine->kick)), .events = POLLIN};
}

/*
 * The descriptors of all blocked tasks in one array, and the kick's behind them (not in *@count);
 * false: out of memory.
 */
static bool gather(struct tkvm_machine *machine, size_t *count)
{
	struct tk_task *task;
	struct pollfd *fds;
	size_t n = 0;

	tk_list_for_each (task, &machine->proc.tasks, link) {
		if (task->state == TK_TASK_BLOCKED)
			n += task->wait.nfds;
	}
	*count = n;
	if (n + 1 > machine->pollfds_cap) {
		fds = realloc(machine->pollfds, (n + 1) * sizeof(*fds));
		if (!fds)
			return false;
		machine->pollfds = fds;
		machine->pollfds_cap = n + 1;
	}
	n = 0;
	tk_list_for_each (task, &machine->proc.tasks, link) {
		if (task->state != TK_TASK_BLOCKED || !task->wait.nfds)
			continue;
		memcpy(&machine->pollfds[n], task->wait.fds,
		       task->wait.nfds * sizeof(*machine->pollfds));
		n += task->wait.nfds;
	}
	machine->pollfds[n] = kick_pollfd(machine);
	return true;
}

/* Hand the results of a poll back, in the order in which gather() collected them. */
static void scatter(struct tkvm_machine *machine)
{
	struct tk_task *task;
	size_t n = 0;

	tk_list_for_each (task, &machine->proc.tasks, link) {
		bool ready = false;

		if (task->state != TK_TASK_BLOCKED)
			continue;
		for (unsigned int i = 0; i < task->wait.nfds; i++) {
			task->wait.fds[i].revents = machine->pollfds[n++].revents;
			ready |= task->wait.fds[i].revents != 0;
		}
		if (ready)
			task->state = TK_TASK_RUNNABLE;
	}
}

static void set_pace(struct tkvm_machine *machine, bool found)
{
	machine->poll_ns = TK_MAX(found ? 0 : 2 * machine->poll_ns, (s64)POLL_MIN_NS);
	machine->poll_ns = TK_MIN(machine->poll_ns, (s64)POLL_MAX_NS);
}

/* True if any task is to run on. */
static bool poll_now(struct tkvm_machine *machine, s64 now)
{
	bool found;
	size_t n;

	machine->last_poll = now;
	found = gather(machine, &n) && n && poll(machine->pollfds, n, 0) > 0;
	if (found)
		scatter(machine);
	set_pace(machine, found);
	return found;
}

static bool any_waits_for_fds(const struct tk_proc *proc)
{
	const struct tk_task *task;

	tk_list_for_each (task, &proc->tasks, link) {
		if (task->state == TK_TASK_BLOCKED && task->wait.nfds)
			return true;
	}
	return false;
}

static unsigned int runnable(const struct tk_proc *proc)
{
	const struct tk_task *task;
	unsigned int n = 0;

	tk_list_for_each (task, &proc->tasks, link)
		n += task->state == TK_TASK_RUNNABLE;
	return n;
}

/* What has to be done at its time, whoever runs. */
static s64 next_event(struct tkvm_machine *machine)
{
	return TK_MIN(machine->wall_deadline, tk_timers_deadline(&machine->proc));
}

/* See to it that a running program is interrupted in time. Too early does no harm. */
static void arm(struct tkvm_machine *machine, s64 now)
{
	struct tk_proc *proc = &machine->proc;
	unsigned int n = runnable(proc);
	s64 when;

	if (!n)
		return; /* tk_machine_wait() will do it */
	when = TK_MAX(earliest_wait(proc), machine->turn + TK_TURN_NS);
	when = TK_MIN(when, next_event(machine));
	if (n > 1)
		when = TK_MIN(when, machine->slice_end);
	if (any_waits_for_fds(proc))
		when = TK_MIN(when, now + machine->poll_ns);
	if (machine->fast.given && proc->net.n_gates)
		when = TK_MIN(when, now + TK_FAST_NS);
	if (when >= machine->armed && machine->armed > now)
		return;
	if (when == TK_FOREVER && machine->armed == TK_FOREVER)
		return;
	tk_kick_arm(atomic_load(&machine->kick), when);
	machine->armed = when;
}

void tk_machine_look(struct tkvm_machine *machine)
{
	struct tk_proc *proc = &machine->proc;
	bool woken;
	s64 now;

	machine->look = false;
	now = tk_now_ns();
	/* It may have gone off since the last run. The program would only start to be stopped. */
	if (machine->armed <= now) {
		machine->armed = TK_FOREVER;
		machine->kicked = true;
	}
	if (machine->kicked)
		tk_kick_drain();
	machine->kicked = false;
	take_signals(machine);
	if (atomic_exchange(&machine->interrupt, false)) {
		machine->suspended = TKVM_INTERRUPTED;
		machine->look = true;
		return;
	}
	if (now >= machine->wall_deadline) {
		tk_machine_limit(machine, TKVM_LIMIT_TIME);
		return;
	}
	tk_timers_run(proc);
	proc->attention = false;
	woken = wake_expired(proc, now);
	/* If nobody can run, tk_machine_wait() is next. */
	if (runnable(proc) && any_waits_for_fds(proc) &&
	    now - machine->last_poll >= machine->poll_ns)
		woken |= poll_now(machine, now);
	if (now >= machine->slice_end) {
		machine->slice_end = now + TK_SLICE_NS;
		tk_sched_compare(machine, 0);
	} else if (woken && now >= machine->turn + TK_TURN_NS) {
		tk_sched_compare(machine, TK_TURN_NS);
	} else if (woken) {
		machine->slice_end = machine->turn + TK_TURN_NS;
	}
	arm(machine, now);
}

/*
 * The host does not take that many descriptors in one call, or has no memory: wait a little and
 * let every call look for itself.
 */
static void nap(struct tkvm_machine *machine, const struct timespec *timeout)
{
	struct tk_proc *proc = &machine->proc;
	struct pollfd kick = kick_pollfd(machine);
	struct timespec ts = {.tv_nsec = NAP_NS};
	struct tk_task *task;

	if (timeout && timeout->tv_sec == 0 && timeout->tv_nsec < NAP_NS)
		ts = *timeout;
	machine->kicked |= ppoll(&kick, 1, &ts, NULL) > 0;
	tk_list_for_each (task, &proc->tasks, link) {
		if (task->state == TK_TASK_BLOCKED && task->wait.nfds)
			task->state = TK_TASK_RUNNABLE;
	}
}

/*
 * If nobody waits for anything that is already there, the embedder may have other plans than
 * waiting for the rest: the run ends. Returns what poll(2) did, 0 without a look. @n as gather()
 * left it.
 */
static int look_if_idle(struct tkvm_machine *machine, size_t n, s64 when, s64 now)
{
	int rc;

	if (!machine->idle || when <= now || machine->proc.attention)
		return 0;
	rc = poll(machine->pollfds, n + 1, 0);
	if (!rc && machine->idle(machine->idle_ctx) == 1) {
		machine->suspended = TKVM_IDLE;
		set_pace(machine, false);
	}
	return rc;
}

void tk_machine_wait(struct tkvm_machine *machine)
{
	s64 when = TK_MIN(next_event(machine), earliest_wait(&machine->proc)), now = tk_now_ns();
	struct timespec ts, *timeout = NULL;
	size_t n;
	int rc;

	machine->look = true;
	tk_proc_account(&machine->proc, NULL);
	if (when != TK_FOREVER) {
		ts = tk_ns_timespec(TK_MAX(when - now, 0));
		timeout = &ts;
	}
	if (!gather(machine, &n)) {
		nap(machine, timeout);
		return;
	}
	rc = look_if_idle(machine, n, when, now);
	if (machine->suspended)
		return;
	if (!rc)
		rc = ppoll(machine->pollfds, n + 1, timeout, NULL);
	machine->last_poll = tk_now_ns();
	set_pace(machine, rc > 0 && machine->last_poll - now < POLL_MIN_NS);
	if (rc > 0) {
		machine->kicked |= machine->pollfds[n].revents != 0;
		scatter(machine);
	} else if (rc < 0 && errno != EINTR) {
		nap(machine, timeout);
	}
}
