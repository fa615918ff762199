/* SPDX-License-Identifier: MIT */
/*
 * Freezing an address space, forking the frozen one, and putting forks back.
 *
 * An image is immutable once made and may be used by several threads at once; only the count of
 * its references changes. A fork is an address space like any other (mm.h) and belongs to one
 * thread at a time.
 *
 * docs/internals/memory.md tells how it works.
 */
#ifndef TK_MM_IMAGE_H
#define TK_MM_IMAGE_H

#include "mm/mm.h"

struct tk_mm_image;

/*
 * Copy what is in @mm alone into an image, with one reference. @mm stays as it is and may be
 * destroyed afterwards; the memory behind its shared anonymous mappings and its memfds belongs to
 * the image from now on: nothing may change it any more.
 *   -EINVAL  @mm is a fork
 *   -ENOMEM, -EMFILE, ...
 */
int tk_mm_freeze(struct tk_mm *mm, struct tk_mm_image **ret, struct tkvm_error *err) TK_MUST_CHECK;

/* Any thread. The last to go frees it; forks hold one each. NULL is fine. */
struct tk_mm_image *tk_mm_image_get(struct tk_mm_image *image);
void tk_mm_image_put(struct tk_mm_image *image);

struct tk_mm_image_info {
	u64 bytes;	   /* of content that was copied */
	u64 table_bytes;   /* of page tables */
	unsigned int vmas; /* mappings of the guest */
};
void tk_mm_image_info(const struct tk_mm_image *image, struct tk_mm_image_info *info);

/*
 * Call @fn with a descriptor of each file behind a shared mapping of @image that is writable or may
 * be made so, until it fails; not of shared anonymous memory.
 */
int tk_mm_image_each_file(const struct tk_mm_image *image, int (*fn)(void *ctx, int hostfd),
			  void *ctx) TK_MUST_CHECK;

/* A memfd that the guest could map: every fork has its own copy of it. */
struct tk_mm_swap {
	u64 dev, ino; /* fstat() of the frozen machine's */
	int hostfd;   /* this fork's; remains the caller's */
};

struct tk_mm_fork_options {
	struct tk_mm_backend backend; /* with @collect, @rearm if slots are logged */
	u64 max_memory;		      /* bytes beyond what is in the image; 0: no limit */
	u64 max_hot;		      /* bytes that resets keep at hand; 0: 64 MiB */
	const struct tk_mm_swap *swaps;
	size_t n_swaps;
};

/*
 * Make an address space in the frozen state, kernel area included. Takes a reference of @image.
 *   -ENOMEM, -EMFILE, ...
 */
int tk_mm_fork(struct tk_mm **ret, struct tk_mm_image *image, const struct tk_mm_fork_options *opts,
	       struct tkvm_error *err) TK_MUST_CHECK;

/*
 * Put a fork back into the frozen state: mappings, contents, limits, the break. Copies of memfds
 * (tk_mm_swap) must have their frozen size again; what was changed through mappings is put
 * right here.
 *   -EINVAL  not a fork
 *   -ESTALE  that is not possible, or dearer than a new fork; the fork is to be destroyed
 */
int tk_mm_reset(struct tk_mm *mm) TK_MUST_CHECK;

/* The guest, or anybody on its behalf, wrote to the page at @gpa: an entry of the dirty ring. */
void tk_mm_dirtied(struct tk_mm *mm, gpa_t gpa);

/* A dirty ring is full (TK_EXIT_RING_FULL): empty them all. 0, or -errno of backend.rearm. */
int tk_mm_ring_full(struct tk_mm *mm) TK_MUST_CHECK;

/* Counted since the fork was made, but for the last four. */
struct tk_mm_fork_usage {
	u64 resets;
	u64 copied_pages;
	u64 equal_pages;
	u64 reprotects;	     /* times that the dirty rings were handed back */
	u64 restored_ranges; /* mapped again by resets, in pieces */
	u64 host_calls;	     /* calls of the host's kernel made by resets */
	u64 hot_pages;	     /* looked at in every reset now */
	u64 dirty_pages;     /* found changed by the last one */
	u64 private_bytes;   /* only if @walk */
	u64 hot_bytes;
};
void tk_mm_fork_usage(struct tk_mm *mm, struct tk_mm_fork_usage *usage, bool walk);

#endif
