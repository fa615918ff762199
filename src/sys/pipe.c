/* SPDX-License-Identifier: MIT */
/* pipe(2), pipe2(2). */
#include <errno.h>
#include <fcntl.h>

#include "fs/pipe.h"
#include "sys/newfd.h"

static long do_pipe(struct tk_task *task, gva_t out, int flags)
{
	struct tk_file *ends[2];
	int rc;

	/* O_NOTIFICATION_PIPE belongs to the kernel's key watch queue: refused as if not built in.
	 */
	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	rc = tk_pipe_new(ends, flags, &task->proc->files.host_memory);
	if (rc)
		return rc;
	return tk_new_fd_pair(task, ends, flags & O_CLOEXEC, out);
}

long tk_sys_pipe(struct tk_task *task, const u64 a[6])
{
	return do_pipe(task, a[0], 0);
}

long tk_sys_pipe2(struct tk_task *task, const u64 a[6])
{
	return do_pipe(task, a[0], (int)a[1]);
}
