/* SPDX-License-Identifier: MIT */
/*
 * The hot set: pages that may differ from the image. KVM says which the guest wrote (dirty
 * rings), src/mm's own accessors which the VMM wrote. Entries of the rings are collected but not
 * handed back, so their pages stay writable, and a page once hot costs neither a fault nor a host
 * call from then on: each reset compares it with the image and copies it back if it differs.
 *
 * A page leaves the set only together with its translations (any change of the host's mapping
 * makes KVM drop them), so that the next write is logged again:
 * - it was found unchanged COLD times in a row: looking at it that often costs about what a fault
 *   does. If it comes back, it is one that every request writes the same bytes to, as like as not,
 *   and is given much longer;
 * - the set is larger than it may be;
 * - its mapping was replaced.
 * Its memory goes back to the host then. Handing the rings back (which write-protects what they
 * list) is needed only before they are full, and leaves the set as it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm/access.h"
#include "mm/cow.h"

#define COLD	   64
#define COLD_AGAIN 4096
/* A page that is found changed so often in a row is only compared in one of so many resets. */
#define BUSY	4
#define GLIMPSE 16
/* And changed so often in a row, it is what requests usually change. */
#define USUAL 8

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; EINVAL before */
#endif

/* As an image outlives its forks, so does what they learn of it: no more than where to begin. */
static void note_usual(const struct tk_cow *cow, u64 page, bool usual)
{
	struct tk_mm_image *image = cow->image;
	unsigned long long bit = 1ull << page % 64, old;

	if (!tk_image_has(image, page))
		return;
	if (usual && atomic_load_explicit(&image->n_usual, memory_order_relaxed) >= TK_USUAL_MAX)
		return;
	if (usual)
		old = atomic_fetch_or_explicit(&image->usual[page / 64], bit, memory_order_relaxed);
	else
		old = atomic_fetch_and_explicit(&image->usual[page / 64], ~bit,
						memory_order_relaxed);
	if (usual != !!(old & bit))
		atomic_fetch_add_explicit(&image->n_usual, usual ? 1 : -1u, memory_order_relaxed);
}

/* Its own copies of them: a first write is then half as dear. Nothing depends on it. */
void tk_hot_populate(struct tk_mm *mm)
{
	const struct tk_mm_image *image = mm->cow->image;
	u64 end = (u64)image->top_chunk * TK_CHUNK_PAGES, n;

	for (u64 page = 0; page < end; page += n) {
		u64 word = atomic_load_explicit(&image->usual[page / 64], memory_order_relaxed);

		word >>= page % 64;
		if (!word) {
			n = 64 - page % 64;
			continue;
		}
		n = (u64)__builtin_ctzll(word);
		if (n)
			continue;
		n = ~word ? (u64)__builtin_ctzll(~word) : 64;
		(void)madvise(tk_page_hva(mm, page), n << TK_PAGE_SHIFT, MADV_POPULATE_WRITE);
	}
}

void tk_hot_add(struct tk_mm *mm, u64 page)
{
	struct tk_cow *cow = mm->cow;
	size_t room = cow->room_hot ? cow->room_hot * 2 : 1024;
	struct tk_hot *hot;

	if (tk_bit(cow->is_hot, page))
		return;
	if (cow->n_hot == cow->room_hot) {
		hot = reallocarray(cow->hot, room, sizeof(*hot));
		if (!hot) {
			cow->stale = true;
			return;
		}
		cow->hot = hot;
		cow->room_hot = room;
	}
	if (tk_bit(cow->was_cold, page))
		note_usual(cow, page, true);
	cow->hot[cow->n_hot++] = (struct tk_hot){.page = (u32)page};
	cow->is_hot[page / 64] |= 1ull << page % 64;
}

void tk_mm_dirtied(struct tk_mm *mm, gpa_t gpa)
{
	u64 page = (gpa - TK_GPA_MEMORY) >> TK_PAGE_SHIFT;

	if (mm->cow && gpa >= TK_GPA_MEMORY && page / TK_CHUNK_PAGES < mm->n_chunks)
		tk_hot_add(mm, page);
}

static void dirtied(void *arg, gpa_t gpa)
{
	tk_mm_dirtied(arg, gpa);
}

void tk_hot_collect(struct tk_mm *mm)
{
	const struct tk_mm_backend *backend = &mm->opts.backend;

	if (mm->cow && backend->collect && backend->collect(backend->ctx, dirtied, mm))
		mm->cow->rearm = true;
}

int tk_mm_ring_full(struct tk_mm *mm)
{
	const struct tk_mm_backend *backend = &mm->opts.backend;

	tk_hot_collect(mm);
	if (!mm->cow || !backend->rearm)
		return 0;
	mm->cow->rearm = false;
	mm->cow->usage.reprotects++;
	return backend->rearm(backend->ctx);
}

/* Every write of the VMM to guest memory passes here or below, after it was made. */
void tk_mm_wrote(struct tk_mm *mm, gva_t addr, u64 len)
{
	gva_t end = addr + len;
	u64 n;
	u8 *hva;

	if (!mm->cow || !len || end < addr || end > TK_USER_TOP)
		return;
	for (addr = tk_page_down(addr); addr < end; addr += n) {
		n = tk_chunk_run(mm, addr, end, &hva);
		for (u64 at = 0; hva && at < n; at += TK_PAGE_SIZE)
			tk_hot_add(mm, tk_page_of(mm, hva + at));
	}
}

void tk_iov_wrote(struct tk_mm *mm, const struct iovec *pieces, int n, size_t len)
{
	u64 last, part;

	for (int i = 0; mm->cow && i < n && len; i++, len -= part) {
		const u8 *base = pieces[i].iov_base;

		part = TK_MIN(len, pieces[i].iov_len);
		if (tk_page_of(mm, base) >= mm->n_chunks * TK_CHUNK_PAGES)
			continue; /* lent by another address space, which notes it itself */
		last = part ? tk_page_of(mm, base + part - 1) : 0;
		for (u64 page = tk_page_of(mm, base); part && page <= last; page++)
			tk_hot_add(mm, page);
	}
}

/* What the frozen state of @page calls for, and the vma there where that is needed. */
static u8 frozen_state(struct tk_mm *mm, u64 page, const struct tk_image_vma **ret)
{
	const struct tk_cow *cow = mm->cow;
	bool known = tk_image_has(cow->image, page);
	u8 state = known ? cow->image->pages[page] : 0;
	const struct tk_image_vma *vma;
	gva_t addr;

	if (known && (state & TK_PAGE_KIND) != TK_PAGE_SHARED &&
	    (state & TK_PAGE_KIND) != TK_PAGE_FILE)
		return state;
	addr = tk_chunk_gva(mm, (u32)(page / TK_CHUNK_PAGES));
	if (addr == ~0ull)
		return TK_PAGE_NONE;
	addr += page % TK_CHUNK_PAGES * TK_PAGE_SIZE;
	vma = tk_image_vma_find(cow->image, addr);
	if (!vma || vma->start > addr)
		return TK_PAGE_NONE;
	*ret = vma;
	if (vma->flags & TK_VMA_SHARED)
		return TK_PAGE_OWN |
		       (cow->backings[vma->backing]->borrowed ? TK_PAGE_SHARED : TK_PAGE_FILE);
	return vma->backing < 0 && vma->prot & PROT_WRITE ? TK_PAGE_COPY : TK_PAGE_DROP;
}

void tk_hot_forget(struct tk_mm *mm, u64 page, u64 n)
{
	const struct tk_image_vma *vma = NULL;
	u64 *map = mm->cow->is_hot, end = page + n;

	while (page < end) {
		if (!map[page / 64]) {
			page = (page / 64 + 1) * 64;
			continue;
		}
		if (tk_bit(map, page) && !(frozen_state(mm, page, &vma) & TK_PAGE_OWN))
			map[page / 64] &= ~(1ull << page % 64);
		page++;
	}
}

enum verdict {
	EQUAL,
	COPIED,
	ALIEN, /* nothing to do, now and whenever it is written */
	GONE,  /* to be given back */
	FAILED
};

/* Once more the same: compare and copy would read the page twice. */
static bool is_busy(const struct tk_hot *hot)
{
	return hot->changed >= BUSY && hot->changed % GLIMPSE;
}

static enum verdict restore_copy(struct tk_mm *mm, const struct tk_hot *hot, u8 state)
{
	u64 page = hot->page;
	bool look = !is_busy(hot);
	u8 *to = tk_page_hva(mm, page);
	const u8 *from = mm->cow->image->view + (page << TK_PAGE_SHIFT);

	if (!(state & TK_PAGE_CONTENT)) {
		if (look && tk_mm_page_is_zero(to))
			return EQUAL;
		memset(to, 0, TK_PAGE_SIZE);
		return COPIED;
	}
	if (look && !memcmp(to, from, TK_PAGE_SIZE))
		return EQUAL;
	memcpy(to, from, TK_PAGE_SIZE);
	return COPIED;
}

/* Up to a page at @offset, the rest zeroes. False: cannot be read. */
static bool read_file(const struct tk_backing *backing, off_t offset, u8 *page, ssize_t *n)
{
	memset(page, 0, TK_PAGE_SIZE);
	*n = pread(backing->hostfd, page, TK_PAGE_SIZE, offset);
	return *n >= 0;
}

/* Shared memory that cannot be written in place: what the guest wrote while it could. */
static enum verdict restore_file(struct tk_mm *mm, u64 page, const struct tk_image_vma *vma)
{
	const struct tk_backing *from = mm->cow->image->backings[vma->backing];
	const struct tk_backing *to = mm->cow->backings[vma->backing];
	gva_t addr = tk_chunk_gva(mm, (u32)(page / TK_CHUNK_PAGES)) +
		     page % TK_CHUNK_PAGES * TK_PAGE_SIZE;
	off_t offset = (off_t)(vma->offset + (addr - vma->start));
	u8 want[TK_PAGE_SIZE], have[TK_PAGE_SIZE];
	ssize_t n, m;

	mm->cow->usage.host_calls += 2;
	if (!read_file(from, offset, want, &n) || !read_file(to, offset, have, &m) || n != m)
		return FAILED;
	if (!memcmp(want, have, (size_t)n))
		return EQUAL;
	mm->cow->usage.host_calls++;
	return pwrite(to->hostfd, want, (size_t)n, offset) == n ? COPIED : FAILED;
}

static enum verdict restore(struct tk_mm *mm, const struct tk_hot *hot)
{
	const struct tk_image_vma *vma = NULL;
	u8 state = frozen_state(mm, hot->page, &vma);

	switch (state & TK_PAGE_KIND) {
	case TK_PAGE_COPY:
		return restore_copy(mm, hot, state);
	case TK_PAGE_FILE:
		return restore_file(mm, hot->page, vma);
	case TK_PAGE_SHARED:
		return ALIEN;
	default:
		return GONE;
	}
}

static bool is_cold(const struct tk_cow *cow, const struct tk_hot *hot)
{
	if (hot->idle < (tk_bit(cow->was_cold, hot->page) ? COLD_AGAIN : COLD))
		return false;
	note_usual(cow, hot->page, false);
	cow->was_cold[hot->page / 64] |= 1ull << hot->page % 64;
	return true;
}

/* Pages to give back, side by side as far as they come so. */
struct drop {
	u64 page, n;
};

static int flush(struct tk_mm *mm, struct drop *drop)
{
	u64 n = drop->n;

	drop->n = 0;
	if (!n)
		return 0;
	mm->cow->usage.host_calls++;
	return madvise(tk_page_hva(mm, drop->page), n << TK_PAGE_SHIFT, MADV_DONTNEED) ? -ESTALE
										       : 0;
}

static int give_back(struct tk_mm *mm, struct drop *drop, u64 page)
{
	int rc = 0;

	if (drop->n && drop->page + drop->n != page)
		rc = flush(mm, drop);
	if (!drop->n)
		drop->page = page;
	drop->n++;
	return rc;
}

int tk_hot_restore(struct tk_mm *mm)
{
	struct tk_cow *cow = mm->cow;
	struct drop drop = {0};
	size_t kept = 0;
	int rc = 0;

	cow->usage.dirty_pages = 0;
	for (size_t i = 0; i < cow->n_hot && !rc; i++) {
		struct tk_hot hot = cow->hot[i];
		enum verdict verdict;

		if (!tk_bit(cow->is_hot, hot.page)) /* forgotten, or met before */
			continue;
		cow->is_hot[hot.page / 64] &= ~(1ull << hot.page % 64);
		verdict = restore(mm, &hot);
		if (verdict == FAILED)
			return -ESTALE;
		cow->usage.copied_pages += verdict == COPIED;
		cow->usage.dirty_pages += verdict == COPIED;
		cow->usage.equal_pages += verdict == EQUAL;
		hot.idle = verdict == EQUAL ? (u16)(hot.idle + 1) : 0;
		hot.changed = verdict == COPIED ? (u16)(hot.changed + 1) : 0;
		if (hot.changed == USUAL)
			note_usual(cow, hot.page, true);
		if (verdict == GONE || is_cold(cow, &hot) || kept >= cow->max_hot)
			rc = give_back(mm, &drop, hot.page);
		else
			cow->hot[kept++] = hot;
	}
	cow->n_hot = kept;
	for (size_t i = 0; i < kept; i++)
		cow->is_hot[cow->hot[i].page / 64] |= 1ull << cow->hot[i].page % 64;
	return rc ? rc : flush(mm, &drop);
}
