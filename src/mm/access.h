/* SPDX-License-Identifier: MIT */
/*
 * The only way for the VMM to touch guest memory. Checks vma permissions, binds lazily populated
 * chunks, survives mapped files that are truncated at any moment (no SIGBUS in the VMM), and
 * records the pages written, since KVM does not see the VMM's writes.
 *
 * Copy once, validate the copy, use the copy: the guest's other threads do not run meanwhile, but
 * shared file mappings may change at any time.
 */
#ifndef TK_MM_ACCESS_H
#define TK_MM_ACCESS_H

#include <sys/uio.h>

#include "mm/mm.h"

/* All or nothing as far as the return value goes: 0, or -EFAULT (part may have been copied). */
int tk_copy_in(struct tk_mm *mm, void *dst, gva_t src, size_t len) TK_MUST_CHECK;
int tk_copy_out(struct tk_mm *mm, gva_t dst, const void *src, size_t len) TK_MUST_CHECK;
int tk_zero_out(struct tk_mm *mm, gva_t dst, size_t len) TK_MUST_CHECK;

/* As tk_copy_out() for the loader: ignores PROT_WRITE being absent. */
int tk_copy_out_force(struct tk_mm *mm, gva_t dst, const void *src, size_t len) TK_MUST_CHECK;

/*
 * Copy a NUL-terminated string of less than @size bytes. Returns its length, -EFAULT, or
 * -ENAMETOOLONG if no NUL came in time.
 */
ssize_t tk_copy_str(struct tk_mm *mm, char *dst, gva_t src, size_t size) TK_MUST_CHECK;

enum tk_access { TK_ACCESS_READ, TK_ACCESS_WRITE };

/*
 * Describe guest memory [@addr, @addr + @len) by host iovecs for a host system call. Stops early
 * at the first inaccessible page or after @max pieces (several are rare). Returns the number of
 * pieces and their total in *@mapped; -EFAULT if the first byte is not accessible. @len 0 gives 0.
 * A host call on the pieces may still fail with EFAULT (truncated file).
 * For TK_ACCESS_WRITE call tk_mm_wrote() with what the host call wrote.
 * The pieces are valid until the next change of the address space.
 */
int tk_iov_map(struct tk_mm *mm, gva_t addr, u64 len, enum tk_access access, struct iovec *iov,
	       int max, size_t *mapped) TK_MUST_CHECK;
void tk_mm_wrote(struct tk_mm *mm, gva_t addr, u64 len);

/*
 * Import a guest struct iovec array (readv and friends). Returns the number of host pieces in
 * *@ret (to be freed by the caller) with *@total bytes; -EINVAL (count over IOV_MAX, lengths that
 * do not add up within SSIZE_MAX), -EFAULT (only if nothing at all is accessible), -ENOMEM.
 */
int tk_iov_import(struct tk_mm *mm, gva_t iov, u64 count, enum tk_access access, struct iovec **ret,
		  size_t *total) TK_MUST_CHECK;

/* After a host call wrote @len bytes through pieces from tk_iov_import(mm, iov, count). */
void tk_iov_wrote(struct tk_mm *mm, const struct iovec *pieces, int n, size_t len);

/*
 * The host address of an aligned 32-bit word for atomic operations (futex), or NULL (-EFAULT).
 * File-backed words may vanish: the caller must use tk_copy_in() unless *@anon.
 */
u32 *tk_mm_word(struct tk_mm *mm, gva_t addr, enum tk_access access, bool *anon);

/* A key that is equal for two addresses iff they are the same memory (shared futexes). */
struct tk_futex_key {
	u64 object, offset; /* object 0: private to this address space */
};
int tk_mm_futex_key(struct tk_mm *mm, gva_t addr, bool shared,
		    struct tk_futex_key *key) TK_MUST_CHECK;

#endif
