/* SPDX-License-Identifier: MIT */
/* The current directory and the umask. */
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/dir.h"
#include "sys/fsargs.h"

long tk_sys_getcwd(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	char path[PATH_MAX];
	size_t len;
	int rc;

	rc = tk_ns_file_path(&proc->ns, proc->ns.cwd, path);
	if (rc)
		return rc;
	len = strlen(path) + 1;
	if (a[1] < len)
		return -ERANGE;
	rc = tk_copy_out(proc->mm, a[0], path, len);
	return rc ? rc : (long)len;
}

/* May one go there? Search permission, by effective ids. */
static int may_search(int hostfd)
{
	if (hostfd < 0)
		return 0;
	return syscall(SYS_faccessat2, hostfd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) ? -errno : 0;
}

static void set_cwd(struct tk_ns *ns, struct tk_file *dir)
{
	tk_file_put(ns->cwd);
	ns->cwd = dir;
}

static int open_cwd(struct tk_ns *ns, const struct tk_path *path, struct tk_file **dir)
{
	int fd = -1;

	if (path->synth.kind != TK_SYNTH_DIR) {
		fd = tk_path_pin(path);
		if (fd < 0)
			return fd == -EOPNOTSUPP ? -ENOTDIR : fd;
	}
	return tk_dir_new(ns, path, fd, O_PATH | O_DIRECTORY, dir);
}

static long enter(struct tk_ns *ns, struct tk_file *dir)
{
	int rc = tk_is_dir(dir) ? may_search(dir->hostfd) : -ENOTDIR;

	if (rc)
		tk_file_put(dir);
	else
		set_cwd(ns, dir);
	return rc;
}

long tk_sys_chdir(struct tk_task *task, const u64 a[6])
{
	struct tk_ns *ns = &task->proc->ns;
	struct tk_path path;
	struct tk_file *dir;
	int rc;

	rc = tk_arg_resolve(task, (u64)AT_FDCWD, a[0], 0, 0, &path);
	if (rc)
		return rc;
	if (path.file)
		dir = tk_file_get(path.file);
	else
		rc = open_cwd(ns, &path, &dir);
	tk_path_done(&path);
	return rc ? rc : enter(ns, dir);
}

long tk_sys_fchdir(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	return rc ? rc : enter(&task->proc->ns, tk_file_get(file));
}

long tk_sys_umask(struct tk_task *task, const u64 a[6])
{
	mode_t old = task->proc->ns.umask;

	task->proc->ns.umask = (mode_t)a[0] & 0777;
	return (long)old;
}
