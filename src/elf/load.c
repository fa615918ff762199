/* SPDX-License-Identifier: MIT */
/*
 * Mapping the segments of an ELF file: file pages privately, bss as anonymous memory, in the
 * file's order with later segments on top of earlier ones where they share a page, as Linux does.
 * elf/elf.c has checked every number, so the sums here cannot overflow before the bias is added,
 * and tk_elf_place() keeps bias + hi below the top.
 */
#include <errno.h>
#include <sys/mman.h>

#include "elf/load.h"
#include "guest/layout.h"
#include "mm/access.h"

static u64 page_up(u64 x)
{
	return tk_page_down(x + TK_PAGE_SIZE - 1);
}

/* Find @len free bytes, at @addr if @flags has MAP_FIXED_NOREPLACE; nothing stays mapped. */
static long find_room(struct tk_mm *mm, gva_t addr, u64 len, u64 flags)
{
	long at;
	int rc;

	flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	at = tk_mm_mmap(mm, addr, len, PROT_NONE, flags, NULL, 0);
	if (at < 0)
		return at;
	rc = tk_mm_munmap(mm, (gva_t)at, len);
	return rc < 0 ? rc : at;
}

int tk_elf_place(struct tk_mm *mm, const struct tk_elf *elf, gva_t hint, gva_t *bias)
{
	u64 len = elf->hi - elf->lo, slack = elf->align - TK_PAGE_SIZE;
	gva_t base = hint & ~(elf->align - 1);
	long at;

	if (elf->fixed) {
		*bias = 0;
		at = find_room(mm, elf->lo, len, MAP_FIXED_NOREPLACE);
		return at < 0 ? (int)at : 0;
	}
	if (hint && elf->hi > TK_USER_TOP - base)
		return -ENOMEM;
	if (hint) {
		at = find_room(mm, base + elf->lo, len, MAP_FIXED_NOREPLACE);
		*bias = base;
		return at < 0 ? (int)at : 0;
	}
	if (len > TK_USER_TOP - slack)
		return -ENOMEM;
	at = find_room(mm, 0, len + slack, 0);
	if (at < 0)
		return (int)at;
	/* the bias, not the address, is what has to be aligned; it may wrap below zero */
	*bias = ((gva_t)at - elf->lo + slack) & ~(elf->align - 1);
	return 0;
}

/* What the file has of the segment; the rest of its last page is bss if it can be written. */
static long map_file_part(struct tk_mm *mm, const struct tk_elf_segment *seg,
			  struct tk_backing *file, gva_t bias)
{
	gva_t start = bias + seg->vaddr, page = tk_page_down(start), end = start + seg->filesz;
	long rc;

	rc = tk_mm_mmap(mm, page, page_up(end) - page, seg->prot, MAP_PRIVATE | MAP_FIXED, file,
			seg->offset - (start - page));
	if (rc < 0)
		return rc;
	if (seg->memsz > seg->filesz && (seg->prot & PROT_WRITE))
		return tk_zero_out(mm, end, page_up(end) - end);
	return 0;
}

static long map_bss_part(struct tk_mm *mm, const struct tk_elf_segment *seg, gva_t bias)
{
	gva_t start = bias + seg->vaddr, end = page_up(start + seg->memsz);
	int prot = PROT_READ | PROT_WRITE | (seg->prot & PROT_EXEC);

	start = seg->filesz ? page_up(start + seg->filesz) : tk_page_down(start);
	if (start >= end)
		return 0;
	return tk_mm_mmap(mm, start, end - start, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			  NULL, 0);
}

int tk_elf_map(struct tk_mm *mm, const struct tk_elf *elf, struct tk_backing *file, gva_t bias,
	       const char *path, struct tkvm_error *err)
{
	long rc = 0;

	for (unsigned int i = 0; i < elf->n_segments; i++) {
		const struct tk_elf_segment *seg = &elf->segments[i];

		if (seg->filesz)
			rc = map_file_part(mm, seg, file, bias);
		if (rc >= 0)
			rc = map_bss_part(mm, seg, bias);
		if (rc == -EFAULT) /* the file became shorter meanwhile */
			return tk_fail(err, ENOEXEC, "%s: truncated while loading", path);
		if (rc < 0)
			return tk_fail_errno(err, (int)-rc, "%s: cannot map %lu bytes at %#lx",
					     path, seg->memsz, bias + seg->vaddr);
	}
	return 0;
}
