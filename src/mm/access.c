/* SPDX-License-Identifier: MIT */
/*
 * How the VMM reads and writes guest memory.
 *
 * Anonymous memory is reached by plain loads and stores. File mappings may lose pages at any
 * moment (truncation by anybody), so they are read and written by system calls on our own
 * process, which answer EFAULT where a load would be a SIGBUS.
 *
 * A write first fills the page-table entries, as the guest's own store would: memory is charged
 * whoever touches it first.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm/access.h"
#include "mm/cow.h"

static bool fill_for_write(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	start = tk_page_down(start);
	end = (end + TK_PAGE_SIZE - 1) & TK_PAGE_MASK;
	if (tk_pt_filled(mm, start, end) || !tk_mm_populate(mm, vma, start, end))
		return true;
	mm->over_limit = true;
	return false;
}

/*
 * Where plain loads have to stop. Our own memfds never change their size, but mremap can make a
 * mapping larger than its memfd.
 */
static gva_t plain_end(const struct tk_vma *vma)
{
	return vma->backing && vma->backing->anon ? tk_vma_eof(vma) : vma->end;
}

int tk_span_find(struct tk_mm *mm, gva_t addr, u64 len, unsigned int prot, struct tk_span *span)
{
	const struct tk_vma *vma;
	gva_t end;

	if (addr >= TK_USER_TOP)
		return tk_window_span(mm, addr, len, prot, span);
	vma = tk_vma_at(mm, addr);
	if (!vma)
		vma = tk_mm_grow_stack(mm, tk_page_down(addr));
	if (!vma || !(vma->prot & prot))
		return -EFAULT;
	end = TK_MIN(addr + TK_MIN(len, vma->end - addr), plain_end(vma));
	if (addr >= end)
		return -EFAULT;
	if (tk_chunk_bind(mm, addr)) {
		mm->over_limit = true;
		return -EFAULT;
	}
	span->vma = vma;
	span->len = tk_chunk_run(mm, addr, end, &span->hva);
	if (prot == PROT_WRITE && !fill_for_write(mm, vma, addr, addr + span->len))
		return -EFAULT;
	return 0;
}

/* Copy between guest memory that may vanish and our own: all of it or -EFAULT. */
static int copy_volatile(u8 *hva, void *local, u64 len, bool write)
{
	struct iovec mine = {local, len}, guest = {hva, len};
	ssize_t n;

	while (guest.iov_len) {
		if (write)
			n = process_vm_writev(getpid(), &mine, 1, &guest, 1, 0);
		else
			n = process_vm_readv(getpid(), &mine, 1, &guest, 1, 0);
		if (n <= 0)
			return -EFAULT;
		mine.iov_base = (u8 *)mine.iov_base + n;
		guest.iov_base = (u8 *)guest.iov_base + n;
		mine.iov_len = guest.iov_len -= (size_t)n;
	}
	return 0;
}

static int read_span(const struct tk_span *span, void *dst)
{
	if (tk_vma_volatile(span->vma))
		return copy_volatile(span->hva, dst, span->len, false);
	memcpy(dst, span->hva, span->len);
	return 0;
}

static int write_span(const struct tk_span *span, const void *src)
{
	if (tk_vma_volatile(span->vma))
		return copy_volatile(span->hva, (void *)src, span->len, true);
	memcpy(span->hva, src, span->len);
	return 0;
}

int tk_copy_in(struct tk_mm *mm, void *dst, gva_t src, size_t len)
{
	struct tk_span span;
	u8 *to = dst;

	for (; len; len -= span.len, src += span.len, to += span.len)
		if (tk_span_find(mm, src, len, TK_PROT_ANY, &span) || read_span(&span, to))
			return -EFAULT;
	return 0;
}

int tk_copy_out(struct tk_mm *mm, gva_t dst, const void *src, size_t len)
{
	const u8 *from = src;
	struct tk_span span;

	for (; len; len -= span.len, dst += span.len, from += span.len) {
		if (tk_span_find(mm, dst, len, PROT_WRITE, &span) || write_span(&span, from))
			return -EFAULT;
		tk_mm_wrote(mm, dst, span.len);
	}
	return 0;
}

int tk_zero_out(struct tk_mm *mm, gva_t dst, size_t len)
{
	static const u8 zeroes[TK_PAGE_SIZE];
	struct tk_span span;
	int rc;

	for (; len; len -= span.len, dst += span.len) {
		if (tk_span_find(mm, dst, len, PROT_WRITE, &span))
			return -EFAULT;
		if (tk_vma_volatile(span.vma)) {
			span.len = TK_MIN(span.len, sizeof(zeroes));
			rc = write_span(&span, zeroes);
			if (rc)
				return rc;
		} else {
			memset(span.hva, 0, span.len);
		}
		tk_mm_wrote(mm, dst, span.len);
	}
	return 0;
}

/* Write through a protection that does not allow it: lift it for the moment, on the host only. */
static int force_span(struct tk_mm *mm, gva_t dst, const struct tk_span *span, const void *src)
{
	const struct tk_vma *vma = span->vma;
	gva_t start = tk_page_down(dst), end = (dst + span->len + TK_PAGE_SIZE - 1) & TK_PAGE_MASK;
	int rc;

	if (vma->flags & TK_VMA_SHARED)
		return -EFAULT;
	if (!tk_charge_room(mm, (end - start) >> TK_PAGE_SHIFT) ||
	    tk_mm_populate(mm, vma, start, end))
		return -EFAULT;
	tk_pt_protect(mm, start, end, vma->prot, true);
	if (tk_host_protect(mm, start, end, vma->prot, PROT_READ | PROT_WRITE))
		return -EFAULT;
	rc = write_span(span, src);
	if (tk_host_protect(mm, start, end, PROT_READ | PROT_WRITE, vma->prot))
		return -EFAULT;
	return rc;
}

int tk_copy_out_force(struct tk_mm *mm, gva_t dst, const void *src, size_t len)
{
	const u8 *from = src;
	struct tk_span span;
	int rc;

	for (; len; len -= span.len, dst += span.len, from += span.len) {
		if (tk_span_find(mm, dst, len, TK_PROT_ANY, &span))
			return -EFAULT;
		if (span.vma->prot & PROT_WRITE)
			rc = tk_copy_out(mm, dst, from, span.len);
		else
			rc = force_span(mm, dst, &span, from);
		if (rc)
			return rc;
		tk_mm_wrote(mm, dst, span.len);
	}
	return 0;
}

ssize_t tk_copy_str(struct tk_mm *mm, char *dst, gva_t src, size_t size)
{
	size_t done = 0, n;
	struct tk_span span;
	const char *nul;

	while (done < size) {
		n = TK_MIN(size - done, TK_PAGE_SIZE - src % TK_PAGE_SIZE);
		if (tk_span_find(mm, src, n, TK_PROT_ANY, &span) || read_span(&span, dst + done))
			return -EFAULT;
		nul = memchr(dst + done, '\0', span.len);
		if (nul)
			return nul - dst;
		done += span.len;
		src += span.len;
	}
	return -ENAMETOOLONG;
}
