/* SPDX-License-Identifier: MIT */
/* Arguments that many system calls share: descriptors and timeouts, checked as the kernel does. */
#include <errno.h>
#include <fcntl.h>

#include "sys/sys.h"

int tk_arg_file(struct tk_task *task, u64 fd, struct tk_file **file)
{
	*file = tk_fd_get(&task->proc->files, fd);
	return *file ? 0 : -EBADF;
}

int tk_arg_timeout(struct tk_task *task, gva_t ts, bool *given, s64 *rel_ns)
{
	struct timespec t;

	*given = ts != 0;
	*rel_ns = TK_FOREVER;
	if (!ts)
		return 0;
	if (tk_copy_in(task->proc->mm, &t, ts, sizeof(t)))
		return -EFAULT;
	if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec >= TK_NSEC_PER_SEC)
		return -EINVAL;
	/* Saturate as the kernel's timespec64_to_ktime() does: far enough is for ever. */
	if (t.tv_sec < TK_FOREVER / TK_NSEC_PER_SEC)
		*rel_ns = tk_timespec_ns(&t);
	return 0;
}
