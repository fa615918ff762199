/* SPDX-License-Identifier: MIT */
/*
 * Process ids, groups and sessions. A guest is one process, the child of process 1, which has no
 * other child and whose group and session it starts in, like a program started by a script: it
 * may make itself a group or session leader, and there is nobody else to join.
 *
 * A fork of a machine can be told to look like the child of fork(2) and have a process id of its
 * own. By the old one it can still be named: that is the id of its first thread, and what the
 * program may have kept.
 */
#include <errno.h>

#include "sys/identity.h"
#include "sys/sys.h"

#define INIT_PID (TK_GUEST_PID - 1)

bool tk_is_own_pid(struct tk_proc *proc, int pid)
{
	struct tk_task *task;

	if (pid == 0 || tk_proc_is(proc, pid))
		return true;
	tk_list_for_each (task, &proc->tasks, link)
		if (task->tid == pid && task->state != TK_TASK_DEAD)
			return true;
	return false;
}

static int group(const struct tk_proc *proc)
{
	return proc->attrs.group ? proc->attrs.group : INIT_PID;
}

long tk_sys_getpid(struct tk_task *task, const u64 a[6])
{
	return task->proc->pid;
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
	return task->proc->attrs.session ? task->proc->attrs.session : INIT_PID;
}

long tk_sys_setpgid(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	struct tk_proc_attrs *attrs = &proc->attrs;
	int pid = (int)a[0] ? (int)a[0] : proc->pid;
	int pgid = (int)a[1] ? (int)a[1] : pid;

	if (pgid < 0)
		return -EINVAL;
	if (!tk_proc_is(proc, pid)) /* a thread's id is no process: setpgid(2) has EINVAL for it */
		return tk_is_own_pid(proc, pid) ? -EINVAL : -ESRCH;
	if (attrs->session == proc->pid || (!tk_proc_is(proc, pgid) && pgid != INIT_PID))
		return -EPERM;
	attrs->group = pgid == INIT_PID ? 0 : pgid;
	return 0;
}

long tk_sys_setsid(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;

	if (proc->attrs.group == proc->pid)
		return -EPERM;
	proc->attrs.group = proc->attrs.session = proc->pid;
	return proc->pid;
}
