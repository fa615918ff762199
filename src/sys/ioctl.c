/* SPDX-License-Identifier: MIT */
/* ioctl: what concerns every descriptor; the rest is the file's own, or ENOTTY. */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/regular.h"
#include "fs/stream.h"
#include "sys/fsargs.h"

static long set_bit_flag(struct tk_task *task, struct tk_file *file, gva_t arg, int flag)
{
	int on, flags, rc;

	if (tk_copy_in(task->proc->mm, &on, arg, sizeof(on)))
		return -EFAULT;
	flags = on ? file->flags | flag : file->flags & ~flag;
	rc = file->ops->set_flags ? file->ops->set_flags(file, flags) : 0;
	if (!rc)
		file->flags = flags;
	return rc;
}

/* FICLONE, FICLONERANGE: share the extents of another file. */
static long clone_from(struct tk_task *task, struct tk_file *dst, u64 src_fd, u64 src_off, u64 len,
		       u64 dst_off)
{
	struct file_clone_range range = {
		.src_offset = src_off, .src_length = len, .dest_offset = dst_off};
	struct tk_file *src = tk_fd_get(&task->proc->files, src_fd);
	struct stat st;
	s64 end;
	int rc;

	if (!src || !tk_file_may_read(src) || !tk_file_may_write(dst))
		return -EBADF;
	if (src->hostfd < 0 || dst->hostfd < 0)
		return -EINVAL;
	/* Without a length: to the end. */
	if (!len && fstat(src->hostfd, &st))
		return -errno;
	if (!len && (u64)st.st_size > src_off)
		len = (u64)st.st_size - src_off;
	if (__builtin_add_overflow(dst_off, len, &end))
		return -EINVAL;
	rc = tk_size_check(task, dst->hostfd, end);
	if (rc)
		return rc;
	range.src_fd = src->hostfd;
	return tk_host_result(ioctl(dst->hostfd, FICLONERANGE, &range));
}

static long clone_range(struct tk_task *task, struct tk_file *dst, gva_t arg)
{
	struct file_clone_range range;

	if (tk_copy_in(task->proc->mm, &range, arg, sizeof(range)))
		return -EFAULT;
	return clone_from(task, dst, (u64)range.src_fd, range.src_offset, range.src_length,
			  range.dest_offset);
}

/* Requests of the file system that only tell something, by the size of the answer. */
static long host_question(struct tk_task *task, struct tk_file *file, unsigned int cmd, gva_t arg,
			  size_t size)
{
	u64 answer = 0;

	if (file->hostfd < 0)
		return -ENOTTY;
	if (ioctl(file->hostfd, cmd, &answer))
		return -errno;
	return tk_copy_out(task->proc->mm, arg, &answer, size);
}

/* The foreground process group: ours, if it is the VMM's. */
static long foreground_group(struct tk_task *task, struct tk_file *file, gva_t arg)
{
	int group;

	if (!tk_is_stream(file))
		return file->ops->ioctl ? file->ops->ioctl(file, task->proc->mm, TIOCGPGRP, arg)
					: -ENOTTY;
	if (ioctl(file->hostfd, TIOCGPGRP, &group))
		return -errno;
	if (group == getpgrp())
		group = (int)tk_sys_getpgrp(task, task->args);
	return tk_copy_out(task->proc->mm, arg, &group, sizeof(group));
}

static long file_ioctl(struct tk_task *task, struct tk_file *file, unsigned int cmd, u64 arg)
{
	switch (cmd) {
	case FIONBIO:
		return set_bit_flag(task, file, arg, O_NONBLOCK);
	case FIOASYNC:
		return set_bit_flag(task, file, arg, O_ASYNC);
	case FICLONE:
		return clone_from(task, file, arg, 0, 0, 0);
	case FICLONERANGE:
		return clone_range(task, file, arg);
	case FIGETBSZ:
		return host_question(task, file, cmd, arg, sizeof(int));
	case FIOQSIZE:
		return host_question(task, file, cmd, arg, sizeof(u64));
	case FS_IOC_GETFLAGS:
		if (!tk_is_regular(file) && !file->ops->getdents)
			return -ENOTTY;
		return host_question(task, file, cmd, arg, sizeof(int));
	case TIOCGPGRP:
		return foreground_group(task, file, arg);
	default:
		return file->ops->ioctl ? file->ops->ioctl(file, task->proc->mm, cmd, arg)
					: -ENOTTY;
	}
}

long tk_sys_ioctl(struct tk_task *task, const u64 a[6])
{
	unsigned int cmd = (unsigned int)a[1];
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	if (cmd == FIOCLEX || cmd == FIONCLEX) {
		task->proc->files.fds[(u32)a[0]].cloexec = cmd == FIOCLEX;
		return 0;
	}
	return file_ioctl(task, file, cmd, a[2]);
}
