/* SPDX-License-Identifier: MIT */
/*
 * Memory made ahead of its use. The first touch of a page costs a fault in KVM and one on the host,
 * 6 to 12 us together under shadow paging, and programs touch most of what they map at start-up.
 * So the first write to a mapping makes the pages around it, too, in one call to the host; KVM
 * then maps eight neighbours at a time, which it does only with pages that are there.
 *
 * What is made and never used is a waste, and counts as used where the memory limit is concerned.
 * It is bounded by a budget for the life of the address space (mm->ahead), so that no pattern of
 * touches can make a program slower or larger by more than that. When it is spent, mappings are
 * filled as fault.c says, and pages are made one by one, by the host, without an exit.
 *
 * Only private anonymous memory: a shared page that is made early would be seen by others, and a
 * private page of a file would no longer show what is written to the file.
 */
#include <errno.h>

#include "mm/internal.h"

void tk_ahead_init(struct tk_mm *mm)
{
	mm->ahead = TK_AHEAD_TOTAL >> TK_PAGE_SHIFT;
	if (mm->limit)
		mm->ahead = TK_MIN(mm->ahead, mm->limit / 16);
}

static bool wanted(const struct tk_mm *mm, const struct tk_vma *vma)
{
	return mm->ahead && tk_vma_charges(vma) && !(vma->flags & TK_VMA_SHARED) && !vma->backing;
}

bool tk_ahead_defer(const struct tk_mm *mm, const struct tk_vma *vma, u64 len)
{
	return wanted(mm, vma) && len >= TK_AHEAD_MIN;
}

/* More at a time for faults in address order. */
static u64 size_of(struct tk_mm *mm, const struct tk_vma *vma, gva_t page, bool write)
{
	u64 first = TK_AHEAD_FIRST;

	if (vma->flags & TK_VMA_GROWSDOWN)
		first = TK_AHEAD_STACK;
	if (!write)
		first = TK_AHEAD_READ;
	if (page != mm->lazy_next)
		return first;
	return TK_MIN(TK_MAX(mm->lazy_window * 2, first), TK_AHEAD_MOST);
}

bool tk_ahead_window(struct tk_mm *mm, const struct tk_vma *vma, gva_t page, bool write,
		     gva_t *start, gva_t *end)
{
	u64 pages, size;

	if (!wanted(mm, vma))
		return false;
	size = size_of(mm, vma, page, write);
	*start = TK_MAX(page & ~(size - 1), vma->start);
	*end = TK_MIN((page & ~(size - 1)) + size, vma->end);
	pages = (*end - *start) >> TK_PAGE_SHIFT;
	if (pages > mm->ahead || pages > tk_charge_left(mm) / 4) {
		mm->ahead = 0;
		return false;
	}
	mm->ahead -= pages;
	mm->lazy_window = size;
	mm->lazy_next = *end;
	return true;
}

void tk_ahead_make(struct tk_mm *mm, gva_t start, gva_t end)
{
	/* Linux before 5.14 has no such advice. What fails otherwise fails when it is used. */
	if (tk_host_advise(mm, start, end, MADV_POPULATE_WRITE) == -EINVAL)
		mm->ahead = 0;
}
