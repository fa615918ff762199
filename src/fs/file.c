/* SPDX-License-Identifier: MIT */
/*
 * The life of an open file description: made once by its kind, shared by reference count (dup,
 * mappings in progress), and gone with the last reference. Owns the host descriptor and the path;
 * everything else belongs to the kind (struct tk_file_ops).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "fs/epoll.h"
#include "fs/file.h"

void tk_file_init(struct tk_file *file, const struct tk_file_ops *ops, int hostfd, int flags,
		  const char *path)
{
	file->ops = ops;
	file->refs = 1;
	file->hostfd = hostfd;
	file->flags = flags;
	file->seekable = file->pollable = file->muted = file->writable = false;
	file->may = 0;
	file->pos = 0;
	file->watches = NULL;
	file->mate = NULL;
	file->home = NULL;
	file->slot = 0;
	file->used = file->altered = file->memfd = false;
	file->path = path ? strdup(path) : NULL;
}

struct tk_file *tk_file_get(struct tk_file *file)
{
	tk_assert(file->refs > 0 && file->refs < UINT32_MAX);
	file->refs++;
	return file;
}

void tk_file_join(struct tk_file *a, struct tk_file *b)
{
	a->mate = b;
	b->mate = a;
}

void tk_file_put(struct tk_file *file)
{
	tk_assert(file->refs > 0);
	if (--file->refs > 0)
		return;
	tk_epoll_forget(file);
	if (file->mate)
		file->mate->mate = NULL;
	if (file->home)
		*file->home = NULL;
	if (file->ops->release)
		file->ops->release(file);
	if (file->hostfd >= 0)
		close(file->hostfd);
	free(file->path);
	free(file);
}

const char *tk_file_name(struct tk_file *file)
{
	if (!file->path && file->ops->name)
		file->path = file->ops->name(file);
	return file->path;
}

int tk_file_stat(struct tk_file *file, struct stat *st)
{
	if (file->ops->stat)
		return file->ops->stat(file, st);
	if (file->hostfd < 0)
		return -EBADF;
	return fstat(file->hostfd, st) ? -errno : 0;
}
