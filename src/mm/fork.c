/* SPDX-License-Identifier: MIT */
/*
 * Making a fork: the image's vmas, its chunks at the same places of an arena of the fork's own, a
 * private mapping of its page tables (which are right as they are, since guest-physical addresses
 * are the same), and on the host the mappings that image->pages calls for.
 *
 * Backings are the fork's own objects, since they are not made for several threads; descriptors of
 * files are borrowed from the image, which outlives the fork. Shared anonymous memory is copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm/cow.h"

#define DEFAULT_HOT TK_MIB(64)
#define COPY_SIZE   TK_KIB(64)

struct tk_vma tk_cow_vma(const struct tk_mm *mm, const struct tk_image_vma *vma)
{
	return (struct tk_vma){
		.start = vma->start,
		.end = vma->end,
		.offset = vma->offset,
		.prot = vma->prot,
		.flags = vma->flags,
		.backing = vma->backing < 0 ? NULL : mm->cow->backings[vma->backing],
		.name = vma->name,
	};
}

static int map_image(struct tk_mm *mm, const struct tk_vma *vma, u64 page, u64 n)
{
	u64 offset = page << TK_PAGE_SHIFT;
	void *p =
		mmap(tk_page_hva(mm, page), n << TK_PAGE_SHIFT, tk_host_prot(vma->prot),
		     MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, mm->cow->image->memfd, (off_t)offset);

	return p == MAP_FAILED ? -errno : 0;
}

/* A piece that is contiguous in the arena, in runs that are the image's or not. */
static int map_piece(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u8 *hva, u64 pages)
{
	const struct tk_mm_image *image = mm->cow->image;
	u64 first = tk_page_of(mm, hva), n;
	int rc = 0;

	for (u64 i = 0; i < pages && !rc; i += n) {
		bool imaged = tk_image_page(image, first + i) & TK_PAGE_IMAGED;
		gva_t addr = start + i * TK_PAGE_SIZE;

		for (n = 1; i + n < pages; n++)
			if (imaged != !!(tk_image_page(image, first + i + n) & TK_PAGE_IMAGED))
				break;
		rc = imaged ? map_image(mm, vma, first + i, n)
			    : tk_host_map_piece(vma, tk_page_hva(mm, first + i), n * TK_PAGE_SIZE,
						tk_vma_offset_at(vma, addr));
	}
	return rc;
}

int tk_cow_map(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	int rc = 0;
	u64 n;
	u8 *hva;

	for (; start < end && !rc; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva)
			rc = map_piece(mm, vma, start, hva, n >> TK_PAGE_SHIFT);
	}
	return rc;
}

/* Copy what there is of memfd @from to @to, which has no content yet. */
static int copy_memfd(int to, int from, u64 size)
{
	u8 *buf = malloc(COPY_SIZE);
	off_t at = 0, end;
	ssize_t n = 0;
	int rc = buf ? 0 : -ENOMEM;

	if (!rc && ftruncate(to, (off_t)size))
		rc = -errno;
	while (!rc && (at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		for (; !rc && at < end; at += n) {
			n = pread(from, buf, (size_t)TK_MIN(end - at, (off_t)COPY_SIZE), at);
			if (n <= 0 || pwrite(to, buf, (size_t)n, at) != n)
				rc = -EIO;
		}
	}
	free(buf);
	return rc;
}

static int copy_shared(const struct tk_backing *from)
{
	int fd = memfd_create("tinykvm-shared", MFD_CLOEXEC), own, rc;
	char path[64];

	if (fd < 0)
		return -errno;
	/* lseek() moves the position of the description: have one of our own. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", from->hostfd);
	own = open(path, O_RDONLY | O_CLOEXEC);
	rc = own < 0 ? -errno : copy_memfd(fd, own, from->size);
	if (own >= 0)
		close(own);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int swap_of(const struct tk_mm_fork_options *opts, const struct tk_backing *from)
{
	for (size_t i = 0; i < opts->n_swaps; i++)
		if (opts->swaps[i].dev == from->host_dev && opts->swaps[i].ino == from->host_ino)
			return fcntl(opts->swaps[i].hostfd, F_DUPFD_CLOEXEC, 0);
	return -ENOENT;
}

static int clone_backing(struct tk_mm *mm, unsigned int i, const struct tk_mm_fork_options *opts)
{
	const struct tk_backing *from = mm->cow->image->backings[i];
	int fd = from->anon ? copy_shared(from) : swap_of(opts, from);

	if (fd < 0 && fd != -ENOENT)
		return fd;
	mm->cow->backings[i] = tk_backing_clone(from, fd < 0 ? -1 : fd);
	return mm->cow->backings[i] ? 0 : -ENOMEM;
}

static int clone_vma(struct tk_mm *mm, const struct tk_image_vma *from)
{
	struct tk_vma like = tk_cow_vma(mm, from), *vma;

	vma = tk_vma_new(like.start, like.end, like.prot, like.flags, like.backing, like.offset);
	if (!vma)
		return -ENOMEM;
	vma->name = like.name;
	tk_vma_link(mm, vma);
	return tk_cow_map(mm, vma, vma->start, vma->end);
}

static int bind_chunks(struct tk_mm *mm)
{
	const struct tk_mm_image *image = mm->cow->image;
	int rc = 0;

	for (u32 i = 0; i < image->top_chunk && !rc; i++) {
		if (!image->chunks[i].va)
			continue;
		rc = tk_chunk_restore(mm, image->chunks[i].va - 1, i);
		mm->chunks[i].pages = image->chunks[i].pages;
	}
	return rc;
}

/* In place of the pool that tk_pt_init() made. */
static int map_tables(struct tk_mm *mm)
{
	const struct tk_mm_image *image = mm->cow->image;
	const struct tk_mm_backend *backend = &mm->opts.backend;
	u64 size = (u64)image->pool_size << TK_PAGE_SHIFT;
	u64 used = (u64)image->pool_used << TK_PAGE_SHIFT;
	void *p;

	if (mprotect(mm->pool, size, PROT_READ | PROT_WRITE))
		return -errno;
	p = mmap(mm->pool, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, image->tables_fd,
		 0);
	if (p == MAP_FAILED)
		return -errno;
	memcpy(mm->tables_info, image->tables_info, image->pool_used * sizeof(*mm->tables_info));
	mm->pool_used = image->pool_used;
	mm->tables = image->n_tables;
	mm->empty_leaves = image->empty_leaves;
	mm->pool_size = image->pool_size;
	if (!backend->slot_add)
		return 0;
	return backend->slot_add(backend->ctx, TK_GPA_PT, size, mm->pool, 0);
}

void tk_cow_scalars(struct tk_mm *mm)
{
	const struct tk_mm_image *image = mm->cow->image;

	mm->rlimits = image->rlimits;
	mm->lock_future = image->lock_future;
	mm->brk_start = image->brk_start;
	mm->brk = image->brk;
	mm->lazy_next = image->lazy_next;
	mm->lazy_window = image->lazy_window;
	mm->kept = image->kept;
}

static void copy_scalars(struct tk_mm *mm)
{
	const struct tk_mm_image *image = mm->cow->image;

	tk_cow_scalars(mm);
	mm->eager = image->eager;
	mm->charged = image->charged;
	mm->slack = mm->charged;
	mm->limit = mm->cow->max_memory ? tk_charge_used(mm) + mm->cow->max_memory : 0;
	mm->largest = mm->limit;
}

static struct tk_cow *new_cow(struct tk_mm_image *image, const struct tk_mm_fork_options *opts)
{
	struct tk_cow *cow = calloc(1, sizeof(*cow));
	u64 chunks = (image->opts.max_address_space + TK_CHUNK_SIZE - 1) >> TK_CHUNK_SHIFT;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	if (!cow)
		return NULL;
	cow->image = tk_mm_image_get(image);
	cow->max_memory = opts->max_memory >> TK_PAGE_SHIFT;
	cow->max_hot = (opts->max_hot ? opts->max_hot : DEFAULT_HOT) >> TK_PAGE_SHIFT;
	cow->map_size = chunks * TK_CHUNK_PAGES / 8;
	cow->backings = calloc(image->n_backings + 1, sizeof(struct tk_backing *));
	cow->replaced = mmap(NULL, cow->map_size, PROT_READ | PROT_WRITE, flags, -1, 0);
	cow->is_hot = mmap(NULL, cow->map_size, PROT_READ | PROT_WRITE, flags, -1, 0);
	cow->was_cold = mmap(NULL, cow->map_size, PROT_READ | PROT_WRITE, flags, -1, 0);
	return cow;
}

void tk_cow_destroy(struct tk_mm *mm)
{
	struct tk_cow *cow = mm->cow;

	if (!cow)
		return;
	for (unsigned int i = 0; cow->backings && i < cow->image->n_backings; i++)
		tk_backing_put(cow->backings[i]);
	free(cow->backings);
	if (cow->replaced != MAP_FAILED)
		munmap(cow->replaced, cow->map_size);
	if (cow->is_hot != MAP_FAILED)
		munmap(cow->is_hot, cow->map_size);
	if (cow->was_cold != MAP_FAILED)
		munmap(cow->was_cold, cow->map_size);
	free(cow->hot);
	tk_mm_image_put(cow->image);
	free(cow);
}

static int fill(struct tk_mm *mm, const struct tk_mm_fork_options *opts)
{
	const struct tk_cow *cow = mm->cow;
	bool ok = cow->replaced != MAP_FAILED && cow->is_hot != MAP_FAILED &&
		  cow->was_cold != MAP_FAILED && cow->backings;
	int rc = ok ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < cow->image->n_backings && !rc; i++)
		rc = clone_backing(mm, i, opts);
	if (!rc)
		rc = map_tables(mm);
	if (!rc)
		rc = bind_chunks(mm);
	for (unsigned int i = 0; i < cow->image->n_vmas && !rc; i++)
		rc = clone_vma(mm, &cow->image->vmas[i]);
	if (rc)
		return rc;
	tk_hot_populate(mm);
	copy_scalars(mm);
	return 0;
}

int tk_mm_fork(struct tk_mm **ret, struct tk_mm_image *image, const struct tk_mm_fork_options *opts,
	       struct tkvm_error *err)
{
	struct tk_mm_options mm_opts = image->opts;
	struct tk_mm *mm;
	int rc;

	mm_opts.backend = opts->backend;
	rc = tk_mm_create_empty(&mm, &mm_opts, err);
	if (rc)
		return rc;
	mm->cow = new_cow(image, opts);
	rc = mm->cow ? fill(mm, opts) : -ENOMEM;
	if (rc) {
		tk_mm_destroy(mm);
		return tk_fail_errno(err, -rc, "fork: map the image");
	}
	*ret = mm;
	return 0;
}
