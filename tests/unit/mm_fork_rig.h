/* SPDX-License-Identifier: MIT */
/* For tests of images: making forks, and telling whether two of them are in the same state. */
#ifndef TK_TESTS_MM_FORK_RIG_H
#define TK_TESTS_MM_FORK_RIG_H

#include <fcntl.h>
#include <stdlib.h>

#include "mm/cow.h"
#include "mm_rig.h"

static inline struct tk_mm_image *rig_freeze(struct tk_mm *mm)
{
	struct tk_mm_image *image = NULL;
	struct tkvm_error err = {0};

	if (tk_mm_freeze(mm, &image, &err))
		fail_msg("%s", err.message);
	return image;
}

static inline struct tk_mm *rig_fork_with(struct tk_mm_image *image,
					  const struct tk_mm_fork_options *opts)
{
	struct tkvm_error err = {0};
	struct tk_mm *mm = NULL;

	if (tk_mm_fork(&mm, image, opts, &err))
		fail_msg("%s", err.message);
	return mm;
}

static inline struct tk_mm *rig_fork(struct tk_mm_image *image)
{
	return rig_fork_with(image, &(struct tk_mm_fork_options){0});
}

static inline void rig_read_file(const struct tk_vma *vma, gva_t addr, u8 *page)
{
	memset(page, 0, PAGE);
	if (vma->backing)
		assert_true(pread(vma->backing->hostfd, page, PAGE,
				  (off_t)tk_vma_offset_at(vma, addr)) >= 0);
}

/* The bytes at @addr whatever its protection. False: beyond the end of its file. */
static inline bool rig_bytes(struct tk_mm *mm, gva_t addr, u8 *page)
{
	static int self = -1;
	const struct tk_vma *vma = tk_vma_at(mm, addr);
	u8 *hva;

	if (self < 0)
		self = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(self >= 0);
	if (addr >= tk_vma_eof(vma))
		return false;
	tk_chunk_run(mm, addr, addr + PAGE, &hva);
	if (!hva) {
		rig_read_file(vma, addr, page);
		return true;
	}
	return pread(self, page, PAGE, (off_t)(u64)hva) == (ssize_t)PAGE;
}

/* Where @addr is, if it can be read there without ado. */
static inline const u8 *rig_plain(struct tk_mm *mm, gva_t addr)
{
	const struct tk_vma *vma = tk_vma_at(mm, addr);
	u8 *hva;

	tk_chunk_run(mm, addr, addr + PAGE, &hva);
	return vma->prot && !vma->backing ? hva : NULL;
}

static inline const char *rig_backing_name(const struct tk_vma *vma)
{
	return vma->backing ? vma->backing->name : "";
}

static inline void rig_same_vma(const struct tk_vma *a, const struct tk_vma *b)
{
	if (a->start != b->start || a->end != b->end || a->prot != b->prot ||
	    a->flags != b->flags || a->offset != b->offset || a->name != b->name ||
	    strcmp(rig_backing_name(a), rig_backing_name(b)))
		fail_msg("vma %lx-%lx prot %x flags %x offset %lx %s, but %lx-%lx %x %x %lx %s",
			 a->start, a->end, a->prot, a->flags, a->offset, rig_backing_name(a),
			 b->start, b->end, b->prot, b->flags, b->offset, rig_backing_name(b));
}

static inline void rig_same_page(struct tk_mm *a, struct tk_mm *b, gva_t addr)
{
	u64 x = tk_pt_get(a, addr), y = tk_pt_get(b, addr);
	const u64 mask = ~(TK_PTE_CHARGED | TK_PTE_ADDR);
	const u8 *here = rig_plain(a, addr), *there = rig_plain(b, addr);
	u8 mine[PAGE], theirs[PAGE];
	bool first, second;
	unsigned int i = 0;

	if (here && there && (!x || !y || (x & mask) == (y & mask)) && !memcmp(here, there, PAGE))
		return;
	first = rig_bytes(a, addr, mine);
	second = rig_bytes(b, addr, theirs);
	if (x && y && (x & mask) != (y & mask))
		fail_msg("page %lx: entries %lx and %lx", addr, x, y);
	if (first != second)
		fail_msg("page %lx: there in one only (%d)", addr, first);
	while (first && i < PAGE && mine[i] == theirs[i])
		i++;
	if (first && i < PAGE)
		fail_msg("page %lx, byte %u: %x and %x", addr, i, mine[i], theirs[i]);
}

/* Nothing tells @a from @b, which are forks of one image, or a fork and what was frozen. */
static inline void rig_same(struct tk_mm *a, struct tk_mm *b)
{
	const struct tk_vma *x, *y;

	for (x = a->first, y = b->first; x && y; x = x->next, y = y->next) {
		rig_same_vma(x, y);
		for (gva_t addr = x->start; addr < x->end; addr += PAGE)
			rig_same_page(a, b, addr);
	}
	assert_true(!x && !y);
	assert_int_equal(a->n_vmas, b->n_vmas);
	assert_int_equal(a->total, b->total);
	assert_int_equal(a->data, b->data);
	assert_int_equal(a->locked, b->locked);
	assert_int_equal(a->lock_future, b->lock_future);
	assert_int_equal(a->brk, b->brk);
	assert_int_equal(a->brk_start, b->brk_start);
	assert_int_equal(a->lazy_window, b->lazy_window);
	assert_int_equal(a->lazy_next, b->lazy_next);
	assert_int_equal(a->kept, b->kept);
	assert_int_equal(a->over_limit, b->over_limit);
	assert_int_equal(a->largest && a->cow && b->cow ? a->largest : 0,
			 b->largest && a->cow && b->cow ? b->largest : 0);
	assert_memory_equal(&a->rlimits, &b->rlimits, sizeof(a->rlimits));
	rig_check(a);
	rig_check(b);
}

/* Reset @fork, which must work, and compare it with a fresh one. */
static inline void rig_reset(struct tk_mm *fork)
{
	struct tk_mm *fresh;

	assert_int_equal(tk_mm_reset(fork), 0);
	fresh = rig_fork_with(
		fork->cow->image,
		&(struct tk_mm_fork_options){.max_memory = fork->cow->max_memory << TK_PAGE_SHIFT});
	rig_same(fork, fresh);
	tk_mm_destroy(fresh);
}

#endif
