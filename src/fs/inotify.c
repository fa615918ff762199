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

#include "fs/anon.h"
#include "fs/inotify.h"
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

static const struct tk_file_ops inotify_ops = {
	.kind = "inotify",
	.readv = tk_anon_readv,
	.seek = tk_anon_seek,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
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
