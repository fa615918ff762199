/* SPDX-License-Identifier: MIT */
/* access and readlink: questions about a path that open nothing. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/fsargs.h"

static int synth_access(const struct tk_path *path, int mode)
{
	unsigned int bits = path->synth.mode;

	if ((mode & R_OK && !(bits & 0444)) || (mode & W_OK && !(bits & 0222)) ||
	    (mode & X_OK && path->synth.kind != TK_SYNTH_DIR && !(bits & 0111)))
		return -EACCES;
	return 0;
}

static int host_access(int dirfd, const char *name, int mode, int flags)
{
	flags = (flags & AT_EACCESS) | AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
	return syscall(SYS_faccessat2, dirfd, name, mode, flags) ? -errno : 0;
}

/* What the policy adds to the host's answer. */
static int policy_access(const struct tk_ns *ns, const struct tk_path *path, int mode)
{
	struct stat st;

	if (mode & W_OK && !(path->may & TK_MAY_WRITE))
		return tk_policy_find_volume(ns->policy, path->guest) >= 0 ? -EROFS : -EACCES;
	if (mode & R_OK && !(path->may & TK_MAY_READ))
		return -EACCES;
	if (!(mode & X_OK) || path->may & TK_MAY_READ)
		return 0;
	return tk_path_stat(ns, path, &st) || !S_ISDIR(st.st_mode) ? -EACCES : 0;
}

static long access_path(struct tk_task *task, u64 dirfd, gva_t addr, int mode, int flags)
{
	const int known = AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
	struct tk_path path;
	unsigned int walk;
	int rc;

	if (mode & ~(R_OK | W_OK | X_OK) || tk_arg_at_flags((u64)flags, known, &walk))
		return -EINVAL;
	rc = tk_arg_resolve(task, dirfd, addr, walk, 0, &path);
	if (rc)
		return rc;
	if (path.dirfd >= 0)
		rc = host_access(path.dirfd, path.name, mode, flags);
	else if (path.file)
		rc = path.file->hostfd < 0 ? 0 : host_access(path.file->hostfd, "", mode, flags);
	else
		rc = synth_access(&path, mode);
	if (!rc && !path.file)
		rc = policy_access(&task->proc->ns, &path, mode);
	tk_path_done(&path);
	return rc;
}

long tk_sys_access(struct tk_task *task, const u64 a[6])
{
	return access_path(task, AT_FDCWD, a[0], (int)a[1], 0);
}

long tk_sys_faccessat(struct tk_task *task, const u64 a[6])
{
	return access_path(task, a[0], a[1], (int)a[2], 0);
}

long tk_sys_faccessat2(struct tk_task *task, const u64 a[6])
{
	return access_path(task, a[0], a[1], (int)a[2], (int)a[3]);
}

static long read_link(struct tk_task *task, u64 dirfd, gva_t addr, gva_t out, u64 size)
{
	struct tk_proc *proc = task->proc;
	char text[PATH_MAX], name[PATH_MAX];
	struct tk_path path;
	ssize_t n;
	int rc;

	if ((int)size <= 0)
		return -EINVAL;
	rc = tk_arg_path(task, addr, name);
	if (rc)
		return rc;
	rc = tk_path_resolve(&proc->ns, &proc->files, (int)dirfd, name,
			     TK_WALK_NOFOLLOW | (dirfd == (u64)AT_FDCWD ? 0 : TK_WALK_EMPTY), 0,
			     &path);
	if (rc)
		return rc;
	n = tk_path_readlink(&proc->ns, &proc->files, &path, text, sizeof(text));
	tk_path_done(&path);
	if (n == -EINVAL && !*name)
		return -ENOENT;
	if (n < 0)
		return n;
	n = TK_MIN(n, (ssize_t)(int)size);
	rc = tk_copy_out(proc->mm, out, text, (size_t)n);
	return rc ? rc : n;
}

long tk_sys_readlink(struct tk_task *task, const u64 a[6])
{
	return read_link(task, (u64)AT_FDCWD, a[0], a[1], a[2]);
}

long tk_sys_readlinkat(struct tk_task *task, const u64 a[6])
{
	return read_link(task, (u64)(s64)(int)a[0], a[1], a[2], a[3]);
}
