/* SPDX-License-Identifier: MIT */
/* signalfd(2), signalfd4(2). */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "sys/sys.h"
#include "task/signalfd.h"

static long change_mask(struct tk_task *task, int fd, tk_sigset mask)
{
	struct tk_file *file;
	int rc = tk_arg_file(task, (u64)fd, &file);

	if (rc)
		return rc;
	if (!tk_is_signalfd(file))
		return -EINVAL;
	tk_signalfd_set_mask(file, mask);
	return fd;
}

static long do_signalfd(struct tk_task *task, const u64 a[6], int flags)
{
	struct tk_file *file;
	tk_sigset mask;
	int rc;

	if (a[2] != sizeof(mask))
		return -EINVAL;
	if (tk_copy_in(task->proc->mm, &mask, a[1], sizeof(mask)))
		return -EFAULT;
	if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	mask &= ~(TK_SIGBIT(SIGKILL) | TK_SIGBIT(SIGSTOP));
	if ((int)a[0] != -1)
		return change_mask(task, (int)a[0], mask);
	rc = tk_signalfd_new(&file, task->proc, mask, flags);
	if (rc)
		return rc;
	return tk_fd_install_or_put(&task->proc->files, file, flags & SFD_CLOEXEC);
}

long tk_sys_signalfd(struct tk_task *task, const u64 a[6])
{
	return do_signalfd(task, a, 0);
}

long tk_sys_signalfd4(struct tk_task *task, const u64 a[6])
{
	return do_signalfd(task, a, (int)a[3]);
}
