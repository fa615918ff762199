/* SPDX-License-Identifier: MIT */
/*
 * Life and death of a process and its tasks, and the CPU clock. The process object does not own
 * its address space, descriptors and namespace: the machine makes and destroys those.
 */
#include <stdlib.h>
#include <string.h>

#include "task/task.h"
#include "task/timer.h"
#include "task/wait.h"

void tk_proc_init(struct tk_proc *proc)
{
	memset(proc, 0, sizeof(*proc));
	tk_list_init(&proc->tasks);
	tk_list_init(&proc->futexes);
	tk_list_init(&proc->timers);
	tk_list_init(&proc->signalfds);
	tk_proc_signals_init(&proc->sig);
	tk_net_init(&proc->net);
	proc->net.host_fds = &proc->files.host_fds;
	proc->net.host_memory = &proc->files.host_memory;
	proc->pid = proc->next_tid = TK_GUEST_PID;
	proc->next_timer_id = 0;
	proc->max_tasks = 1;
	proc->trace_fd = -1;
}

void tk_proc_destroy(struct tk_proc *proc)
{
	struct tk_task *task, *tmp;

	proc->current = NULL;
	tk_list_for_each_safe (task, tmp, &proc->tasks, link)
		tk_task_free(task);
	tk_sigqueue_flush(proc, &proc->sig.shared);
	tk_timers_clear(proc);
	tk_net_destroy(&proc->net);
	tk_buf_free(&proc->argv);
	tk_buf_free(&proc->envp);
	tk_buf_free(&proc->auxv);
	free(proc->exe);
	free(proc->stats.calls);
	proc->exe = NULL;
	proc->stats.calls = NULL;
}

bool tk_proc_is(const struct tk_proc *proc, int pid)
{
	return pid == proc->pid || pid == TK_GUEST_PID;
}

/* The kernel's: ids count up, begin again behind TK_PID_LAST, and are never used twice at a time.
 */
static int new_tid(struct tk_proc *proc)
{
	int tid;

	do {
		tid = proc->next_tid;
		proc->next_tid = tid < TK_PID_LAST ? tid + 1 : TK_GUEST_PID + 1;
	} while (tk_task_by_tid(proc, tid));
	return tid;
}

struct tk_task *tk_task_new_as(struct tk_proc *proc, int tid)
{
	struct tk_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->proc = proc;
	task->tid = tid;
	task->state = TK_TASK_RUNNABLE;
	task->wait.deadline = TK_FOREVER;
	tk_task_signals_init(&task->sig);
	tk_list_init(&task->futex.link);
	tk_list_add_tail(&proc->tasks, &task->link);
	proc->n_tasks++;
	proc->attention = true;
	if (!proc->leader)
		proc->leader = task;
	return task;
}

struct tk_task *tk_task_new(struct tk_proc *proc)
{
	struct tk_task *task;
	int next = proc->next_tid;

	if (proc->n_tasks >= proc->max_tasks ||
	    (proc->most_tasks && proc->n_tasks >= proc->most_tasks))
		return NULL;
	task = tk_task_new_as(proc, new_tid(proc));
	if (!task)
		proc->next_tid = next;
	return task;
}

void tk_task_free(struct tk_task *task)
{
	struct tk_proc *proc = task->proc;

	tk_assert(proc->current != task);
	tk_wait_end(task);
	tk_sigqueue_flush(proc, &task->sig.own);
	tk_list_del(&task->link);
	proc->n_tasks--;
	proc->dead_cpu_ns += task->cpu_ns;
	if (proc->leader == task)
		proc->leader = NULL;
	if (proc->ops && proc->ops->cpu_destroy)
		proc->ops->cpu_destroy(task);
	free(task);
}

struct tk_task *tk_task_by_tid(struct tk_proc *proc, int tid)
{
	struct tk_task *task;

	tk_list_for_each (task, &proc->tasks, link) {
		if (task->tid == tid && task->state != TK_TASK_DEAD)
			return task;
	}
	/* The first thread is called like the process, also in a fork that has an id of its own. */
	task = tid == proc->pid ? proc->leader : NULL;
	return task && task->state != TK_TASK_DEAD ? task : NULL;
}

void tk_proc_exit(struct tk_proc *proc, int status, int signo)
{
	if (proc->exiting)
		return;
	proc->exiting = true;
	proc->exit_status = status & 0xff;
	proc->term_signal = signo;
}

void tk_proc_account(struct tk_proc *proc, struct tk_task *next)
{
	s64 now;

	if (!proc->current && !next)
		return;
	now = tk_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (proc->current)
		proc->current->cpu_ns += now - proc->cpu_mark;
	proc->cpu_mark = now;
	proc->current = next;
}

s64 tk_proc_cpu_ns(struct tk_proc *proc)
{
	struct tk_task *task;
	s64 sum = proc->dead_cpu_ns;

	tk_proc_account(proc, proc->current);
	tk_list_for_each (task, &proc->tasks, link)
		sum += task->cpu_ns;
	return sum;
}

s64 tk_task_cpu_ns(struct tk_task *task)
{
	tk_proc_account(task->proc, task->proc->current);
	return task->cpu_ns;
}
