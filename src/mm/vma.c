/* SPDX-License-Identifier: MIT */
/*
 * The list of what is mapped: a red-black tree by address, threaded as a list, in which every
 * node also knows the largest free gap of its subtree, so that a place for a new mapping is
 * found in O(log n) however many mappings a hostile guest makes.
 *
 * The tree's own upkeep of max_gap is local to what it rotates; whoever links, unlinks or
 * resizes a vma then recomputes the way up to the root.
 *
 * Nothing here touches page tables or the host mapping.
 */
#include <errno.h>
#include <stdlib.h>

#include "mm/internal.h"

static int vma_cmp(const struct tk_vma *a, const struct tk_vma *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

void tk_vma_augment(struct tk_vma *vma)
{
	const struct tk_vma *left = RB_LEFT(vma, node), *right = RB_RIGHT(vma, node);
	u64 max = vma->gap;

	if (left)
		max = TK_MAX(max, left->max_gap);
	if (right)
		max = TK_MAX(max, right->max_gap);
	vma->max_gap = max;
}

RB_GENERATE_INTERNAL(tk_vma_tree, tk_vma, node, vma_cmp, static __attribute__((unused)))

static void update_gap(struct tk_vma *vma)
{
	gva_t low, high;

	if (!vma)
		return;
	low = vma->prev ? vma->prev->end : 0;
	high = tk_vma_start_gap(vma);
	vma->gap = high > low ? high - low : 0;
	for (; vma; vma = RB_PARENT(vma, node))
		tk_vma_augment(vma);
}

bool tk_vma_is_data(unsigned int prot, unsigned int flags)
{
	return (prot & PROT_WRITE) && !(flags & (TK_VMA_SHARED | TK_VMA_GROWSDOWN));
}

static void account(struct tk_mm *mm, const struct tk_vma *vma, int sign)
{
	u64 len = vma->end - vma->start;

	len = sign < 0 ? -len : len;
	mm->total += len;
	if (tk_vma_is_data(vma->prot, vma->flags))
		mm->data += len;
	if (vma->flags & TK_VMA_LOCKED)
		mm->locked += len;
}

struct tk_vma *tk_vma_find(struct tk_mm *mm, gva_t addr)
{
	struct tk_vma *vma = mm->recent, *best = NULL;

	if (vma && vma->start <= addr && addr < vma->end)
		return vma;
	vma = RB_ROOT(&mm->vmas);
	while (vma) {
		if (addr >= vma->end) {
			vma = RB_RIGHT(vma, node);
			continue;
		}
		best = vma;
		if (addr >= vma->start)
			break;
		vma = RB_LEFT(vma, node);
	}
	if (best)
		mm->recent = best;
	return best;
}

struct tk_vma *tk_vma_at(struct tk_mm *mm, gva_t addr)
{
	struct tk_vma *vma = tk_vma_find(mm, addr);

	return vma && vma->start <= addr ? vma : NULL;
}

struct tk_vma *tk_vma_first(struct tk_mm *mm, gva_t start, gva_t end)
{
	struct tk_vma *vma = tk_vma_find(mm, start);

	return vma && vma->start < end ? vma : NULL;
}

struct tk_vma *tk_vma_new(gva_t start, gva_t end, unsigned int prot, unsigned int flags,
			  struct tk_backing *backing, u64 offset)
{
	struct tk_vma *vma = calloc(1, sizeof(*vma));

	if (!vma)
		return NULL;
	vma->start = start;
	vma->end = end;
	vma->prot = prot;
	vma->flags = flags;
	vma->backing = backing ? tk_backing_get(backing) : NULL;
	vma->offset = backing ? offset : 0;
	return vma;
}

void tk_vma_free(struct tk_vma *vma)
{
	tk_backing_put(vma->backing);
	free(vma);
}

void tk_vma_link(struct tk_mm *mm, struct tk_vma *vma)
{
	struct tk_vma *next = tk_vma_find(mm, vma->start);

	vma->next = next;
	vma->prev = next ? next->prev : mm->last;
	*(vma->prev ? &vma->prev->next : &mm->first) = vma;
	*(next ? &next->prev : &mm->last) = vma;
	vma->gap = vma->max_gap = 0;
	RB_INSERT(tk_vma_tree, &mm->vmas, vma);
	update_gap(vma);
	update_gap(next);
	mm->n_vmas++;
	account(mm, vma, 1);
}

void tk_vma_unlink(struct tk_mm *mm, struct tk_vma *vma)
{
	account(mm, vma, -1);
	mm->n_vmas--;
	if (mm->recent == vma)
		mm->recent = NULL;
	RB_REMOVE(tk_vma_tree, &mm->vmas, vma);
	*(vma->prev ? &vma->prev->next : &mm->first) = vma->next;
	*(vma->next ? &vma->next->prev : &mm->last) = vma->prev;
	update_gap(vma->prev);
	update_gap(vma->next);
}

/* The order of vmas stays the same, so the tree does, too. */
void tk_vma_resize(struct tk_mm *mm, struct tk_vma *vma, gva_t start, gva_t end)
{
	account(mm, vma, -1);
	if (vma->backing)
		vma->offset += start - vma->start;
	vma->start = start;
	vma->end = end;
	account(mm, vma, 1);
	update_gap(vma);
	update_gap(vma->next);
}

void tk_vma_change(struct tk_mm *mm, struct tk_vma *vma, unsigned int prot, unsigned int flags)
{
	account(mm, vma, -1);
	vma->prot = prot;
	vma->flags = flags;
	account(mm, vma, 1);
	update_gap(vma);
}

static int split(struct tk_mm *mm, struct tk_vma *vma, gva_t addr, unsigned int max)
{
	struct tk_vma *upper;

	if (mm->n_vmas >= max)
		return -ENOMEM;
	upper = tk_vma_new(addr, vma->end, vma->prot, vma->flags, vma->backing,
			   tk_vma_offset_at(vma, addr));
	if (!upper)
		return -ENOMEM;
	upper->name = vma->name;
	tk_vma_resize(mm, vma, vma->start, addr);
	tk_vma_link(mm, upper);
	return 0;
}

static int carve(struct tk_mm *mm, gva_t start, gva_t end, unsigned int max)
{
	struct tk_vma *vma = tk_vma_at(mm, start);
	int rc = 0;

	if (vma && vma->start < start)
		rc = split(mm, vma, start, max);
	if (rc)
		return rc;
	vma = tk_vma_at(mm, end);
	if (vma && vma->start < end)
		rc = split(mm, vma, end, max);
	return rc;
}

int tk_vma_carve(struct tk_mm *mm, gva_t start, gva_t end)
{
	return carve(mm, start, end, mm->opts.max_vmas);
}

/* Only a hole in the middle of a vma leaves one more behind: trimming works at the limit, too. */
int tk_vma_carve_hole(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_vma *vma = tk_vma_at(mm, start);

	if (vma && vma->start < start && end < vma->end && mm->n_vmas >= mm->opts.max_vmas)
		return -ENOMEM;
	return carve(mm, start, end, mm->opts.max_vmas + 2);
}

static bool mergeable(const struct tk_vma *a, const struct tk_vma *b)
{
	if (a->end != b->start || a->prot != b->prot || a->flags != b->flags)
		return false;
	if (a->backing != b->backing || a->name != b->name)
		return false;
	return tk_vma_offset_at(a, a->end) == b->offset;
}

/* Merge whatever can be merged around and inside [@start, @end]. */
void tk_vma_merge(struct tk_mm *mm, gva_t start, gva_t end)
{
	struct tk_vma *vma = tk_vma_find(mm, start ? start - 1 : 0), *next;

	while (vma && vma->start <= end) {
		next = vma->next;
		if (!next || !mergeable(vma, next)) {
			vma = next;
			continue;
		}
		tk_vma_unlink(mm, next);
		tk_vma_resize(mm, vma, vma->start, next->end);
		tk_vma_free(next);
	}
}

struct gap_query {
	u64 len, align;
	gva_t lo, hi;
	bool topdown;
};

/* Place the mapping in the free range [@low, @high). */
static gva_t fit(const struct gap_query *q, gva_t low, gva_t high)
{
	gva_t addr;

	low = TK_MAX(low, q->lo);
	high = TK_MIN(high, q->hi);
	if (low >= high || high - low < q->len)
		return 0;
	if (q->topdown) {
		addr = (high - q->len) & ~(q->align - 1);
		return addr >= low ? addr : 0;
	}
	addr = (low + q->align - 1) & ~(q->align - 1);
	return addr <= high - q->len ? addr : 0;
}

static gva_t search(const struct gap_query *q, const struct tk_vma *vma, u64 want)
{
	const struct tk_vma *left, *right;
	gva_t low, addr;
	bool go_left, go_right;

	if (!vma || vma->max_gap < want)
		return 0;
	low = vma->prev ? vma->prev->end : 0;
	left = RB_LEFT(vma, node);
	right = RB_RIGHT(vma, node);
	go_left = low > q->lo;
	go_right = vma->end < q->hi;
	addr = 0;
	if (q->topdown ? go_right : go_left)
		addr = search(q, q->topdown ? right : left, want);
	if (!addr && vma->gap >= want)
		addr = fit(q, low, tk_vma_start_gap(vma));
	if (!addr && (q->topdown ? go_left : go_right))
		addr = search(q, q->topdown ? left : right, want);
	return addr;
}

gva_t tk_vma_gap(struct tk_mm *mm, u64 len, gva_t lo, gva_t hi, u64 align, bool topdown)
{
	struct gap_query q = {.len = len, .align = align, .lo = lo, .hi = hi, .topdown = topdown};
	gva_t above = mm->last ? mm->last->end : 0, addr;
	u64 want;

	if (!len || len > hi - lo)
		return 0;
	addr = topdown ? fit(&q, above, hi) : 0;
	/* A gap this large fits whatever the alignment: the search never has to come back. */
	want = len + align - TK_PAGE_SIZE;
	if (!addr)
		addr = search(&q, RB_ROOT(&mm->vmas), want);
	if (!addr)
		addr = fit(&q, above, hi);
	return addr;
}
