/* SPDX-License-Identifier: MIT */
/* timerfd_create(2), timerfd_settime(2), timerfd_gettime(2). */
#include <errno.h>

#include "fs/timerfd.h"
#include "sys/sys.h"

long tk_sys_timerfd_create(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	int flags = (int)a[1];
	int rc = tk_timerfd_new(&file, (int)a[0], flags);

	if (rc)
		return rc;
	return tk_fd_install_or_put(&task->proc->files, file, flags & TFD_CLOEXEC);
}

long tk_sys_timerfd_settime(struct tk_task *task, const u64 a[6])
{
	struct itimerspec new, old;
	struct tk_file *file;
	int rc;

	if (tk_copy_in(task->proc->mm, &new, a[2], sizeof(new)))
		return -EFAULT;
	rc = tk_arg_file(task, a[0], &file);
	if (!rc)
		rc = tk_timerfd_settime(file, (int)a[1], &new, &old, &task->proc->lag);
	if (rc || !a[3])
		return rc;
	return tk_copy_out(task->proc->mm, a[3], &old, sizeof(old));
}

long tk_sys_timerfd_gettime(struct tk_task *task, const u64 a[6])
{
	struct itimerspec now;
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	if (!rc)
		rc = tk_timerfd_gettime(file, &now);
	if (rc)
		return rc;
	return tk_copy_out(task->proc->mm, a[1], &now, sizeof(now));
}
