/* SPDX-License-Identifier: MIT */
/*
 * The guest's page tables: four levels, 4 KiB leaves, written by the VMM only. Accessed and dirty
 * bits are preset so that the processor has nothing to write (AMD's nested walker counts a walk
 * as a write all the same: the memslots are writable).
 *
 * Tables come from a pool with memslots of its own, added in steps that double. A table stays
 * linked where it is for ever: KVM's shadow paging links shadow tables by what it once read and
 * never hears of a table that the VMM unlinks, so a reused one would show through at its old
 * place. An empty table only gives its memory back; read as zeroes it is still an empty table.
 *
 * Every store to a leaf is followed by count(), which keeps all the counts.
 */
#include <errno.h>

#include "mm/cow.h"

#define POOL_TABLES (TK_PT_MAX_SIZE >> TK_PAGE_SHIFT)
#define FIRST_STEP  (TK_MIB(2) >> TK_PAGE_SHIFT)
#define LAST_STEP   (TK_MIB(64) >> TK_PAGE_SHIFT)
#define TRIM_AT	    64
#define TABLE_BITS  (TK_PTE_P | TK_PTE_W | TK_PTE_U | TK_PTE_A | TK_PTE_D)

static int pool_grow(struct tk_mm *mm)
{
	const struct tk_mm_backend *backend = &mm->opts.backend;
	u32 step = TK_MIN(TK_MAX(mm->pool_size, FIRST_STEP), LAST_STEP);
	u64 offset = (u64)mm->pool_size << TK_PAGE_SHIFT, size;
	u8 *hva = mm->pool + offset;

	step = TK_MIN(step, POOL_TABLES - mm->pool_size);
	size = (u64)step << TK_PAGE_SHIFT;
	if (!step || mprotect(hva, size, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	if (backend->slot_add &&
	    backend->slot_add(backend->ctx, TK_GPA_PT + offset, size, hva, 0)) {
		(void)mprotect(hva, size, PROT_NONE);
		return -ENOMEM;
	}
	mm->pool_size += step;
	return 0;
}

static int table_new(struct tk_mm *mm, bool leaf, u32 *table)
{
	if (mm->pool_used && !tk_charge_room(mm, 1))
		return -ENOMEM;
	if (mm->pool_used == mm->pool_size && pool_grow(mm))
		return -ENOMEM;
	*table = mm->pool_used++;
	mm->tables_info[*table] = (struct tk_ptpage){.leaf = leaf, .resident = true};
	mm->tables++;
	mm->empty_leaves += leaf;
	return 0;
}

static void *reserve(u64 size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int tk_pt_init(struct tk_mm *mm, struct tkvm_error *err)
{
	mm->pool = reserve(TK_PT_MAX_SIZE, PROT_NONE);
	mm->tables_info = reserve(POOL_TABLES * sizeof(*mm->tables_info), PROT_READ | PROT_WRITE);
	if (!mm->pool || !mm->tables_info)
		return tk_fail(err, ENOMEM, "no memory for page tables");
	return 0;
}

int tk_pt_make_root(struct tk_mm *mm, struct tkvm_error *err)
{
	u32 root;

	if (table_new(mm, false, &root))
		return tk_fail(err, ENOMEM, "no memory for page tables");
	return 0;
}

void tk_pt_destroy(struct tk_mm *mm)
{
	if (mm->pool)
		munmap(mm->pool, TK_PT_MAX_SIZE);
	if (mm->tables_info)
		munmap(mm->tables_info, POOL_TABLES * sizeof(*mm->tables_info));
}

static u32 entry_table(u64 entry)
{
	return (u32)(((entry & TK_PTE_ADDR) - TK_GPA_PT) >> TK_PAGE_SHIFT);
}

static unsigned int level_index(gva_t addr, int level)
{
	return (addr >> (TK_PAGE_SHIFT + 9 * level)) % TK_PTES;
}

u32 tk_pt_leaf(struct tk_mm *mm, gva_t addr)
{
	u32 table = 0;
	u64 entry;

	for (int level = 3; level > 0; level--) {
		entry = tk_pt_table(mm, table)[level_index(addr, level)];
		if (!entry)
			return 0;
		table = entry_table(entry);
	}
	return table;
}

int tk_pt_make_leaf(struct tk_mm *mm, gva_t addr, u32 *leaf)
{
	u32 table = 0, next;
	u64 *entry;
	int rc;

	for (int level = 3; level > 0; level--, table = next) {
		entry = &tk_pt_table(mm, table)[level_index(addr, level)];
		if (*entry) {
			next = entry_table(*entry);
			continue;
		}
		rc = table_new(mm, level == 1, &next);
		if (rc)
			return rc;
		*entry = (TK_GPA_PT + ((u64)next << TK_PAGE_SHIFT)) | TABLE_BITS;
	}
	*leaf = table;
	return 0;
}

u32 tk_pt_next_leaf(struct tk_mm *mm, gva_t *addr, gva_t end)
{
	u64 entry = 0, span;
	u32 table;
	int level;

	while (*addr < end) {
		table = 0;
		for (level = 3; level > 0; level--) {
			entry = tk_pt_table(mm, table)[level_index(*addr, level)];
			if (!entry)
				break;
			table = entry_table(entry);
		}
		if (entry && mm->tables_info[table].count)
			return table;
		span = 1ull << (TK_PAGE_SHIFT + 9 * TK_MAX(level, 1));
		*addr = (*addr & ~(span - 1)) + span;
	}
	return 0;
}

void tk_pt_each_leaf(struct tk_mm *mm, void (*fn)(struct tk_mm *mm, u32 leaf, gva_t start))
{
	for (u32 i = 0; i < mm->top_chunk; i++) {
		gva_t addr = tk_chunk_gva(mm, i), end = addr + TK_CHUNK_SIZE;
		u32 leaf;

		if (!mm->chunks[i].va || !mm->chunks[i].pages)
			continue;
		for (; (leaf = tk_pt_next_leaf(mm, &addr, end)); addr += TK_LEAF_SIZE)
			fn(mm, leaf, addr & ~(TK_LEAF_SIZE - 1));
	}
}

u64 tk_pt_get(struct tk_mm *mm, gva_t addr)
{
	u32 leaf = tk_pt_leaf(mm, addr);

	return leaf ? tk_pt_table(mm, leaf)[tk_pt_index(addr)] : 0;
}

u64 tk_pt_bits(unsigned int prot)
{
	u64 bits = TK_PTE_U | TK_PTE_A | TK_PTE_D;

	if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		bits |= TK_PTE_P;
	if (prot & PROT_WRITE)
		bits |= TK_PTE_W;
	if (!(prot & PROT_EXEC))
		bits |= TK_PTE_NX;
	return bits;
}

/*
 * @entries more (or less) entries in @leaf, @charged of them charged. All entries of a leaf point
 * into one chunk; @sample is any of them.
 */
static void count(struct tk_mm *mm, u32 leaf, u64 sample, s64 entries, s64 charged)
{
	struct tk_ptpage *info = &mm->tables_info[leaf];
	u64 chunk = ((sample & TK_PTE_ADDR) - TK_GPA_MEMORY) >> TK_CHUNK_SHIFT;

	if (!entries && !charged)
		return;
	if (!info->count) {
		mm->empty_leaves -= info->resident;
		mm->tables += !info->resident;
		info->resident = true;
	}
	info->count += (u16)entries;
	if (!info->count)
		mm->empty_leaves++;
	mm->charged += (u64)charged;
	/* The kernel area and what the window shows are not in the arena. */
	if (chunk < mm->n_chunks)
		mm->chunks[chunk].pages += (u32)entries;
}

void tk_pt_set(struct tk_mm *mm, u32 leaf, unsigned int index, u64 entry)
{
	u64 *pte = &tk_pt_table(mm, leaf)[index], old = *pte;

	*pte = entry;
	count(mm, leaf, entry ? entry : old, !!entry - !!old,
	      !!(entry & TK_PTE_CHARGED) - !!(old & TK_PTE_CHARGED));
}

u64 tk_pt_fill(struct tk_mm *mm, u32 leaf, unsigned int index, unsigned int n, u64 entry)
{
	u64 *pte = &tk_pt_table(mm, leaf)[index], filled = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (pte[i])
			continue;
		pte[i] = entry + i * TK_PAGE_SIZE;
		filled++;
	}
	count(mm, leaf, entry, (s64)filled, entry & TK_PTE_CHARGED ? (s64)filled : 0);
	return filled;
}

static u64 clear_leaf(struct tk_mm *mm, u32 leaf, unsigned int index, u64 n)
{
	u64 *pte = &tk_pt_table(mm, leaf)[index], sample = 0;
	s64 entries = 0, charged = 0;

	for (u64 i = 0; i < n; i++) {
		if (!pte[i])
			continue;
		sample = pte[i];
		entries++;
		charged += !!(sample & TK_PTE_CHARGED);
		pte[i] = 0;
	}
	count(mm, leaf, sample, -entries, -charged);
	return (u64)entries;
}

void tk_pt_trim(struct tk_mm *mm)
{
	if (mm->empty_leaves < TRIM_AT)
		return;
	/* Without its memory an image's table would read as it was frozen, not as zeroes. */
	for (u32 i = mm->cow ? mm->cow->image->pool_used : 0; i < mm->pool_used; i++) {
		struct tk_ptpage *info = &mm->tables_info[i];

		if (!info->leaf || info->count || !info->resident)
			continue;
		if (madvise(tk_pt_table(mm, i), TK_PAGE_SIZE, MADV_DONTNEED))
			continue;
		info->resident = false;
		mm->tables--;
		mm->empty_leaves--;
	}
}

u64 tk_pt_clear(struct tk_mm *mm, gva_t start, gva_t end)
{
	u64 cleared = 0;
	gva_t stop;
	u32 leaf;

	for (; (leaf = tk_pt_next_leaf(mm, &start, end)); start = stop) {
		stop = tk_pt_stop(start, end);
		cleared +=
			clear_leaf(mm, leaf, tk_pt_index(start), (stop - start) >> TK_PAGE_SHIFT);
	}
	return cleared;
}

static u64 protect_entry(struct tk_mm *mm, u64 entry, unsigned int prot, bool charge)
{
	if (!entry)
		return 0;
	if (charge && !(entry & TK_PTE_CHARGED)) {
		if (!tk_charge_left(mm))
			return 0; /* the next fault decides */
		entry |= TK_PTE_CHARGED;
		mm->slack++;
	}
	return (entry & (TK_PTE_ADDR | TK_PTE_CHARGED)) | tk_pt_bits(prot);
}

/* @charge: from now on the pages may hold memory of the guest's own. Empty entries stay so. */
void tk_pt_protect(struct tk_mm *mm, gva_t start, gva_t end, unsigned int prot, bool charge)
{
	gva_t stop;
	u32 leaf;

	for (; (leaf = tk_pt_next_leaf(mm, &start, end)); start = stop) {
		stop = tk_pt_stop(start, end);
		for (gva_t addr = start; addr < stop; addr += TK_PAGE_SIZE) {
			u64 entry = tk_pt_table(mm, leaf)[tk_pt_index(addr)];

			entry = protect_entry(mm, entry, prot, charge);
			tk_pt_set(mm, leaf, tk_pt_index(addr), entry);
		}
	}
}

bool tk_pt_filled(struct tk_mm *mm, gva_t start, gva_t end)
{
	gva_t stop;
	u32 leaf;

	for (; start < end; start = stop) {
		stop = tk_pt_stop(start, end);
		leaf = tk_pt_leaf(mm, start);
		if (!leaf)
			return false;
		for (gva_t addr = start; addr < stop; addr += TK_PAGE_SIZE)
			if (!tk_pt_table(mm, leaf)[tk_pt_index(addr)])
				return false;
	}
	return true;
}
