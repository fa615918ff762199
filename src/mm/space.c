/* SPDX-License-Identifier: MIT */
/* An address space as a whole: making and unmaking it, its kernel area, and what it reports. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mm/cow.h"

int tk_mm_create_empty(struct tk_mm **ret, const struct tk_mm_options *opts, struct tkvm_error *err)
{
	struct tk_mm *mm = calloc(1, sizeof(*mm));
	int rc;

	if (!mm)
		return tk_fail(err, ENOMEM, "no memory for an address space");
	mm->opts = *opts;
	mm->limit = mm->largest = opts->max_memory >> TK_PAGE_SHIFT;
	mm->eager = TK_EAGER_SIZE;
	mm->rlimits = (struct tk_mm_rlimits){RLIM_INFINITY, RLIM_INFINITY, TK_MIB(8), TK_MIB(8)};
	mm->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	rc = tk_chunk_init(mm, err);
	if (!rc)
		rc = tk_pt_init(mm, err);
	if (rc) {
		tk_mm_destroy(mm);
		return rc;
	}
	*ret = mm;
	return 0;
}

int tk_mm_create(struct tk_mm **ret, const struct tk_mm_options *opts, struct tkvm_error *err)
{
	struct tk_mm *mm;
	int rc = tk_mm_create_empty(&mm, opts, err);

	if (rc)
		return rc;
	rc = tk_pt_make_root(mm, err);
	if (rc) {
		tk_mm_destroy(mm);
		return rc;
	}
	*ret = mm;
	return 0;
}

void tk_mm_destroy(struct tk_mm *mm)
{
	struct tk_vma *vma, *next;

	if (!mm)
		return;
	for (vma = mm->first; vma; vma = next) {
		next = vma->next;
		tk_vma_free(vma);
	}
	tk_cow_destroy(mm);
	tk_pt_destroy(mm);
	tk_chunk_destroy(mm);
	if (mm->pagemap >= 0)
		close(mm->pagemap);
	free(mm);
}

gpa_t tk_mm_cr3(const struct tk_mm *mm)
{
	return TK_GPA_PT;
}

bool tk_mm_over_limit(const struct tk_mm *mm)
{
	return mm->over_limit;
}

void tk_mm_set_budget(struct tk_mm *mm, struct tk_budget *host_fds)
{
	mm->host_fds = host_fds;
}

struct tk_mm_rlimits *tk_mm_rlimits(struct tk_mm *mm)
{
	return &mm->rlimits;
}

int tk_mm_map_kernel(struct tk_mm *mm, gva_t va, gpa_t gpa, u64 size, bool user, bool write,
		     bool exec)
{
	u64 bits = TK_PTE_P | TK_PTE_A | TK_PTE_D;
	u32 leaf;
	int rc;

	tk_assert(va >= TK_USER_TOP && gpa < TK_GPA_PT);
	bits |= (user ? TK_PTE_U : 0) | (write ? TK_PTE_W : 0) | (exec ? 0 : TK_PTE_NX);
	for (u64 at = 0; at < size; at += TK_PAGE_SIZE) {
		rc = tk_pt_make_leaf(mm, va + at, &leaf);
		if (rc)
			return rc;
		tk_pt_set(mm, leaf, tk_pt_index(va + at), (gpa + at) | bits);
	}
	return 0;
}

/* A name that cannot be set for want of a vma is not worth an error. */
void tk_mm_set_name(struct tk_mm *mm, gva_t addr, u64 len, const char *name)
{
	gva_t end = addr + len;

	if (end < addr)
		return;
	tk_cow_note(mm, addr, end);
	if (!tk_vma_carve(mm, addr, end))
		for (struct tk_vma *vma = tk_vma_first(mm, addr, end); vma && vma->start < end;
		     vma = vma->next)
			vma->name = name;
	tk_vma_merge(mm, addr, end);
}

static void describe(const struct tk_vma *vma, struct tk_vma_info *info)
{
	*info = (struct tk_vma_info){
		.start = vma->start,
		.end = vma->end,
		.prot = (int)vma->prot,
		.shared = vma->flags & TK_VMA_SHARED,
		.grows_down = vma->flags & TK_VMA_GROWSDOWN,
		.offset = vma->offset,
		.backing = vma->backing,
		.name = vma->name,
	};
}

int tk_mm_for_each(struct tk_mm *mm, int (*fn)(void *arg, const struct tk_vma_info *vma), void *arg)
{
	const struct tk_vma *vma, *next;
	struct tk_vma_info info;
	int rc = 0;

	for (vma = mm->first; vma && !rc; vma = next) {
		next = vma->next;
		describe(vma, &info);
		rc = fn(arg, &info);
	}
	return rc;
}

void tk_mm_usage(struct tk_mm *mm, struct tk_mm_usage *usage)
{
	const struct tk_vma *vma;

	*usage = (struct tk_mm_usage){
		.virtual_bytes = mm->total,
		.data_bytes = mm->data,
		.resident_bytes = tk_charge_resident(mm) << TK_PAGE_SHIFT,
		.vmas = mm->n_vmas,
		.chunks = mm->n_bound,
		.page_table_bytes = mm->tables << TK_PAGE_SHIFT,
		.lazy_faults = mm->lazy_faults,
	};
	for (vma = mm->first; vma; vma = vma->next) {
		u64 len = vma->end - vma->start;

		if (vma->flags & TK_VMA_GROWSDOWN)
			usage->stack_bytes += len;
		else if ((vma->prot & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC)
			usage->text_bytes += len;
		if (vma->flags & TK_VMA_SHARED)
			usage->shared_bytes += len;
	}
}

void tk_mm_report_walk(struct tk_mm *mm, gva_t addr, struct tk_buf *out)
{
	static const char *const names[] = {"PTE", "PDE", "PDPTE", "PML4E"};
	u64 table = 0, entry;

	for (int level = 3; level >= 0; level--) {
		entry = tk_pt_table(mm,
				    (u32)table)[(addr >> (TK_PAGE_SHIFT + 9 * level)) % TK_PTES];
		tk_buf_printf(out, "%-5s %016llx %s%s%s%s%s\n", names[level],
			      (unsigned long long)entry, entry & TK_PTE_P ? "P" : "-",
			      entry & TK_PTE_W ? "W" : "-", entry & TK_PTE_U ? "U" : "-",
			      entry & TK_PTE_NX ? " NX" : "",
			      entry & TK_PTE_CHARGED ? " charged" : "");
		if (!(entry & TK_PTE_P))
			return;
		table = ((entry & TK_PTE_ADDR) - TK_GPA_PT) >> TK_PAGE_SHIFT;
	}
}
