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
	close(backing->hostfd);
	free(backing);
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
	if (backing)
		backing->anon = true;
	return backing;
}

u64 tk_backing_end(const struct tk_backing *backing)
{
	struct stat st;
	u64 end;

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

static bool mapped_elsewhere(const struct tk_mm *mm, const struct tk_backing *backing, u64 offset,
			     u64 len)
{
	const struct tk_vma *vma;

	if (!backing->duplicated)
		return false;
	for (vma = mm->first; vma; vma = vma->next)
		if (vma->backing == backing && vma->offset < offset + len &&
		    offset < vma->offset + (vma->end - vma->start))
			return true;
	return false;
}

/*
 * Linux keeps such pages until the last mapping of the object goes; for a guest with a memory
 * limit that would be a way to hide memory, and nobody can reach them again.
 */
void tk_backing_forget(struct tk_mm *mm, struct tk_backing *backing, u64 offset, u64 len)
{
	if (!backing->anon || backing->refs == 1 || mapped_elsewhere(mm, backing, offset, len))
		return;
	(void)fallocate(backing->hostfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			(off_t)len);
}
