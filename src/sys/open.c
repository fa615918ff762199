/* SPDX-License-Identifier: MIT */
/*
 * open and its kin. What may have to wait is a FIFO (for the other side) and a file under lease;
 * the namespace answers -EAGAIN for both and the call is tried again at a slow pace, since no host
 * descriptor announces either.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/fsargs.h"
#include "sys/newfd.h"

#define RETRY_NS 5000000

/* A FIFO opened for reading, held open while a writer is awaited. Freed as task->wait.priv. */
struct held {
	struct tk_file *file;
};

static void drop_held(struct tk_task *task)
{
	struct held *held = task->wait.priv;

	if (held && held->file)
		tk_file_put(held->file);
}

/*
 * Does the FIFO have, or had it, a writer? poll(2) tells of data and of a writer that came and
 * went; tee(2) of one that is silent: it says EAGAIN then, and 0 without any.
 */
static bool fifo_has_writer(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int scratch[2];
	ssize_t n;

	if (poll(&p, 1, 0) > 0)
		return true;
	if (pipe2(scratch, O_CLOEXEC | O_NONBLOCK))
		return true;
	n = tee(fd, scratch[1], 1, SPLICE_F_NONBLOCK);
	close(scratch[0]);
	close(scratch[1]);
	return n != 0;
}

static bool awaits_writer(const struct tk_file *file, int flags)
{
	struct stat st;

	if (flags & (O_NONBLOCK | O_PATH) || (flags & O_ACCMODE) != O_RDONLY || !file->pollable)
		return false;
	return !fstat(file->hostfd, &st) && S_ISFIFO(st.st_mode) && !fifo_has_writer(file->hostfd);
}

/* Keep @file (a reference) and come back; or the error that prevents it. */
static long hold(struct tk_task *task, struct tk_file *file)
{
	struct held *held = task->wait.priv;

	if (!held)
		held = task->wait.priv = calloc(1, sizeof(*held));
	if (!held) {
		tk_file_put(file);
		return -ENOMEM;
	}
	held->file = file;
	task->wait.cancel = drop_held;
	return tk_block(task, tk_now_ns() + RETRY_NS);
}

/* The file held since the last try, given back to the caller; NULL: none. */
static struct tk_file *take_held(struct tk_task *task)
{
	struct held *held = task->wait.priv;
	struct tk_file *file = held ? held->file : NULL;

	if (held)
		held->file = NULL;
	return file;
}

static long do_open(struct tk_task *task, int dirfd, gva_t addr, const struct open_how *how)
{
	struct tk_proc *proc = task->proc;
	struct tk_file *file = take_held(task);
	char path[PATH_MAX];
	int rc;

	if (!file) {
		rc = tk_open_check(how->flags);
		if (!rc)
			rc = tk_arg_path(task, addr, path);
		if (!rc && !*path)
			rc = -ENOENT;
		if (!rc && tk_fds_full(task))
			rc = -EMFILE;
		if (rc)
			return rc;
		rc = tk_ns_open(&proc->ns, &proc->files, dirfd, path, (int)how->flags,
				(mode_t)how->mode, how->resolve, &file);
		if (rc == -EAGAIN && !(how->flags & O_NONBLOCK))
			return tk_block(task, tk_now_ns() + RETRY_NS);
		if (rc)
			return rc;
	}
	if (awaits_writer(file, (int)how->flags))
		return hold(task, file);
	return tk_fd_install_or_put(&proc->files, file, how->flags & O_CLOEXEC);
}

static long open_with(struct tk_task *task, int dirfd, gva_t path, u64 flags, u64 mode)
{
	struct open_how how = {.flags = (u32)flags, .mode = mode};

	return do_open(task, dirfd, path, &how);
}

long tk_sys_open(struct tk_task *task, const u64 a[6])
{
	return open_with(task, AT_FDCWD, a[0], a[1], a[2]);
}

long tk_sys_creat(struct tk_task *task, const u64 a[6])
{
	return open_with(task, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]);
}

long tk_sys_openat(struct tk_task *task, const u64 a[6])
{
	return open_with(task, (int)a[0], a[1], a[2], a[3]);
}

/* Unlike open(), openat2() refuses what it does not know. */
static int check_how(const struct open_how *how)
{
	const u64 path_flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	const u64 known = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
			  O_NONBLOCK | O_SYNC | O_ASYNC | O_DIRECT | 0100000 | O_DIRECTORY |
			  O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE;
	const u64 resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
			    RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
	const u64 creates = O_CREAT | __O_TMPFILE;

	if (how->flags & ~known || how->resolve & ~resolve)
		return -EINVAL;
	if ((how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) ==
	    (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return -EINVAL;
	if (how->flags & creates ? how->mode & ~07777ull : how->mode)
		return -EINVAL;
	if (how->flags & O_PATH && how->flags & ~path_flags)
		return -EINVAL;
	/* Nothing is cached here; the caller has to be ready for that. */
	return how->resolve & RESOLVE_CACHED ? -EAGAIN : 0;
}

/* A structure that may be longer than the one we know, if the rest is zero. */
static int copy_how(struct tk_task *task, gva_t addr, u64 size, struct open_how *how)
{
	char rest[TK_PAGE_SIZE];

	if (size < sizeof(*how))
		return -EINVAL;
	if (size > TK_PAGE_SIZE)
		return -E2BIG;
	if (tk_copy_in(task->proc->mm, rest, addr, size))
		return -EFAULT;
	memcpy(how, rest, sizeof(*how));
	for (u64 i = sizeof(*how); i < size; i++)
		if (rest[i])
			return -E2BIG;
	return 0;
}

long tk_sys_openat2(struct tk_task *task, const u64 a[6])
{
	struct open_how how;
	int rc;

	rc = copy_how(task, a[2], a[3], &how);
	if (!rc)
		rc = check_how(&how);
	return rc ? rc : do_open(task, (int)a[0], a[1], &how);
}
