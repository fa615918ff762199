/* SPDX-License-Identifier: MIT */
/*
 * mremap. Pages move on the host (mremap within the arena), their entries move with them; shared
 * mappings need no move, they are mapped again at the new place.
 */
#include <errno.h>

#include "mm/cow.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct request {
	gva_t old, new;
	u64 old_len, new_len, flags;
	bool elsewhere; /* the caller asked for another place: MREMAP_FIXED or _DONTUNMAP */
};

static int check_params(struct tk_mm *mm, struct request *r)
{
	if (r->flags & ~(u64)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
	    r->old % TK_PAGE_SIZE)
		return -EINVAL;
	if (!tk_page_up(r->old_len, &r->old_len))
		r->old_len = 0; /* as the kernel's PAGE_ALIGN wraps */
	if (!tk_page_up(r->new_len, &r->new_len) || !r->new_len || r->new_len > TK_USER_TOP)
		return -EINVAL;
	if (!r->elsewhere)
		return 0;
	if (r->new > TK_USER_TOP - r->new_len || r->new % TK_PAGE_SIZE ||
	    !(r->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (r->flags & MREMAP_DONTUNMAP && r->old_len != r->new_len)
		return -EINVAL;
	if (r->old + r->old_len > r->new && r->new + r->new_len > r->old)
		return -EINVAL;
	return mm->n_vmas + 5 >= mm->opts.max_vmas ? -ENOMEM : 0;
}

static int check_growth(struct tk_mm *mm, const struct tk_vma *vma, u64 old_len, u64 new_len)
{
	u64 delta = new_len - old_len, offset = tk_vma_offset_at(vma, vma->start);
	bool data = tk_vma_is_data(vma->prot, vma->flags);

	if (vma->backing && offset + (vma->end - vma->start) + new_len > INT64_MAX)
		return -EINVAL;
	if (vma->flags & TK_VMA_LOCKED && !tk_mm_may_lock(mm, delta))
		return -EAGAIN;
	if (!tk_mm_may_expand(mm, data, delta))
		return -ENOMEM;
	return data && mm->largest && new_len >> TK_PAGE_SHIFT > mm->largest ? -ENOMEM : 0;
}

static int check_vma(struct tk_mm *mm, const struct tk_vma *vma, const struct request *r)
{
	u64 old_len = TK_MIN(r->old_len, r->new_len);

	if (!vma)
		return -EFAULT;
	if (!r->elsewhere && r->new_len <= r->old_len)
		return 0;
	if (!r->old_len && !(vma->flags & TK_VMA_SHARED))
		return -EINVAL;
	if (old_len > vma->end - r->old)
		return -EFAULT;
	if (r->new_len <= r->old_len)
		return 0;
	return check_growth(mm, vma, r->old_len, r->new_len);
}

/* Move the entries of [@from, @from + @len), whose chunks and leaves at @to exist. */
static void move_entries(struct tk_mm *mm, gva_t to, gva_t from, u64 len)
{
	gva_t addr = from, end = from + len, stop, dst;
	u64 entry;
	u32 leaf;
	u8 *hva;

	for (; (leaf = tk_pt_next_leaf(mm, &addr, end)); addr = stop) {
		stop = tk_pt_stop(addr, end);
		for (gva_t at = addr; at < stop; at += TK_PAGE_SIZE) {
			entry = tk_pt_table(mm, leaf)[tk_pt_index(at)];
			if (!entry)
				continue;
			dst = to + (at - from);
			tk_chunk_run(mm, dst, dst + TK_PAGE_SIZE, &hva);
			tk_pt_set(mm, leaf, tk_pt_index(at), 0);
			tk_pt_set(mm, tk_pt_leaf(mm, dst), tk_pt_index(dst),
				  (entry & ~TK_PTE_ADDR) | tk_chunk_gpa(mm, hva));
		}
	}
}

/* Chunks and leaves at @to for what may come there from @from. */
static int prepare_place(struct tk_mm *mm, gva_t to, gva_t from, u64 len)
{
	gva_t addr = from, end = from + len, stop, dst;
	int rc = 0;
	u32 leaf;

	while (!rc && tk_pt_next_leaf(mm, &addr, end)) {
		stop = tk_pt_stop(addr, end);
		dst = to + (addr - from);
		rc = tk_chunk_bind_range(mm, dst, dst + (stop - addr));
		if (!rc)
			rc = tk_pt_make_leaf(mm, dst, &leaf);
		if (!rc)
			rc = tk_pt_make_leaf(mm, dst + (stop - addr) - 1, &leaf);
		addr = stop;
	}
	return rc;
}

/*
 * The next piece of [@at, @end) that is bound here and, @shift further on, there; false at the end.
 * What is unbound has no content; what is not bound there has no entry here (prepare_place()).
 */
static bool next_piece(struct tk_mm *mm, gva_t *at, gva_t end, u64 shift, u8 **src, u8 **dst,
		       u64 *len)
{
	while (*at < end) {
		*len = tk_chunk_run(mm, *at, end, src);
		*len = tk_chunk_run(mm, *at + shift, *at + shift + *len, dst);
		if (*src && *dst)
			return true;
		*at += *len;
	}
	return false;
}

/* Bring pages back that move_pages() had moved. What cannot be moved back is lost, and reads as
 * new. */
static void unmove(struct tk_mm *mm, gva_t to, gva_t from, u64 len)
{
	u8 *src, *dst;
	u64 n;

	for (gva_t at = from; next_piece(mm, &at, from + len, to - from, &src, &dst, &n); at += n) {
		if (tk_host_move(src, dst, n))
			tk_pt_clear(mm, to + (at - from), to + (at - from) + n);
		move_entries(mm, at, to + (at - from), n);
	}
}

static int move_pages(struct tk_mm *mm, gva_t to, gva_t from, u64 len)
{
	u8 *src, *dst;
	u64 n;
	int rc;

	for (gva_t at = from; next_piece(mm, &at, from + len, to - from, &src, &dst, &n); at += n) {
		move_entries(mm, to + (at - from), at, n);
		rc = tk_host_move(dst, src, n);
		if (rc) {
			move_entries(mm, at, to + (at - from), n);
			unmove(mm, to, from, at - from);
			return rc;
		}
	}
	return 0;
}

static void fill(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	if (tk_mm_eager(mm, vma, end - start) || vma->flags & TK_VMA_LOCKED)
		(void)tk_mm_populate(mm, vma, start, end);
}

/* Map what is at r->old, now a vma of its own unless r->old_len is 0, at r->new. */
static long move(struct tk_mm *mm, struct tk_vma *vma, const struct request *r)
{
	struct tk_vma *copy = tk_vma_new(r->new, r->new + r->new_len, vma->prot, vma->flags,
					 vma->backing, tk_vma_offset_at(vma, r->old));
	int rc;

	if (vma->flags & TK_VMA_SHARED)
		tk_cow_aliased(mm, vma->backing);
	if (!copy || tk_cow_detach(mm, vma, r->old, r->old + r->old_len)) {
		if (copy)
			tk_vma_free(copy);
		return -ENOMEM;
	}
	if (tk_mm_attach(mm, copy))
		return -ENOMEM;
	if (!(vma->flags & TK_VMA_SHARED)) {
		rc = prepare_place(mm, r->new, r->old, r->old_len);
		if (!rc)
			rc = move_pages(mm, r->new, r->old, r->old_len);
		if (rc) {
			(void)tk_mm_remove(mm, r->new, r->new + r->new_len, 0);
			return -ENOMEM;
		}
	}
	tk_cow_note(mm, r->old, r->old + r->old_len);
	if (r->flags & MREMAP_DONTUNMAP)
		tk_vma_change(mm, vma, vma->prot, vma->flags & ~(unsigned int)TK_VMA_LOCKED);
	else if (r->old_len)
		(void)tk_mm_remove(mm, r->old, r->old + r->old_len, TK_REMOVE_KEEP_CONTENT);
	fill(mm, copy, copy->start, copy->end);
	return (long)r->new;
}

static long carve_and_move(struct tk_mm *mm, struct request *r)
{
	long rc = -ENOMEM;

	if (mm->n_vmas + 3 > mm->opts.max_vmas)
		return -ENOMEM;
	if (!r->old_len || !tk_vma_carve(mm, r->old, r->old + r->old_len))
		rc = move(mm, tk_vma_at(mm, r->old), r);
	tk_vma_merge(mm, r->old, r->old + r->old_len);
	if (rc >= 0)
		tk_vma_merge(mm, r->new, r->new + r->new_len);
	return rc;
}

/* Unmap what a smaller mapping loses: with munmap's own checks, since nothing bounds old_len. */
static int cut_off(struct tk_mm *mm, const struct request *r)
{
	return (int)tk_mm_munmap(mm, r->old + r->new_len, r->old_len - r->new_len);
}

static long remap_elsewhere(struct tk_mm *mm, struct request *r)
{
	u64 fixed = r->flags & MREMAP_FIXED ? MAP_FIXED : 0;
	long addr = tk_mm_place(mm, r->new, r->new_len, fixed);
	int rc = 0;

	if (addr < 0)
		return addr;
	if (r->flags & MREMAP_DONTUNMAP && !tk_mm_may_expand(mm, false, r->old_len))
		return -ENOMEM;
	r->new = (gva_t)addr;
	if (fixed)
		rc = tk_mm_remove(mm, r->new, r->new + r->new_len, 0);
	if (!rc && r->old_len > r->new_len) {
		rc = cut_off(mm, r);
		r->old_len = r->new_len;
	}
	return rc ? rc : carve_and_move(mm, r);
}

static bool can_extend(struct tk_mm *mm, const struct tk_vma *vma, const struct request *r)
{
	gva_t end = r->old + r->new_len;

	if (!r->old_len || r->old + r->old_len != vma->end || end > TK_USER_TOP)
		return false;
	return !vma->next || end <= tk_vma_start_gap(vma->next);
}

static long extend(struct tk_mm *mm, struct tk_vma *vma, const struct request *r)
{
	gva_t old_end = vma->end, end = r->old + r->new_len;

	tk_cow_note(mm, old_end, end);
	if (vma->flags & TK_VMA_SHARED)
		tk_cow_aliased(mm, vma->backing);
	tk_vma_resize(mm, vma, vma->start, end);
	if (tk_host_map(mm, vma, old_end, end)) {
		(void)tk_host_release(mm, old_end, end);
		tk_vma_resize(mm, vma, vma->start, old_end);
		return -ENOMEM;
	}
	fill(mm, vma, old_end, end);
	tk_vma_merge(mm, old_end, end);
	return (long)r->old;
}

static long resize(struct tk_mm *mm, struct tk_vma *vma, struct request *r)
{
	long addr;
	int rc;

	if (r->new_len <= r->old_len) {
		rc = r->new_len == r->old_len ? 0 : cut_off(mm, r);
		return rc ? rc : (long)r->old;
	}
	if (can_extend(mm, vma, r))
		return extend(mm, vma, r);
	if (!(r->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	addr = tk_mm_place(mm, 0, r->new_len, 0);
	if (addr < 0)
		return addr;
	r->new = (gva_t)addr;
	return carve_and_move(mm, r);
}

long tk_mm_mremap(struct tk_mm *mm, gva_t old, u64 old_len, u64 new_len, u64 flags, gva_t new_addr)
{
	struct request r = {.old = old,
			    .new = new_addr,
			    .old_len = old_len,
			    .new_len = new_len,
			    .flags = flags,
			    .elsewhere = flags &(MREMAP_FIXED | MREMAP_DONTUNMAP)};
	struct tk_vma *vma;
	int rc;

	rc = check_params(mm, &r);
	if (rc)
		return rc;
	vma = tk_vma_at(mm, old);
	rc = check_vma(mm, vma, &r);
	if (rc)
		return rc;
	return r.elsewhere ? remap_elsewhere(mm, &r) : resize(mm, vma, &r);
}
