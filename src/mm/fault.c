/* SPDX-License-Identifier: MIT */
/*
 * Filling page tables: at once for small mappings, at the guest's first touch for large ones.
 * Also the stack that grows by being touched, and file mappings that end before their vma does.
 */
#include <errno.h>

#include "mm/cow.h"

#define PF_WRITE    (1u << 1)
#define PF_RESERVED (1u << 3)
#define PF_FETCH    (1u << 4)

static u64 count_empty(const struct tk_mm *mm, u32 leaf, gva_t start, gva_t end)
{
	const u64 *pte = tk_pt_table(mm, leaf);
	u64 n = 0;

	for (; start < end; start += TK_PAGE_SIZE)
		n += !pte[tk_pt_index(start)];
	return n;
}

/* [@start, @end) lies in one leaf and in a bound chunk. */
static int fill_leaf(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	u64 bits = tk_pt_bits(vma->prot), n;
	u32 leaf;
	u8 *hva;
	int rc;

	rc = tk_pt_make_leaf(mm, start, &leaf);
	if (rc)
		return rc;
	n = count_empty(mm, leaf, start, end);
	if (tk_vma_charges(vma)) {
		/* Making room may empty entries of this very leaf. */
		for (; n > tk_charge_left(mm); n = count_empty(mm, leaf, start, end))
			if (!tk_charge_room(mm, n))
				return -ENOMEM;
		bits |= TK_PTE_CHARGED;
		mm->slack += n;
	}
	if (!n)
		return 0;
	tk_chunk_run(mm, start, end, &hva);
	n = (end - start) >> TK_PAGE_SHIFT;
	tk_pt_fill(mm, leaf, tk_pt_index(start), (unsigned int)n, bits | tk_chunk_gpa(mm, hva));
	return 0;
}

/*
 * Bind chunks and fill entries for [@start, @end) of @vma, as far as its file reaches. Entries
 * that are there stay. -ENOMEM: a limit is reached; what was filled before that stays.
 */
int tk_mm_populate(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	gva_t stop;
	int rc;

	if (!vma->prot)
		return 0;
	for (end = TK_MIN(end, tk_vma_eof(vma)); start < end; start = stop) {
		stop = tk_pt_stop(start, end);
		rc = tk_chunk_bind(mm, start);
		if (!rc)
			rc = fill_leaf(mm, vma, start, stop);
		if (rc)
			return rc;
	}
	return 0;
}

static bool may_grow_to(const struct tk_mm *mm, const struct tk_vma *vma, gva_t start)
{
	const struct tk_vma *prev = vma->prev;
	u64 more = vma->start - start;
	gva_t low = TK_USER_MIN;

	if (prev)
		low = prev->end;
	if (prev && prev->prot && !(prev->flags & TK_VMA_GROWSDOWN))
		low += TK_STACK_GUARD;
	if (start < low || start > vma->start)
		return false;
	if (vma->end - start > mm->rlimits.stack || !tk_mm_may_expand(mm, false, more))
		return false;
	return !(vma->flags & TK_VMA_LOCKED) || tk_mm_may_lock(mm, more);
}

/* Extend the stack above @addr down to it. NULL: there is none, or it may not grow so far. */
struct tk_vma *tk_mm_grow_stack(struct tk_mm *mm, gva_t addr)
{
	struct tk_vma *vma = tk_vma_find(mm, addr);
	gva_t old, start = addr & ~(TK_STACK_STEP - 1);

	if (!vma || !(vma->flags & TK_VMA_GROWSDOWN))
		return NULL;
	if (!may_grow_to(mm, vma, start))
		start = tk_page_down(addr);
	if (!may_grow_to(mm, vma, start))
		return NULL;
	old = vma->start;
	tk_cow_note(mm, start, old);
	tk_vma_resize(mm, vma, start, vma->end);
	if (tk_host_map(mm, vma, start, old)) {
		tk_vma_resize(mm, vma, old, vma->end);
		(void)tk_host_release(mm, start, old);
		return NULL;
	}
	return vma;
}

static bool allows(unsigned int prot, u64 error_code)
{
	if (error_code & PF_WRITE)
		return prot & PROT_WRITE;
	if (error_code & PF_FETCH)
		return prot & PROT_EXEC;
	return prot;
}

/* More at a time for faults in address order, less as the limit comes near. */
static void choose_window(struct tk_mm *mm, const struct tk_vma *vma, gva_t page, gva_t *start,
			  gva_t *end)
{
	u64 left = tk_charge_left(mm) / 4 * TK_PAGE_SIZE;

	if (page == mm->lazy_next)
		mm->lazy_window = TK_MIN(mm->lazy_window * 2, TK_LAZY_MAX);
	else
		mm->lazy_window = TK_LAZY_MIN;
	*start = page & ~(TK_LEAF_SIZE - 1);
	*end = *start + mm->lazy_window;
	if (tk_vma_charges(vma) && left < mm->lazy_window) {
		*start = page;
		*end = page + TK_MAX(left, TK_PAGE_SIZE);
	}
	*start = TK_MAX(*start, vma->start);
	*end = TK_MIN(*end, vma->end);
	mm->lazy_next = *end;
}

enum tk_fault_result tk_mm_fault(struct tk_mm *mm, gva_t addr, u64 error_code)
{
	gva_t page = tk_page_down(addr), start, end;
	struct tk_vma *vma;

	if (addr >= TK_USER_TOP || error_code & PF_RESERVED)
		return TK_FAULT_MAPERR;
	vma = tk_vma_at(mm, page);
	if (!vma)
		vma = tk_mm_grow_stack(mm, page);
	if (!vma)
		return TK_FAULT_MAPERR;
	if (!allows(vma->prot, error_code))
		return TK_FAULT_ACCERR;
	if (tk_pt_get(mm, page)) /* a translation older than the entry: gone by now */
		return TK_FAULT_FIXED;
	if (page >= tk_vma_eof(vma))
		return TK_FAULT_BUS;
	mm->lazy_faults++;
	choose_window(mm, vma, page, &start, &end);
	if (!tk_mm_populate(mm, vma, start, end) || tk_pt_get(mm, page))
		return TK_FAULT_FIXED;
	if (!tk_mm_populate(mm, vma, page, page + TK_PAGE_SIZE))
		return TK_FAULT_FIXED;
	mm->over_limit = true;
	return TK_FAULT_LIMIT;
}

static unsigned int drop_beyond_eof(struct tk_mm *mm, const struct tk_vma *vma)
{
	return tk_vma_volatile(vma) ? (unsigned int)tk_pt_clear(mm, tk_vma_eof(vma), vma->end) : 0;
}

unsigned int tk_mm_drop_beyond_eof(struct tk_mm *mm, gpa_t gpa)
{
	const struct tk_vma *vma;
	unsigned int n = 0;
	gva_t addr;

	if (gpa == ~0ull) {
		for (vma = mm->first; vma; vma = vma->next)
			n += drop_beyond_eof(mm, vma);
		return n;
	}
	if (gpa < TK_GPA_MEMORY)
		return 0;
	gpa -= TK_GPA_MEMORY;
	if (gpa >> TK_CHUNK_SHIFT >= mm->n_chunks)
		return 0;
	addr = tk_chunk_gva(mm, (u32)(gpa >> TK_CHUNK_SHIFT));
	if (addr == ~0ull)
		return 0;
	vma = tk_vma_at(mm, addr + gpa % TK_CHUNK_SIZE);
	return vma ? drop_beyond_eof(mm, vma) : 0;
}
