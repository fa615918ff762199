/* SPDX-License-Identifier: MIT */
/*
 * Process ids, groups and sessions. A guest is one process, TK_GUEST_PID, the child of process 1,
 * which has no other child and whose group and session it starts in, like a program started by a
 * script: it may make itself a group or session leader, and there is nobody else to join.
 */
#include <errno.h>

#include "sys/identity.h"
#include "sys/sys.h"

#define INIT_PID (TK_GUEST_PID - 1)

bool tk_is_own_pid(struct tk_proc *proc, int pid)
{
	struct tk_task *task;

	if (pid == 0 || pid == TK_GUEST_PID)
		return true;
	tk_list_for_each (task, &proc->tasks, link)
		if (task->tid == pid && task->state != TK_TASK_DEAD)
			return true;
	return false;
}

static int group(const struct tk_proc *proc)
{
	return proc->attrs.group_leader ? TK_GUEST_PID : INIT_PID;
}

long tk_sys_getpid(struct tk_task *task, const u64 a[6])
{
	return TK_GUEST_PID;
}

long tk_sys_getppid(struct tk_task *task, const u64 a[6])
{
	return INIT_PID;
}

long tk_sys_getpgrp(struct tk_task *task, const u64 a[6])
{
	return group(task->proc);
}

long tk_sys_getpgid(struct tk_task *task, const u64 a[6])
{
	int pid = (int)a[0];

	if (pid == INIT_PID)
		return INIT_PID;
	return tk_is_own_pid(task->proc, pid) ? group(task->proc) : -ESRCH;
}

long tk_sys_getsid(struct tk_task *task, const u64 a[6])
{
	int pid = (int)a[0];

	if (pid == INIT_PID)
		return INIT_PID;
	if (!tk_is_own_pid(task->proc, pid))
		return -ESRCH;
	return task->proc->attrs.session_leader ? TK_GUEST_PID : INIT_PID;
}

long tk_sys_setpgid(struct tk_task *task, const u64 a[6])
{
	struct tk_proc_attrs *attrs = &task->proc->attrs;
	int pid = (int)a[0] ? (int)a[0] : TK_GUEST_PID;
	int pgid = (int)a[1] ? (int)a[1] : pid;

	if (pgid < 0)
		return -EINVAL;
	if (pid != TK_GUEST_PID) /* a thread's id is no process: setpgid(2) has EINVAL for it */
		return tk_is_own_pid(task->proc, pid) ? -EINVAL : -ESRCH;
	if (attrs->session_leader || (pgid != TK_GUEST_PID && pgid != INIT_PID))
		return -EPERM;
	attrs->group_leader = pgid == TK_GUEST_PID;
	return 0;
}

long tk_sys_setsid(struct tk_task *task, const u64 a[6])
{
	struct tk_proc_attrs *attrs = &task->proc->attrs;

	if (attrs->session_leader || attrs->group_leader)
		return -EPERM;
	attrs->group_leader = attrs->session_leader = true;
	return TK_GUEST_PID;
}
