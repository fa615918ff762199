/* SPDX-License-Identifier: MIT */
/*
 * madvise, msync and mincore. Advice that only tunes the host is accepted and forgotten: programs
 * (V8 among them) abort when it fails. What changes what the guest sees is done in full.
 *
 * MADV_FREE frees at once, which it may: the pages then read as zeroes for certain, and the
 * memory limit knows where it stands.
 */
#include <errno.h>
#include <fcntl.h>

#include "mm/access.h"
#include "mm/cow.h"

#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* X(advice, how) */
#define ADVICE_LIST(X)                                                                             \
	X(MADV_NORMAL, nothing)                                                                    \
	X(MADV_RANDOM, nothing)                                                                    \
	X(MADV_SEQUENTIAL, nothing)                                                                \
	X(MADV_WILLNEED, willneed)                                                                 \
	X(MADV_DONTNEED, dontneed)                                                                 \
	X(MADV_FREE, free_pages)                                                                   \
	X(MADV_REMOVE, remove_pages)                                                               \
	X(MADV_DONTFORK, nothing)                                                                  \
	X(MADV_DOFORK, nothing)                                                                    \
	X(MADV_MERGEABLE, nothing)                                                                 \
	X(MADV_UNMERGEABLE, nothing)                                                               \
	X(MADV_HUGEPAGE, nothing)                                                                  \
	X(MADV_NOHUGEPAGE, nothing)                                                                \
	X(MADV_DONTDUMP, nothing)                                                                  \
	X(MADV_DODUMP, nothing)                                                                    \
	X(MADV_WIPEONFORK, wipeonfork)                                                             \
	X(MADV_KEEPONFORK, keeponfork)                                                             \
	X(MADV_COLD, unlocked)                                                                     \
	X(MADV_PAGEOUT, unlocked)                                                                  \
	X(MADV_POPULATE_READ, populate_read)                                                       \
	X(MADV_POPULATE_WRITE, populate_write)                                                     \
	X(MADV_COLLAPSE, nothing)

/* Each advises [@start, @end) of @vma. */
typedef int advise_fn(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end);

static int nothing(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	return 0;
}

static int unlocked(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	return vma->flags & TK_VMA_LOCKED ? -EINVAL : 0;
}

/* madvise() has -EAGAIN for what -ENOMEM is elsewhere. */
static int set_flags(struct tk_mm *mm, gva_t start, gva_t end, unsigned int flags)
{
	struct tk_vma *vma;
	int rc;

	tk_cow_note(mm, start, end);
	rc = tk_vma_carve(mm, start, end);
	vma = tk_vma_at(mm, start);
	if (!rc)
		tk_vma_change(mm, vma, vma->prot, flags);
	tk_vma_merge(mm, start, end);
	return rc ? -EAGAIN : 0;
}

/* Freezing does what a fork(2) would: see freeze.c. */
static int wipeonfork(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	if (vma->backing)
		return -EINVAL;
	if (vma->flags & TK_VMA_WIPE)
		return 0;
	return set_flags(mm, start, end, vma->flags | TK_VMA_WIPE);
}

static int keeponfork(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	if (!(vma->flags & TK_VMA_WIPE))
		return 0;
	return set_flags(mm, start, end, vma->flags & ~(unsigned int)TK_VMA_WIPE);
}

static int willneed(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	if (vma->backing)
		(void)posix_fadvise(vma->backing->hostfd, (off_t)tk_vma_offset_at(vma, start),
				    (off_t)(end - start), POSIX_FADV_WILLNEED);
	return 0;
}

/* Entries stay: the next touch finds a fresh page without an exit. */
static int dontneed(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	if (vma->flags & TK_VMA_LOCKED)
		return -EINVAL;
	mm->slack = TK_MIN(mm->slack + ((end - start) >> TK_PAGE_SHIFT), mm->charged);
	if (mm->cow)
		return tk_cow_dontneed(mm, vma, start, end);
	return tk_host_advise(mm, start, end, MADV_DONTNEED);
}

static int free_pages(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	return vma->backing ? -EINVAL : dontneed(mm, vma, start, end);
}

static int remove_pages(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	if (vma->flags & TK_VMA_LOCKED || !vma->backing)
		return -EINVAL;
	if (!(vma->flags & TK_VMA_SHARED) || !vma->backing->may_write)
		return -EACCES;
	if (fallocate(vma->backing->hostfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)tk_vma_offset_at(vma, start), (off_t)(end - start)))
		return -errno;
	tk_cow_punched(mm, start, end);
	return 0;
}

static int populate(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end,
		    unsigned int prot, int advice)
{
	if (!(vma->prot & prot))
		return -EINVAL;
	if (tk_vma_charges(vma) && !tk_charge_room(mm, (end - start) >> TK_PAGE_SHIFT))
		return -ENOMEM;
	if (tk_mm_populate(mm, vma, start, end))
		return -ENOMEM;
	if (end > tk_vma_eof(vma))
		return -EFAULT;
	return tk_host_advise(mm, start, end, advice);
}

static int populate_read(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	return populate(mm, vma, start, end, PROT_READ, MADV_POPULATE_READ);
}

static int populate_write(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end)
{
	return populate(mm, vma, start, end, PROT_WRITE, MADV_POPULATE_WRITE);
}

static advise_fn *find_advice(int advice)
{
	switch (advice) {
#define X(value, how)                                                                              \
	case value:                                                                                \
		return how;
		ADVICE_LIST(X)
#undef X
	case MADV_HWPOISON:
	case 101: /* MADV_SOFT_OFFLINE */
		return nothing;
	}
	return NULL;
}

/* Advise what is mapped; a hole makes it -ENOMEM, but only in the end, unless pages are wanted. */
static long advise_range(struct tk_mm *mm, gva_t start, gva_t end, advise_fn *fn)
{
	const struct tk_vma *vma = tk_vma_first(mm, start, end);
	bool hole = false;
	gva_t stop;
	int rc;

	/* Advice may split and merge vmas. */
	for (; vma && start < end; vma = tk_vma_first(mm, start, end)) {
		hole |= vma->start > start;
		if (hole && (fn == populate_read || fn == populate_write))
			break;
		start = TK_MAX(start, vma->start);
		stop = TK_MIN(end, vma->end);
		rc = fn(mm, vma, start, stop);
		if (rc)
			return rc;
		start = stop;
	}
	return hole || start < end ? -ENOMEM : 0;
}

long tk_mm_madvise(struct tk_mm *mm, gva_t addr, u64 len, int advice)
{
	advise_fn *fn = find_advice(advice);
	gva_t end;

	if (!fn || addr % TK_PAGE_SIZE || !tk_page_up(len, &len) ||
	    __builtin_add_overflow(addr, len, &end))
		return -EINVAL;
	if (addr == end)
		return 0;
	if (advice == MADV_HWPOISON || advice == 101)
		return -EPERM;
	return advise_range(mm, addr, end, fn);
}

static int sync_vma(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end, int flags)
{
	u8 *hva;
	u64 n;

	if (flags & MS_INVALIDATE && vma->flags & TK_VMA_LOCKED)
		return -EBUSY;
	if (!(flags & MS_SYNC) || !(vma->flags & TK_VMA_SHARED) || !tk_vma_volatile(vma))
		return 0;
	for (; start < end; start += n) {
		n = tk_chunk_run(mm, start, end, &hva);
		if (hva && msync(hva, n, MS_SYNC))
			return -errno;
	}
	return 0;
}

long tk_mm_msync(struct tk_mm *mm, gva_t addr, u64 len, int flags)
{
	const struct tk_vma *vma;
	bool hole = false;
	gva_t end, stop;
	int rc;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || addr % TK_PAGE_SIZE ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	if (!tk_page_up(len, &len))
		len = 0; /* as the kernel's rounding wraps */
	if (__builtin_add_overflow(addr, len, &end))
		return -ENOMEM;
	for (vma = tk_vma_first(mm, addr, end); vma && vma->start < end; vma = vma->next) {
		hole |= vma->start > addr;
		stop = TK_MIN(end, vma->end);
		rc = sync_vma(mm, vma, TK_MAX(addr, vma->start), stop, flags);
		if (rc)
			return rc;
		addr = stop;
	}
	return hole || addr < end ? -ENOMEM : 0;
}

#define BATCH 4096 /* pages whose residence is asked for at a time */

static int residence(struct tk_mm *mm, gva_t start, gva_t end, u8 *vec)
{
	u8 *hva;
	u64 n;

	for (; start < end; start += n, vec += n >> TK_PAGE_SHIFT) {
		n = tk_chunk_run(mm, start, end, &hva);
		for (u64 i = 0; i < n >> TK_PAGE_SHIFT; i++)
			vec[i] = 0;
		if (hva && mincore(hva, n, vec))
			return -ENOMEM;
	}
	return 0;
}

static bool all_mapped(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_vma *vma = tk_vma_at(mm, start);

	for (; vma && vma->start <= start; vma = vma->next) {
		start = vma->end;
		if (start >= end)
			return true;
	}
	return false;
}

long tk_mm_mincore(struct tk_mm *mm, gva_t addr, u64 len, gva_t vec)
{
	gva_t end, stop;
	u8 batch[BATCH];

	if (addr % TK_PAGE_SIZE)
		return -EINVAL;
	if (len > TK_USER_TOP || addr > TK_USER_TOP - len || !tk_page_up(len, &len))
		return -ENOMEM;
	if (vec > TK_USER_TOP || len >> TK_PAGE_SHIFT > TK_USER_TOP - vec)
		return -EFAULT;
	for (end = addr + len; addr < end; addr = stop) {
		stop = TK_MIN(end, addr + BATCH * TK_PAGE_SIZE);
		if (!all_mapped(mm, addr, stop) || residence(mm, addr, stop, batch))
			return -ENOMEM;
		if (tk_copy_out(mm, vec, batch, (stop - addr) >> TK_PAGE_SHIFT))
			return -EFAULT;
		vec += (stop - addr) >> TK_PAGE_SHIFT;
	}
	return 0;
}
