/* SPDX-License-Identifier: MIT */
/*
 * Inside src/mm: what an image is, and what a fork has besides a struct tk_mm.
 *
 * "Page" without more means page of the arena: (gpa - TK_GPA_MEMORY) / 4 KiB. An image's chunks
 * are bound to the same VA chunks in every fork for ever, so in them the frozen state is a
 * property of the page: image->pages says what a reset has to do with it. Other chunks of the
 * arena come and go; what is right there follows from the frozen vmas alone.
 *
 * Invariants of a fork:
 *   1. The memfd of the image is mapped nowhere but at its own place: page p of it at page p.
 *   2. Where cow->replaced is clear, the host mapping is the one that a fresh fork has there, but
 *      for its protection. Only tk_host_map() and tk_host_release() set bits.
 *   3. A vma, an entry or a host mapping that differs from the image's lies in the journal; an
 *      entry that is only filled where the image's is not, or the other way round, need not.
 *   4. A page whose content may differ from the frozen one, and that is not replaced, is hot, or
 *      in a dirty ring, or in the journal with a protection that is not the frozen one.
 *   5. A page that is not hot is not writable for the guest without KVM logging the write: it has
 *      no writable translation, or its log entry is still to be collected.
 */
#ifndef TK_MM_COW_H
#define TK_MM_COW_H

#include <stdatomic.h>

#include "mm/image.h"
#include "mm/internal.h"

/* How a page gets its frozen content back. */
enum tk_page_kind {
	TK_PAGE_NONE,	/* nothing is mapped there */
	TK_PAGE_COPY,	/* by memcpy or memset: the mapping is writable */
	TK_PAGE_DROP,	/* by MADV_DONTNEED: the mapping is private and has it underneath */
	TK_PAGE_FILE,	/* by pwrite to the fork's own copy of a memfd */
	TK_PAGE_SHARED, /* not at all: a file, which everybody shares; or a memfd, then as above */
};

#define TK_PAGE_KIND	0x0f
#define TK_PAGE_OWN	0x20 /* shared: the content outlives the mapping */
#define TK_PAGE_IMAGED	0x40 /* the host mapping is of the image */
#define TK_PAGE_CONTENT 0x80 /* the image has bytes for it; otherwise they are zero */

#define TK_CHUNK_PAGES (TK_CHUNK_SIZE >> TK_PAGE_SHIFT)

struct tk_image_vma {
	gva_t start, end;
	u64 offset;
	unsigned int prot, flags;
	int backing; /* -1: none */
	const char *name;
};

struct tk_mm_image {
	atomic_uint refs;
	struct tk_mm_options opts; /* but for the backend */
	struct tk_mm_rlimits rlimits;
	unsigned int lock_future;
	gva_t brk_start, brk, lazy_next;
	u64 lazy_window, eager;

	struct tk_image_vma *vmas; /* in address order */
	unsigned int n_vmas;
	struct tk_backing **backings;
	unsigned int n_backings;

	u32 top_chunk, n_bound;
	struct tk_chunk *chunks; /* top_chunk */
	u8 *pages;		 /* top_chunk * TK_CHUNK_PAGES */
	atomic_ullong *usual;	 /* by page: forks write it in request after request */
	atomic_uint n_usual;
	int memfd;	/* content, at arena offsets */
	const u8 *view; /* of it, to read; holes are not to be touched */
	u64 bytes;

	int tables_fd;
	const u64 *tables; /* view of the page tables */
	u32 pool_size, pool_used;
	struct tk_ptpage *tables_info;
	u64 n_tables, charged, kept;
	unsigned int empty_leaves;
};

struct tk_cow_range {
	gva_t start, end;
};

#define TK_USUAL_MAX   1024 /* pages that a new fork has at once */
#define TK_JOURNAL_MAX 256  /* ranges; then it becomes one that covers all */

struct tk_hot {
	u32 page;
	u16 idle;    /* resets in a row that found it unchanged */
	u16 changed; /* that found it changed, or took it to be; see hot.c */
};

struct tk_cow {
	struct tk_mm_image *image;
	struct tk_backing **backings; /* as the image's */
	u64 max_memory, max_hot;      /* pages; max_memory 0: no limit */
	bool stale;		      /* no reset any more */
	bool rearm;		      /* hand the rings back at the end of the next reset */

	u64 *replaced; /* by page: see the invariants */
	u64 *is_hot;   /* by page: is in @hot */
	u64 *was_cold; /* by page: was given back for want of changes */
	u64 map_size;  /* bytes of each */

	struct tk_hot *hot;
	size_t n_hot, room_hot;

	struct tk_cow_range journal[TK_JOURNAL_MAX]; /* in address order, apart from each other */
	unsigned int n_journal;

	struct tk_mm_fork_usage usage;
};

static inline bool tk_bit(const u64 *map, u64 i)
{
	return map[i / 64] >> i % 64 & 1;
}

static inline u64 tk_page_of(const struct tk_mm *mm, const u8 *hva)
{
	return (u64)(hva - mm->arena) >> TK_PAGE_SHIFT;
}

static inline u8 *tk_page_hva(const struct tk_mm *mm, u64 page)
{
	return mm->arena + (page << TK_PAGE_SHIFT);
}

/* Is the page in a chunk of the image? */
static inline bool tk_image_has(const struct tk_mm_image *image, u64 page)
{
	u64 chunk = page / TK_CHUNK_PAGES;

	return chunk < image->top_chunk && image->chunks[chunk].va;
}

static inline u8 tk_image_page(const struct tk_mm_image *image, u64 page)
{
	return tk_image_has(image, page) ? image->pages[page] : 0;
}

/* The host mapping of @page is of the image now. */
static inline bool tk_cow_imaged(const struct tk_cow *cow, u64 page)
{
	return tk_image_page(cow->image, page) & TK_PAGE_IMAGED && !tk_bit(cow->replaced, page);
}

/* image.c: the frozen vma that holds @addr, or the first above it; NULL: none. */
const struct tk_image_vma *tk_image_vma_find(const struct tk_mm_image *image, gva_t addr);
u64 tk_image_pte(const struct tk_mm_image *image, u32 leaf, unsigned int index);
bool tk_mm_page_is_zero(const u8 *page);

/* freeze.c */
int tk_freeze_pages(struct tk_mm *mm, struct tk_mm_image *image, struct tkvm_error *err);

/* fork.c */
void tk_cow_destroy(struct tk_mm *mm);
/* What is only a number and the same in every fork. */
void tk_cow_scalars(struct tk_mm *mm);
/* What @vma is in a fork: borrows its backing, is in no list. */
struct tk_vma tk_cow_vma(const struct tk_mm *mm, const struct tk_image_vma *vma);
/* Map [@start, @end) of the frozen @vma as a fresh fork has it, wherever a chunk is bound. */
int tk_cow_map(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end);

/* journal.c: for the rest of src/mm. All of them do nothing in what is not a fork. */
void tk_cow_note(struct tk_mm *mm, gva_t start, gva_t end); /* changes are coming there */
void tk_cow_set_replaced(struct tk_mm *mm, const u8 *hva, u64 len);
/* @backing is shared memory of the fork's own that is about to be mapped in a new way. */
void tk_cow_aliased(struct tk_mm *mm, const struct tk_backing *backing);
bool tk_cow_owns_chunk(const struct tk_mm *mm, u32 chunk);     /* bound for ever */
void tk_cow_unbound(struct tk_mm *mm, gva_t start, gva_t end); /* another chunk lost its place */

/* detach.c: what would bring frozen bytes back */
int tk_cow_dontneed(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end);
/* Pages of shared memory were removed. */
void tk_cow_punched(struct tk_mm *mm, gva_t start, gva_t end);
/* Make [@start, @end) of private @vma independent of the image. 0 or -ENOMEM. */
int tk_cow_detach(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end);

/* hot.c */
void tk_hot_populate(struct tk_mm *mm); /* what other forks write in every request */
void tk_hot_add(struct tk_mm *mm, u64 page);
void tk_hot_collect(struct tk_mm *mm);
/* Forget pages whose translations are gone and whose content is the frozen one. */
void tk_hot_forget(struct tk_mm *mm, u64 page, u64 n);
int tk_hot_restore(struct tk_mm *mm);

#endif
