/* SPDX-License-Identifier: MIT */
/*
 * pidfd_open(2) and pidfd_getfd(2) of the guest's one process; pidfd_send_signal(2) is in kill.c.
 * As in kernels before 6.9 there are no descriptors of threads (PIDFD_THREAD).
 */
#include <errno.h>
#include <fcntl.h>

#include "fs/pidfd.h"
#include "sys/sys.h"

long tk_sys_pidfd_open(struct tk_task *task, const u64 a[6])
{
	unsigned int flags = (unsigned int)a[1];
	int pid = (int)a[0], rc;
	struct tk_file *file;

	if (flags & ~(unsigned int)O_NONBLOCK || pid <= 0)
		return -EINVAL;
	/* A thread's id is no process's; of process 1 a guest sees nothing but the number. */
	if (!tk_proc_is(task->proc, pid))
		return tk_task_by_tid(task->proc, pid) ? -EINVAL : -ESRCH;
	rc = tk_pidfd_new(&file, (int)flags);
	return rc ? rc : tk_fd_install_or_put(&task->proc->files, file, true);
}

long tk_sys_pidfd_getfd(struct tk_task *task, const u64 a[6])
{
	struct tk_fdtable *files = &task->proc->files;
	struct tk_file *process = tk_fd_get(files, (u32)a[0]), *file = tk_fd_get(files, (u32)a[1]);

	if ((u32)a[2])
		return -EINVAL;
	if (!process || !tk_is_pidfd(process) || !file)
		return -EBADF;
	return tk_fd_install_or_put(files, tk_file_get(file), true);
}
