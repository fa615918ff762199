/* SPDX-License-Identifier: MIT */
/*
 * Putting a fork back. First the journal: in each of its ranges the page tables, then the host's
 * mapping, then the vmas become the image's again. After that every mapping is as it was frozen,
 * and the pages that are hot get their bytes (hot.c). A reset that finds nothing in the journal is
 * nothing but those copies.
 *
 * Entries that were filled by faults stay, as they are no state, but they are charged: beyond half
 * of the memory limit they are taken back. The limit then starts anew from what is still filled.
 *
 * Any failure makes the fork stale, and what it cannot do at a small price it does not do.
 */
#include <errno.h>
#include <unistd.h>

#include "mm/cow.h"

#define MAX_MORE_TABLES 8192 /* than the image has: they are never unlinked */
#define MAX_MORE_CHUNKS 256  /* bound, but not by the image */

/* Documentation/admin-guide/mm/pagemap.rst. Mapped once: not the page of zeroes. */
#define PM_SWAPPED (1ull << 62)
#define PM_FILE	   (1ull << 61)
#define PM_ONCE	   (1ull << 56)

static bool same_vma(const struct tk_cow *cow, const struct tk_vma *a, const struct tk_image_vma *b)
{
	const struct tk_backing *backing = b->backing < 0 ? NULL : cow->backings[b->backing];

	return a->start == b->start && a->end == b->end && a->prot == b->prot &&
	       a->flags == b->flags && a->backing == backing && a->offset == b->offset &&
	       a->name == b->name;
}

/* Entries of [@start, @end), which lies in bound chunks, as the image has them. */
static void restore_entries(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_mm_image *image = mm->cow->image;
	gva_t stop;
	u32 leaf;

	for (; start < end; start = stop) {
		stop = tk_pt_stop(start, end);
		leaf = tk_pt_leaf(mm, start);
		for (gva_t at = start; leaf && at < stop; at += TK_PAGE_SIZE) {
			unsigned int i = tk_pt_index(at);
			u64 want = tk_image_pte(image, leaf, i);

			if (tk_pt_table(mm, leaf)[i] != want)
				tk_pt_set(mm, leaf, i, want);
		}
	}
}

static void clear_replaced(struct tk_cow *cow, u64 page, u64 n)
{
	for (u64 i = page; i < page + n; i++)
		cow->replaced[i / 64] &= ~(1ull << i % 64);
}

/* What the image has nothing at. */
static int remove_range(struct tk_mm *mm, gva_t start, gva_t end)
{
	u64 n;
	u8 *hva;

	tk_pt_clear(mm, start, end);
	if (tk_host_release(mm, start, end))
		return -ESTALE;
	mm->cow->usage.restored_ranges++;
	mm->cow->usage.host_calls++;
	for (; start < end; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva)
			tk_hot_forget(mm, tk_page_of(mm, hva), n >> TK_PAGE_SHIFT);
	}
	return 0;
}

/* A run of pages whose host mapping was replaced. */
static int remap_run(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u64 page, u64 n)
{
	gva_t end = start + n * TK_PAGE_SIZE;

	restore_entries(mm, start, end);
	mm->cow->usage.restored_ranges++;
	mm->cow->usage.host_calls++;
	if (tk_cow_map(mm, vma, start, end))
		return -ESTALE;
	tk_hot_forget(mm, page, n);
	clear_replaced(mm->cow, page, n);
	return 0;
}

/* A run of pages whose host mapping is still the right one, with @from for its protection. */
static int protect_run(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u64 n,
		       unsigned int from)
{
	gva_t end = start + n * TK_PAGE_SIZE;

	if (from == vma->prot)
		return 0;
	restore_entries(mm, start, end);
	mm->cow->usage.restored_ranges++;
	mm->cow->usage.host_calls++;
	return tk_host_protect(mm, start, end, from, vma->prot) ? -ESTALE : 0;
}

/* Contiguous in the arena; all of it was @now (NULL: nothing) and becomes @vma. */
static int restore_piece(struct tk_mm *mm, const struct tk_vma *now, const struct tk_vma *vma,
			 gva_t start, u64 page, u64 pages)
{
	const u64 *map = mm->cow->replaced;
	int rc = 0;
	u64 n;

	for (u64 i = 0; i < pages && !rc; i += n) {
		bool replaced = tk_bit(map, page + i);
		gva_t addr = start + i * TK_PAGE_SIZE;

		for (n = 1; i + n < pages && tk_bit(map, page + i + n) == replaced; n++)
			;
		rc = replaced || !now ? remap_run(mm, vma, addr, page + i, n)
				      : protect_run(mm, vma, addr, n, now->prot);
	}
	return rc;
}

static int restore_segment(struct tk_mm *mm, gva_t start, gva_t end, const struct tk_vma *now,
			   const struct tk_image_vma *frozen)
{
	struct tk_vma vma;
	int rc = 0;
	u64 n;
	u8 *hva;

	if (!frozen)
		return now ? remove_range(mm, start, end) : 0;
	vma = tk_cow_vma(mm, frozen);
	for (; start < end && !rc; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva)
			rc = restore_piece(mm, now, &vma, start, tk_page_of(mm, hva),
					   n >> TK_PAGE_SHIFT);
	}
	return rc;
}

/* Page tables and host mapping of [@start, @end): in segments with one vma, now and then. */
static int restore_mappings(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_image_vma *frozen;
	const struct tk_vma *now;
	gva_t stop;
	int rc = 0;

	for (; start < end && !rc; start = stop) {
		stop = end;
		now = tk_vma_find(mm, start);
		if (now)
			stop = TK_MIN(stop, now->start > start ? now->start : now->end);
		if (now && now->start > start)
			now = NULL;
		frozen = tk_image_vma_find(mm->cow->image, start);
		if (frozen)
			stop = TK_MIN(stop, frozen->start > start ? frozen->start : frozen->end);
		if (frozen && frozen->start > start)
			frozen = NULL;
		rc = restore_segment(mm, start, stop, now, frozen);
	}
	return rc;
}

/* Extend the range to whole vmas, of now and of then. */
static void extend(struct tk_mm *mm, gva_t *start, gva_t *end)
{
	const struct tk_mm_image *image = mm->cow->image;
	const struct tk_image_vma *frozen;
	const struct tk_vma *now;
	gva_t lo, hi;

	do {
		lo = *start;
		hi = *end;
		now = tk_vma_at(mm, lo);
		*start = now ? TK_MIN(*start, now->start) : *start;
		now = tk_vma_at(mm, hi - 1);
		*end = now ? TK_MAX(*end, now->end) : *end;
		frozen = tk_image_vma_find(image, lo);
		*start = frozen ? TK_MIN(*start, frozen->start) : *start;
		frozen = tk_image_vma_find(image, hi - 1);
		*end = frozen && frozen->start < hi ? TK_MAX(*end, frozen->end) : *end;
	} while (lo != *start || hi != *end);
}

static bool vmas_differ(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_mm_image *image = mm->cow->image;
	const struct tk_image_vma *frozen = tk_image_vma_find(image, start);
	const struct tk_image_vma *stop = image->vmas + image->n_vmas;
	const struct tk_vma *now = tk_vma_first(mm, start, end);

	for (; now && now->start < end; now = now->next, frozen++)
		if (!frozen || frozen == stop || !same_vma(mm->cow, now, frozen))
			return true;
	return frozen && frozen != stop && frozen->start < end;
}

static void remove_vmas(struct tk_mm *mm, gva_t start, gva_t end)
{
	struct tk_vma *vma = tk_vma_first(mm, start, end), *next;

	for (; vma && vma->start < end; vma = next) {
		next = vma->next;
		tk_vma_unlink(mm, vma);
		tk_vma_free(vma);
	}
}

static int restore_vmas(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_mm_image *image = mm->cow->image;
	const struct tk_image_vma *frozen, *stop = image->vmas + image->n_vmas;
	struct tk_vma like, *vma;

	extend(mm, &start, &end);
	if (!vmas_differ(mm, start, end))
		return 0;
	remove_vmas(mm, start, end);
	frozen = tk_image_vma_find(image, start);
	for (; frozen && frozen != stop && frozen->start < end; frozen++) {
		like = tk_cow_vma(mm, frozen);
		vma = tk_vma_new(like.start, like.end, like.prot, like.flags, like.backing,
				 like.offset);
		if (!vma)
			return -ESTALE;
		vma->name = like.name;
		tk_vma_link(mm, vma);
	}
	return 0;
}

static int replay_journal(struct tk_mm *mm)
{
	struct tk_cow *cow = mm->cow;
	int rc = 0;

	for (unsigned int i = 0; i < cow->n_journal && !rc; i++)
		rc = restore_mappings(mm, cow->journal[i].start, cow->journal[i].end);
	for (unsigned int i = 0; i < cow->n_journal && !rc; i++)
		rc = restore_vmas(mm, cow->journal[i].start, cow->journal[i].end);
	cow->n_journal = 0;
	return rc;
}

static void restore_scalars(struct tk_mm *mm)
{
	const struct tk_cow *cow = mm->cow;
	const struct tk_mm_image *image = cow->image;

	for (unsigned int i = 0; i < image->n_backings; i++)
		cow->backings[i]->kept = image->backings[i]->kept;
	tk_cow_scalars(mm);
	mm->over_limit = false;
}

/* Take back the entries of a leaf that the image's does not have, and their pages. */
static void trim_leaf(struct tk_mm *mm, u32 leaf, gva_t start)
{
	const struct tk_mm_image *image = mm->cow->image;
	u8 *hva;

	tk_chunk_run(mm, start, start + TK_PAGE_SIZE, &hva);
	for (unsigned int i = 0, n; hva && i < TK_PTES; i += n) {
		for (n = 0; i + n < TK_PTES && tk_pt_table(mm, leaf)[i + n] &&
			    !tk_image_pte(image, leaf, i + n);
		     n++)
			tk_pt_set(mm, leaf, i + n, 0);
		if (n) {
			u8 *at = hva + (u64)i * TK_PAGE_SIZE;

			mm->cow->usage.host_calls++;
			(void)madvise(at, n * TK_PAGE_SIZE, MADV_DONTNEED);
			tk_hot_forget(mm, tk_page_of(mm, at), n);
		}
		n += !n;
	}
}

static void trim_entries(struct tk_mm *mm)
{
	tk_pt_each_leaf(mm, trim_leaf);
	tk_pt_trim(mm);
}

/* A run must not pay for what was filled by those before it. */
static void renew_limit(struct tk_mm *mm)
{
	const struct tk_cow *cow = mm->cow;

	if (!cow->max_memory)
		return;
	if (mm->charged > cow->image->charged + cow->max_memory / 2)
		trim_entries(mm);
	mm->slack = mm->charged;
	mm->limit = tk_charge_used(mm) + cow->max_memory;
}

static int restore(struct tk_mm *mm)
{
	struct tk_cow *cow = mm->cow;
	int rc;

	if (cow->stale || mm->pool_used > cow->image->pool_used + MAX_MORE_TABLES)
		return -ESTALE;
	rc = cow->n_journal ? replay_journal(mm) : 0;
	if (!rc)
		rc = tk_hot_restore(mm);
	if (rc)
		return rc;
	restore_scalars(mm);
	renew_limit(mm);
	if (mm->n_bound > cow->image->n_bound + MAX_MORE_CHUNKS)
		tk_chunk_unbind_idle(mm);
	return cow->stale ? -ESTALE : 0;
}

int tk_mm_reset(struct tk_mm *mm)
{
	struct tk_cow *cow = mm->cow;
	int rc;

	if (!cow)
		return -EINVAL;
	tk_hot_collect(mm);
	rc = restore(mm);
	if (!rc && cow->rearm)
		rc = tk_mm_ring_full(mm) ? -ESTALE : 0;
	cow->stale = rc != 0;
	cow->usage.resets += !rc;
	return rc;
}

static u64 private_in(const struct tk_mm *mm, u32 chunk)
{
	u64 map[TK_CHUNK_PAGES], n = 0;
	u8 *hva = tk_page_hva(mm, (u64)chunk * TK_CHUNK_PAGES);

	if (pread(mm->pagemap, map, sizeof(map),
		  (off_t)((u64)hva >> TK_PAGE_SHIFT) * (off_t)sizeof(*map)) != sizeof(map))
		return 0;
	for (unsigned int i = 0; i < TK_CHUNK_PAGES; i++)
		n += map[i] & PM_SWAPPED || (map[i] & PM_ONCE && !(map[i] & PM_FILE));
	return n;
}

void tk_mm_fork_usage(struct tk_mm *mm, struct tk_mm_fork_usage *usage, bool walk)
{
	*usage = (struct tk_mm_fork_usage){0};
	if (!mm->cow)
		return;
	*usage = mm->cow->usage;
	usage->hot_pages = mm->cow->n_hot;
	usage->hot_bytes = usage->hot_pages << TK_PAGE_SHIFT;
	for (u32 i = 0; walk && mm->pagemap >= 0 && i < mm->top_chunk; i++)
		if (mm->chunks[i].va)
			usage->private_bytes += private_in(mm, i) << TK_PAGE_SHIFT;
}
