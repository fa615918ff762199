/* SPDX-License-Identifier: MIT */
/* The end of a thread: what other threads of the program can see of it. */
#include "task/exit.h"
#include "task/futex.h"
#include "task/wait.h"

static unsigned int alive(const struct tk_proc *proc)
{
	const struct tk_task *task;
	unsigned int n = 0;

	tk_list_for_each (task, &proc->tasks, link)
		n += task->state != TK_TASK_DEAD;
	return n;
}

static void clear_child_tid(struct tk_task *task)
{
	u32 zero = 0;

	/* As the kernel: nobody is left to look when this was the last thread. */
	if (!task->clear_child_tid || alive(task->proc) < 2)
		return;
	if (!tk_copy_out(task->proc->mm, task->clear_child_tid, &zero, sizeof(zero)))
		(void)tk_futex_wake(task->proc, task->clear_child_tid, true, 1, TK_FUTEX_ANY);
}

void tk_task_exit(struct tk_task *task, int status)
{
	tk_robust_list_exit(task);
	clear_child_tid(task);
	tk_wait_end(task);
	tk_sigqueue_flush(task->proc, &task->sig.own);
	task->exit_status = status;
	task->state = TK_TASK_DEAD;
	if (!alive(task->proc))
		tk_proc_exit(task->proc, task->proc->leader->exit_status, 0);
}
