/* SPDX-License-Identifier: MIT */
/*
 * mprotect. As on Linux a range with a hole, or a part that may not be made writable, changes up
 * to there and then fails.
 */
#include <errno.h>

#include "mm/cow.h"

#ifndef PROT_SEM
#define PROT_SEM 0x8
#endif

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

/*
 * Change all of @vma. Entries first, then the host; if the host cannot, entries go back. Small
 * ranges that become accessible are filled: the guest is about to use them.
 */
static int protect_vma(struct tk_mm *mm, struct tk_vma *vma, unsigned int prot)
{
	unsigned int old = vma->prot;
	u64 len = vma->end - vma->start;
	bool data = tk_vma_is_data(prot, vma->flags);
	int rc;

	if (prot == old)
		return 0;
	if (prot & PROT_WRITE && vma->flags & TK_VMA_SHARED && !vma->backing->may_write)
		return -EACCES;
	if (data && !tk_vma_is_data(old, vma->flags) && mm->data + len > mm->rlimits.data)
		return -ENOMEM;
	tk_vma_change(mm, vma, prot, vma->flags);
	tk_pt_protect(mm, vma->start, vma->end, prot, tk_vma_charges(vma));
	rc = tk_host_protect(mm, vma->start, vma->end, old, prot);
	if (rc) {
		tk_vma_change(mm, vma, old, vma->flags);
		tk_pt_protect(mm, vma->start, vma->end, old, false);
		return rc;
	}
	/* What finds no room now is filled, or refused, when touched. */
	if (tk_mm_eager(mm, vma, len))
		(void)tk_mm_populate(mm, vma, vma->start, vma->end);
	return 0;
}

static int protect_range(struct tk_mm *mm, gva_t start, gva_t end, unsigned int prot)
{
	struct tk_vma *vma;
	int rc = tk_vma_carve(mm, start, end);

	for (vma = tk_vma_at(mm, start); !rc && start < end; vma = vma->next) {
		if (!vma || vma->start != start)
			return -ENOMEM;
		rc = protect_vma(mm, vma, prot);
		start = vma->end;
	}
	return rc;
}

long tk_mm_mprotect(struct tk_mm *mm, gva_t addr, u64 len, u64 prot)
{
	const u64 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	struct tk_vma *vma;
	gva_t end;
	int rc;

	prot &= ~grows;
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || addr % TK_PAGE_SIZE)
		return -EINVAL;
	if (!len)
		return 0;
	if (!tk_page_up(len, &len) || !len || __builtin_add_overflow(addr, len, &end))
		return -ENOMEM;
	if (prot & ~(u64)(PROT_ALL | PROT_SEM))
		return -EINVAL;
	vma = tk_vma_find(mm, addr);
	if (!vma || vma->start >= end)
		return -ENOMEM;
	if (grows == PROT_GROWSDOWN) {
		addr = vma->start;
		if (!(vma->flags & TK_VMA_GROWSDOWN))
			return -EINVAL;
	}
	if (vma->start > addr)
		return -ENOMEM;
	if (grows == PROT_GROWSUP) /* there are no such mappings on x86 */
		return -EINVAL;
	tk_cow_note(mm, addr, end);
	rc = protect_range(mm, addr, end, (unsigned int)prot & PROT_ALL);
	tk_vma_merge(mm, addr, end);
	return rc;
}
