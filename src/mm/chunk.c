/* SPDX-License-Identifier: MIT */
/*
 * Which 4 MiB of the arena stand behind which 4 MiB of guest addresses.
 *
 * The arena is one inaccessible reservation; arena chunk i is guest-physical TK_GPA_MEMORY +
 * i * 4 MiB for ever. KVM gets it in memslots of 64 MiB, added when a chunk in them is first used
 * and never deleted: JavaScript engines spread their heaps over dozens of random addresses, which
 * should not cost a memslot each.
 *
 * A VA chunk is bound when something in it is first touched, and stays bound until the arena has
 * no free chunk left: then a bound chunk to which no page-table entry points (so it has no
 * content) is given to another VA chunk.
 *
 * Neighbours in VA are placed as neighbours in the arena where possible: a buffer that crosses
 * the boundary is then one piece, and so is the host mapping.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/cow.h"

#define VA_CHUNKS ((1ull << 47) >> TK_CHUNK_SHIFT)
#define NEAR	  64u /* how far a large mapping's chunks are kept together */

static void *reserve(u64 size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Aligned to slots, so that the host can use huge pages where the guest could. */
static u8 *reserve_arena(u64 size)
{
	u8 *p = reserve(size + TK_SLOT_SIZE, PROT_NONE);
	u64 head;

	if (!p)
		return NULL;
	head = -(u64)p & (TK_SLOT_SIZE - 1);
	if (head)
		munmap(p, head);
	munmap(p + head + size, TK_SLOT_SIZE - head);
	return p + head;
}

static u32 slot_of(u32 chunk)
{
	return chunk >> (TK_SLOT_SHIFT - TK_CHUNK_SHIFT);
}

int tk_chunk_init(struct tk_mm *mm, struct tkvm_error *err)
{
	u64 size = mm->opts.max_address_space;

	if (size < TK_CHUNK_SIZE || size > TK_GIB(16384))
		return tk_fail(err, EINVAL, "address space of %llu bytes: must be 4 MiB to 16 TiB",
			       (unsigned long long)size);
	mm->n_chunks = (u32)((size + TK_CHUNK_SIZE - 1) >> TK_CHUNK_SHIFT);
	mm->arena = reserve_arena((u64)mm->n_chunks << TK_CHUNK_SHIFT);
	mm->chunk_of = reserve(VA_CHUNKS * sizeof(u32), PROT_READ | PROT_WRITE);
	mm->chunks = calloc(mm->n_chunks, sizeof(*mm->chunks));
	mm->slots = calloc(slot_of(mm->n_chunks - 1) + 1, sizeof(*mm->slots));
	mm->group_bound = calloc(VA_CHUNKS / TK_GROUP_CHUNKS, sizeof(*mm->group_bound));
	if (!mm->arena || !mm->chunk_of || !mm->chunks || !mm->slots || !mm->group_bound)
		return tk_fail(err, ENOMEM, "cannot reserve %llu bytes of address space",
			       (unsigned long long)size);
	return 0;
}

void tk_chunk_destroy(struct tk_mm *mm)
{
	if (mm->arena)
		munmap(mm->arena, (u64)mm->n_chunks << TK_CHUNK_SHIFT);
	if (mm->chunk_of)
		munmap(mm->chunk_of, VA_CHUNKS * sizeof(u32));
	free(mm->chunks);
	free(mm->slots);
	free(mm->group_bound);
}

static bool is_free(const struct tk_mm *mm, s64 chunk)
{
	return chunk >= 0 && chunk < mm->n_chunks && !mm->chunks[chunk].va;
}

/* Next to a bound neighbour in VA, if that place is free. */
static s64 beside_neighbour(const struct tk_mm *mm, u32 vc)
{
	u32 below = vc ? mm->chunk_of[vc - 1] : 0;
	u32 above = vc + 1 < VA_CHUNKS ? mm->chunk_of[vc + 1] : 0;

	if (below && is_free(mm, below)) /* stored + 1: this is the one after it */
		return below;
	if (above && is_free(mm, (s64)above - 2))
		return (s64)above - 2;
	return -1;
}

/* In the middle of free chunks enough for the rest of the mapping around it. */
static s64 with_room(const struct tk_mm *mm, u32 vc, const struct tk_vma *vma)
{
	u32 before = TK_MIN(vc - (u32)(vma->start >> TK_CHUNK_SHIFT), NEAR);
	u32 after = TK_MIN((u32)((vma->end - 1) >> TK_CHUNK_SHIFT) - vc, NEAR);
	u32 run = 0;

	for (u32 i = 0; i < mm->n_chunks; i++) {
		run = mm->chunks[i].va ? 0 : run + 1;
		if (run == before + after + 1)
			return (s64)i - after;
	}
	return -1;
}

static s64 any_free(const struct tk_mm *mm)
{
	for (u32 i = 0; i < mm->n_chunks; i++)
		if (!mm->chunks[i].va)
			return i;
	return -1;
}

static void set_binding(struct tk_mm *mm, u32 vc, u32 chunk)
{
	mm->chunks[chunk].va = vc + 1;
	mm->top_chunk = TK_MAX(mm->top_chunk, chunk + 1);
	mm->chunk_of[vc] = chunk + 1;
	mm->group_bound[vc / TK_GROUP_CHUNKS]++;
	mm->n_bound++;
}

static void unbind(struct tk_mm *mm, u32 chunk)
{
	u32 vc = mm->chunks[chunk].va - 1;
	gva_t start = (gva_t)vc << TK_CHUNK_SHIFT;

	(void)tk_host_release(mm, start, start + TK_CHUNK_SIZE);
	tk_cow_unbound(mm, start, start + TK_CHUNK_SIZE);
	mm->chunks[chunk].va = 0;
	mm->chunk_of[vc] = 0;
	mm->group_bound[vc / TK_GROUP_CHUNKS]--;
	mm->n_bound--;
}

/* Has no content, and nobody counts on where it is. */
static bool is_idle(const struct tk_mm *mm, u32 chunk)
{
	return mm->chunks[chunk].va && !mm->chunks[chunk].pages && !tk_cow_owns_chunk(mm, chunk);
}

static s64 reclaim(struct tk_mm *mm)
{
	for (u32 i = 0; i < mm->n_chunks; i++) {
		if (!is_idle(mm, i))
			continue;
		unbind(mm, i);
		return i;
	}
	return -1;
}

void tk_chunk_unbind_idle(struct tk_mm *mm)
{
	for (u32 i = 0; i < mm->top_chunk; i++)
		if (is_idle(mm, i))
			unbind(mm, i);
}

static s64 pick(struct tk_mm *mm, u32 vc)
{
	gva_t start = (gva_t)vc << TK_CHUNK_SHIFT;
	const struct tk_vma *vma = tk_vma_first(mm, start, start + TK_CHUNK_SIZE);
	s64 chunk = beside_neighbour(mm, vc);

	if (chunk < 0 && vma)
		chunk = with_room(mm, vc, vma);
	if (chunk < 0)
		chunk = any_free(mm);
	if (chunk < 0)
		chunk = reclaim(mm);
	return chunk;
}

static int add_slot(struct tk_mm *mm, u32 chunk)
{
	const struct tk_mm_backend *backend = &mm->opts.backend;
	u32 slot = slot_of(chunk);
	u64 offset = (u64)slot << TK_SLOT_SHIFT;
	u64 size = TK_MIN(((u64)mm->n_chunks << TK_CHUNK_SHIFT) - offset, (u64)TK_SLOT_SIZE);
	u8 *hva = mm->arena + offset;

	if (mm->slots[slot])
		return 0;
	if (backend->slot_add && backend->slot_add(backend->ctx, tk_chunk_gpa(mm, hva), size, hva,
						   backend->memory_flags))
		return -ENOMEM;
	mm->slots[slot] = true;
	return 0;
}

static int map_content(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_vma *vma = tk_vma_first(mm, start, end);
	int rc;

	for (; vma && vma->start < end; vma = vma->next) {
		rc = tk_host_map(mm, vma, TK_MAX(start, vma->start), TK_MIN(end, vma->end));
		if (rc)
			return rc;
	}
	return 0;
}

int tk_chunk_bind(struct tk_mm *mm, gva_t addr)
{
	u32 vc = (u32)(addr >> TK_CHUNK_SHIFT);
	gva_t start = (gva_t)vc << TK_CHUNK_SHIFT;
	s64 chunk;

	if (mm->chunk_of[vc])
		return 0;
	chunk = pick(mm, vc);
	if (chunk < 0 || add_slot(mm, (u32)chunk))
		return -ENOMEM;
	set_binding(mm, vc, (u32)chunk);
	if (map_content(mm, start, start + TK_CHUNK_SIZE)) {
		unbind(mm, (u32)chunk);
		return -ENOMEM;
	}
	return 0;
}

int tk_chunk_restore(struct tk_mm *mm, u32 vc, u32 chunk)
{
	int rc = add_slot(mm, chunk);

	if (!rc)
		set_binding(mm, vc, chunk);
	return rc;
}

int tk_chunk_bind_range(struct tk_mm *mm, gva_t start, gva_t end)
{
	int rc = 0;

	for (; start < end && !rc; start = (start & ~(TK_CHUNK_SIZE - 1ull)) + TK_CHUNK_SIZE)
		rc = tk_chunk_bind(mm, start);
	return rc;
}

/* The first bound VA chunk in [@vc, @end), or @end. */
static u64 skip_unbound(const struct tk_mm *mm, u64 vc, u64 end)
{
	while (vc < end && !mm->chunk_of[vc]) {
		if (vc % TK_GROUP_CHUNKS == 0 && !mm->group_bound[vc / TK_GROUP_CHUNKS])
			vc += TK_GROUP_CHUNKS;
		else
			vc++;
	}
	return TK_MIN(vc, end);
}

u64 tk_chunk_run(struct tk_mm *mm, gva_t addr, gva_t end, u8 **hva)
{
	u64 vc = addr >> TK_CHUNK_SHIFT, last = (end - 1) >> TK_CHUNK_SHIFT, next = vc + 1;
	u32 chunk = mm->chunk_of[vc];

	if (!chunk) {
		*hva = NULL;
		next = skip_unbound(mm, vc, last + 1);
	} else {
		*hva = mm->arena + ((u64)(chunk - 1) << TK_CHUNK_SHIFT) + addr % TK_CHUNK_SIZE;
		while (next <= last && mm->chunk_of[next] == chunk + (next - vc))
			next++;
	}
	return TK_MIN(next << TK_CHUNK_SHIFT, end) - addr;
}

gva_t tk_chunk_gva(struct tk_mm *mm, u32 chunk)
{
	if (chunk >= mm->n_chunks || !mm->chunks[chunk].va)
		return ~0ull;
	return (gva_t)(mm->chunks[chunk].va - 1) << TK_CHUNK_SHIFT;
}
