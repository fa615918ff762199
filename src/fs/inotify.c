/* SPDX-License-Identifier: MIT */
/*
 * inotify, host-backed. Paths are resolved by the caller under the guest's policy; what is watched
 * is the object behind a descriptor, so nothing can be swapped in between. Events carry names of
 * directory entries only, never host paths, and are passed through.
 *
 * The list of watches may name some that the host has dropped by itself (object gone,
 * IN_ONESHOT): whoever rebuilds from it finds that the path no longer leads there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/anon.h"
#include "fs/fork.h"
#include "fs/inotify.h"
#include "fs/ns.h"
#include "mm/access.h"

static void watch_free(struct tk_inotify_watch *watch)
{
	tk_list_del(&watch->link);
	free(watch);
}

static void inotify_release(struct tk_file *file)
{
	struct tk_inotify_watch *watch, *tmp;

	tk_list_for_each_safe (watch, tmp, &tk_inotify_of(file)->watches, link)
		watch_free(watch);
}

static long inotify_ioctl(struct tk_file *file, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (ioctl(file->hostfd, FIONREAD, &n))
		return -errno;
	return tk_copy_out(mm, arg, &n, sizeof(n));
}

/* Events that the frozen machine had not read cannot be put into another queue. */
static int inotify_freeze(struct tk_file *file)
{
	int n = 0;

	return ioctl(file->hostfd, FIONREAD, &n) || n ? -ENOTSUP : 0;
}

static int watch_again(struct tk_inotify *in, const struct tk_inotify_watch *watch,
		       const struct tk_ns *ns)
{
	int fd = tk_ns_open_canonical(ns, watch->path, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc;

	if (fd < 0)
		return fd;
	rc = tk_inotify_add(in, fd, watch->path, watch->mask);
	close(fd);
	return rc;
}

/* Use up a watch descriptor, as something that is not watched any more has done. */
static int waste(int fd)
{
	int wd = inotify_add_watch(fd, "/", IN_DELETE_SELF);

	if (wd < 0)
		return -errno;
	return inotify_rm_watch(fd, wd) ? -errno : wd;
}

/* Removing a watch is an event. */
static void swallow(int fd)
{
	char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		;
}

#define MAX_WASTE 4096

/*
 * The host numbers watches from 1 up and does not use a number again for long; what a program
 * knows a watch by has to be the same. A path that leads nowhere any more has no watch.
 */
static int copy_watches(struct tk_inotify *in, const struct tk_inotify *from,
			const struct tk_ns *ns)
{
	const struct tk_inotify_watch *watch;
	int last = 0, rc = 0;

	tk_list_for_each (watch, &from->watches, link) {
		if (watch->wd - last > MAX_WASTE || watch->wd <= last)
			return -ENOTSUP;
		while (rc >= 0 && last + 1 < watch->wd)
			rc = last = waste(in->file.hostfd);
		if (rc >= 0)
			rc = watch_again(in, watch, ns);
		if (rc == -ENOENT || rc == -ENOTDIR || rc == -EACCES || rc == -ELOOP)
			rc = waste(in->file.hostfd);
		if (rc < 0)
			return rc;
		last = rc;
	}
	if (last)
		swallow(in->file.hostfd);
	return 0;
}

static int inotify_fork(const struct tk_file *tmpl, const struct tk_file *mate,
			const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int rc = tk_inotify_new(&ret[0], 0);

	if (rc)
		return rc;
	rc = copy_watches(tk_inotify_of(ret[0]), tk_container_of(tmpl, struct tk_inotify, file),
			  ctx->ns);
	if (rc)
		tk_file_put(ret[0]);
	return rc;
}

static const struct tk_file_ops inotify_ops = {
	.kind = "inotify",
	.readv = tk_anon_readv,
	.seek = tk_anon_seek,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
	.freeze = inotify_freeze,
	.fork = inotify_fork,
};

int tk_inotify_new(struct tk_file **ret, int flags)
{
	struct tk_inotify *in;
	int fd;

	if (flags & ~(IN_NONBLOCK | IN_CLOEXEC))
		return -EINVAL;
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0)
		return -errno;
	in = tk_anon_new(sizeof(*in), &inotify_ops, fd, O_RDONLY | (flags & O_NONBLOCK),
			 "anon_inode:inotify");
	if (!in)
		return -ENOMEM;
	tk_list_init(&in->watches);
	*ret = &in->file;
	return 0;
}

struct tk_inotify *tk_inotify_of(struct tk_file *file)
{
	return file->ops == &inotify_ops ? tk_container_of(file, struct tk_inotify, file) : NULL;
}

static struct tk_inotify_watch *watch_find(struct tk_inotify *in, int wd)
{
	struct tk_inotify_watch *watch;

	tk_list_for_each (watch, &in->watches, link) {
		if (watch->wd == wd)
			return watch;
	}
	return NULL;
}

int tk_inotify_add(struct tk_inotify *in, int pathfd, const char *path, u32 mask)
{
	size_t size = strlen(path) + 1;
	struct tk_inotify_watch *watch = malloc(sizeof(*watch) + size), *old;
	char name[40];
	int wd;

	if (!watch)
		return -ENOMEM;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", pathfd);
	/* The descriptor is the object, link or not: it must be followed. */
	wd = inotify_add_watch(in->file.hostfd, name, mask & ~(u32)IN_DONT_FOLLOW);
	if (wd < 0) {
		free(watch);
		return -errno;
	}
	old = watch_find(in, wd);
	if (old)
		watch_free(old);
	watch->wd = wd;
	watch->mask = mask;
	memcpy(watch->path, path, size);
	tk_list_add_tail(&in->watches, &watch->link);
	return wd;
}

int tk_inotify_remove(struct tk_inotify *in, int wd)
{
	struct tk_inotify_watch *watch = watch_find(in, wd);

	if (watch)
		watch_free(watch);
	return inotify_rm_watch(in->file.hostfd, wd) ? -errno : 0;
}
