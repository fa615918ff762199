/* SPDX-License-Identifier: MIT */
/*
 * The sizes of all memfds that the guest ever made and may still hold. A memfd lives on in
 * mappings and second descriptions after it was closed, so nobody says when it is gone: when the
 * sum reaches the limit (or the list has doubled), everything that can hold one is searched for
 * what is still there, and the rest is forgotten. Holes count: they can be filled by stores that
 * no system call sees.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/memfds.h"
#include "fs/path.h"
#include "fs/regular.h"
#include "mm/mm.h"

#define FIRST_REVIEW 64

struct tk_memfds {
	struct memfd {
		dev_t dev;
		ino_t ino;
		u64 size;
		bool alive; /* found by the review under way */
	} * list;
	size_t n, room;
	size_t review_at; /* entries */
};

static struct memfd *find(const struct tk_memfds *memfds, dev_t dev, ino_t ino)
{
	for (size_t i = 0; memfds && i < memfds->n; i++)
		if (memfds->list[i].ino == ino && memfds->list[i].dev == dev)
			return &memfds->list[i];
	return NULL;
}

/* Storage can be behind the end, too (FALLOC_FL_KEEP_SIZE). */
static u64 bytes_held(const struct stat *st)
{
	return TK_MAX((u64)st->st_size, (u64)st->st_blocks * 512);
}

int tk_memfds_add(struct tk_fdtable *table, int hostfd)
{
	struct tk_memfds *memfds = table->memfds;
	struct memfd *list;
	struct stat st;

	if (!memfds) {
		memfds = table->memfds = calloc(1, sizeof(*memfds));
		if (!memfds)
			return -ENOMEM;
		memfds->review_at = FIRST_REVIEW;
	}
	if (fstat(hostfd, &st))
		return -errno;
	if (memfds->n == memfds->room) {
		list = reallocarray(memfds->list, memfds->room * 2 + 8, sizeof(*list));
		if (!list)
			return -ENOMEM;
		memfds->list = list;
		memfds->room = memfds->room * 2 + 8;
	}
	memfds->list[memfds->n++] =
		(struct memfd){.dev = st.st_dev, .ino = st.st_ino, .size = bytes_held(&st)};
	return 0;
}

static int mark_mapping(void *arg, const struct tk_vma_info *vma)
{
	struct memfd *memfd;

	if (!vma->backing)
		return 0;
	memfd = find(arg, (dev_t)vma->backing->dev, (ino_t)vma->backing->ino);
	if (memfd)
		memfd->alive = true;
	return 0;
}

static void mark_file(void *arg, const struct tk_file *file)
{
	struct memfd *memfd;
	struct stat st;

	if (!file || file->hostfd < 0 || fstat(file->hostfd, &st))
		return;
	memfd = find(arg, st.st_dev, st.st_ino);
	if (!memfd)
		return;
	memfd->alive = true;
	memfd->size = bytes_held(&st);
}

static void review(const struct tk_holders *holders)
{
	struct tk_fdtable *table = holders->table;
	struct tk_memfds *memfds = table->memfds;
	size_t kept = 0;

	for (size_t i = 0; i < memfds->n; i++)
		memfds->list[i].alive = false;
	for (unsigned int fd = 0; fd < table->size; fd++)
		mark_file(memfds, table->fds[fd].file);
	holders->each_other(holders->ctx, mark_file, memfds);
	tk_mm_for_each(holders->mm, mark_mapping, memfds);
	for (size_t i = 0; i < memfds->n; i++)
		if (memfds->list[i].alive)
			memfds->list[kept++] = memfds->list[i];
	memfds->n = kept;
	memfds->review_at = TK_MAX(kept * 2, (size_t)FIRST_REVIEW);
}

static bool fits(const struct tk_memfds *memfds, u64 more, u64 limit)
{
	u64 sum = more;

	for (size_t i = 0; i < memfds->n; i++)
		if (__builtin_add_overflow(sum, memfds->list[i].size, &sum))
			return false;
	return !limit || sum <= limit;
}

int tk_memfds_grow(const struct tk_holders *holders, const struct stat *st, u64 size, u64 limit)
{
	struct tk_fdtable *table = holders->table;
	struct memfd *memfd = find(table->memfds, st->st_dev, st->st_ino);
	u64 more;

	if (!memfd)
		return 0;
	memfd->size = bytes_held(st);
	if (size <= memfd->size)
		return 0;
	more = size - memfd->size;
	if (table->memfds->n >= table->memfds->review_at || !fits(table->memfds, more, limit))
		review(holders);
	if (!fits(table->memfds, more, limit))
		return -ENOSPC;
	memfd = find(table->memfds, st->st_dev, st->st_ino);
	if (memfd)
		memfd->size = size;
	return 0;
}

u64 tk_memfds_held(const struct tk_fdtable *table)
{
	u64 sum = 0;

	for (size_t i = 0; table->memfds && i < table->memfds->n; i++)
		if (__builtin_add_overflow(sum, table->memfds->list[i].size, &sum))
			return ~0ull;
	return sum;
}

#define SEALED (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

/* Files that know of no seals are like memfds that permit none. */
static int seals_of(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals < 0 ? F_SEAL_SEAL : seals;
}

bool tk_is_nameless(int hostfd, const struct stat *st)
{
	return S_ISREG(st->st_mode) && !st->st_nlink && (seals_of(hostfd) & SEALED) != SEALED;
}

/*
 * A file that cannot be written through this descriptor can by opening it once more, where the
 * policy permits that (@writable). What the VMM inherited, it may share with others.
 */
void tk_memfds_mark(struct tk_fdtable *table)
{
	struct tk_file *file;
	struct stat st;

	for (unsigned int fd = 0; fd < table->size; fd++) {
		file = table->fds[fd].file;
		if (!file || !(tk_is_regular(file) || tk_is_opath(file)) ||
		    fstat(file->hostfd, &st))
			continue;
		file->memfd = tk_is_nameless(file->hostfd, &st) &&
			      (tk_file_may_write(file) || file->writable);
	}
}

int tk_memfds_each(const struct tk_fdtable *table, int (*fn)(void *ctx, int hostfd), void *ctx)
{
	int rc = 0;

	for (unsigned int fd = 0; fd < table->size && !rc; fd++)
		if (table->fds[fd].file && table->fds[fd].file->memfd)
			rc = fn(ctx, table->fds[fd].file->hostfd);
	return rc;
}

#define PIECE 16384

/* Copy [@at, @end) of file @from to @to: data only, holes stay holes. */
static int copy_range(int from, int to, off_t at, off_t end)
{
	char buf[PIECE];
	ssize_t n;

	for (; at < end; at += n) {
		n = pread(from, buf, (size_t)TK_MIN(end - at, (off_t)PIECE), at);
		if (n <= 0)
			return n ? -errno : -EIO;
		if (pwrite(to, buf, (size_t)n, at) != n)
			return -ENOMEM;
	}
	return 0;
}

static int copy_data(int from, int to, off_t size)
{
	off_t data = 0, hole;
	int rc = 0;

	for (; !rc && data < size; data = hole) {
		data = lseek(from, data, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno; /* nothing but a hole follows */
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			hole = size;
		rc = copy_range(from, to, data, hole);
	}
	return rc;
}

/* The VMM opens its copies again and again, whatever their mode says. */
static mode_t mode_of_copy(const struct stat *st)
{
	return (st->st_mode & 07777) | 0600;
}

static int copy(int from, int to)
{
	struct stat st;
	int rc;

	if (fstat(from, &st) || ftruncate(to, st.st_size) || fchmod(to, mode_of_copy(&st)))
		return -errno;
	rc = copy_data(from, to, st.st_size);
	if (!rc && seals_of(from) && fcntl(to, F_ADD_SEALS, seals_of(from)))
		rc = -errno;
	return rc;
}

/* lseek(2) moves the offset of a description, and that of @from is shared by threads that fork. */
int tk_memfd_copy(int from)
{
	char link[TK_FD_LINK_SIZE];
	int fd, own = open(tk_fd_link(link, from), O_RDONLY | O_CLOEXEC), rc;

	if (own < 0)
		return -errno;
	fd = memfd_create("fork", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	rc = fd < 0 ? -errno : copy(own, fd);
	close(own);
	if (!rc)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

#define RESTORE_MAX TK_MIB(4)

static int restore_piece(int fd, int tmpl, off_t at)
{
	char want[PIECE], have[PIECE];
	ssize_t n = pread(tmpl, want, PIECE, at), m = pread(fd, have, PIECE, at);

	if (n <= 0)
		return -ESTALE;
	if (m == n && !memcmp(want, have, (size_t)n))
		return 0;
	return pwrite(fd, want, (size_t)n, at) == n ? 0 : -ESTALE;
}

int tk_memfd_restore(int fd, int tmpl)
{
	struct stat have, want;
	int rc = 0;

	if (fstat(fd, &have) || fstat(tmpl, &want) || want.st_size > (off_t)RESTORE_MAX ||
	    seals_of(fd) != seals_of(tmpl))
		return -ESTALE;
	if ((have.st_mode & 07777) != mode_of_copy(&want) && fchmod(fd, mode_of_copy(&want)))
		return -ESTALE;
	if (have.st_size != want.st_size && ftruncate(fd, want.st_size))
		return -ESTALE;
	for (off_t at = 0; at < want.st_size && !rc; at += PIECE)
		rc = restore_piece(fd, tmpl, at);
	return rc;
}

void tk_memfds_destroy(struct tk_fdtable *table)
{
	if (table->memfds)
		free(table->memfds->list);
	free(table->memfds);
	table->memfds = NULL;
}
