/* SPDX-License-Identifier: MIT */
/* Single words of guest memory for futexes: where they are, and when two of them are the same. */
#include <errno.h>

#include "mm/access.h"
#include "mm/cow.h"

u32 *tk_mm_word(struct tk_mm *mm, gva_t addr, enum tk_access access, bool *anon)
{
	struct tk_span span;

	if (addr % sizeof(u32))
		return NULL;
	if (tk_span_find(mm, addr, sizeof(u32),
			 access == TK_ACCESS_WRITE ? PROT_WRITE : TK_PROT_ANY, &span))
		return NULL;
	if (access == TK_ACCESS_WRITE)
		tk_mm_wrote(mm, addr, sizeof(u32));
	*anon = !tk_vma_volatile(span.vma);
	return (u32 *)span.hva;
}

int tk_mm_futex_key(struct tk_mm *mm, gva_t addr, bool shared, struct tk_futex_key *key)
{
	const struct tk_vma *vma = tk_vma_at(mm, addr);

	*key = (struct tk_futex_key){.object = 0, .offset = addr};
	if (addr >= TK_USER_TOP)
		return -EFAULT;
	if (!shared)
		return 0;
	if (!vma || !vma->prot || addr >= tk_vma_eof(vma))
		return -EFAULT;
	if (vma->flags & TK_VMA_SHARED) {
		/* Inode numbers are unique in a file system; few of them use the upper bits. */
		key->object = vma->backing->host_ino ^ vma->backing->host_dev << 44 ^ 1ull << 63;
		key->offset = tk_vma_offset_at(vma, addr);
	}
	return 0;
}
