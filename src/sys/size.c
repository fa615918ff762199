/* SPDX-License-Identifier: MIT */
/* Sizes and storage of files: lseek, truncate, fallocate; and the advice and sync calls. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/regular.h"
#include "sys/fsargs.h"

long tk_sys_lseek(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file), whence = (int)a[2];

	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	if ((unsigned int)whence > SEEK_HOLE)
		return -EINVAL;
	return file->ops->seek ? file->ops->seek(file, (s64)a[1], whence) : -ESPIPE;
}

long tk_sys_truncate(struct tk_task *task, const u64 a[6])
{
	char link[TK_FD_LINK_SIZE];
	s64 size = (s64)a[1];
	struct stat st;
	long rc;
	int fd;

	if (size < 0)
		return -EINVAL;
	fd = tk_arg_object(task, (u64)AT_FDCWD, a[0], 0, TK_MAY_WRITE);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else
		rc = tk_size_check(task, fd, size);
	if (!rc)
		rc = tk_host_result(truncate(tk_fd_link(link, fd), size));
	close(fd);
	return rc;
}

/* An open file whose content may be changed, on the host. */
static int writable_fd(struct tk_task *task, u64 fd, int not_writable)
{
	struct tk_file *file;
	int rc = tk_arg_file(task, fd, &file);

	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	if (!tk_file_may_write(file))
		return not_writable;
	return file->hostfd < 0 ? -EINVAL : file->hostfd;
}

long tk_sys_ftruncate(struct tk_task *task, const u64 a[6])
{
	s64 size = (s64)a[1];
	int fd, rc;

	if (size < 0)
		return -EINVAL;
	fd = writable_fd(task, a[0], -EINVAL);
	if (fd < 0)
		return fd;
	rc = tk_size_check(task, fd, size);
	return rc ? rc : tk_host_result(ftruncate(fd, size));
}

long tk_sys_fallocate(struct tk_task *task, const u64 a[6])
{
	s64 offset = (s64)a[2], len = (s64)a[3], end;
	int fd = writable_fd(task, a[0], -EBADF), rc;

	if (fd < 0)
		return fd;
	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (__builtin_add_overflow(offset, len, &end))
		return -EFBIG;
	if ((int)a[1] & FALLOC_FL_KEEP_SIZE)
		rc = (int)a[1] & FALLOC_FL_PUNCH_HOLE ? 0 : tk_memory_check(task, fd, end);
	else
		rc = tk_size_check(task, fd, end);
	return rc ? rc : tk_host_result(fallocate(fd, (int)a[1], offset, len));
}

typedef int sync_fn(int fd);

static long sync_with(struct tk_task *task, u64 fd, sync_fn *fn)
{
	struct tk_file *file;
	int rc = tk_arg_file(task, fd, &file);

	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	return file->hostfd < 0 ? -EINVAL : tk_host_result(fn(file->hostfd));
}

long tk_sys_fsync(struct tk_task *task, const u64 a[6])
{
	return sync_with(task, a[0], fsync);
}

long tk_sys_fdatasync(struct tk_task *task, const u64 a[6])
{
	return sync_with(task, a[0], fdatasync);
}

/* Through the directory descriptors that are at hand: the guest's own file system, and no more. */
long tk_sys_syncfs(struct tk_task *task, const u64 a[6])
{
	return sync_with(task, a[0], syncfs);
}

/* The guest's own file systems: all of the host would be a long wait at the others' expense. */
long tk_sys_sync(struct tk_task *task, const u64 a[6])
{
	tk_ns_sync(&task->proc->ns);
	return 0;
}

long tk_sys_sync_file_range(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	if (file->hostfd < 0)
		return -ESPIPE;
	return tk_host_result(
		sync_file_range(file->hostfd, (off64_t)a[1], (off64_t)a[2], (unsigned int)a[3]));
}

long tk_sys_fadvise64(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	if (file->hostfd < 0)
		return 0;
	return -posix_fadvise(file->hostfd, (off_t)a[1], (off_t)a[2], (int)a[3]);
}

long tk_sys_readahead(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	if (rc)
		return rc;
	if (!tk_file_may_read(file))
		return -EBADF;
	if (file->hostfd < 0)
		return -EINVAL;
	return tk_host_result(readahead(file->hostfd, (off64_t)a[1], a[2]));
}
