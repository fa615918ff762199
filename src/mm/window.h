/* SPDX-License-Identifier: MIT */
/*
 * Lending memory: pages of one address space (the lender) shown in the window of another (the
 * borrower), writable, for a while. Both are used by the calling thread meanwhile, and the
 * lender's program does not run.
 *
 * The lender's memory must be in memslots of the borrower's VM already, at the same host
 * addresses; the pages that are lent are what page tables let the borrower reach of it.
 */
#ifndef TK_MM_WINDOW_H
#define TK_MM_WINDOW_H

#include "mm/mm.h"

/* The memslot of @mm's own VM that memory at @hva lies in. */
struct tk_mm_slot {
	void *hva;
	u64 size;
};
struct tk_mm_slot tk_mm_slot_at(const struct tk_mm *mm, const void *hva);
/* Is @hva memory of @mm's program? */
bool tk_mm_has(const struct tk_mm *mm, const void *hva);
/* The first guest-physical address that is no memory of @mm's and never will be. */
gpa_t tk_mm_gpa_end(const struct tk_mm *mm);

/* Where in the borrower's VM the lender's memory at @hva is: a gpa, or 0 if that cannot be. */
typedef gpa_t tk_window_gpa(void *ctx, const struct tk_mm *lender, void *hva);

/*
 * Show @len (not 0) bytes at @addr of @lender, and what else is in their pages, in @mm's window,
 * which is closed. *@at becomes the address of the first byte there.
 *   -EFAULT  some of it is not there, not writable, or memory that others can write as well
 *   -E2BIG   it is more than the window
 *   -ENOMEM  no room for page tables; the lender's limit; @gpa said no
 */
int tk_window_open(struct tk_mm *mm, struct tk_mm *lender, gva_t addr, u64 len, tk_window_gpa *gpa,
		   void *ctx, gva_t *at) TK_MUST_CHECK;

/*
 * Close it: neither the program nor a system call of it reaches the pages from then on. The lender
 * takes all of them to be changed. Harmless if it is not open. Failure (-ENOMEM: the host has no
 * mapping left) means that the borrower's VM may still reach them: their memslots have to be
 * removed.
 */
int tk_window_close(struct tk_mm *mm) TK_MUST_CHECK;

/*
 * KVM found no page behind what the window shows: the lender's file was cut. Put @page (of a
 * memslot) in place of all of it. False: the window is not open, or that was
 * done before.
 */
bool tk_window_blank(struct tk_mm *mm, gpa_t page);

#endif
