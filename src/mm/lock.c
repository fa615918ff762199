/* SPDX-License-Identifier: MIT */
/*
 * mlock and its family. Nothing is locked on the host, where it would count against the VMM; the
 * guest gets the accounting (RLIMIT_MEMLOCK), the pages brought in, and locked pages refuse what
 * they refuse on Linux (MADV_DONTNEED, MS_INVALIDATE).
 */
#include <errno.h>

#include "mm/cow.h"

bool tk_mm_may_lock(const struct tk_mm *mm, u64 len)
{
	return mm->locked + len <= mm->rlimits.memlock;
}

static void bring_in(struct tk_mm *mm, const struct tk_vma *vma, u64 *budget)
{
	int advice = vma->prot & PROT_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
	u64 len = TK_MIN(vma->end - vma->start, *budget);
	gva_t end = vma->start + len;

	*budget -= len;
	if (!tk_vma_charges(vma) || tk_charge_room(mm, len >> TK_PAGE_SHIFT))
		if (!tk_mm_populate(mm, vma, vma->start, end))
			(void)tk_host_advise(mm, vma->start, TK_MIN(end, tk_vma_eof(vma)), advice);
}

/* Set or clear the flag in [@start, @end); -ENOMEM at a hole, with what was before it changed. */
static int apply(struct tk_mm *mm, gva_t start, gva_t end, bool lock, bool touch)
{
	u64 budget = TK_TOUCH_MAX;
	gva_t at = start;
	int rc;

	tk_cow_note(mm, start, end);
	rc = tk_vma_carve(mm, start, end);
	for (struct tk_vma *vma = tk_vma_at(mm, start); !rc && at < end; vma = vma->next) {
		if (!vma || vma->start != at) {
			rc = -ENOMEM;
			break;
		}
		tk_vma_change(mm, vma, vma->prot,
			      lock ? vma->flags | TK_VMA_LOCKED : vma->flags & ~TK_VMA_LOCKED);
		if (touch)
			bring_in(mm, vma, &budget);
		at = vma->end;
	}
	tk_vma_merge(mm, start, end);
	return rc;
}

static u64 locked_in(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_vma *vma = tk_vma_first(mm, start, end);
	u64 sum = 0;

	for (; vma && vma->start < end; vma = vma->next)
		if (vma->flags & TK_VMA_LOCKED)
			sum += TK_MIN(end, vma->end) - TK_MAX(start, vma->start);
	return sum;
}

/* The pages that [addr, addr + len) touches, rounded as the kernel does it, wrapping; 0 or -EINVAL.
 */
static int page_range(gva_t addr, u64 len, gva_t *start, gva_t *end)
{
	len += addr % TK_PAGE_SIZE;
	*start = tk_page_down(addr);
	return __builtin_add_overflow(*start, (len + TK_PAGE_SIZE - 1) & TK_PAGE_MASK, end)
		       ? -EINVAL
		       : 0;
}

long tk_mm_mlock(struct tk_mm *mm, gva_t addr, u64 len, bool onfault)
{
	gva_t start, end;
	int rc;

	if (!mm->rlimits.memlock)
		return -EPERM;
	rc = page_range(addr, len, &start, &end);
	if (rc)
		return rc;
	if (start == end)
		return 0;
	if (mm->locked + (end - start) - locked_in(mm, start, end) > mm->rlimits.memlock)
		return -ENOMEM;
	return apply(mm, start, end, true, !onfault);
}

long tk_mm_munlock(struct tk_mm *mm, gva_t addr, u64 len)
{
	gva_t start, end;
	int rc = page_range(addr, len, &start, &end);

	return rc || start == end ? rc : apply(mm, start, end, false, false);
}

static void change_all(struct tk_mm *mm, bool lock, bool touch)
{
	u64 budget = TK_TOUCH_MAX;

	tk_cow_note(mm, 0, TK_USER_TOP);
	for (struct tk_vma *vma = mm->first; vma; vma = vma->next) {
		tk_vma_change(mm, vma, vma->prot,
			      lock ? vma->flags | TK_VMA_LOCKED : vma->flags & ~TK_VMA_LOCKED);
		if (touch)
			bring_in(mm, vma, &budget);
	}
	tk_vma_merge(mm, 0, TK_USER_TOP);
}

long tk_mm_mlockall(struct tk_mm *mm, int flags)
{
	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (!mm->rlimits.memlock)
		return -EPERM;
	if (flags & MCL_CURRENT && mm->total > mm->rlimits.memlock)
		return -ENOMEM;
	mm->lock_future = flags & MCL_FUTURE;
	if (flags & MCL_CURRENT)
		change_all(mm, true, !(flags & MCL_ONFAULT));
	return 0;
}

long tk_mm_munlockall(struct tk_mm *mm)
{
	mm->lock_future = 0;
	change_all(mm, false, false);
	return 0;
}
