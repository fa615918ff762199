/* SPDX-License-Identifier: MIT */
/*
 * Does an address space agree with itself and with the host? Recomputes from scratch what the
 * other files keep up to date. For tests and fuzzers; nothing else calls it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mm/cow.h"

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			return #x;                                                                 \
	} while (0)

static u64 true_max_gap(const struct tk_vma *vma)
{
	u64 left, right;

	if (!vma)
		return 0;
	left = true_max_gap(RB_LEFT(vma, node));
	right = true_max_gap(RB_RIGHT(vma, node));
	left = TK_MAX(left, right);
	return TK_MAX(vma->gap, left);
}

static const char *check_vma(const struct tk_vma *vma)
{
	gva_t low = vma->prev ? vma->prev->end : 0, high = tk_vma_start_gap(vma);

	CHECK(vma->start < vma->end && vma->end <= TK_USER_TOP);
	CHECK(vma->start >= low);
	CHECK(!((vma->start | vma->end | vma->offset) % TK_PAGE_SIZE));
	CHECK(vma->gap == (high > low ? high - low : 0));
	CHECK(!vma->next || vma->next->prev == vma);
	CHECK(vma->backing || !(vma->flags & TK_VMA_SHARED));
	return NULL;
}

static const char *check_vmas(struct tk_mm *mm)
{
	u64 total = 0, data = 0, locked = 0;
	const struct tk_vma *vma;
	unsigned int n = 0;
	const char *wrong;

	for (vma = mm->first; vma; vma = vma->next) {
		wrong = check_vma(vma);
		if (wrong)
			return wrong;
		n++;
		total += vma->end - vma->start;
		data += tk_vma_is_data(vma->prot, vma->flags) ? vma->end - vma->start : 0;
		locked += vma->flags & TK_VMA_LOCKED ? vma->end - vma->start : 0;
		CHECK(vma->next || vma == mm->last);
		CHECK(tk_vma_at(mm, vma->start) == vma && tk_vma_at(mm, vma->end - 1) == vma);
	}
	CHECK(n == mm->n_vmas && total == mm->total && data == mm->data && locked == mm->locked);
	vma = RB_ROOT(&mm->vmas);
	CHECK(!vma || vma->max_gap == true_max_gap(vma));
	return NULL;
}

struct tally {
	u64 charged, tables, entries;
	u32 *pages; /* by arena chunk */
};

static const char *check_entry(struct tk_mm *mm, gva_t addr, u64 entry, struct tally *tally)
{
	const struct tk_vma *vma = tk_vma_at(mm, addr);
	u8 *hva;

	tally->charged += !!(entry & TK_PTE_CHARGED);
	if (addr >= TK_USER_TOP)
		return NULL;
	CHECK(vma);
	tk_chunk_run(mm, addr, addr + TK_PAGE_SIZE, &hva);
	CHECK(hva);
	CHECK((entry & ~TK_PTE_CHARGED) == (tk_pt_bits(vma->prot) | tk_chunk_gpa(mm, hva)));
	CHECK(entry & TK_PTE_CHARGED || !vma->prot || !tk_vma_charges(vma));
	tally->pages[(hva - mm->arena) >> TK_CHUNK_SHIFT]++;
	return NULL;
}

static const char *check_table(struct tk_mm *mm, u32 table, int level, gva_t base,
			       struct tally *tally)
{
	const u64 *entries = tk_pt_table(mm, table);
	const char *wrong = NULL;
	unsigned int count = 0;

	for (unsigned int i = 0; i < TK_PTES && !wrong; i++) {
		gva_t addr = base + ((u64)i << (TK_PAGE_SHIFT + 9 * level));
		u32 next = (u32)(((entries[i] & TK_PTE_ADDR) - TK_GPA_PT) >> TK_PAGE_SHIFT);

		if (!entries[i])
			continue;
		count++;
		if (level)
			CHECK(next > 0 && next < mm->pool_used);
		wrong = level ? check_table(mm, next, level - 1, addr, tally)
			      : check_entry(mm, addr, entries[i], tally);
	}
	if (wrong)
		return wrong;
	CHECK(level || mm->tables_info[table].count == count);
	CHECK(mm->tables_info[table].leaf == !level);
	tally->tables += mm->tables_info[table].resident;
	return NULL;
}

static const char *check_chunks(struct tk_mm *mm, const struct tally *tally)
{
	u32 bound = 0;

	for (u32 i = 0; i < mm->n_chunks; i++) {
		CHECK(mm->chunks[i].pages == tally->pages[i]);
		if (!mm->chunks[i].va)
			continue;
		bound++;
		CHECK(i < mm->top_chunk);
		CHECK(mm->slots[i >> (TK_SLOT_SHIFT - TK_CHUNK_SHIFT)]);
		CHECK(mm->chunk_of[mm->chunks[i].va - 1] == i + 1);
	}
	CHECK(bound == mm->n_bound);
	return NULL;
}

static const char *check_tables(struct tk_mm *mm)
{
	struct tally tally = {.pages = calloc(mm->n_chunks, sizeof(u32))};
	const char *wrong = tally.pages ? NULL : "no memory to check";

	if (!wrong)
		wrong = check_table(mm, 0, 3, 0, &tally);
	if (!wrong && (tally.charged != mm->charged || tally.tables != mm->tables))
		wrong = "charged or tables miscounted";
	if (!wrong)
		wrong = check_chunks(mm, &tally);
	free(tally.pages);
	return wrong;
}

struct host_vma {
	u64 start, end, offset, ino;
	char prot[5];
};

static u64 image_ino(const struct tk_mm *mm)
{
	struct stat st;

	return fstat(mm->cow->image->memfd, &st) ? 0 : st.st_ino;
}

/* How much of [@start, @stop), from @page on, is mapped from the image, or is not. */
static gva_t alike(const struct tk_mm *mm, gva_t start, gva_t stop, u64 page, bool *imaged)
{
	gva_t at = start + TK_PAGE_SIZE;

	*imaged = mm->cow && tk_cow_imaged(mm->cow, page);
	if (!mm->cow)
		return stop;
	while (at < stop && tk_cow_imaged(mm->cow, ++page) == *imaged)
		at += TK_PAGE_SIZE;
	return at;
}

/* @start: guest address of the first byte to compare, all of it in one chunk; @page its page. */
static const char *check_host_vma(struct tk_mm *mm, const struct host_vma *host, gva_t start,
				  gva_t end, u64 page, u64 offset)
{
	static const char *const prots[] = {"---", "r--", "-w-", "rw-"};
	const struct tk_vma *vma;
	bool imaged;
	gva_t stop;

	for (; start < end;
	     offset += stop - start, page += (stop - start) >> TK_PAGE_SHIFT, start = stop) {
		vma = tk_vma_find(mm, start);
		stop = vma ? TK_MIN(end, start < vma->start ? vma->start : vma->end) : end;
		stop = alike(mm, start, stop, page, &imaged);
		if (!vma || start < vma->start) {
			CHECK(!strcmp(host->prot, "---p"));
			CHECK(!host->ino);
			continue;
		}
		CHECK(!strncmp(host->prot, prots[tk_host_prot(vma->prot)], 3));
		CHECK((host->prot[3] == 's') == !!(vma->flags & TK_VMA_SHARED));
		if (imaged) {
			CHECK(host->ino == image_ino(mm) && offset == page << TK_PAGE_SHIFT);
			continue;
		}
		CHECK(host->ino == (vma->backing ? vma->backing->host_ino : 0));
		CHECK(!vma->backing || offset == tk_vma_offset_at(vma, start));
	}
	return NULL;
}

static const char *check_host_line(struct tk_mm *mm, const struct host_vma *host)
{
	u64 lo = (u64)mm->arena, hi = lo + ((u64)mm->n_chunks << TK_CHUNK_SHIFT), stop;
	u64 end = TK_MIN(host->end, hi);
	const char *wrong = NULL;

	for (u64 at = TK_MAX(host->start, lo); at < end && !wrong; at = stop) {
		u32 chunk = (u32)((at - lo) >> TK_CHUNK_SHIFT);
		gva_t gva = tk_chunk_gva(mm, chunk) + (at - lo) % TK_CHUNK_SIZE;

		stop = TK_MIN(lo + ((u64)(chunk + 1) << TK_CHUNK_SHIFT), end);
		if (!mm->chunks[chunk].va)
			CHECK(!strcmp(host->prot, "---p"));
		else
			wrong = check_host_vma(mm, host, gva, gva + (stop - at),
					       (at - lo) >> TK_PAGE_SHIFT,
					       host->offset + (at - host->start));
	}
	return wrong;
}

static const char *check_host(struct tk_mm *mm)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	const char *wrong = maps ? NULL : "cannot read the host's mappings";
	struct host_vma host;
	char line[512];

	while (!wrong && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %lu", &host.start, &host.end, host.prot,
			   &host.offset, &host.ino) == 5)
			wrong = check_host_line(mm, &host);
	}
	if (maps)
		fclose(maps);
	return wrong;
}

const char *tk_mm_check(struct tk_mm *mm, bool deep)
{
	const char *wrong = check_vmas(mm);

	if (!wrong)
		wrong = check_tables(mm);
	if (!wrong && deep)
		wrong = check_host(mm);
	return wrong;
}
