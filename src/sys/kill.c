/* SPDX-License-Identifier: MIT */
/*
 * Sending signals. A guest is one process, with process 1 as its parent, which it may not signal;
 * there is nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fs/dir.h"
#include "fs/pidfd.h"
#include "sys/sys.h"

#define INIT_PID (TK_GUEST_PID - 1)

static int valid(int signo)
{
	return signo >= 0 && signo <= TK_NSIG ? 0 : -EINVAL;
}

static struct tk_siginfo from_me(const struct tk_task *task, int signo, int code)
{
	return tk_siginfo_user(signo, code, task->proc->pid, task->proc->cred.uid);
}

/* To the process; signal 0 only asks whether it could be done. */
static long send_to_me(struct tk_task *task, const struct tk_siginfo *info)
{
	if (valid(info->signo))
		return -EINVAL;
	return info->signo ? tk_signal_proc(task->proc, info) : 0;
}

/* Which processes does kill(2)'s @pid mean? 0: this one; -ESRCH, -EPERM. */
static long whom(struct tk_task *task, int pid, int signo)
{
	int group = (int)tk_sys_getpgrp(task, NULL);
	struct tk_task *thread = pid > 0 ? tk_task_by_tid(task->proc, pid) : NULL;

	if (pid == 0 || thread || tk_proc_is(task->proc, pid) || (pid != INT_MIN && pid == -group))
		return 0;
	/* "everything I may signal, except process 1 and myself" is nobody */
	if (pid != INIT_PID && pid != -INIT_PID)
		return -ESRCH;
	return valid(signo) ? -EINVAL : -EPERM;
}

long tk_sys_kill(struct tk_task *task, const u64 a[6])
{
	struct tk_siginfo info = from_me(task, (int)a[1], SI_USER);
	long rc = whom(task, (int)a[0], (int)a[1]);

	return rc ? rc : send_to_me(task, &info);
}

/* To one thread of this process (@tgid 0: any process's). */
static long send_to_thread(struct tk_task *task, int tgid, int tid, const struct tk_siginfo *info)
{
	struct tk_task *target = tk_task_by_tid(task->proc, tid);

	if (!target || (tgid && !tk_proc_is(task->proc, tgid)))
		return tid == INIT_PID && (!tgid || tgid == INIT_PID) ? -EPERM : -ESRCH;
	if (valid(info->signo))
		return -EINVAL;
	return info->signo ? tk_signal_task(target, info) : 0;
}

long tk_sys_tkill(struct tk_task *task, const u64 a[6])
{
	struct tk_siginfo info = from_me(task, (int)a[1], SI_TKILL);

	return (int)a[0] <= 0 ? -EINVAL : send_to_thread(task, 0, (int)a[0], &info);
}

long tk_sys_tgkill(struct tk_task *task, const u64 a[6])
{
	struct tk_siginfo info = from_me(task, (int)a[2], SI_TKILL);

	if ((int)a[0] <= 0 || (int)a[1] <= 0)
		return -EINVAL;
	return send_to_thread(task, (int)a[0], (int)a[1], &info);
}

/* Only its own process may be told lies about where a signal comes from. */
static bool forged(const struct tk_siginfo *info)
{
	return info->code >= 0 || info->code == SI_TKILL;
}

static int get_info(struct tk_task *task, gva_t addr, int signo, struct tk_siginfo *info)
{
	if (tk_copy_in(task->proc->mm, info, addr, sizeof(*info)))
		return -EFAULT;
	info->signo = signo;
	return 0;
}

long tk_sys_rt_sigqueueinfo(struct tk_task *task, const u64 a[6])
{
	struct tk_siginfo info;
	long rc;

	if (get_info(task, a[2], (int)a[1], &info))
		return -EFAULT;
	if (forged(&info) && (int)a[0] != task->tid)
		return -EPERM;
	if ((int)a[0] <= 0)
		return -ESRCH;
	rc = whom(task, (int)a[0], (int)a[1]);
	return rc ? rc : send_to_me(task, &info);
}

long tk_sys_rt_tgsigqueueinfo(struct tk_task *task, const u64 a[6])
{
	struct tk_siginfo info;

	if (get_info(task, a[3], (int)a[2], &info))
		return -EFAULT;
	if ((int)a[0] <= 0 || (int)a[1] <= 0)
		return -EINVAL;
	if (forged(&info) && (int)a[1] != task->tid)
		return -EPERM;
	return send_to_thread(task, (int)a[0], (int)a[1], &info);
}

/* A pidfd, or the process's directory in /proc. */
static bool names_me(const struct tk_proc *proc, const struct tk_file *file)
{
	int pid;
	char end;

	if (!file || file->flags & O_PATH)
		return false;
	return tk_is_pidfd(file) ||
	       (tk_is_dir(file) && sscanf(file->path, "/proc/%d%c", &pid, &end) == 1 &&
		tk_proc_is(proc, pid));
}

/* As kernels before 6.9, it takes no flags. */
long tk_sys_pidfd_send_signal(struct tk_task *task, const u64 a[6])
{
	struct tk_siginfo info = from_me(task, (int)a[1], SI_USER);

	if ((u32)a[3])
		return -EINVAL;
	if (!names_me(task->proc, tk_fd_get(&task->proc->files, (u32)a[0])))
		return -EBADF;
	if (a[2] && tk_copy_in(task->proc->mm, &info, a[2], sizeof(info)))
		return -EFAULT;
	return info.signo == (int)a[1] ? send_to_me(task, &info) : -EINVAL;
}
