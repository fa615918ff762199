/* SPDX-License-Identifier: MIT */
/* stat, statx and statfs: the host's answers, or those made up for synthetic files. */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/fsargs.h"

/* glibc's struct stat and struct statfs are the kernel's on x86-64. */
_Static_assert(sizeof(struct stat) == 144, "struct stat of the kernel ABI");
_Static_assert(sizeof(struct statfs) == 120, "struct statfs of the kernel ABI");

static long stat_out(struct tk_task *task, gva_t out, const struct stat *st)
{
	return tk_copy_out(task->proc->mm, out, st, sizeof(*st));
}

static long stat_file(struct tk_task *task, u64 fd, gva_t out)
{
	struct tk_file *file;
	struct stat st;
	int rc;

	rc = tk_arg_file(task, fd, &file);
	if (!rc)
		rc = tk_file_stat(file, &st);
	return rc ? rc : stat_out(task, out, &st);
}

static long stat_path(struct tk_task *task, u64 dirfd, gva_t addr, unsigned int walk, gva_t out)
{
	struct tk_path path;
	struct stat st;
	int rc;

	rc = tk_arg_resolve(task, dirfd, addr, walk, 0, &path);
	if (rc)
		return rc;
	rc = tk_path_stat(&task->proc->ns, &path, &st);
	tk_path_done(&path);
	return rc ? rc : stat_out(task, out, &st);
}

long tk_sys_stat(struct tk_task *task, const u64 a[6])
{
	return stat_path(task, AT_FDCWD, a[0], 0, a[1]);
}

long tk_sys_lstat(struct tk_task *task, const u64 a[6])
{
	return stat_path(task, AT_FDCWD, a[0], TK_WALK_NOFOLLOW, a[1]);
}

long tk_sys_fstat(struct tk_task *task, const u64 a[6])
{
	return stat_file(task, a[0], a[1]);
}

long tk_sys_newfstatat(struct tk_task *task, const u64 a[6])
{
	const int known =
		AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
	unsigned int walk;

	/* Linux 6.11: a null path is an empty one */
	if (!a[1] && (int)a[3] == AT_EMPTY_PATH && (int)a[0] != AT_FDCWD)
		return stat_file(task, a[0], a[2]);
	if (tk_arg_at_flags(a[3], known, &walk))
		return -EINVAL;
	return stat_path(task, a[0], a[1], walk, a[2]);
}

static struct statx_timestamp stx_time(const struct timespec *ts)
{
	return (struct statx_timestamp){.tv_sec = ts->tv_sec, .tv_nsec = (u32)ts->tv_nsec};
}

static void statx_from_stat(struct statx *stx, const struct stat *st)
{
	*stx = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (u32)st->st_blksize,
		.stx_nlink = (u32)st->st_nlink,
		.stx_uid = st->st_uid,
		.stx_gid = st->st_gid,
		.stx_mode = (u16)st->st_mode,
		.stx_ino = st->st_ino,
		.stx_size = (u64)st->st_size,
		.stx_blocks = (u64)st->st_blocks,
		.stx_atime = stx_time(&st->st_atim),
		.stx_mtime = stx_time(&st->st_mtim),
		.stx_ctime = stx_time(&st->st_ctim),
		.stx_rdev_major = major(st->st_rdev),
		.stx_rdev_minor = minor(st->st_rdev),
		.stx_dev_major = major(st->st_dev),
		.stx_dev_minor = minor(st->st_dev),
	};
}

static int host_statx(int dirfd, const char *name, int sync, unsigned int mask, struct statx *stx)
{
	int flags = sync | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;

	memset(stx, 0, sizeof(*stx));
	return statx(dirfd, name, flags, mask, stx) ? -errno : 0;
}

static int statx_resolved(const struct tk_ns *ns, const struct tk_path *path, int sync,
			  unsigned int mask, struct statx *stx)
{
	struct stat st;
	int rc;

	if (path->dirfd >= 0)
		return host_statx(path->dirfd, path->name, sync, mask, stx);
	if (path->file && path->file->hostfd >= 0 && !path->file->ops->stat)
		return host_statx(path->file->hostfd, "", sync, mask, stx);
	rc = tk_path_stat(ns, path, &st);
	if (!rc)
		statx_from_stat(stx, &st);
	return rc;
}

/* The path, or an empty one for the null pointer that Linux 6.11 takes with AT_EMPTY_PATH. */
static int resolve_nullable(struct tk_task *task, const u64 a[6], unsigned int walk,
			    struct tk_path *path)
{
	struct tk_proc *proc = task->proc;

	if (a[1] || !(walk & TK_WALK_EMPTY))
		return tk_arg_resolve(task, a[0], a[1], walk, 0, path);
	return tk_path_resolve(&proc->ns, &proc->files, (int)a[0], "", walk, 0, path);
}

long tk_sys_statx(struct tk_task *task, const u64 a[6])
{
	const int known =
		AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
	int sync = (int)a[2] & AT_STATX_SYNC_TYPE, rc;
	unsigned int mask = (u32)a[3], walk;
	struct tk_path path;
	struct statx stx;

	if (mask & STATX__RESERVED || sync == AT_STATX_SYNC_TYPE ||
	    tk_arg_at_flags(a[2], known, &walk))
		return -EINVAL;
	rc = resolve_nullable(task, a, walk, &path);
	if (rc)
		return rc;
	rc = statx_resolved(&task->proc->ns, &path, sync, mask, &stx);
	tk_path_done(&path);
	return rc ? rc : tk_copy_out(task->proc->mm, a[4], &stx, sizeof(stx));
}

static void synth_statfs(const char *path, struct statfs *fs)
{
	*fs = (struct statfs){.f_bsize = 4096, .f_frsize = 4096, .f_namelen = 255};
	if (tk_path_under(path, "/proc"))
		fs->f_type = PROC_SUPER_MAGIC;
	else if (tk_path_under(path, "/sys"))
		fs->f_type = SYSFS_MAGIC;
	else
		fs->f_type = TMPFS_MAGIC;
}

long tk_sys_statfs(struct tk_task *task, const u64 a[6])
{
	struct tk_path path;
	struct statfs fs;
	int rc, fd;

	rc = tk_arg_resolve(task, AT_FDCWD, a[0], 0, 0, &path);
	if (rc)
		return rc;
	fd = tk_path_pin(&path);
	if (fd >= 0) {
		rc = fstatfs(fd, &fs) ? -errno : 0;
		close(fd);
	} else if (fd == -EOPNOTSUPP) {
		synth_statfs(path.guest, &fs);
	} else {
		rc = fd;
	}
	tk_path_done(&path);
	return rc ? rc : tk_copy_out(task->proc->mm, a[1], &fs, sizeof(fs));
}

long tk_sys_fstatfs(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	struct statfs fs;
	int rc;

	rc = tk_arg_file(task, a[0], &file);
	if (rc)
		return rc;
	if (file->hostfd < 0)
		synth_statfs(file->path ? file->path : "", &fs);
	else if (fstatfs(file->hostfd, &fs))
		return -errno;
	return tk_copy_out(task->proc->mm, a[1], &fs, sizeof(fs));
}
