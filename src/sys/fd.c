/* SPDX-License-Identifier: MIT */
/* The descriptor table's own calls: close, close_range, dup. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>

#include "sys/sys.h"

long tk_sys_close(struct tk_task *task, const u64 a[6])
{
	return tk_fd_close(&task->proc->files, a[0]);
}

long tk_sys_close_range(struct tk_task *task, const u64 a[6])
{
	struct tk_fdtable *files = &task->proc->files;
	u32 first = (u32)a[0], last = (u32)a[1], flags = (u32)a[2];

	/* CLOSE_RANGE_UNSHARE: the only process has its table to itself. */
	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	for (u32 fd = first; fd <= last && fd < files->size; fd++) {
		if (!(flags & CLOSE_RANGE_CLOEXEC))
			tk_fd_close(files, fd);
		else if (files->fds[fd].file)
			files->fds[fd].cloexec = true;
	}
	return 0;
}

static long install_dup(struct tk_fdtable *files, struct tk_file *file, int fd)
{
	if (fd < 0)
		tk_file_put(file);
	return fd;
}

long tk_sys_dup(struct tk_task *task, const u64 a[6])
{
	struct tk_fdtable *files = &task->proc->files;
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	if (rc)
		return rc;
	tk_file_get(file);
	return install_dup(files, file, tk_fd_install(files, file, 0, false));
}

static long dup_to(struct tk_task *task, u64 old, u64 new, bool cloexec)
{
	struct tk_fdtable *files = &task->proc->files;
	struct tk_file *file;
	int rc;

	if ((u32) new >= files->limit)
		return -EBADF;
	rc = tk_arg_file(task, old, &file);
	if (rc)
		return rc;
	tk_file_get(file);
	return install_dup(files, file, tk_fd_install_at(files, file, new, cloexec));
}

long tk_sys_dup2(struct tk_task *task, const u64 a[6])
{
	if ((u32)a[0] == (u32)a[1])
		return tk_fd_get(&task->proc->files, a[0]) ? (long)(u32)a[0] : -EBADF;
	return dup_to(task, a[0], a[1], false);
}

long tk_sys_dup3(struct tk_task *task, const u64 a[6])
{
	int flags = (int)a[2];

	if (flags & ~O_CLOEXEC || (u32)a[0] == (u32)a[1])
		return -EINVAL;
	return dup_to(task, a[0], a[1], flags & O_CLOEXEC);
}
