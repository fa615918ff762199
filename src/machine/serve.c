/* SPDX-License-Identifier: MIT */
/*
 * A storage machine between calls: its timers, its connections, its other threads. A thread of the
 * embedder's runs it as long as there is something to do, and otherwise sleeps for what its threads
 * wait for, without owning it: a call need not wake anybody to get its turn.
 *
 * A call may leave other things to wait for, or threads that could run: whoever made it rings.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "machine/remote.h"
#include "task/timer.h"

static int stop_when_idle(void *ctx)
{
	(void)ctx;
	return 1;
}

static s64 next_event(const struct tkvm_machine *machine)
{
	s64 when = tk_timers_deadline((struct tk_proc *)&machine->proc);
	const struct tk_task *task;

	tk_list_for_each (task, &machine->proc.tasks, link)
		if (task->state == TK_TASK_BLOCKED)
			when = TK_MIN(when, task->wait.deadline);
	return when;
}

static bool can_run(const struct tk_proc *proc)
{
	const struct tk_task *task;

	if (proc->attention)
		return true;
	tk_list_for_each (task, &proc->tasks, link)
		if (task->state == TK_TASK_RUNNABLE)
			return true;
	return false;
}

static size_t count_fds(const struct tk_proc *proc)
{
	const struct tk_task *task;
	size_t n = 0;

	tk_list_for_each (task, &proc->tasks, link)
		if (task->state == TK_TASK_BLOCKED)
			n += task->wait.nfds;
	return n;
}

/* Note what the program waits for. False: no memory. */
static bool note_waits(struct tkvm_remote *remote)
{
	const struct tk_proc *proc = &remote->machine->proc;
	size_t n = count_fds(proc) + 1;
	const struct tk_task *task;
	struct pollfd *fds;

	if (n > remote->room_fds) {
		fds = reallocarray(remote->fds, n, sizeof(*fds));
		if (!fds)
			return false;
		remote->fds = fds;
		remote->room_fds = n;
	}
	remote->n_fds = 1;
	remote->fds[0] = (struct pollfd){.fd = remote->bell, .events = POLLIN};
	tk_list_for_each (task, &proc->tasks, link)
		for (unsigned int i = 0; task->state == TK_TASK_BLOCKED && i < task->wait.nfds; i++)
			remote->fds[remote->n_fds++] = (struct pollfd){
				.fd = task->wait.fds[i].fd, .events = task->wait.fds[i].events};
	remote->until = next_event(remote->machine);
	return true;
}

/* Does it wait for anything that was not noted? */
static bool waits_for_more(const struct tkvm_remote *remote)
{
	const struct tk_proc *proc = &remote->machine->proc;
	const struct tk_task *task;
	size_t at = 1;

	if (count_fds(proc) + 1 != remote->n_fds || next_event(remote->machine) < remote->until)
		return true;
	tk_list_for_each (task, &proc->tasks, link)
		for (unsigned int i = 0; task->state == TK_TASK_BLOCKED && i < task->wait.nfds;
		     i++, at++)
			if (remote->fds[at].fd != task->wait.fds[i].fd ||
			    remote->fds[at].events != task->wait.fds[i].events)
				return true;
	return false;
}

static void ring(struct tkvm_remote *remote)
{
	remote->asleep = false; /* once is enough */
	(void)eventfd_write(remote->bell, 1);
}

void tk_remote_wake(struct tkvm_remote *remote)
{
	const struct tkvm_machine *machine = remote->machine;

	if (remote->asleep &&
	    (machine->proc.exiting || can_run(&machine->proc) || waits_for_more(remote)))
		ring(remote);
}

/* Not the owner; the others read what was noted, and change nothing of it. */
static void sleep_until_needed(struct tkvm_remote *remote)
{
	struct timespec ts, *timeout = NULL;
	eventfd_t count;

	if (remote->until != TK_FOREVER) {
		ts = tk_ns_timespec(TK_MAX(remote->until - tk_now_ns(), 0));
		timeout = &ts;
	}
	if (ppoll(remote->fds, remote->n_fds, timeout, NULL) < 0 && errno != EINTR) {
		ts = (struct timespec){.tv_nsec = 10 * 1000 * 1000};
		nanosleep(&ts, NULL);
	}
	(void)eventfd_read(remote->bell, &count);
}

/* The owner runs the machine. 1: it is idle; 0: it was interrupted; else it is over, or -errno. */
static int run(struct tkvm_remote *remote, struct tkvm_result *result, struct tkvm_error *err)
{
	const struct tkvm_run_limits limits = {.size = sizeof(limits), .idle = stop_when_idle};
	struct tkvm_machine *machine = remote->machine;
	int rc;

	if (machine->phase == TK_PHASE_OVER || machine->proc.exiting) {
		machine->phase = TK_PHASE_OVER;
		tk_machine_result(machine, result);
		return 2;
	}
	rc = tkvm_machine_run(machine, &limits, result, err);
	if (rc)
		return rc;
	if (result->outcome == TKVM_INTERRUPTED)
		return 0;
	return result->outcome == TKVM_IDLE ? 1 : 2;
}

/* Under the lock as well: tkvm_remote_stop() may interrupt it. */
static void set_machine(struct tkvm_remote *remote, struct tkvm_machine *machine)
{
	pthread_mutex_lock(&remote->lock);
	remote->machine = machine;
	pthread_mutex_unlock(&remote->lock);
}

static int begin(struct tkvm_remote *remote, struct tkvm_machine *machine, struct tkvm_error *err)
{
	int rc;

	if (!machine->storage || remote->machine || machine->serves)
		return tk_fail(err, EINVAL, "serve: no storage machine, or there is one already");
	set_machine(remote, machine);
	rc = tk_alias_init(remote);
	if (rc) {
		set_machine(remote, NULL);
		return tk_fail_errno(err, -rc, "serve: memory slot");
	}
	machine->serves = remote;
	if (remote->options.serving)
		remote->options.serving(remote->options.ctx);
	return 0;
}

int tkvm_remote_serve(struct tkvm_remote *remote, struct tkvm_machine *machine,
		      struct tkvm_result *result, struct tkvm_error *err)
{
	int rc;

	tk_remote_enter_serving(remote);
	rc = begin(remote, machine, err);
	if (rc)
		goto out_leave;
	while (!atomic_load(&remote->stop)) {
		rc = run(remote, result, err);
		if (rc < 0 || rc > 1)
			break;
		remote->asleep = rc && note_waits(remote);
		rc = remote->asleep;
		tk_remote_leave(remote);
		if (rc)
			sleep_until_needed(remote);
		tk_remote_enter_serving(remote);
		remote->asleep = false;
	}
	if (atomic_load(&remote->stop))
		rc = 1;
	else if (rc > 0)
		rc = 0;
	machine->serves = NULL;
	set_machine(remote, NULL);
out_leave:
	tk_remote_leave(remote);
	return rc;
}

void tkvm_remote_stop(struct tkvm_remote *remote)
{
	atomic_store(&remote->stop, true);
	(void)eventfd_write(remote->bell, 1);
	/* It may be running: then it has to leave that. */
	pthread_mutex_lock(&remote->lock);
	if (remote->owned && remote->machine)
		tkvm_machine_interrupt(remote->machine);
	pthread_mutex_unlock(&remote->lock);
}
