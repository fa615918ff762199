/* SPDX-License-Identifier: MIT */
/*
 * Guest memory as host iovecs, so that read(2) and send(2) work on it in place. Both limits of
 * Linux apply: IOV_MAX entries, and MAX_RW_COUNT bytes, beyond which a transfer is cut short.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "mm/access.h"
#include "mm/internal.h"

#define MAX_RW_COUNT 0x7ffff000ull

/* Add a piece, to the one before if it continues that. False: no room. */
static bool add_piece(struct iovec *iov, int *n, int max, const struct tk_span *span)
{
	struct iovec *last = *n ? &iov[*n - 1] : NULL;

	if (last && (u8 *)last->iov_base + last->iov_len == span->hva) {
		last->iov_len += span->len;
		return true;
	}
	if (*n == max)
		return false;
	iov[(*n)++] = (struct iovec){span->hva, span->len};
	return true;
}

int tk_iov_map(struct tk_mm *mm, gva_t addr, u64 len, enum tk_access access, struct iovec *iov,
	       int max, size_t *mapped)
{
	unsigned int prot = access == TK_ACCESS_WRITE ? PROT_WRITE : TK_PROT_ANY;
	struct tk_span span;
	u64 done = 0;
	int n = 0;

	len = TK_MIN(len, MAX_RW_COUNT);
	while (done < len && !tk_span_find(mm, addr + done, len - done, prot, &span)) {
		if (!add_piece(iov, &n, max, &span))
			break;
		done += span.len;
	}
	*mapped = done;
	return len && !done ? -EFAULT : n;
}

/* As the kernel's access_ok(): any user address will do for an empty piece. */
static bool plausible(const struct iovec *iov)
{
	u64 base = (u64)iov->iov_base;

	return base <= TK_ADDRESS_TOP && iov->iov_len <= TK_ADDRESS_TOP - base;
}

/* Copy the array in; clip the sum of lengths. Returns 0 and the sum, or -errno. */
static int read_array(struct tk_mm *mm, gva_t addr, u64 count, struct iovec *iov, u64 *sum)
{
	if (tk_copy_in(mm, iov, addr, count * sizeof(*iov)))
		return -EFAULT;
	*sum = 0;
	for (u64 i = 0; i < count; i++) {
		if ((ssize_t)iov[i].iov_len < 0)
			return -EINVAL;
		if (!plausible(&iov[i]))
			return -EFAULT;
		iov[i].iov_len = TK_MIN(iov[i].iov_len, MAX_RW_COUNT - *sum);
		*sum += iov[i].iov_len;
	}
	return 0;
}

static int map_array(struct tk_mm *mm, const struct iovec *guest, u64 count, enum tk_access access,
		     struct iovec *pieces, size_t *total)
{
	size_t mapped;
	int n = 0, got;

	*total = 0;
	for (u64 i = 0; i < count && n < IOV_MAX; i++) {
		if (!guest[i].iov_len)
			continue;
		got = tk_iov_map(mm, (gva_t)guest[i].iov_base, guest[i].iov_len, access, pieces + n,
				 IOV_MAX - n, &mapped);
		if (got < 0)
			break;
		n += got;
		*total += mapped;
		if (mapped < guest[i].iov_len)
			break;
	}
	return n;
}

int tk_iov_import(struct tk_mm *mm, gva_t iov, u64 count, enum tk_access access, struct iovec **ret,
		  size_t *total)
{
	struct iovec *guest, *pieces;
	u64 sum;
	int rc;

	if (count > IOV_MAX)
		return -EINVAL;
	guest = calloc(count + 1, sizeof(*guest));
	pieces = calloc(count ? IOV_MAX : 1, sizeof(*pieces));
	rc = guest && pieces ? read_array(mm, iov, count, guest, &sum) : -ENOMEM;
	if (!rc) {
		rc = map_array(mm, guest, count, access, pieces, total);
		if (sum && !*total)
			rc = -EFAULT;
	}
	free(guest);
	if (rc < 0)
		free(pieces);
	else
		*ret = pieces;
	return rc;
}
