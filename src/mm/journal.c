/* SPDX-License-Identifier: MIT */
/*
 * Where a fork's mappings may differ from the image's: a few ranges of guest addresses, and a bit
 * for each page whose host mapping was replaced. Everything that changes mappings says so here
 * beforehand; what it says too much costs a little time, what it forgets would survive a reset.
 */
#include <string.h>

#include "mm/cow.h"

/* Too many ranges: one that covers them all. */
static void collapse(struct tk_cow *cow)
{
	cow->journal[0].end = cow->journal[cow->n_journal - 1].end;
	cow->n_journal = 1;
}

void tk_cow_note(struct tk_mm *mm, gva_t start, gva_t end)
{
	struct tk_cow *cow = mm->cow;
	struct tk_cow_range *list;
	unsigned int i = 0, n;

	end = TK_MIN(end, (gva_t)TK_USER_TOP);
	if (!cow || start >= end)
		return;
	list = cow->journal;
	while (i < cow->n_journal && list[i].end < start)
		i++;
	for (n = i; n < cow->n_journal && list[n].start <= end; n++) {
		start = TK_MIN(start, list[n].start);
		end = TK_MAX(end, list[n].end);
	}
	if (n == i && cow->n_journal == TK_JOURNAL_MAX) {
		collapse(cow);
		tk_cow_note(mm, start, end);
		return;
	}
	memmove(&list[i + 1], &list[n], (cow->n_journal - n) * sizeof(*list));
	list[i] = (struct tk_cow_range){start, end};
	cow->n_journal = cow->n_journal - (n - i) + 1;
}

void tk_cow_set_replaced(struct tk_mm *mm, const u8 *hva, u64 len)
{
	u64 page, n;

	if (!mm->cow)
		return;
	page = tk_page_of(mm, hva);
	for (u64 end = page + (len >> TK_PAGE_SHIFT); page < end; page += n) {
		n = TK_MIN(64 - page % 64, end - page);
		mm->cow->replaced[page / 64] |= (n < 64 ? (1ull << n) - 1 : ~0ull) << page % 64;
	}
}

static bool is_own(const struct tk_cow *cow, const struct tk_backing *backing)
{
	for (unsigned int i = 0; i < cow->image->n_backings; i++) {
		const struct tk_backing *own = cow->backings[i];

		if (!own->borrowed && own->host_ino == backing->host_ino &&
		    own->host_dev == backing->host_dev)
			return true;
	}
	return false;
}

/* Writes through the new mapping would be logged for a page that says nothing about the object. */
void tk_cow_aliased(struct tk_mm *mm, const struct tk_backing *backing)
{
	if (mm->cow && backing && is_own(mm->cow, backing))
		mm->cow->stale = true;
}

/* Shared memory that was written there would be restored by the page that it had. */
void tk_cow_unbound(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_cow *cow = mm->cow;
	const struct tk_image_vma *vma, *stop;

	if (!cow)
		return;
	stop = cow->image->vmas + cow->image->n_vmas;
	vma = tk_image_vma_find(cow->image, start);
	for (; vma && vma < stop && vma->start < end; vma++)
		if (vma->flags & TK_VMA_SHARED && !cow->backings[vma->backing]->borrowed)
			mm->cow->stale = true;
}

bool tk_cow_owns_chunk(const struct tk_mm *mm, u32 chunk)
{
	return mm->cow && tk_image_has(mm->cow->image, (u64)chunk * TK_CHUNK_PAGES);
}
