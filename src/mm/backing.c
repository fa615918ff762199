/* SPDX-License-Identifier: MIT */
/*
 * What stands behind file mappings and shared anonymous memory. The latter is a memfd of its
 * own for each mapping: it stays the same memory however the mapping is moved and split.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm/internal.h"

struct tk_backing *tk_backing_new(int hostfd, bool may_write, const char *name)
{
	size_t len = strlen(name) + 1;
	struct tk_backing *backing = calloc(1, sizeof(*backing) + len);
	struct stat st;

	if (!backing || fstat(hostfd, &st)) {
		free(backing);
		close(hostfd);
		return NULL;
	}
	backing->refs = 1;
	backing->hostfd = hostfd;
	backing->may_write = may_write;
	backing->dev = backing->host_dev = st.st_dev;
	backing->ino = backing->host_ino = st.st_ino;
	backing->sized = S_ISREG(st.st_mode);
	backing->root_only = !st.st_uid && !(st.st_mode & (S_IWGRP | S_IWOTH));
	memcpy(backing->name, name, len);
	return backing;
}

struct tk_backing *tk_backing_get(struct tk_backing *backing)
{
	backing->refs++;
	return backing;
}

void tk_backing_put(struct tk_backing *backing)
{
	if (!backing || --backing->refs)
		return;
	if (!backing->borrowed)
		close(backing->hostfd);
	tk_budget_give(backing->budget, 1);
	free(backing);
}

bool tk_backing_charge(struct tk_backing *backing, struct tk_budget *host_fds)
{
	if (backing->budget || !host_fds)
		return true;
	if (!tk_budget_take(host_fds, 1))
		return false;
	backing->budget = host_fds;
	return true;
}

struct tk_backing *tk_backing_clone(const struct tk_backing *from, int hostfd)
{
	size_t size = sizeof(*from) + strlen(from->name) + 1;
	struct tk_backing *backing = malloc(size);
	struct stat st;

	if (!backing || (hostfd >= 0 && fstat(hostfd, &st))) {
		free(backing);
		if (hostfd >= 0)
			close(hostfd);
		return NULL;
	}
	memcpy(backing, from, size);
	backing->refs = 1;
	backing->budget = NULL; /* a fork's share of its image is not its doing */
	backing->borrowed = hostfd < 0;
	if (hostfd >= 0) {
		backing->hostfd = hostfd;
		backing->host_dev = st.st_dev;
		backing->host_ino = st.st_ino;
	}
	return backing;
}

struct tk_backing *tk_backing_new_anon(u64 size)
{
	int fd = memfd_create("tinykvm-shared", MFD_CLOEXEC);
	struct tk_backing *backing;

	if (fd < 0)
		return NULL;
	if (size > INT64_MAX || ftruncate(fd, (off_t)size)) {
		close(fd);
		return NULL;
	}
	backing = tk_backing_new(fd, true, "/dev/zero (deleted)");
	if (backing) {
		backing->anon = true;
		backing->size = size;
	}
	return backing;
}

u64 tk_backing_end(const struct tk_backing *backing)
{
	struct stat st;
	u64 end;

	if (backing->anon)
		return backing->size;
	if (!backing->sized)
		return ~0ull;
	if (fstat(backing->hostfd, &st) || st.st_size < 0)
		return 0;
	return tk_page_up((u64)st.st_size, &end) ? end : ~0ull;
}

gva_t tk_vma_eof(const struct tk_vma *vma)
{
	u64 end;

	if (!vma->backing)
		return vma->end;
	end = tk_backing_end(vma->backing);
	if (end <= vma->offset)
		return vma->start;
	return vma->start + TK_MIN(end - vma->offset, vma->end - vma->start);
}

/*
 * @pages filled pages of @backing are no longer mapped there. As on Linux they live until the last
 * mapping of the object goes (mremap can bring them back into view), so their charge stays.
 * Call before the vma that mapped them drops its reference.
 */
void tk_backing_keep_charge(struct tk_mm *mm, struct tk_backing *backing, u64 pages)
{
	mm->kept -= backing->kept;
	backing->kept = TK_MIN(backing->kept + pages, backing->size >> TK_PAGE_SHIFT);
	if (backing->refs > 1)
		mm->kept += backing->kept;
}
