/* SPDX-License-Identifier: MIT */
/* inotify_init(2), inotify_init1(2), inotify_add_watch(2), inotify_rm_watch(2). */
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "fs/inotify.h"
#include "net/rights.h"
#include "sys/sys.h"

#define MAX_INSTANCES 16 /* the host has 128 for all that runs as this user */
#define WHOLE	      (1u << 20)

/* Each name of an instance counts for its part. */
static void add_instance(void *sum, const struct tk_file *file)
{
	if (file && tk_inotify_of((struct tk_file *)file))
		*(u64 *)sum += WHOLE / file->refs;
}

static bool too_many(struct tk_proc *proc)
{
	u64 sum = 0;

	for (unsigned int fd = 0; fd < proc->files.size; fd++)
		add_instance(&sum, proc->files.fds[fd].file);
	tk_rights_each(&proc->net, add_instance, &sum);
	return sum > MAX_INSTANCES * WHOLE - WHOLE / 2;
}

static long do_init(struct tk_task *task, int flags)
{
	struct tk_file *file;
	int rc;

	if (!(flags & ~(IN_NONBLOCK | IN_CLOEXEC)) && too_many(task->proc))
		return -EMFILE;
	rc = tk_inotify_new(&file, flags);
	if (rc)
		return rc;
	return tk_fd_install_or_put(&task->proc->files, file, flags & IN_CLOEXEC);
}

long tk_sys_inotify_init(struct tk_task *task, const u64 a[6])
{
	return do_init(task, 0);
}

long tk_sys_inotify_init1(struct tk_task *task, const u64 a[6])
{
	return do_init(task, (int)a[0]);
}

static int arg_inotify(struct tk_task *task, u64 fd, struct tk_inotify **ret)
{
	struct tk_file *file;
	int rc = tk_arg_file(task, fd, &file);

	if (rc)
		return rc;
	*ret = tk_inotify_of(file);
	return *ret ? 0 : -EINVAL;
}

/* A host descriptor of the object itself (O_PATH), caller's to close. */
static int open_object(struct tk_proc *proc, const char *text, u32 mask, struct tk_path *path)
{
	unsigned int flags = mask & IN_DONT_FOLLOW ? TK_WALK_NOFOLLOW : 0;
	int fd = -1, rc;

	rc = tk_path_resolve(&proc->ns, &proc->files, AT_FDCWD, text, flags, TK_MAY_READ, path);
	if (rc)
		return rc;
	if (path->dirfd < 0)
		rc = -EACCES; /* synthetic: nothing there ever changes by itself */
	else if (path->name[0])
		fd = openat(path->dirfd, path->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	else
		fd = fcntl(path->dirfd, F_DUPFD_CLOEXEC, 0);
	if (!rc)
		rc = fd < 0 ? -errno : fd;
	tk_path_done(path);
	return rc;
}

long tk_sys_inotify_add_watch(struct tk_task *task, const u64 a[6])
{
	char text[PATH_MAX];
	struct tk_inotify *in;
	struct tk_path path;
	u32 mask = (u32)a[2];
	ssize_t len;
	int fd, rc;

	/* The kernel's order: mask, descriptor, then the path. */
	if (!(mask & (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR |
		      IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT |
		      IN_MASK_CREATE)))
		return -EINVAL;
	rc = arg_inotify(task, a[0], &in);
	if (rc)
		return rc;
	len = tk_copy_str(task->proc->mm, text, a[1], sizeof(text));
	if (len < 0)
		return len;
	fd = open_object(task->proc, text, mask, &path);
	if (fd < 0)
		return fd;
	rc = tk_inotify_add(in, fd, path.guest, mask);
	close(fd);
	return rc;
}

long tk_sys_inotify_rm_watch(struct tk_task *task, const u64 a[6])
{
	struct tk_inotify *in;
	int rc = arg_inotify(task, a[0], &in);

	return rc ? rc : tk_inotify_remove(in, (int)a[1]);
}
