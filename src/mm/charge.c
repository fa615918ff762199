/* SPDX-License-Identifier: MIT */
/*
 * The memory limit, exact without an exit per page.
 *
 * An entry that lets the guest make a page its own is charged when it is filled, touched or not,
 * so the guest can never hold more than what is charged. When the limit is reached, a look at
 * what the host really holds (/proc/self/pagemap) takes back the entries that were never used:
 * their pages fault again if they are wanted after all. mm->slack bounds what a look can yield;
 * a guest at its limit cannot have us look again and again for nothing.
 *
 * Shared anonymous memory stays charged once filled: its pages live in the memfd, whether or not
 * our mapping shows them.
 */
#include <unistd.h>

#include "mm/internal.h"

#define PM_PRESENT (1ull << 63)
#define PM_SWAPPED (1ull << 62)
#define PM_FILE	   (1ull << 61)

u64 tk_charge_left(const struct tk_mm *mm)
{
	u64 used = tk_charge_used(mm);

	if (!mm->limit)
		return ~0ull >> TK_PAGE_SHIFT;
	return used < mm->limit ? mm->limit - used : 0;
}

static bool read_pagemap(const struct tk_mm *mm, const u8 *hva, u64 *map, u64 pages)
{
	ssize_t want = (ssize_t)(pages * sizeof(*map));

	return pread(mm->pagemap, map, (size_t)want,
		     (off_t)((u64)hva >> TK_PAGE_SHIFT) * (off_t)sizeof(*map)) == want;
}

/* Take the entry back if its page is not the guest's own. */
static void review_entry(struct tk_mm *mm, u32 leaf, gva_t addr, u64 pm)
{
	u64 entry = tk_pt_table(mm, leaf)[tk_pt_index(addr)];
	const struct tk_vma *vma;

	if (!(entry & TK_PTE_CHARGED) || pm & PM_SWAPPED)
		return;
	if ((pm & PM_PRESENT) && !(pm & PM_FILE))
		return;
	vma = tk_vma_at(mm, addr);
	if (!vma || vma->flags & TK_VMA_SHARED)
		return;
	tk_pt_set(mm, leaf, tk_pt_index(addr), 0);
	if (pm & PM_PRESENT)
		(void)tk_host_drop(mm, vma, addr, addr + TK_PAGE_SIZE);
}

static void review_leaf(struct tk_mm *mm, u32 leaf, gva_t start)
{
	u64 map[TK_PTES];
	u8 *hva;

	tk_chunk_run(mm, start, start + TK_LEAF_SIZE, &hva);
	if (!hva || !read_pagemap(mm, hva, map, TK_PTES))
		return;
	for (unsigned int i = 0; i < TK_PTES; i++)
		review_entry(mm, leaf, start + i * TK_PAGE_SIZE, map[i]);
}

static void review(struct tk_mm *mm)
{
	tk_pt_each_leaf(mm, review_leaf);
	mm->slack = 0;
}

bool tk_charge_room(struct tk_mm *mm, u64 pages)
{
	u64 used = tk_charge_used(mm);

	if (!mm->limit || used + pages <= mm->limit)
		return true;
	if (pages > mm->limit || mm->pagemap < 0 || !mm->slack)
		return false;
	if (used - TK_MIN(mm->slack, mm->charged) + pages > mm->limit)
		return false;
	review(mm);
	return tk_charge_used(mm) + pages <= mm->limit;
}

static u64 resident_in(struct tk_mm *mm, const u8 *hva)
{
	u64 map[TK_PTES], n = 0;

	if (!read_pagemap(mm, hva, map, TK_PTES))
		return 0;
	for (unsigned int i = 0; i < TK_PTES; i++)
		n += !!(map[i] & (PM_PRESENT | PM_SWAPPED));
	return n;
}

/* Guest memory that the host holds; what has no entry was at most read, by the VMM. */
static u64 resident_in_chunk(struct tk_mm *mm, u32 chunk)
{
	gva_t addr = tk_chunk_gva(mm, chunk), end = addr + TK_CHUNK_SIZE;
	u64 n = 0;
	u8 *hva;

	for (; tk_pt_next_leaf(mm, &addr, end); addr += TK_LEAF_SIZE) {
		tk_chunk_run(mm, addr, addr + TK_LEAF_SIZE, &hva);
		n += resident_in(mm, hva);
	}
	return n;
}

u64 tk_charge_resident(struct tk_mm *mm)
{
	u64 n = 0;

	if (mm->pagemap < 0)
		return mm->charged;
	for (u32 i = 0; i < mm->top_chunk; i++)
		if (mm->chunks[i].va && mm->chunks[i].pages)
			n += resident_in_chunk(mm, i);
	return n;
}
