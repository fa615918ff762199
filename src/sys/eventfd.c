/* SPDX-License-Identifier: MIT */
/* eventfd(2), eventfd2(2). */
#include <sys/eventfd.h>

#include "fs/eventfd.h"
#include "sys/sys.h"

static long do_eventfd(struct tk_task *task, unsigned int value, int flags)
{
	struct tk_file *file;
	int rc = tk_eventfd_new(&file, value, flags);

	if (rc)
		return rc;
	return tk_fd_install_or_put(&task->proc->files, file, flags & EFD_CLOEXEC);
}

long tk_sys_eventfd(struct tk_task *task, const u64 a[6])
{
	return do_eventfd(task, (unsigned int)a[0], 0);
}

long tk_sys_eventfd2(struct tk_task *task, const u64 a[6])
{
	return do_eventfd(task, (unsigned int)a[0], (int)a[1]);
}
