/* SPDX-License-Identifier: MIT */
/* Ending threads and the process, and the calls about children that a guest cannot have. */
#include <errno.h>

#include "fs/pidfd.h"
#include "sys/sys.h"
#include "task/exit.h"

long tk_sys_exit(struct tk_task *task, const u64 a[6])
{
	tk_task_exit(task, (int)a[0]);
	return TK_NO_RESULT;
}

long tk_sys_exit_group(struct tk_task *task, const u64 a[6])
{
	tk_proc_exit(task->proc, (int)a[0], 0);
	return TK_NO_RESULT;
}

/* New processes are not supported yet: the same answer as a kernel without the call. */
long tk_sys_fork(struct tk_task *task, const u64 a[6])
{
	return -ENOSYS;
}

long tk_sys_vfork(struct tk_task *task, const u64 a[6])
{
	return -ENOSYS;
}

long tk_sys_execve(struct tk_task *task, const u64 a[6])
{
	return -ENOSYS;
}

long tk_sys_execveat(struct tk_task *task, const u64 a[6])
{
	return -ENOSYS;
}

#define WAIT4_OPTIONS  0xe000000bu /* WNOHANG WUNTRACED WCONTINUED __WNOTHREAD __WCLONE __WALL */
#define WAITID_OPTIONS 0xe100000fu /* the same, WEXITED and WNOWAIT */
#define WAITID_EVENTS  0xeu	   /* WSTOPPED WEXITED WCONTINUED */

long tk_sys_wait4(struct tk_task *task, const u64 a[6])
{
	if ((u32)a[2] & ~WAIT4_OPTIONS)
		return -EINVAL;
	if ((int)a[0] == INT_MIN)
		return -ESRCH;
	return -ECHILD;
}

/* The process that a pidfd stands for is nobody's child here. */
static long wait_pidfd(const struct tk_fdtable *files, int fd)
{
	struct tk_file *file = tk_fd_get(files, (u32)fd);

	if (fd < 0)
		return -EINVAL;
	return file && tk_is_pidfd(file) ? -ECHILD : -EBADF;
}

long tk_sys_waitid(struct tk_task *task, const u64 a[6])
{
	u32 which = (u32)a[0];

	if (((u32)a[3] & ~WAITID_OPTIONS) || !((u32)a[3] & WAITID_EVENTS))
		return -EINVAL;
	if (which > 3 || (which == 1 && (int)a[1] <= 0) || (which == 2 && (int)a[1] < 0))
		return -EINVAL;
	if (which == 3)
		return wait_pidfd(&task->proc->files, (int)a[1]);
	return -ECHILD;
}
