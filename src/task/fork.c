/* SPDX-License-Identifier: MIT */
/*
 * Copies of processes. A fork's process is put into the frozen state by assignment, member by
 * member; the same code makes a new one and puts a used one back, so that there is no difference
 * to be found between them.
 *
 * A task that was frozen in a system call is entered into it again, from the start, with what its
 * wait had come to (deadline, progress). One that has not moved since it was last there is left in
 * its sleep.
 *
 * Templates are shared by threads that fork: nothing here writes to one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "net/rights.h"
#include "task/fork.h"
#include "task/futex.h"
#include "task/signalfd.h"
#include "task/timer.h"
#include "task/wait.h"

#define RFLAGS_TF 0x100ull

/* A wait on shared memory is found by what the memory is in this address space. */
static bool futex_can_move(const struct tk_task *task)
{
	struct tk_futex_key key;

	if (!task->futex.queued || !task->futex.key.object)
		return true;
	return task->nr == SYS_futex &&
	       !tk_mm_futex_key(task->proc->mm, task->args[0], true, &key) &&
	       key.object == task->futex.key.object && key.offset == task->futex.key.offset;
}

static bool opens(const struct tk_task *task)
{
	return task->nr == SYS_open || task->nr == SYS_openat || task->nr == SYS_openat2 ||
	       task->nr == SYS_creat;
}

static int task_freezable(const struct tk_task *task, struct tkvm_error *err)
{
	if (task->state == TK_TASK_DEAD)
		return 0;
	if (task->state != TK_TASK_BLOCKED || !task->in_call)
		return tk_fail(err, EBUSY, "freeze: thread %d is running", task->tid);
	if (task->interrupted || task->fault.pending || tk_signal_pending(task))
		return tk_fail(err, EBUSY, "freeze: thread %d has a signal to handle", task->tid);
	if (task->wait.priv && opens(task))
		return tk_fail(err, EBUSY, "freeze: thread %d is opening a FIFO", task->tid);
	if (task->regs->rflags & RFLAGS_TF)
		return tk_fail(err, ENOTSUP, "freeze: thread %d single-steps itself", task->tid);
	if (!futex_can_move(task))
		return tk_fail(err, ENOTSUP,
			       "freeze: thread %d was moved to a futex in shared memory",
			       task->tid);
	return 0;
}

int tk_proc_freezable(struct tk_proc *proc, struct tkvm_error *err)
{
	const struct tk_task *task;
	int rc = 0;

	if (proc->stopped)
		return tk_fail(err, EBUSY, "freeze: the program was stopped by a signal");
	tk_rights_sweep(&proc->net);
	if (!tk_list_empty(&proc->net.flights))
		return tk_fail(err, ENOTSUP,
			       "freeze: open files are on their way through a socket");
	tk_list_for_each (task, &proc->tasks, link) {
		rc = task_freezable(task, err);
		if (rc)
			break;
	}
	return rc;
}

static struct tk_timer *copy_timer(struct tk_proc *proc, const struct tk_timer *tmpl)
{
	struct tk_timer *timer = malloc(sizeof(*timer));

	if (!timer)
		return NULL;
	*timer = *tmpl;
	timer->queued = false;
	timer->entry.timer = timer;
	tk_list_init(&timer->entry.link);
	tk_list_init(&timer->link);
	tk_list_add_tail(&proc->timers, &timer->link);
	proc->n_timers++;
	return timer;
}

static int restore_timers(struct tk_proc *proc, const struct tk_proc *tmpl)
{
	const struct tk_timer *timer;

	tk_list_for_each (timer, &tmpl->timers, link)
		if (!copy_timer(proc, timer))
			return -ENOMEM;
	memcpy(proc->itimers, tmpl->itimers, sizeof(proc->itimers));
	proc->timers_pause = tmpl->timers_pause;
	proc->next_timer_id = tmpl->next_timer_id;
	return 0;
}

static struct tk_sigentry *copy_entry(struct tk_proc *proc, const struct tk_sigentry *tmpl)
{
	struct tk_timer *timer;
	struct tk_sigentry *entry;

	if (tmpl->timer) {
		timer = tk_timer_find(proc, tmpl->timer->id);
		if (!timer)
			return NULL;
		timer->queued = true;
		return &timer->entry;
	}
	entry = malloc(sizeof(*entry));
	if (entry)
		*entry = *tmpl;
	return entry;
}

/* @queue is empty. */
static int restore_queue(struct tk_proc *proc, struct tk_sigqueue *queue,
			 const struct tk_sigqueue *tmpl)
{
	const struct tk_sigentry *from;

	tk_list_for_each (from, &tmpl->list, link) {
		struct tk_sigentry *entry = copy_entry(proc, from);

		if (!entry)
			return -ENOMEM;
		tk_list_init(&entry->link);
		tk_list_add_tail(&queue->list, &entry->link);
	}
	queue->pending = tmpl->pending;
	queue->n = tmpl->n;
	return 0;
}

static int restore_task_signals(struct tk_task *task, const struct tk_task *tmpl)
{
	struct tk_task_signals *sig = &task->sig;
	const struct tk_task_signals *from = &tmpl->sig;

	sig->blocked = from->blocked;
	sig->saved = from->saved;
	sig->restore_saved = from->restore_saved;
	sig->awaited = from->awaited;
	sig->alt_sp = from->alt_sp;
	sig->alt_size = from->alt_size;
	sig->alt_flags = from->alt_flags;
	return restore_queue(task->proc, &sig->own, &from->own);
}

/* Is it where it was frozen: asleep, in the same call, for the same? */
static bool is_asleep(const struct tk_task *task, const struct tk_task *tmpl)
{
	return !task->moved && task->state == TK_TASK_BLOCKED && tmpl->state == TK_TASK_BLOCKED &&
	       task->wait.begun && task->wait.progress == tmpl->wait.progress &&
	       task->wait.deadline == tk_later(tmpl->wait.deadline, task->proc->lag.mono);
}

/* It enters its call once more, as it would have if it had been woken. */
static void restore_wait(struct tk_task *task, const struct tk_task *tmpl)
{
	task->wait.cancel = NULL;
	tk_wait_end(task);
	task->wait.deadline = tmpl->wait.deadline;
	task->wait.begun = tmpl->wait.begun;
	task->wait.restart = tmpl->wait.restart;
	task->wait.progress = tmpl->wait.progress;
	task->wait.cancel = tmpl->wait.cancel;
	task->state = tmpl->state;
	if (task->state == TK_TASK_BLOCKED && tmpl->wait.nfds)
		task->state = TK_TASK_RUNNABLE;
}

static void restore_call(struct tk_task *task, const struct tk_task *tmpl, bool files_renewed)
{
	bool asleep = is_asleep(task, tmpl) && !(files_renewed && tmpl->wait.nfds);

	task->nr = tmpl->nr;
	memcpy(task->args, tmpl->args, sizeof(task->args));
	task->in_call = tmpl->in_call;
	task->interrupted = tmpl->interrupted;
	task->fault = tmpl->fault;
	task->trap = tmpl->trap;
	if (asleep)
		task->wait.deadline = tmpl->wait.deadline;
	else
		restore_wait(task, tmpl);
	task->moved = false;
}

static int restore_task(struct tk_task *task, const struct tk_task *tmpl, bool files_renewed)
{
	int rc;

	restore_call(task, tmpl, files_renewed);
	memcpy(task->comm, tmpl->comm, sizeof(task->comm));
	task->clear_child_tid = tmpl->clear_child_tid;
	task->robust_list = tmpl->robust_list;
	task->cpu_ns = tmpl->cpu_ns;
	task->vtime_shift = tmpl->vtime_shift;
	task->exit_status = tmpl->exit_status;
	task->attrs = tmpl->attrs;
	rc = restore_task_signals(task, tmpl);
	return rc ? rc : task->proc->ops->cpu_restore(task, tmpl);
}

/* Tasks that the program made go; those that ended are made anew; all in the frozen order. */
static int restore_tasks(struct tk_proc *proc, const struct tk_proc *tmpl, bool files_renewed)
{
	const struct tk_task *from;
	struct tk_task *task, *tmp;
	struct tk_list *at;
	int rc = 0;

	tk_list_for_each_safe (task, tmp, &proc->tasks, link)
		if (!task->origin)
			tk_task_free(task);
	at = proc->tasks.next;
	tk_list_for_each (from, &tmpl->tasks, link) {
		task = tk_list_entry(at, struct tk_task, link);
		if (at != &proc->tasks && task->origin == from) {
			at = at->next;
		} else {
			task = tk_task_new_as(proc, from->tid);
			if (!task)
				return -ENOMEM;
			task->origin = from;
			task->moved = true;
			tk_list_del(&task->link);
			tk_list_add_tail(at, &task->link);
		}
		if (from == tmpl->leader)
			proc->leader = task;
		rc = restore_task(task, from, files_renewed);
		if (rc)
			return rc;
	}
	return 0;
}

static struct tk_task *copy_of(struct tk_proc *proc, const struct tk_task *tmpl)
{
	struct tk_task *task;

	tk_list_for_each (task, &proc->tasks, link)
		if (task->origin == tmpl)
			return task;
	return NULL;
}

static int restore_futex(struct tk_task *task, const struct tk_task *tmpl)
{
	task->futex.queued = true;
	task->futex.key = tmpl->futex.key;
	task->futex.bitset = tmpl->futex.bitset;
	if (!tmpl->futex.key.object)
		return 0;
	return tk_mm_futex_key(task->proc->mm, tmpl->args[0], true, &task->futex.key);
}

/* Who waits on futexes, in the order in which they will be woken. */
static int restore_futexes(struct tk_proc *proc, const struct tk_proc *tmpl)
{
	const struct tk_task *from;
	int rc = 0;

	tk_list_for_each (from, &tmpl->futexes, futex.link) {
		struct tk_task *task = copy_of(proc, from);

		if (!task)
			return -ESTALE;
		tk_list_add_tail(&proc->futexes, &task->futex.link);
		rc = restore_futex(task, from);
		if (rc)
			break;
	}
	return rc;
}

/* No task has a signal pending, waits on a futex, or owns a timer any more. */
static void clear(struct tk_proc *proc)
{
	struct tk_task *task;

	tk_sigqueue_flush(proc, &proc->sig.shared);
	tk_list_for_each (task, &proc->tasks, link) {
		tk_sigqueue_flush(proc, &task->sig.own);
		tk_list_del(&task->futex.link);
		task->futex.queued = false;
	}
	tk_timers_clear(proc);
}

static void restore_plain(struct tk_proc *proc, const struct tk_proc *tmpl)
{
	proc->pid = tmpl->pid;
	proc->cred = tmpl->cred;
	memcpy(proc->rlimits, tmpl->rlimits, sizeof(proc->rlimits));
	proc->max_tasks = tmpl->max_tasks;
	proc->next_tid = tmpl->next_tid;
	memcpy(proc->sig.actions, tmpl->sig.actions, sizeof(proc->sig.actions));
	proc->sig.queued = tmpl->sig.queued;
	proc->attention = true;
	proc->yielded = false;
	proc->current = NULL;
	proc->dead_cpu_ns = tmpl->dead_cpu_ns;
	proc->xcr0 = tmpl->xcr0;
	proc->xstate_size = tmpl->xstate_size;
	proc->start_ns = tmpl->start_ns;
	proc->total_memory = tmpl->total_memory;
	memcpy(proc->hostname, tmpl->hostname, sizeof(proc->hostname));
	proc->generation = 0;
	proc->attrs = tmpl->attrs;
	proc->exiting = proc->stopped = false;
	proc->exit_status = proc->term_signal = proc->limit_hit = 0;
}

int tk_proc_restore(struct tk_proc *proc, const struct tk_proc *tmpl, bool files_renewed)
{
	int rc;

	clear(proc);
	rc = restore_timers(proc, tmpl);
	if (!rc)
		rc = restore_queue(proc, &proc->sig.shared, &tmpl->sig.shared);
	if (!rc)
		rc = restore_tasks(proc, tmpl, files_renewed);
	if (!rc)
		rc = restore_futexes(proc, tmpl);
	restore_plain(proc, tmpl);
	proc->lag = (struct tk_clock_lag){0};
	tk_signalfds_update(proc);
	return rc;
}

/* Expiries are in the program's time, which CLOCK_BOOTTIME does not stand still for. */
void tk_proc_start(struct tk_proc *proc, const struct tk_clock_lag *lag)
{
	struct tk_timer *timer;
	struct tk_task *task;

	tk_list_for_each (task, &proc->tasks, link)
		task->wait.deadline = tk_later(task->wait.deadline, lag->mono);
	tk_list_for_each (timer, &proc->timers, link)
		if (timer->expiry &&
		    (timer->base == CLOCK_BOOTTIME || timer->base == CLOCK_BOOTTIME_ALARM))
			timer->expiry = tk_later(timer->expiry, lag->mono);
	proc->lag = *lag;
}
