/* SPDX-License-Identifier: MIT */
/*
 * Which pages of an address space go into its image, page by page: the frozen state of each, as
 * struct tk_mm_image's @pages has it, and the bytes of those that have any.
 *
 *	MADV_WIPEONFORK		none: zeroes in every fork
 *	private, anonymous	pages that are not zero. The image is mapped from the first to the
 *				last of them, but for gaps of GAP and more, which are mapped as
 *				fresh memory: a hole of a memfd that is read is filled for ever.
 *	private file, writable	all up to the end of the file
 *	private file, otherwise	pages of the guest's own (/proc/self/pagemap knows); the rest is
 *				the file. All of it if that makes too many pieces.
 *	shared, our own		pages that are not zero, for resets to copy from
 *
 * Memory that the guest has no right to read is made readable for the moment.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mm/cow.h"

#define GAP	   (TK_KIB(256) >> TK_PAGE_SHIFT)
#define MAX_PIECES 32 /* of a file mapping that the guest cannot write */

#define PM_PRESENT (1ull << 63)
#define PM_SWAPPED (1ull << 62)
#define PM_FILE	   (1ull << 61)

struct freezer {
	struct tk_mm *mm;
	struct tk_mm_image *image;
	const struct tk_vma *vma;
	u64 first, n; /* the pages under way: of one vma, side by side in the arena */
	u64 *pagemap; /* of them; NULL: unknown */
	u8 *bounce;   /* a page */
};

static bool wholly_imaged(const struct tk_vma *vma)
{
	return vma->backing && !(vma->flags & TK_VMA_SHARED) && vma->prot & PROT_WRITE;
}

static bool own_shared(const struct tk_vma *vma)
{
	return vma->flags & TK_VMA_SHARED && vma->backing->anon;
}

/* What kind of page this is, where it is not mapped from the image. */
static u8 page_kind(const struct tk_vma *vma)
{
	bool write = vma->prot & PROT_WRITE;

	if (!(vma->flags & TK_VMA_SHARED))
		return write && !vma->backing ? TK_PAGE_COPY : TK_PAGE_DROP;
	if (vma->backing->anon)
		return (write ? TK_PAGE_COPY : TK_PAGE_FILE) | TK_PAGE_OWN;
	return TK_PAGE_SHARED | TK_PAGE_OWN;
}

/* May the page hold bytes of the guest's own? */
static bool may_be_own(const struct freezer *f, u64 i)
{
	u64 pm;

	if (!f->pagemap || f->vma->flags & TK_VMA_SHARED)
		return true;
	pm = f->pagemap[i];
	return pm & PM_SWAPPED || (pm & PM_PRESENT && !(pm & PM_FILE));
}

static u8 *hva_of(const struct freezer *f, u64 i)
{
	return tk_page_hva(f->mm, f->first + i);
}

/* A page of a file may be cut off at any moment: no plain loads. NULL: it was. */
static const u8 *read_page(const struct freezer *f, u64 i)
{
	struct iovec local = {f->bounce, TK_PAGE_SIZE}, remote = {hva_of(f, i), TK_PAGE_SIZE};

	if (!tk_vma_volatile(f->vma))
		return hva_of(f, i);
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)TK_PAGE_SIZE)
		return NULL;
	return f->bounce;
}

static int write_page(const struct freezer *f, u64 i, const u8 *bytes)
{
	off_t offset = (off_t)((f->first + i) << TK_PAGE_SHIFT);
	ssize_t n = pwrite(f->image->memfd, bytes, TK_PAGE_SIZE, offset);

	if (n != (ssize_t)TK_PAGE_SIZE)
		return n < 0 ? -errno : -ENOSPC;
	f->image->bytes += TK_PAGE_SIZE;
	return 0;
}

/* Copy page @i unless it is zero; its @flags if it was there at all. */
static int copy_page(const struct freezer *f, u64 i, u8 flags)
{
	u8 *state = &f->image->pages[f->first + i];
	const u8 *bytes = read_page(f, i);

	if (!bytes)
		return 0;
	*state |= flags;
	if (tk_mm_page_is_zero(bytes))
		return 0;
	*state |= TK_PAGE_CONTENT;
	return write_page(f, i, bytes);
}

/* Have what lies between pages with content mapped from the image, too, but for wide gaps. */
static void close_gaps(const struct freezer *f)
{
	u8 *state = &f->image->pages[f->first];
	u64 last = ~0ull;

	for (u64 i = 0; i < f->n; i++) {
		if (!(state[i] & TK_PAGE_CONTENT))
			continue;
		if (last != ~0ull && i - last <= GAP)
			for (u64 j = last + 1; j < i; j++)
				state[j] |= TK_PAGE_IMAGED;
		state[i] |= TK_PAGE_IMAGED;
		last = i;
	}
}

static int freeze_anon(const struct freezer *f)
{
	int rc = 0;

	for (u64 i = 0; i < f->n && !rc; i++)
		if (may_be_own(f, i))
			rc = copy_page(f, i, 0);
	if (!rc && !(f->vma->flags & TK_VMA_SHARED))
		close_gaps(f);
	return rc;
}

static int freeze_whole_file(const struct freezer *f)
{
	u8 flags = TK_PAGE_IMAGED;
	int rc = 0;

	for (u64 i = 0; i < f->n && !rc; i++)
		rc = copy_page(f, i, flags);
	for (u64 i = 0; i < f->n; i++) {
		u8 *state = &f->image->pages[f->first + i];

		if (*state & TK_PAGE_IMAGED && f->vma->prot & PROT_WRITE)
			*state = (u8)((*state & ~TK_PAGE_KIND) | TK_PAGE_COPY);
	}
	return rc;
}

static unsigned int pieces(const struct freezer *f)
{
	bool own, before = false;
	unsigned int n = 0;

	for (u64 i = 0; i < f->n; i++, before = own) {
		own = may_be_own(f, i);
		n += own && !before;
	}
	return n;
}

static int freeze_file(const struct freezer *f)
{
	int rc = 0;

	if (wholly_imaged(f->vma) || !f->pagemap || pieces(f) > MAX_PIECES)
		return freeze_whole_file(f);
	for (u64 i = 0; i < f->n && !rc; i++)
		if (may_be_own(f, i))
			rc = copy_page(f, i, TK_PAGE_IMAGED);
	return rc;
}

static void read_pagemap(struct freezer *f)
{
	size_t size = f->n * sizeof(*f->pagemap);
	off_t offset = (off_t)((u64)hva_of(f, 0) >> TK_PAGE_SHIFT) * (off_t)sizeof(*f->pagemap);

	if (f->mm->pagemap < 0)
		return;
	f->pagemap = malloc(size);
	if (!f->pagemap || pread(f->mm->pagemap, f->pagemap, size, offset) == (ssize_t)size)
		return;
	free(f->pagemap);
	f->pagemap = NULL;
}

/* As tk_vma_eof(), but a file that cannot be asked is not an empty one. */
static int find_eof(const struct tk_vma *vma, gva_t *eof)
{
	struct stat st;
	u64 end;

	if (!tk_vma_volatile(vma) || !vma->backing->sized) {
		*eof = tk_vma_eof(vma);
		return 0;
	}
	if (fstat(vma->backing->hostfd, &st))
		return -errno;
	if (st.st_size < 0 || !tk_page_up((u64)st.st_size, &end))
		return -EOVERFLOW;
	end = end > vma->offset ? end - vma->offset : 0;
	*eof = vma->start + TK_MIN(end, vma->end - vma->start);
	return 0;
}

/* [@start, @start + n pages) of the vma, which begins at @hva. */
static int freeze_piece(struct freezer *f, gva_t start, const u8 *hva, u64 n)
{
	const struct tk_vma *vma = f->vma;
	gva_t eof = vma->start;
	int rc = find_eof(vma, &eof);

	if (rc)
		return rc;
	f->first = tk_page_of(f->mm, hva);
	memset(&f->image->pages[f->first], page_kind(vma), n);
	f->n = eof > start ? TK_MIN(n, (eof - start) >> TK_PAGE_SHIFT) : 0;
	/* A mapping can be larger than our memfd: touching the rest is SIGBUS, for us as well. */
	if (own_shared(vma))
		memset(&f->image->pages[f->first + f->n], TK_PAGE_NONE, n - f->n);
	if (!f->n || vma->flags & TK_VMA_WIPE || (vma->flags & TK_VMA_SHARED && !own_shared(vma)))
		return 0;
	read_pagemap(f);
	if (!vma->prot)
		rc = tk_host_protect(f->mm, start, start + n * TK_PAGE_SIZE, 0, PROT_READ);
	if (!rc)
		rc = tk_vma_volatile(vma) ? freeze_file(f) : freeze_anon(f);
	if (!vma->prot && tk_host_protect(f->mm, start, start + n * TK_PAGE_SIZE, PROT_READ, 0))
		rc = rc ? rc : -ENOMEM;
	free(f->pagemap);
	f->pagemap = NULL;
	return rc;
}

static int freeze_vma(struct freezer *f)
{
	gva_t start = f->vma->start;
	int rc = 0;
	u64 n;
	u8 *hva;

	for (; start < f->vma->end && !rc; start += n) {
		n = tk_chunk_run(f->mm, start, f->vma->end, &hva);
		if (hva)
			rc = freeze_piece(f, start, hva, n >> TK_PAGE_SHIFT);
	}
	return rc;
}

int tk_freeze_pages(struct tk_mm *mm, struct tk_mm_image *image, struct tkvm_error *err)
{
	struct freezer f = {.mm = mm, .image = image, .bounce = aligned_alloc(64, TK_PAGE_SIZE)};
	int rc = f.bounce ? 0 : -ENOMEM;

	for (f.vma = mm->first; f.vma && !rc; f.vma = f.vma->next)
		rc = freeze_vma(&f);
	free(f.bounce);
	return rc;
}
