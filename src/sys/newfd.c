/* SPDX-License-Identifier: MIT */
/* Descriptors for new objects: the pairs of pipe(2) and socketpair(2), and the room for one. */
#include <errno.h>

#include "sys/newfd.h"

long tk_new_fd_pair(struct tk_task *task, struct tk_file *files[2], bool cloexec, gva_t out)
{
	struct tk_fdtable *table = &task->proc->files;
	int fds[2];

	fds[0] = tk_fd_install_or_put(table, files[0], cloexec);
	if (fds[0] < 0) {
		tk_file_put(files[1]);
		return fds[0];
	}
	fds[1] = tk_fd_install_or_put(table, files[1], cloexec);
	if (fds[1] < 0) {
		tk_fd_close(table, (u64)fds[0]);
		return fds[1];
	}
	if (!tk_copy_out(task->proc->mm, out, fds, sizeof(fds)))
		return 0;
	tk_fd_close(table, (u64)fds[0]);
	tk_fd_close(table, (u64)fds[1]);
	return -EFAULT;
}

bool tk_fds_full(const struct tk_task *task)
{
	return tk_fdtable_full(&task->proc->files);
}
