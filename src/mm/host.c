/* SPDX-License-Identifier: MIT */
/*
 * Every operation on the host mapping of guest memory. The page tables are changed first, by the
 * caller; the change made here then has KVM drop its translations of the range (MMU notifier).
 *
 * Nothing outside the arena is ever unmapped or mapped over: a hole in it could be taken by any
 * thread of the process, so ranges are replaced in one step (MAP_FIXED, MREMAP_DONTUNMAP).
 */
#include <errno.h>

#include "mm/cow.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* What the VMM needs to reach what the guest may reach: x86 reads whatever it may write or run. */
int tk_host_prot(unsigned int prot)
{
	if (prot & PROT_WRITE)
		return PROT_READ | PROT_WRITE;
	return prot & (PROT_READ | PROT_EXEC) ? PROT_READ : PROT_NONE;
}

int tk_host_map_piece(const struct tk_vma *vma, u8 *hva, u64 len, u64 offset)
{
	int prot = tk_host_prot(vma->prot), flags = MAP_FIXED | MAP_NORESERVE, fd = -1;

	flags |= vma->flags & TK_VMA_SHARED ? MAP_SHARED : MAP_PRIVATE;
	if (vma->backing)
		fd = vma->backing->hostfd;
	else
		flags |= MAP_ANONYMOUS;
	return mmap(hva, len, prot, flags, fd, (off_t)offset) == MAP_FAILED ? -errno : 0;
}

/* Map [@start, @end) of @vma afresh wherever a chunk is bound. On failure part of it is mapped. */
int tk_host_map(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	u8 *hva;
	u64 n;
	int rc;

	for (; start < end; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva)
			tk_cow_set_replaced(mm, hva, n);
		rc = hva ? tk_host_map_piece(vma, hva, n, tk_vma_offset_at(vma, start)) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int protect_piece(u8 *hva, u64 len, int from, int to)
{
	if (from == to && to != PROT_NONE && mprotect(hva, len, PROT_NONE))
		return -errno;
	return mprotect(hva, len, to) ? -errno : 0;
}

/*
 * Change the protection of [@start, @end), all of which is @from, to @to (both the guest's).
 * Where only the right to execute goes, the host's protection stays the same and a detour over
 * PROT_NONE has the translations dropped. On failure the range is as it was.
 */
int tk_host_protect(struct tk_mm *mm, gva_t start, gva_t end, unsigned int from, unsigned int to)
{
	int host_from = tk_host_prot(from), host_to = tk_host_prot(to), rc;
	gva_t addr;
	u8 *hva;
	u64 n;

	if (host_from == host_to && !(from & ~to & PROT_EXEC))
		return 0;
	for (addr = start; addr < end; addr += n) {
		n = tk_chunk_run(mm, addr, end, &hva);
		rc = hva ? protect_piece(hva, n, host_from, host_to) : 0;
		if (rc)
			goto undo;
	}
	return 0;
undo:
	for (end = addr + n, addr = start; addr < end; addr += n) {
		n = tk_chunk_run(mm, addr, end, &hva);
		if (hva)
			(void)mprotect(hva, n, host_from);
	}
	return rc;
}

/*
 * Back to the bare reservation. Can fail only if the process has no host vma left; the pages are
 * freed all the same then, and whatever is mapped there next replaces what remains.
 */
int tk_host_release(struct tk_mm *mm, gva_t start, gva_t end)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
	int rc = 0;
	u8 *hva;
	u64 n;

	for (; start < end; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva)
			tk_cow_set_replaced(mm, hva, n);
		if (hva && mmap(hva, n, PROT_NONE, flags, -1, 0) == MAP_FAILED) {
			(void)madvise(hva, n, MADV_DONTNEED);
			rc = -ENOMEM;
		}
	}
	return rc;
}

/* Have every translation of the range dropped without changing anything. 0, or the first -errno. */
int tk_host_drop(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	int prot = tk_host_prot(vma->prot), rc = 0;
	u8 *hva;
	u64 n;

	for (; start < end; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva && protect_piece(hva, n, prot, prot) && !rc)
			rc = -ENOMEM;
	}
	return rc;
}

/*
 * Move pages (private ones included) and leave the old place mapped but empty. A range that the
 * host keeps as several vmas has to be moved one by one: halve it until it works.
 */
int tk_host_move(u8 *to, u8 *from, u64 len)
{
	u64 done = 0, n = len;
	void *p;

	while (done < len) {
		n = TK_MIN(n, len - done);
		p = mremap(from + done, n, n, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			   to + done);
		if (p != MAP_FAILED) {
			done += n;
			n = len - done;
			continue;
		}
		if (errno != EFAULT || n == TK_PAGE_SIZE)
			break;
		n = (n / 2 + TK_PAGE_SIZE - 1) & TK_PAGE_MASK;
	}
	if (done == len)
		return 0;
	while (done) { /* undo, page by page at worst */
		done -= TK_PAGE_SIZE;
		(void)mremap(to + done, TK_PAGE_SIZE, TK_PAGE_SIZE,
			     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, from + done);
	}
	return -ENOMEM;
}

/* madvise() on what is bound. The first error, after trying all. */
int tk_host_advise(struct tk_mm *mm, gva_t start, gva_t end, int advice)
{
	int rc = 0;
	u8 *hva;
	u64 n;

	for (; start < end; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva && madvise(hva, n, advice) && !rc)
			rc = -errno;
	}
	return rc;
}

/* Would the host map this file so? Asked before anything is changed; 0 or its -errno. */
int tk_host_probe(unsigned int prot, unsigned int flags, struct tk_backing *backing, u64 offset)
{
	int share = flags & TK_VMA_SHARED ? MAP_SHARED : MAP_PRIVATE;
	void *p = mmap(NULL, TK_PAGE_SIZE, tk_host_prot(prot), share | MAP_NORESERVE,
		       backing->hostfd, (off_t)offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, TK_PAGE_SIZE);
	return 0;
}
