/* SPDX-License-Identifier: MIT */
/*
 * Signals on their way: queues, masks, dispositions. signal(7) and the kernel's rules:
 * standard signals are queued once, real-time ones each time up to RLIMIT_SIGPENDING; a blocked
 * signal is never dropped, an unblocked and ignored one always is; SIGCONT and the stop signals
 * cancel each other. Acting on a signal is deliver.c's part.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "task/signalfd.h"
#include "task/timer.h"
#include "task/wait.h"

#define SET_UNBLOCKABLE (TK_SIGBIT(SIGKILL) | TK_SIGBIT(SIGSTOP))
#define SET_STOP	(TK_SIGBIT(SIGSTOP) | TK_SIGBIT(SIGTSTP) | TK_SIGBIT(SIGTTIN) | TK_SIGBIT(SIGTTOU))
#define SET_IGNORE                                                                                 \
	(TK_SIGBIT(SIGCHLD) | TK_SIGBIT(SIGCONT) | TK_SIGBIT(SIGURG) | TK_SIGBIT(SIGWINCH))
#define SET_SYNCHRONOUS                                                                            \
	(TK_SIGBIT(SIGSEGV) | TK_SIGBIT(SIGBUS) | TK_SIGBIT(SIGILL) | TK_SIGBIT(SIGTRAP) |         \
	 TK_SIGBIT(SIGFPE) | TK_SIGBIT(SIGSYS))
#define FIRST_RT 32

/* Memory that one guest's queued signals may take, whatever its RLIMIT_SIGPENDING. */
#define MAX_QUEUED 65536

void tk_proc_signals_init(struct tk_proc_signals *sig)
{
	memset(sig, 0, sizeof(*sig));
	tk_list_init(&sig->shared.list);
}

void tk_task_signals_init(struct tk_task_signals *sig)
{
	memset(sig, 0, sizeof(*sig));
	tk_list_init(&sig->own.list);
}

static void entry_drop(struct tk_sigqueue *queue, struct tk_sigentry *entry)
{
	tk_list_del(&entry->link);
	queue->n--;
	if (!entry->timer)
		free(entry);
}

void tk_sigqueue_flush(struct tk_proc *proc, struct tk_sigqueue *queue)
{
	struct tk_sigentry *entry, *tmp;

	tk_list_for_each_safe (entry, tmp, &queue->list, link) {
		if (entry->timer)
			entry->timer->queued = false;
		else
			proc->sig.queued--;
		entry_drop(queue, entry);
	}
	queue->pending = 0;
}

/* Entries of @queue whose signals are in @set go; timers among them run on. */
static void queue_discard(struct tk_proc *proc, struct tk_sigqueue *queue, tk_sigset set)
{
	struct tk_sigentry *entry, *tmp;

	if (!(queue->pending & set))
		return;
	queue->pending &= ~set;
	tk_list_for_each_safe (entry, tmp, &queue->list, link) {
		if (!(set & TK_SIGBIT(entry->info.signo)))
			continue;
		if (entry->timer)
			tk_timer_taken(proc, entry->timer, NULL);
		else
			proc->sig.queued--;
		entry_drop(queue, entry);
	}
	tk_signalfds_update(proc);
}

void tk_signal_discard(struct tk_proc *proc, tk_sigset set)
{
	struct tk_task *task;

	queue_discard(proc, &proc->sig.shared, set);
	tk_list_for_each (task, &proc->tasks, link)
		queue_discard(proc, &task->sig.own, set);
}

bool tk_signal_ignored(const struct tk_proc *proc, int signo)
{
	u64 handler = proc->sig.actions[signo].handler;

	if (handler == (u64)SIG_DFL)
		return SET_IGNORE & TK_SIGBIT(signo);
	return handler == (u64)SIG_IGN && signo != SIGKILL && signo != SIGSTOP;
}

bool tk_signal_stops(const struct tk_proc *proc, int signo)
{
	return (SET_STOP & TK_SIGBIT(signo)) &&
	       (signo == SIGSTOP || proc->sig.actions[signo].handler == (u64)SIG_DFL);
}

tk_sigset tk_signal_pending_set(const struct tk_task *task)
{
	return task->sig.own.pending | task->proc->sig.shared.pending;
}

static bool wants(const struct tk_task *task, int signo)
{
	return task->state != TK_TASK_DEAD && !(task->sig.blocked & TK_SIGBIT(signo));
}

bool tk_signal_pending(const struct tk_task *task)
{
	tk_sigset set = tk_signal_pending_set(task) & ~task->sig.blocked;

	if (task->fault.pending)
		return true;
	for (int signo; set; set &= set - 1) {
		signo = __builtin_ctzll(set) + 1;
		if (!tk_signal_ignored(task->proc, signo) && !tk_signal_stops(task->proc, signo))
			return true;
	}
	return false;
}

/* The next signal of @set that the kernel would take: faults first, then the lowest number. */
static int next_signal(tk_sigset set)
{
	if (!set)
		return 0;
	if (set & SET_SYNCHRONOUS)
		set &= SET_SYNCHRONOUS;
	return __builtin_ctzll(set) + 1;
}

static void queue_take(struct tk_proc *proc, struct tk_sigqueue *queue, int signo,
		       struct tk_siginfo *info)
{
	struct tk_sigentry *entry, *tmp, *first = NULL;
	bool more = false;

	tk_list_for_each_safe (entry, tmp, &queue->list, link) {
		if (entry->info.signo != signo)
			continue;
		if (first) {
			more = true;
			break;
		}
		first = entry;
	}
	if (!more)
		queue->pending &= ~TK_SIGBIT(signo);
	if (!first) {
		*info = tk_siginfo_user(signo, SI_USER, 0, 0);
		return;
	}
	*info = first->info;
	if (first->timer)
		tk_timer_taken(proc, first->timer, info);
	else
		proc->sig.queued--;
	entry_drop(queue, first);
}

int tk_signal_dequeue(struct tk_task *task, tk_sigset set, struct tk_siginfo *info)
{
	struct tk_proc *proc = task->proc;
	struct tk_sigqueue *queue = &task->sig.own;
	int signo = next_signal(queue->pending & set);

	if (!signo) {
		queue = &proc->sig.shared;
		signo = next_signal(queue->pending & set);
	}
	if (!signo)
		return 0;
	queue_take(proc, queue, signo, info);
	tk_signalfds_update(proc);
	return signo;
}

/* SIGCONT and stop signals act, or cancel each other, when they are sent (signal(7)). */
static void job_control(struct tk_proc *proc, int signo)
{
	if (signo == SIGCONT || signo == SIGKILL)
		proc->stopped = false;
	if (signo == SIGCONT)
		tk_signal_discard(proc, SET_STOP);
	else if (SET_STOP & TK_SIGBIT(signo))
		tk_signal_discard(proc, TK_SIGBIT(SIGCONT));
}

/* Somebody who can take @signo runs on: its target, or for the process the leader first. */
static void wake_for(struct tk_proc *proc, struct tk_task *target, int signo)
{
	struct tk_task *task = target ? target : proc->leader;

	if (task && wants(task, signo)) {
		tk_task_wake(task);
		return;
	}
	if (target)
		return;
	tk_list_for_each (task, &proc->tasks, link) {
		if (wants(task, signo)) {
			tk_task_wake(task);
			return;
		}
	}
}

/* A task waiting in rt_sigtimedwait or on a signalfd wants blocked signals, too. */
static void wake_waiters(struct tk_proc *proc, struct tk_task *target, int signo)
{
	struct tk_task *task;

	tk_list_for_each (task, &proc->tasks, link) {
		if ((!target || target == task) && (task->sig.awaited & TK_SIGBIT(signo)))
			tk_task_wake(task);
	}
	tk_signalfds_update(proc);
}

static bool anybody_wants(struct tk_proc *proc, struct tk_task *target, int signo)
{
	struct tk_task *task;

	if (target)
		return wants(target, signo);
	tk_list_for_each (task, &proc->tasks, link) {
		if (wants(task, signo))
			return true;
	}
	return false;
}

/* Dropped at once: ignored, and nobody has it blocked or waits for it. */
static bool drop_unseen(struct tk_proc *proc, struct tk_task *target, int signo)
{
	const struct tk_task *task = target ? target : proc->leader;

	if (!tk_signal_ignored(proc, signo) || !task)
		return false;
	return !((task->sig.blocked | task->sig.awaited) & TK_SIGBIT(signo));
}

bool tk_signal_enqueue(struct tk_proc *proc, struct tk_task *target, struct tk_sigentry *entry)
{
	struct tk_sigqueue *queue = target ? &target->sig.own : &proc->sig.shared;
	int signo = entry->info.signo;

	job_control(proc, signo);
	if (drop_unseen(proc, target, signo))
		return false;
	if (tk_signal_stops(proc, signo) && anybody_wants(proc, target, signo)) {
		proc->stopped = true;
		return false;
	}
	queue->pending |= TK_SIGBIT(signo);
	tk_list_add_tail(&queue->list, &entry->link);
	queue->n++;
	wake_for(proc, target, signo);
	wake_waiters(proc, target, signo);
	return true;
}

static bool over_limit(const struct tk_proc *proc)
{
	u64 limit = proc->rlimits[RLIMIT_SIGPENDING].rlim_cur;

	return proc->sig.queued >= TK_MIN(limit, (u64)MAX_QUEUED);
}

/* No entry can be had: standard signals are then pending without their siginfo (kernel: same). */
static int send_without_info(struct tk_proc *proc, struct tk_task *target,
			     const struct tk_siginfo *info)
{
	struct tk_sigqueue *queue = target ? &target->sig.own : &proc->sig.shared;

	if (info->signo >= FIRST_RT && info->code != SI_USER)
		return -EAGAIN;
	if (drop_unseen(proc, target, info->signo))
		return 0;
	queue->pending |= TK_SIGBIT(info->signo);
	wake_for(proc, target, info->signo);
	wake_waiters(proc, target, info->signo);
	return 0;
}

static int send_signal(struct tk_proc *proc, struct tk_task *target, const struct tk_siginfo *info)
{
	struct tk_sigqueue *queue = target ? &target->sig.own : &proc->sig.shared;
	struct tk_sigentry *entry = NULL;

	if (info->signo < FIRST_RT && (queue->pending & TK_SIGBIT(info->signo))) {
		job_control(proc, info->signo);
		wake_for(proc, target, info->signo);
		return 0;
	}
	if (!over_limit(proc) || (info->signo < FIRST_RT && info->code >= 0))
		entry = malloc(sizeof(*entry));
	if (!entry)
		return send_without_info(proc, target, info);
	*entry = (struct tk_sigentry){.info = *info};
	tk_list_init(&entry->link);
	if (tk_signal_enqueue(proc, target, entry))
		proc->sig.queued++;
	else
		free(entry);
	return 0;
}

int tk_signal_task(struct tk_task *task, const struct tk_siginfo *info)
{
	return send_signal(task->proc, task, info);
}

int tk_signal_proc(struct tk_proc *proc, const struct tk_siginfo *info)
{
	return send_signal(proc, NULL, info);
}

void tk_sigmask_set(struct tk_task *task, tk_sigset set)
{
	tk_sigset newly = set & ~task->sig.blocked;
	tk_sigset handed = newly & task->proc->sig.shared.pending;

	task->sig.blocked = set & ~SET_UNBLOCKABLE;
	for (; handed; handed &= handed - 1)
		wake_for(task->proc, NULL, __builtin_ctzll(handed) + 1);
}

int tk_sigmask_temp(struct tk_task *task, gva_t mask, u64 size)
{
	tk_sigset set;

	if (!mask || task->wait.begun)
		return 0;
	if (size != sizeof(set))
		return -EINVAL;
	if (tk_copy_in(task->proc->mm, &set, mask, sizeof(set)))
		return -EFAULT;
	tk_sigmask_temp_set(task, set);
	return 0;
}

void tk_sigmask_temp_set(struct tk_task *task, tk_sigset set)
{
	if (!task->sig.restore_saved)
		task->sig.saved = task->sig.blocked;
	task->sig.restore_saved = true;
	tk_sigmask_set(task, set);
}

void tk_sigmask_restore(struct tk_task *task)
{
	if (!task->sig.restore_saved)
		return;
	task->sig.restore_saved = false;
	tk_sigmask_set(task, task->sig.saved);
}
