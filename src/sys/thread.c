/* SPDX-License-Identifier: MIT */
/* Thread identity and thread-local bookkeeping. */
#include <errno.h>

#include "sys/sys.h"

/* sizeof(struct robust_list_head) */
#define ROBUST_HEAD_SIZE 24

long tk_sys_gettid(struct tk_task *task, const u64 a[6])
{
	return task->tid;
}

long tk_sys_set_tid_address(struct tk_task *task, const u64 a[6])
{
	task->clear_child_tid = a[0];
	return task->tid;
}

long tk_sys_set_robust_list(struct tk_task *task, const u64 a[6])
{
	if (a[1] != ROBUST_HEAD_SIZE)
		return -EINVAL;
	task->robust_list = a[0];
	return 0;
}

long tk_sys_get_robust_list(struct tk_task *task, const u64 a[6])
{
	struct tk_task *of = (int)a[0] ? tk_task_by_tid(task->proc, (int)a[0]) : task;
	u64 size = ROBUST_HEAD_SIZE;

	if (!of)
		return (int)a[0] == TK_GUEST_PID - 1 ? -EPERM : -ESRCH;
	if (tk_copy_out(task->proc->mm, a[2], &size, sizeof(size)))
		return -EFAULT;
	return tk_copy_out(task->proc->mm, a[1], &of->robust_list, sizeof(of->robust_list));
}
