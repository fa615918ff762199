/* SPDX-License-Identifier: MIT */
/* The heap: one anonymous mapping from brk_start to the page-rounded break. */
#include "mm/internal.h"

static const char heap_name[] = "[heap]";

void tk_mm_set_brk_start(struct tk_mm *mm, gva_t start)
{
	mm->brk_start = mm->brk = start;
}

static bool may_grow(struct tk_mm *mm, gva_t old, gva_t new)
{
	const struct tk_vma *next = tk_vma_find(mm, old);

	if (new > TK_USER_TOP || new - mm->brk_start > mm->rlimits.data)
		return false;
	return !next || new + TK_PAGE_SIZE <= tk_vma_start_gap(next);
}

static bool grow(struct tk_mm *mm, gva_t old, gva_t new)
{
	const u64 flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	if (!may_grow(mm, old, new))
		return false;
	if (tk_mm_mmap(mm, old, new - old, PROT_READ | PROT_WRITE, flags, NULL, 0) < 0)
		return false;
	tk_mm_set_name(mm, old, new - old, heap_name);
	return true;
}

gva_t tk_mm_brk(struct tk_mm *mm, gva_t addr)
{
	gva_t old, new;

	if (!mm->brk_start || addr < mm->brk_start || !tk_page_up(addr, &new) ||
	    !tk_page_up(mm->brk, &old))
		return mm->brk;
	if (new < old && tk_mm_remove(mm, new, old, 0))
		return mm->brk;
	if (new > old && !grow(mm, old, new))
		return mm->brk;
	mm->brk = addr;
	return addr;
}
