/* SPDX-License-Identifier: MIT */
/*
 * An image as a whole: made of a machine's address space, and freed with the last reference.
 *
 * Nothing but the count of references, and hints (image->usual), is ever written after
 * tk_mm_freeze() returned, so threads need no lock. What it takes from the frozen address space are
 * references (of backings): that has to be destroyed before forks are made, or by the same thread.
 *
 * Two sealed memfds hold it: the guest's content at its place in the arena, and the page tables.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm/cow.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct tk_mm_image *tk_mm_image_get(struct tk_mm_image *image)
{
	atomic_fetch_add_explicit(&image->refs, 1, memory_order_relaxed);
	return image;
}

static void unmap_view(const void *view, u64 size)
{
	if (view && size)
		munmap((void *)(uintptr_t)view, size);
}

static void destroy(struct tk_mm_image *image)
{
	unmap_view(image->view, (u64)image->top_chunk << TK_CHUNK_SHIFT);
	unmap_view(image->tables, (u64)image->pool_used << TK_PAGE_SHIFT);
	if (image->memfd >= 0)
		close(image->memfd);
	if (image->tables_fd >= 0)
		close(image->tables_fd);
	for (unsigned int i = 0; i < image->n_backings; i++)
		tk_backing_put(image->backings[i]);
	free(image->backings);
	free(image->vmas);
	free(image->chunks);
	free(image->pages);
	free(image->usual);
	free(image->tables_info);
	free(image);
}

void tk_mm_image_put(struct tk_mm_image *image)
{
	if (image && atomic_fetch_sub_explicit(&image->refs, 1, memory_order_acq_rel) == 1)
		destroy(image);
}

void tk_mm_image_info(const struct tk_mm_image *image, struct tk_mm_image_info *info)
{
	*info = (struct tk_mm_image_info){
		.bytes = image->bytes,
		.table_bytes = image->n_tables << TK_PAGE_SHIFT,
		.vmas = image->n_vmas,
	};
}

const struct tk_image_vma *tk_image_vma_find(const struct tk_mm_image *image, gva_t addr)
{
	unsigned int lo = 0, hi = image->n_vmas, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (image->vmas[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < image->n_vmas ? &image->vmas[lo] : NULL;
}

int tk_mm_image_each_file(const struct tk_mm_image *image, int (*fn)(void *ctx, int hostfd),
			  void *ctx)
{
	const struct tk_backing *backing;
	int rc = 0;

	for (unsigned int i = 0; i < image->n_vmas && !rc; i++) {
		if (image->vmas[i].backing < 0 || !(image->vmas[i].flags & TK_VMA_SHARED))
			continue;
		backing = image->backings[image->vmas[i].backing];
		if (!backing->anon && backing->may_write)
			rc = fn(ctx, backing->hostfd);
	}
	return rc;
}

u64 tk_image_pte(const struct tk_mm_image *image, u32 leaf, unsigned int index)
{
	return leaf < image->pool_used ? image->tables[(u64)leaf * TK_PTES + index] : 0;
}

bool tk_mm_page_is_zero(const u8 *page)
{
	const u64 *word = (const u64 *)(const void *)page;

	for (unsigned int i = 0; i < TK_PAGE_SIZE / sizeof(*word); i += 8)
		if (word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] | word[i + 5] |
		    word[i + 6] | word[i + 7])
			return false;
	return true;
}

static int backing_index(struct tk_mm_image *image, struct tk_backing *backing)
{
	for (unsigned int i = 0; i < image->n_backings; i++)
		if (image->backings[i] == backing)
			return (int)i;
	image->backings[image->n_backings] = tk_backing_get(backing);
	return (int)image->n_backings++;
}

static int copy_vmas(struct tk_mm *mm, struct tk_mm_image *image)
{
	const struct tk_vma *vma;

	image->vmas = calloc(mm->n_vmas + 1, sizeof(*image->vmas));
	image->backings = calloc(mm->n_vmas + 1, sizeof(struct tk_backing *));
	if (!image->vmas || !image->backings)
		return -ENOMEM;
	for (vma = mm->first; vma; vma = vma->next)
		image->vmas[image->n_vmas++] = (struct tk_image_vma){
			.start = vma->start,
			.end = vma->end,
			.offset = vma->offset,
			.prot = vma->prot,
			.flags = vma->flags,
			.backing = vma->backing ? backing_index(image, vma->backing) : -1,
			.name = vma->name,
		};
	return 0;
}

static int copy_chunks(const struct tk_mm *mm, struct tk_mm_image *image)
{
	image->top_chunk = mm->top_chunk;
	image->n_bound = mm->n_bound;
	image->chunks = calloc(mm->top_chunk + 1, sizeof(*image->chunks));
	image->pages = calloc((u64)mm->top_chunk * TK_CHUNK_PAGES + 1, 1);
	image->usual = calloc((u64)mm->top_chunk * TK_CHUNK_PAGES / 64 + 1, sizeof(*image->usual));
	if (!image->chunks || !image->pages || !image->usual)
		return -ENOMEM;
	memcpy(image->chunks, mm->chunks, mm->top_chunk * sizeof(*image->chunks));
	return 0;
}

/*
 * While the kernel itself holds a page of it for a moment (reclaim, DAMON), the file counts as in
 * use for direct I/O: EBUSY, after it has waited for some 150 ms (mm/memfd.c: memfd_wait_for_pins).
 */
static int add_seals(int fd)
{
	int rc = 0, tries = 20;

	do
		rc = fcntl(fd, F_ADD_SEALS, SEALS) ? -errno : 0;
	while (rc == -EBUSY && --tries);
	return rc;
}

/* Private and read-only: a shared mapping of a sealed memfd is refused before Linux 6.7. */
static int seal(int fd, u64 size, const void **view)
{
	int rc = add_seals(fd);
	void *p;

	if (rc)
		return rc;
	if (!size)
		return 0;
	p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*view = p;
	return 0;
}

static int new_memfd(const char *name, u64 size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)size))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* Tables without entries stay holes. */
static int copy_tables(struct tk_mm *mm, struct tk_mm_image *image)
{
	u64 size = (u64)mm->pool_used << TK_PAGE_SHIFT;
	const void *view = NULL;
	int rc;

	image->tables_fd = new_memfd("tinykvm-tables", size);
	if (image->tables_fd < 0)
		return image->tables_fd;
	image->tables_info = calloc(mm->pool_used, sizeof(*image->tables_info));
	if (!image->tables_info)
		return -ENOMEM;
	memcpy(image->tables_info, mm->tables_info, mm->pool_used * sizeof(*image->tables_info));
	for (u32 i = 0; i < mm->pool_used; i++) {
		const u64 *table = tk_pt_table(mm, i);
		ssize_t n;

		if (!mm->tables_info[i].resident || tk_mm_page_is_zero((const u8 *)table))
			continue;
		n = pwrite(image->tables_fd, table, TK_PAGE_SIZE, (off_t)i << TK_PAGE_SHIFT);
		if (n != (ssize_t)TK_PAGE_SIZE)
			return n < 0 ? -errno : -ENOSPC;
	}
	image->pool_used = mm->pool_used;
	image->pool_size = mm->pool_size;
	rc = seal(image->tables_fd, size, &view);
	image->tables = view;
	return rc;
}

static int copy_content(struct tk_mm *mm, struct tk_mm_image *image, struct tkvm_error *err)
{
	u64 size = (u64)image->top_chunk << TK_CHUNK_SHIFT;
	const void *view = NULL;
	int rc;

	image->memfd = new_memfd("tinykvm-image", size);
	if (image->memfd < 0)
		return image->memfd;
	rc = tk_freeze_pages(mm, image, err);
	if (!rc)
		rc = seal(image->memfd, size, &view);
	image->view = view;
	return rc;
}

static void copy_scalars(const struct tk_mm *mm, struct tk_mm_image *image)
{
	image->opts = mm->opts;
	image->opts.backend = (struct tk_mm_backend){0};
	image->rlimits = mm->rlimits;
	image->lock_future = mm->lock_future;
	image->brk_start = mm->brk_start;
	image->brk = mm->brk;
	image->lazy_next = mm->lazy_next;
	image->lazy_window = mm->lazy_window;
	image->eager = mm->eager;
	image->n_tables = mm->tables;
	image->charged = mm->charged;
	image->kept = mm->kept;
	image->empty_leaves = mm->empty_leaves;
}

/*
 * Private file mappings that can be written are in the image whole: bind them, so that their
 * pages have a place in it.
 */
static int bind_files(struct tk_mm *mm)
{
	const struct tk_vma *vma;
	int rc = 0;

	for (vma = mm->first; vma && !rc; vma = vma->next)
		if (vma->backing && !(vma->flags & TK_VMA_SHARED) && vma->prot & PROT_WRITE)
			rc = tk_chunk_bind_range(mm, vma->start, tk_vma_eof(vma));
	return rc;
}

static int freeze(struct tk_mm *mm, struct tk_mm_image *image, struct tkvm_error *err)
{
	int rc = bind_files(mm);

	if (!rc)
		rc = copy_vmas(mm, image);
	if (!rc)
		rc = copy_chunks(mm, image);
	if (!rc)
		rc = copy_content(mm, image, err);
	if (!rc)
		rc = copy_tables(mm, image);
	if (!rc)
		copy_scalars(mm, image);
	return rc;
}

int tk_mm_freeze(struct tk_mm *mm, struct tk_mm_image **ret, struct tkvm_error *err)
{
	struct tk_mm_image *image;
	int rc;

	if (mm->cow)
		return tk_fail(err, EINVAL, "freeze: the machine is a fork");
	image = calloc(1, sizeof(*image));
	if (!image)
		return tk_fail_errno(err, ENOMEM, "freeze");
	atomic_init(&image->refs, 1);
	image->memfd = image->tables_fd = -1;
	rc = freeze(mm, image, err);
	if (rc) {
		destroy(image);
		return tk_fail_errno(err, -rc, "freeze: copy the program's memory");
	}
	*ret = image;
	return 0;
}
