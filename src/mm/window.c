/* SPDX-License-Identifier: MIT */
/*
 * The window. Entries appear in the borrower's page tables, which the next fault picks up; they go
 * in two steps, as any change does: the entries first, then the host's mapping of the lender's
 * pages is changed there and back, which has KVM drop the translations of both VMs.
 *
 * Invariant: without a lender there is no entry in the window's part of the page tables, and no
 * translation of it in the VM.
 */
#include <errno.h>

#include "mm/access.h"
#include "mm/cow.h"
#include "mm/window.h"

struct tk_mm_slot tk_mm_slot_at(const struct tk_mm *mm, const void *hva)
{
	u64 size = (u64)mm->n_chunks << TK_CHUNK_SHIFT;
	u64 offset = (u64)((const u8 *)hva - mm->arena) & ~(TK_SLOT_SIZE - 1ull);

	return (struct tk_mm_slot){mm->arena + offset, TK_MIN(size - offset, (u64)TK_SLOT_SIZE)};
}

bool tk_mm_has(const struct tk_mm *mm, const void *hva)
{
	return tk_page_of(mm, hva) < mm->n_chunks * TK_CHUNK_PAGES;
}

gpa_t tk_mm_gpa_end(const struct tk_mm *mm)
{
	u64 size = (u64)mm->n_chunks << TK_CHUNK_SHIFT;

	return TK_GPA_MEMORY + ((size + TK_SLOT_SIZE - 1) & ~(TK_SLOT_SIZE - 1ull));
}

/* Of a file that others may write or cut while the window is open, only private copies are lent. */
static bool may_be_lent(const struct tk_vma *vma)
{
	return !tk_vma_volatile(vma) || !(vma->flags & TK_VMA_SHARED);
}

static int show(struct tk_mm *mm, gva_t at, gpa_t gpa, u64 len)
{
	const u64 bits = tk_pt_bits(PROT_READ | PROT_WRITE);
	u32 leaf;
	int rc;

	for (; len; len -= TK_PAGE_SIZE, at += TK_PAGE_SIZE, gpa += TK_PAGE_SIZE) {
		rc = tk_pt_make_leaf(mm, at, &leaf);
		if (rc)
			return rc;
		tk_pt_set(mm, leaf, tk_pt_index(at), gpa | bits);
	}
	return 0;
}

/* [@start, @end) of whole pages. */
static int show_all(struct tk_mm *mm, gva_t start, gva_t end, tk_window_gpa *gpa_of, void *ctx)
{
	struct tk_mm *lender = mm->lender;
	gva_t at = TK_WINDOW_VA;
	struct tk_mm_slot slot;
	struct tk_span span;
	gpa_t gpa;
	int rc;

	for (; start < end; start += span.len, at += span.len) {
		if (tk_span_find(lender, start, end - start, PROT_WRITE, &span) ||
		    !may_be_lent(span.vma))
			return -EFAULT;
		slot = tk_mm_slot_at(lender, span.hva);
		span.len = TK_MIN(span.len, slot.size - (u64)(span.hva - (u8 *)slot.hva));
		/* A file's last page is lent as a whole. */
		span.len = (span.len + TK_PAGE_SIZE - 1) & TK_PAGE_MASK;
		gpa = gpa_of(ctx, lender, span.hva);
		rc = gpa ? show(mm, at, gpa, span.len) : -ENOMEM;
		if (rc)
			return rc;
	}
	return 0;
}

int tk_window_open(struct tk_mm *mm, struct tk_mm *lender, gva_t addr, u64 len,
		   tk_window_gpa *gpa_of, void *ctx, gva_t *at)
{
	gva_t start = tk_page_down(addr), end;
	int rc;

	tk_assert(!mm->lender && len);
	if (len > TK_WINDOW_SIZE - (addr - start))
		return -E2BIG;
	if (addr >= TK_USER_TOP || len > TK_USER_TOP - addr || lender->lender || lender == mm)
		return -EFAULT;
	end = (addr + len + TK_PAGE_SIZE - 1) & TK_PAGE_MASK;
	mm->lender = lender;
	mm->blanked = false;
	mm->lent = start;
	mm->lent_size = end - start;
	rc = show_all(mm, start, end, gpa_of, ctx);
	if (!rc) {
		*at = TK_WINDOW_VA + (addr - start);
		return 0;
	}
	/* Nobody has run in between: there are entries, but no translations. */
	(void)tk_pt_clear(mm, TK_WINDOW_VA, TK_WINDOW_VA + mm->lent_size);
	mm->lender = NULL;
	return rc;
}

int tk_window_close(struct tk_mm *mm)
{
	struct tk_mm *lender = mm->lender;
	gva_t start = mm->lent, end = start + mm->lent_size;
	const struct tk_vma *vma;
	int rc = 0;

	if (!lender)
		return 0;
	mm->lender = NULL;
	(void)tk_pt_clear(mm, TK_WINDOW_VA, TK_WINDOW_VA + mm->lent_size);
	for (vma = tk_vma_first(lender, start, end); vma && vma->start < end; vma = vma->next)
		if (tk_host_drop(lender, vma, TK_MAX(start, vma->start), TK_MIN(end, vma->end)))
			rc = -ENOMEM;
	tk_mm_wrote(lender, start, end - start);
	return rc;
}

bool tk_window_blank(struct tk_mm *mm, gpa_t page)
{
	gva_t end = TK_WINDOW_VA + mm->lent_size;
	bool open = mm->lender && !mm->blanked;
	u32 leaf;

	mm->blanked = true;
	for (gva_t at = TK_WINDOW_VA; open && at < end; at += TK_PAGE_SIZE) {
		leaf = tk_pt_leaf(mm, at);
		if (leaf)
			tk_pt_set(mm, leaf, tk_pt_index(at),
				  page | tk_pt_bits(PROT_READ | PROT_WRITE));
	}
	return open;
}

int tk_window_span(struct tk_mm *mm, gva_t addr, u64 len, unsigned int prot, struct tk_span *span)
{
	u64 offset = addr - TK_WINDOW_VA;

	if (!mm->lender || addr < TK_WINDOW_VA || offset >= mm->lent_size)
		return -EFAULT;
	len = TK_MIN(len, mm->lent_size - offset);
	return tk_span_find(mm->lender, mm->lent + offset, len, prot, span);
}
