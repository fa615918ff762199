/* SPDX-License-Identifier: MIT */
/* Arguments of the file and directory system calls, and limits on file sizes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "fs/memfds.h"
#include "net/rights.h"
#include "sys/fsargs.h"

int tk_arg_path(struct tk_task *task, gva_t addr, char path[PATH_MAX])
{
	ssize_t len = tk_copy_str(task->proc->mm, path, addr, PATH_MAX);

	return len < 0 ? (int)len : 0;
}

int tk_arg_resolve(struct tk_task *task, u64 dirfd, gva_t addr, unsigned int flags,
		   unsigned int may, struct tk_path *path)
{
	struct tk_proc *proc = task->proc;
	char text[PATH_MAX];
	int rc;

	rc = tk_arg_path(task, addr, text);
	if (rc)
		return rc;
	return tk_path_resolve(&proc->ns, &proc->files, (int)dirfd, text, flags, may, path);
}

int tk_arg_object(struct tk_task *task, u64 dirfd, gva_t addr, unsigned int flags, unsigned int may)
{
	struct tk_path path;
	int rc;

	rc = tk_arg_resolve(task, dirfd, addr, flags, may, &path);
	if (rc)
		return rc;
	rc = path.file && may & ~path.may ? -EACCES : tk_path_pin(&path);
	tk_path_done(&path);
	return rc == -EOPNOTSUPP ? -EPERM : rc;
}

int tk_arg_at_flags(u64 flags, int allowed, unsigned int *walk)
{
	int at = (int)flags;

	if (at & ~allowed)
		return -EINVAL;
	*walk = 0;
	if (at & AT_EMPTY_PATH)
		*walk |= TK_WALK_EMPTY;
	if (at & AT_SYMLINK_NOFOLLOW)
		*walk |= TK_WALK_NOFOLLOW;
	return 0;
}

int tk_arg_changeable(struct tk_task *task, u64 fd, struct tk_file **file)
{
	int rc = tk_arg_file(task, fd, file);
	const char *path;

	if (rc)
		return rc;
	if ((*file)->flags & O_PATH)
		return -EBADF;
	path = (*file)->path;
	/* What has no name in the namespace (pipes, sockets) is the guest's own. */
	if ((*file)->writable || !path || *path != '/')
		return 0;
	return tk_policy_find_volume(task->proc->policy, path) >= 0 ? -EROFS : -EACCES;
}

void tk_raise(struct tk_task *task, int signo)
{
	struct tk_siginfo info =
		tk_siginfo_user(signo, SI_USER, task->proc->pid, task->proc->cred.uid);

	tk_signal_task(task, &info);
}

static u64 fsize_limit(const struct tk_task *task)
{
	return TK_MIN((u64)task->proc->rlimits[RLIMIT_FSIZE].rlim_cur, task->proc->ns.host_fsize);
}

static int check_memfd(struct tk_task *task, const struct stat *st, u64 size)
{
	struct tk_proc *proc = task->proc;
	const struct tk_holders holders = {
		.table = &proc->files,
		.mm = proc->mm,
		.each_other = tk_rights_each,
		.ctx = &proc->net,
	};

	return tk_memfds_grow(&holders, st, size, proc->max_memfds);
}

int tk_size_clip(struct tk_task *task, const struct tk_file *file, s64 pos, size_t *len)
{
	u64 limit = fsize_limit(task), end;
	struct stat st;

	if ((limit == RLIM_INFINITY && !task->proc->files.memfds) || !*len || file->hostfd < 0 ||
	    fstat(file->hostfd, &st) || !S_ISREG(st.st_mode))
		return 0;
	if (file->flags & O_APPEND)
		pos = st.st_size;
	if ((u64)pos >= limit) {
		tk_raise(task, SIGXFSZ);
		return -EFBIG;
	}
	*len = TK_MIN(*len, limit - (u64)pos);
	if (__builtin_add_overflow((u64)pos, *len, &end))
		return -EFBIG;
	return check_memfd(task, &st, end);
}

int tk_memory_check(struct tk_task *task, int hostfd, s64 size)
{
	struct stat st;

	if (size < 0 || !task->proc->files.memfds || fstat(hostfd, &st))
		return 0;
	return check_memfd(task, &st, (u64)size);
}

int tk_size_check(struct tk_task *task, int hostfd, s64 size)
{
	if (size >= 0 && (u64)size > fsize_limit(task)) {
		tk_raise(task, SIGXFSZ);
		return -EFBIG;
	}
	return tk_memory_check(task, hostfd, size);
}
