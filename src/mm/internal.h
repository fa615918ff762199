/* SPDX-License-Identifier: MIT */
/*
 * What the files of src/mm share. The state of one address space in four parts:
 *
 *   vmas         what the guest asked for (vma.c)
 *   chunks       which 4 MiB of the arena stand behind which 4 MiB of guest addresses (chunk.c)
 *   page tables  what the guest can reach without an exit (pagetable.c)
 *   host mapping what is behind it, and what the VMM can reach (host.c)
 *
 * Invariants, between any two calls from outside (check.c verifies them):
 *   1. In a bound chunk, the host mapping of every part of a vma is that vma's mapping (in a fork:
 *      or the image's, see cow.h), with the vma's protection; elsewhere it is an inaccessible
 *      reservation.
 *   2. An unbound chunk has no content: no page of it was ever written since it was mapped.
 *   3. A page-table entry is zero, or lies in a vma and a bound chunk and is exact in P, W, NX
 *      and address. A zero entry in an accessible vma is filled at the first fault.
 *   4. A page with private content (or of shared anonymous memory) has an entry with
 *      TK_PTE_CHARGED, present or not, and mm->charged counts these.
 *   5. A page table stays where it was linked for ever: shadow paging would not notice if it
 *      were unlinked. Only its memory is given back while it is empty.
 */
#ifndef TK_MM_INTERNAL_H
#define TK_MM_INTERNAL_H

#include <sys/mman.h>

#include "guest/layout.h"
#include "mm/mm.h"

struct tk_vma;
#define RB_AUGMENT(vma) tk_vma_augment(vma)
void tk_vma_augment(struct tk_vma *vma);
#include <bsd/sys/tree.h>

/*
 * Writable mappings up to this size are filled at once: some 500 entries take less time than an
 * exit. Others cost nothing but their tables: see tk_mm_eager().
 */
#define TK_EAGER_SIZE TK_MIB(2)
/* What one lazy fault fills: at first, and at most after faults in address order. */
#define TK_LAZY_MIN TK_MIB(2)
#define TK_LAZY_MAX TK_MIB(32)

/* How much one call of mmap or mlock brings in; the rest comes as it is touched. */
#define TK_TOUCH_MAX TK_MIB(256)

#define TK_LEAF_SIZE	TK_MIB(2) /* what one leaf table maps */
#define TK_STACK_GUARD	(256 * TK_PAGE_SIZE)
#define TK_STACK_STEP	TK_KIB(64) /* a growing stack grows by this much if it may */
#define TK_MMAP_BASE	(TK_USER_TOP - 3ull * TK_SLOT_SIZE) /* mmap's addresses go down from here */
#define TK_MMAP_BOTTOM	0x2aaaaaaab000ull /* and up from here when nothing is left below */
#define TK_NO_CHUNK	0xffffffffu
#define TK_GROUP_CHUNKS 512 /* VA chunks counted together, to skip the empty ones */

enum tk_vma_flags {
	TK_VMA_SHARED = 1,
	TK_VMA_GROWSDOWN = 2,
	TK_VMA_LOCKED = 4,
	TK_VMA_WIPE = 8, /* MADV_WIPEONFORK: no content in an image */
};

struct tk_vma {
	RB_ENTRY(tk_vma) node;
	struct tk_vma *prev, *next; /* in address order */
	gva_t start, end;
	u64 gap, max_gap; /* free bytes before start; the largest such in this subtree */
	u64 offset;	  /* of start in the backing; 0 without one */
	unsigned int prot, flags;
	struct tk_backing *backing; /* NULL: private anonymous */
	const char *name;
};

struct tk_chunk {
	u32 va;	   /* VA chunk number + 1; 0: free */
	u32 pages; /* page-table entries that point here */
};

struct tk_ptpage {
	u16 count; /* entries that are not zero */
	bool leaf;
	bool resident; /* counted in mm->tables */
};

RB_HEAD(tk_vma_tree, tk_vma);

struct tk_mm {
	struct tk_mm_options opts;
	struct tk_mm_rlimits rlimits;
	struct tk_budget *host_fds; /* NULL: no limit */

	struct tk_vma_tree vmas;
	struct tk_vma *first, *last;
	struct tk_vma *recent; /* last found: most calls touch the same few */
	unsigned int n_vmas;
	u64 total, data, locked;  /* bytes of vmas: all, as RLIMIT_DATA counts, mlocked */
	unsigned int lock_future; /* mlockall(MCL_FUTURE) */
	gva_t brk_start, brk;

	u8 *arena;
	u32 n_chunks, n_bound, top_chunk; /* all, bound, beyond the highest ever bound */
	struct tk_chunk *chunks;	  /* by arena chunk */
	bool *slots;			  /* by 64 MiB of the arena: the memslot exists */
	u32 *chunk_of;			  /* by VA chunk: arena chunk + 1, 0 unbound */
	u16 *group_bound;		  /* bound chunks by group of VA chunks */

	u8 *pool;		  /* page tables, TK_PT_MAX_SIZE reserved */
	u32 pool_size, pool_used; /* tables with memory and memslot; handed out */
	struct tk_ptpage *tables_info;
	u64 tables;		   /* tables that hold memory */
	unsigned int empty_leaves; /* leaf tables that hold memory and no entry */

	u64 limit;   /* pages; max_memory */
	u64 largest; /* pages that one mapping of data may have; 0: any number */
	u64 charged; /* entries with TK_PTE_CHARGED */
	u64 kept;    /* of shared anonymous memory that is out of view */
	u64 slack;   /* upper bound of the charged pages that hold no memory */
	int pagemap; /* /proc/self/pagemap, -1: cannot tell */
	bool over_limit;

	struct tk_cow *cow; /* NULL: not a fork */

	struct tk_mm *lender; /* whose memory the window shows; NULL: nobody's */
	gva_t lent;	      /* its address there, of a page */
	u64 lent_size;	      /* whole pages */
	bool blanked;	      /* tk_window_blank() */

	u64 eager;	 /* TK_EAGER_SIZE; tests change it */
	gva_t lazy_next; /* where the next fault in order would be */
	u64 lazy_window, lazy_faults;
};

/* space.c: without a page-table root */
int tk_mm_create_empty(struct tk_mm **ret, const struct tk_mm_options *opts,
		       struct tkvm_error *err);

/* vma.c */
struct tk_vma *tk_vma_find(struct tk_mm *mm, gva_t addr); /* the first that ends above @addr */
struct tk_vma *tk_vma_at(struct tk_mm *mm, gva_t addr);	  /* the one that holds @addr */
struct tk_vma *tk_vma_first(struct tk_mm *mm, gva_t start, gva_t end); /* the first to overlap */
struct tk_vma *tk_vma_new(gva_t start, gva_t end, unsigned int prot, unsigned int flags,
			  struct tk_backing *backing, u64 offset); /* takes a reference */
void tk_vma_free(struct tk_vma *vma);
void tk_vma_link(struct tk_mm *mm, struct tk_vma *vma);
void tk_vma_unlink(struct tk_mm *mm, struct tk_vma *vma);
void tk_vma_resize(struct tk_mm *mm, struct tk_vma *vma, gva_t start, gva_t end);
void tk_vma_change(struct tk_mm *mm, struct tk_vma *vma, unsigned int prot, unsigned int flags);
/* Make vmas begin and end at @start and @end where they cross them. 0 or -ENOMEM. */
int tk_vma_carve(struct tk_mm *mm, gva_t start, gva_t end);
int tk_vma_carve_hole(struct tk_mm *mm, gva_t start, gva_t end); /* for what will be removed */
void tk_vma_merge(struct tk_mm *mm, gva_t start, gva_t end);
/* A free range of @len in [@lo, @hi), the highest or lowest, aligned; 0 if there is none. */
gva_t tk_vma_gap(struct tk_mm *mm, u64 len, gva_t lo, gva_t hi, u64 align, bool topdown);
bool tk_vma_is_data(unsigned int prot, unsigned int flags);

static inline gva_t tk_vma_start_gap(const struct tk_vma *vma)
{
	u64 guard = vma->flags & TK_VMA_GROWSDOWN ? TK_STACK_GUARD : 0;

	return vma->start > guard ? vma->start - guard : 0;
}

static inline u64 tk_vma_offset_at(const struct tk_vma *vma, gva_t addr)
{
	return vma->backing ? vma->offset + (addr - vma->start) : 0;
}

/* Memory that only this guest can have filled: what max_memory is about. */
static inline bool tk_vma_charges(const struct tk_vma *vma)
{
	if (vma->flags & TK_VMA_SHARED)
		return vma->backing->anon && vma->prot;
	return vma->prot & PROT_WRITE;
}

/* True if pages of it may vanish under the VMM's hands: no plain loads and stores. */
static inline bool tk_vma_volatile(const struct tk_vma *vma)
{
	return vma->backing && !vma->backing->anon;
}

/* Fill it now, or at the first touch? */
static inline bool tk_mm_eager(const struct tk_mm *mm, const struct tk_vma *vma, u64 len)
{
	return len <= (tk_vma_charges(vma) ? mm->eager : mm->eager * 4);
}

/* backing.c */
u64 tk_backing_end(const struct tk_backing *backing); /* first offset that faults; ~0: none does */
struct tk_backing *tk_backing_new_anon(u64 size);
/* What a fork has for an image's @from: @hostfd, then owned, or -1 for the image's own. */
/* Let @backing count against @host_fds as long as it lives; once. false: they are used up. */
bool tk_backing_charge(struct tk_backing *backing, struct tk_budget *host_fds);
struct tk_backing *tk_backing_clone(const struct tk_backing *from, int hostfd);
void tk_backing_keep_charge(struct tk_mm *mm, struct tk_backing *backing, u64 pages);
gva_t tk_vma_eof(const struct tk_vma *vma); /* first address beyond the file, at most vma->end */

/* chunk.c */
int tk_chunk_init(struct tk_mm *mm, struct tkvm_error *err);
void tk_chunk_destroy(struct tk_mm *mm);
int tk_chunk_bind(struct tk_mm *mm, gva_t addr); /* 0 or -ENOMEM */
int tk_chunk_bind_range(struct tk_mm *mm, gva_t start, gva_t end);
/*
 * The longest piece [@addr, @addr + n), n <= @end - @addr, that is either contiguous in the
 * arena (*@hva) or unbound (*@hva NULL). Returns n.
 */
u64 tk_chunk_run(struct tk_mm *mm, gva_t addr, gva_t end, u8 **hva);
gva_t tk_chunk_gva(struct tk_mm *mm, u32 chunk);
int tk_chunk_restore(struct tk_mm *mm, u32 vc, u32 chunk); /* bind as it was; no mapping */
void tk_chunk_unbind_idle(struct tk_mm *mm);		   /* whatever has no entry */

static inline gpa_t tk_chunk_gpa(const struct tk_mm *mm, const u8 *hva)
{
	return TK_GPA_MEMORY + (u64)(hva - mm->arena);
}

/* host.c */
int tk_host_map(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end);
int tk_host_map_piece(const struct tk_vma *vma, u8 *hva, u64 len, u64 offset);
int tk_host_protect(struct tk_mm *mm, gva_t start, gva_t end, unsigned int from, unsigned int to);
int tk_host_release(struct tk_mm *mm, gva_t start, gva_t end); /* 0, or -ENOMEM: see host.c */
int tk_host_drop(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end);
int tk_host_move(u8 *to, u8 *from, u64 len);
int tk_host_advise(struct tk_mm *mm, gva_t start, gva_t end, int advice);
int tk_host_probe(unsigned int prot, unsigned int flags, struct tk_backing *backing, u64 offset);
int tk_host_prot(unsigned int prot);

/* pagetable.c */
#define TK_PTE_P       0x1ull
#define TK_PTE_W       0x2ull
#define TK_PTE_U       0x4ull
#define TK_PTE_A       0x20ull
#define TK_PTE_D       0x40ull
#define TK_PTE_CHARGED 0x200ull /* ignored by the processor, present or not */
#define TK_PTE_NX      (1ull << 63)
#define TK_PTE_ADDR    0x000ffffffffff000ull
#define TK_PTES	       512

int tk_pt_init(struct tk_mm *mm, struct tkvm_error *err);
int tk_pt_make_root(struct tk_mm *mm, struct tkvm_error *err);
void tk_pt_destroy(struct tk_mm *mm);
u64 tk_pt_get(struct tk_mm *mm, gva_t addr);
int tk_pt_make_leaf(struct tk_mm *mm, gva_t addr, u32 *leaf); /* 0 or -ENOMEM */
u32 tk_pt_leaf(struct tk_mm *mm, gva_t addr);		      /* 0: none */
/* The first leaf at or above *@addr, below @end; *@addr moves to its part of the range. */
u32 tk_pt_next_leaf(struct tk_mm *mm, gva_t *addr, gva_t end);
/* All leaves of bound chunks that have entries, and where the addresses that they map start. */
void tk_pt_each_leaf(struct tk_mm *mm, void (*fn)(struct tk_mm *mm, u32 leaf, gva_t start));
void tk_pt_set(struct tk_mm *mm, u32 leaf, unsigned int index, u64 entry);
/* Store @entry, and those of the pages after it, where there is none yet; how many. */
u64 tk_pt_fill(struct tk_mm *mm, u32 leaf, unsigned int index, unsigned int n, u64 entry);
u64 tk_pt_bits(unsigned int prot);
u64 tk_pt_clear(struct tk_mm *mm, gva_t start, gva_t end); /* how many it cleared */
void tk_pt_protect(struct tk_mm *mm, gva_t start, gva_t end, unsigned int prot, bool charge);
bool tk_pt_filled(struct tk_mm *mm, gva_t start, gva_t end); /* no entry is zero */
void tk_pt_trim(struct tk_mm *mm); /* give back the memory of empty leaves */

static inline u64 *tk_pt_table(const struct tk_mm *mm, u32 table)
{
	return (u64 *)(mm->pool + (u64)table * TK_PAGE_SIZE);
}

static inline gva_t tk_pt_stop(gva_t addr, gva_t end)
{
	return TK_MIN((addr & ~(TK_LEAF_SIZE - 1)) + TK_LEAF_SIZE, end);
}

static inline unsigned int tk_pt_index(gva_t addr)
{
	return (addr >> TK_PAGE_SHIFT) % TK_PTES;
}

/* charge.c */
static inline u64 tk_charge_used(const struct tk_mm *mm)
{
	return mm->charged + mm->kept + mm->tables;
}

bool tk_charge_room(struct tk_mm *mm,
		    u64 pages); /* room for so many more, if need be after a look */
u64 tk_charge_left(const struct tk_mm *mm);
u64 tk_charge_resident(struct tk_mm *mm);

/* fault.c */
int tk_mm_populate(struct tk_mm *mm, const struct tk_vma *vma, gva_t start, gva_t end);
struct tk_vma *tk_mm_grow_stack(struct tk_mm *mm, gva_t addr);

/* access.c */
#define TK_PROT_ANY (PROT_READ | PROT_WRITE | PROT_EXEC) /* x86 reads whatever is accessible */

struct tk_span { /* a piece of guest memory that is contiguous on the host */
	const struct tk_vma *vma;
	u8 *hva;
	u64 len;
};

/*
 * What of [@addr, @addr + @len) can be reached at once by an access that needs one of @prot.
 * Binds, and fills for PROT_WRITE. 0 or -EFAULT; @len is not 0.
 */
int tk_span_find(struct tk_mm *mm, gva_t addr, u64 len, unsigned int prot, struct tk_span *span);

/* window.c: tk_span_find() for addresses that are not a program's own. */
int tk_window_span(struct tk_mm *mm, gva_t addr, u64 len, unsigned int prot, struct tk_span *span);

/* map.c */
enum tk_remove {
	TK_REMOVE_KEEP_HOST = 1,    /* the caller maps over it at once */
	TK_REMOVE_KEEP_CONTENT = 2, /* shared anonymous memory is mapped elsewhere now */
};

/* Remove vmas, entries and host mapping. Fails, with -ENOMEM, only before anything has changed. */
int tk_mm_remove(struct tk_mm *mm, gva_t start, gva_t end, unsigned int how);
/* Link @vma where nothing is, and map it on the host. If that fails it is freed. */
int tk_mm_attach(struct tk_mm *mm, struct tk_vma *vma);
bool tk_mm_may_expand(const struct tk_mm *mm, bool data, u64 len);
long tk_mm_place(struct tk_mm *mm, gva_t addr, u64 len, u64 flags);

/* lock.c */
bool tk_mm_may_lock(const struct tk_mm *mm, u64 len);

#endif
