/* SPDX-License-Identifier: MIT */
/* Mode, owner and time stamps of files. Each call works on a pinned descriptor of its object. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/fsargs.h"

static long change_mode(struct tk_task *task, u64 dirfd, gva_t addr, mode_t mode, unsigned int walk)
{
	int fd = tk_arg_object(task, dirfd, addr, walk, TK_MAY_WRITE);
	char link[TK_FD_LINK_SIZE];
	long rc;

	if (fd < 0)
		return fd;
	rc = tk_host_result(chmod(tk_fd_link(link, fd), mode & 07777));
	close(fd);
	return rc;
}

long tk_sys_chmod(struct tk_task *task, const u64 a[6])
{
	return change_mode(task, (u64)AT_FDCWD, a[0], (mode_t)a[1], 0);
}

long tk_sys_fchmodat(struct tk_task *task, const u64 a[6])
{
	return change_mode(task, a[0], a[1], (mode_t)a[2], 0);
}

long tk_sys_fchmodat2(struct tk_task *task, const u64 a[6])
{
	unsigned int walk;
	int rc = tk_arg_at_flags(a[3], AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &walk);

	return rc ? rc : change_mode(task, a[0], a[1], (mode_t)a[2], walk);
}

/* A host descriptor of an open file that may be changed; -EPERM: synthetic. */
static int changeable_fd(struct tk_task *task, u64 fd)
{
	struct tk_file *file;
	int rc = tk_arg_changeable(task, fd, &file);

	if (rc)
		return rc;
	return file->hostfd < 0 ? -EPERM : file->hostfd;
}

long tk_sys_fchmod(struct tk_task *task, const u64 a[6])
{
	int fd = changeable_fd(task, a[0]);

	return fd < 0 ? fd : tk_host_result(fchmod(fd, (mode_t)a[1] & 07777));
}

static long change_owner(struct tk_task *task, u64 dirfd, gva_t addr, const u64 ids[2],
			 unsigned int walk)
{
	int fd = tk_arg_object(task, dirfd, addr, walk, TK_MAY_WRITE);
	long rc;

	if (fd < 0)
		return fd;
	rc = tk_host_result(fchownat(fd, "", (uid_t)ids[0], (gid_t)ids[1], AT_EMPTY_PATH));
	close(fd);
	return rc;
}

long tk_sys_chown(struct tk_task *task, const u64 a[6])
{
	return change_owner(task, (u64)AT_FDCWD, a[0], a + 1, 0);
}

long tk_sys_lchown(struct tk_task *task, const u64 a[6])
{
	return change_owner(task, (u64)AT_FDCWD, a[0], a + 1, TK_WALK_NOFOLLOW);
}

long tk_sys_fchownat(struct tk_task *task, const u64 a[6])
{
	unsigned int walk;
	int rc = tk_arg_at_flags(a[4], AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &walk);

	return rc ? rc : change_owner(task, a[0], a[1], a + 2, walk);
}

long tk_sys_fchown(struct tk_task *task, const u64 a[6])
{
	int fd = changeable_fd(task, a[0]);

	return fd < 0 ? fd : tk_host_result(fchown(fd, (uid_t)a[1], (gid_t)a[2]));
}

static long set_times_fd(struct tk_task *task, u64 fd, const struct timespec *times)
{
	int hostfd = changeable_fd(task, fd);

	return hostfd < 0 ? hostfd : tk_host_result(futimens(hostfd, times));
}

/* @times NULL: now. Null @addr: @dirfd is the file. */
static long set_times(struct tk_task *task, u64 dirfd, gva_t addr, const struct timespec *times,
		      unsigned int walk)
{
	char link[TK_FD_LINK_SIZE];
	long rc;
	int fd;

	if (!addr && (int)dirfd != AT_FDCWD)
		return walk ? -EINVAL : set_times_fd(task, dirfd, times);
	fd = tk_arg_object(task, dirfd, addr, walk, TK_MAY_WRITE);
	if (fd < 0)
		return fd;
	rc = tk_host_result(utimensat(AT_FDCWD, tk_fd_link(link, fd), times, 0));
	close(fd);
	return rc;
}

static bool is_time(const struct timespec *ts)
{
	return ts->tv_nsec == UTIME_NOW || ts->tv_nsec == UTIME_OMIT ||
	       (ts->tv_nsec >= 0 && ts->tv_nsec < TK_NSEC_PER_SEC);
}

long tk_sys_utimensat(struct tk_task *task, const u64 a[6])
{
	struct timespec times[2];
	unsigned int walk;

	if (a[2]) {
		if (tk_copy_in(task->proc->mm, times, a[2], sizeof(times)))
			return -EFAULT;
		/* Nothing to do is done before anything is looked at. */
		if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
			return 0;
		if (!is_time(&times[0]) || !is_time(&times[1]))
			return -EINVAL;
	}
	if (tk_arg_at_flags(a[3], AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &walk))
		return -EINVAL;
	return set_times(task, a[0], a[1], a[2] ? times : NULL, walk);
}

/* The older calls give microseconds. */
static long set_timevals(struct tk_task *task, u64 dirfd, gva_t addr, gva_t values)
{
	struct timespec times[2];
	struct timeval tv[2];

	if (!values)
		return set_times(task, dirfd, addr, NULL, 0);
	if (tk_copy_in(task->proc->mm, tv, values, sizeof(tv)))
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
			return -EINVAL;
		times[i] = (struct timespec){tv[i].tv_sec, tv[i].tv_usec * 1000};
	}
	return set_times(task, dirfd, addr, times, 0);
}

long tk_sys_utimes(struct tk_task *task, const u64 a[6])
{
	return set_timevals(task, (u64)AT_FDCWD, a[0], a[1]);
}

long tk_sys_futimesat(struct tk_task *task, const u64 a[6])
{
	return set_timevals(task, a[0], a[1], a[2]);
}

long tk_sys_utime(struct tk_task *task, const u64 a[6])
{
	struct timespec times[2] = {0};
	s64 seconds[2];

	if (!a[1])
		return set_times(task, (u64)AT_FDCWD, a[0], NULL, 0);
	if (tk_copy_in(task->proc->mm, seconds, a[1], sizeof(seconds)))
		return -EFAULT;
	times[0].tv_sec = seconds[0];
	times[1].tv_sec = seconds[1];
	return set_times(task, (u64)AT_FDCWD, a[0], times, 0);
}
