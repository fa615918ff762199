/* SPDX-License-Identifier: MIT */
/*
 * Mappings of the image have frozen bytes underneath. Whatever would uncover them where Linux
 * promises zeroes, or a file's bytes, comes here: madvise(MADV_DONTNEED and its kin), and mremap,
 * which would take a mapping of the image to another place. (munmap and mmap replace the host's
 * mapping as they always do.)
 *
 * A few pages of the heap that are given back are zeroed where they are, so that programs that do
 * so in every request cause no host call; they were paid for when the fork was made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mm/cow.h"

#define ZERO_MAX 256 /* pages zeroed in place by one call */
#define SLICE	 TK_MIB(1)

/* How many pages from @page on, at most @n, are alike mapped from the image or not. */
static u64 run_of(const struct tk_cow *cow, u64 page, u64 n, bool *imaged)
{
	u64 i = 1;

	*imaged = tk_cow_imaged(cow, page);
	while (i < n && tk_cow_imaged(cow, page + i) == *imaged)
		i++;
	return i;
}

static bool may_hold_bytes(const struct tk_cow *cow, u64 page)
{
	return tk_image_page(cow->image, page) & TK_PAGE_CONTENT || tk_bit(cow->is_hot, page);
}

/* Zero what is not zero among @n pages. False: not here, or not without more memory. */
static bool zero_in_place(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u64 page, u64 n)
{
	const struct tk_cow *cow = mm->cow;
	u64 todo = 0;

	if (vma->backing || !(vma->prot & PROT_WRITE))
		return false;
	for (u64 i = 0; i < n; i++) {
		gva_t addr = start + i * TK_PAGE_SIZE;

		if (!may_hold_bytes(cow, page + i))
			continue;
		if (++todo > ZERO_MAX || !(tk_pt_get(mm, addr) & TK_PTE_CHARGED))
			return false;
	}
	for (u64 i = 0; i < n; i++) {
		if (!may_hold_bytes(cow, page + i))
			continue;
		memset(tk_page_hva(mm, page + i), 0, TK_PAGE_SIZE);
		tk_hot_add(mm, page + i);
	}
	return true;
}

static int drop_imaged(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u64 page, u64 n)
{
	gva_t end = start + n * TK_PAGE_SIZE;

	if (zero_in_place(mm, vma, start, page, n))
		return 0;
	tk_cow_note(mm, start, end);
	return tk_host_map(mm, vma, start, end) ? -ENOMEM : 0;
}

static int drop_fresh(struct tk_mm *mm, u64 page, u64 n)
{
	if (madvise(tk_page_hva(mm, page), n << TK_PAGE_SHIFT, MADV_DONTNEED))
		return -errno;
	tk_hot_forget(mm, page, n);
	return 0;
}

/* MADV_DONTNEED on a piece that is contiguous in the arena. */
static int drop_piece(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u64 page, u64 pages)
{
	int rc = 0;
	u64 n;

	for (u64 i = 0; i < pages && !rc; i += n) {
		bool imaged;

		n = run_of(mm->cow, page + i, pages - i, &imaged);
		rc = imaged ? drop_imaged(mm, vma, start + i * TK_PAGE_SIZE, page + i, n)
			    : drop_fresh(mm, page + i, n);
	}
	return rc;
}

int tk_cow_dontneed(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	int rc = 0;
	u64 n;
	u8 *hva;

	if (vma->flags & TK_VMA_SHARED)
		return tk_host_advise(mm, start, end, MADV_DONTNEED);
	tk_hot_collect(mm);
	for (; start < end && !rc; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva)
			rc = drop_piece(mm, vma, start, tk_page_of(mm, hva), n >> TK_PAGE_SHIFT);
	}
	return rc;
}

/* Give the page an entry that says that it holds memory of the guest's own. */
static int own_page(struct tk_mm *mm, const struct tk_vma *vma, gva_t addr, const u8 *hva)
{
	unsigned int index = tk_pt_index(addr);
	u64 entry;
	u32 leaf;
	int rc = tk_pt_make_leaf(mm, addr, &leaf);

	if (rc)
		return rc;
	if (tk_pt_table(mm, leaf)[index] & TK_PTE_CHARGED)
		return 0;
	if (!tk_charge_room(mm, 1))
		return -ENOMEM;
	entry = tk_pt_table(mm, leaf)[index]; /* making room may have taken it back */
	if (!entry)
		entry = tk_pt_bits(vma->prot) | tk_chunk_gpa(mm, hva);
	tk_pt_set(mm, leaf, index, entry | TK_PTE_CHARGED);
	return 0;
}

/* Of a file that was cut off the rest stays away, as on Linux: truncation takes private pages, too.
 */
static void fill_slice(const struct tk_vma *vma, u8 *hva, u8 *bytes, u64 len)
{
	for (u64 at = 0; at < len; at += TK_PAGE_SIZE) {
		struct iovec local = {bytes + at, TK_PAGE_SIZE}, remote = {hva + at, TK_PAGE_SIZE};

		if (vma->backing)
			(void)process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
		else if (!tk_mm_page_is_zero(bytes + at))
			memcpy(hva + at, bytes + at, TK_PAGE_SIZE);
	}
}

/* [@start, @start + @len) is mapped from the image. */
static int detach_slice(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u8 *hva, u64 len,
			u8 *buf)
{
	struct tk_vma open = *vma;
	int rc = 0;

	for (u64 at = 0; at < len && !rc; at += TK_PAGE_SIZE)
		if (vma->backing || may_hold_bytes(mm->cow, tk_page_of(mm, hva + at)))
			rc = own_page(mm, vma, start + at, hva + at);
	if (rc)
		return rc;
	tk_cow_note(mm, start, start + len);
	if (!vma->prot && mprotect(hva, len, PROT_READ))
		return -ENOMEM;
	memcpy(buf, hva, len);
	open.prot = PROT_READ | PROT_WRITE;
	rc = tk_host_map(mm, &open, start, start + len);
	if (rc) {
		mm->cow->stale = true;
		return -ENOMEM;
	}
	fill_slice(vma, hva, buf, len);
	return mprotect(hva, len, tk_host_prot(vma->prot)) ? -ENOMEM : 0;
}

static int detach_run(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u8 *hva, u64 len)
{
	u8 *buf = malloc(TK_MIN(len, SLICE));
	int rc = buf ? 0 : -ENOMEM;
	u64 n;

	for (u64 at = 0; at < len && !rc; at += n) {
		n = TK_MIN(len - at, SLICE);
		rc = detach_slice(mm, vma, start + at, hva + at, n, buf);
	}
	free(buf);
	return rc;
}

static int detach_piece(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, u8 *hva, u64 len)
{
	u64 page = tk_page_of(mm, hva), pages = len >> TK_PAGE_SHIFT, n;
	int rc = 0;

	for (u64 i = 0; i < pages && !rc; i += n) {
		u64 at = i << TK_PAGE_SHIFT;
		bool imaged;

		n = run_of(mm->cow, page + i, pages - i, &imaged);
		if (imaged)
			rc = detach_run(mm, vma, start + at, hva + at, n << TK_PAGE_SHIFT);
	}
	return rc;
}

int tk_cow_detach(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	int rc = 0;
	u64 n;
	u8 *hva;

	if (!mm->cow || vma->flags & TK_VMA_SHARED)
		return 0;
	tk_hot_collect(mm);
	for (; start < end && !rc; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva)
			rc = detach_piece(mm, vma, start, hva, n);
	}
	return rc;
}

/* What was a hole in the frozen memory is no different for being one again. */
void tk_cow_punched(struct tk_mm *mm, gva_t start, gva_t end)
{
	u64 n, page;
	u8 *hva;

	for (; mm->cow && start < end; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		page = hva ? tk_page_of(mm, hva) : 0;
		for (u64 i = 0; hva && i < n >> TK_PAGE_SHIFT; i++) {
			u8 state = tk_image_page(mm->cow->image, page + i);

			if ((state & TK_PAGE_KIND) != TK_PAGE_COPY || state & TK_PAGE_CONTENT)
				tk_hot_add(mm, page + i);
		}
	}
}
