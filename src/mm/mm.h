/* SPDX-License-Identifier: MIT */
/*
 * A guest address space: vmas, page tables, and the host mapping behind them.
 *
 * Guest memory is a host mapping. Each vma is mirrored by the same mapping (and protection) in
 * an arena of the VMM, chunk by chunk (4 MiB): VA chunk -> arena chunk -> GPA. Memslots of 64 MiB
 * are added through the backend when first needed and never removed: GPA and arena offset
 * correspond for ever, only VA -> arena chunk is rebound.
 *
 * Large mappings are populated lazily: a VA chunk is bound, and a page-table leaf (2 MiB) is
 * filled, when the guest (tk_mm_fault) or the VMM (mm/access.h) first touches it. Small ones are
 * filled at once, since an exit costs more than a few entries.
 *
 * Every change is made twice: page tables first, then the host mapping, whose MMU notifier makes
 * KVM drop stale translations. Not thread-safe: one host thread per address space.
 */
#ifndef TK_MM_MM_H
#define TK_MM_MM_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/types.h"

struct tk_mm;

/* Where memslots go. With slot_add == NULL an address space works without KVM (tests, fuzzing). */
struct tk_mm_backend {
	int (*slot_add)(void *ctx, gpa_t gpa, u64 size, void *hva, unsigned int flags);
	void *ctx;
	unsigned int memory_flags; /* of slots of guest memory, not of page tables */
	/*
	 * Forks whose slots are logged. @collect gives each page written since the last call to @fn
	 * and says whether the rings should be handed back before they fill up; @rearm does that.
	 */
	bool (*collect)(void *ctx, void (*fn)(void *arg, gpa_t gpa), void *arg);
	int (*rearm)(void *ctx);
};

struct tk_mm_options {
	u64 max_address_space; /* bytes of arena: what may be bound to chunks at a time */
	u64 max_memory;	       /* bytes of private memory and page tables in use; 0: no limit */
	unsigned int max_vmas; /* -ENOMEM beyond. Costs up to 2 * (this + arena chunks) host vmas */
	struct tk_mm_backend backend;
};

/* What a file mapping keeps of its file. Shared by the vmas split from one mapping. */
struct tk_backing {
	unsigned int refs;
	int hostfd;	/* owned */
	bool may_write; /* shared mappings may be made writable */
	bool root_only; /* when it was mapped, only root could write the file */
	u64 dev, ino;	/* for /proc/self/maps; the host's unless changed after tk_backing_new() */
	/* private to src/mm */
	u64 host_dev, host_ino;
	bool sized;	/* has an end beyond which access faults */
	bool anon;	/* a memfd of ours: shared anonymous memory */
	bool borrowed;	/* @hostfd is the image's */
	u64 size, kept; /* of that memory: bytes; pages charged though no vma shows them */
	struct tk_budget *budget; /* that @hostfd was taken from; NULL: none */
	char name[];		  /* guest path, for /proc/self/maps */
};

/* Takes ownership of @hostfd in every case. NULL: out of memory. */
struct tk_backing *tk_backing_new(int hostfd, bool may_write, const char *name);
struct tk_backing *tk_backing_get(struct tk_backing *backing);
void tk_backing_put(struct tk_backing *backing); /* NULL is fine */

int tk_mm_create(struct tk_mm **ret, const struct tk_mm_options *opts,
		 struct tkvm_error *err) TK_MUST_CHECK;
void tk_mm_destroy(struct tk_mm *mm);
/* What new mappings take their host descriptors from: one for each backing. */
void tk_mm_set_budget(struct tk_mm *mm, struct tk_budget *host_fds);

/* Physical address of the page-table root. */
gpa_t tk_mm_cr3(const struct tk_mm *mm);

/* Map a range of the kernel area (see kvm/vcpu.h); @va at or above TK_USER_TOP. 0 or -ENOMEM. */
int tk_mm_map_kernel(struct tk_mm *mm, gva_t va, gpa_t gpa, u64 size, bool user, bool write,
		     bool exec) TK_MUST_CHECK;

/*
 * The system calls, to the letter of their man pages: return an address or 0, or -errno.
 * @backing NULL means anonymous; otherwise a reference is taken if the call succeeds.
 * @flags and @prot are the guest's MAP_ and PROT_ values, unchecked.
 */
long tk_mm_mmap(struct tk_mm *mm, gva_t addr, u64 len, u64 prot, u64 flags,
		struct tk_backing *backing, u64 offset);
long tk_mm_munmap(struct tk_mm *mm, gva_t addr, u64 len);
long tk_mm_mprotect(struct tk_mm *mm, gva_t addr, u64 len, u64 prot);
long tk_mm_mremap(struct tk_mm *mm, gva_t old, u64 old_len, u64 new_len, u64 flags, gva_t new_addr);
long tk_mm_madvise(struct tk_mm *mm, gva_t addr, u64 len, int advice);
long tk_mm_msync(struct tk_mm *mm, gva_t addr, u64 len, int flags);
long tk_mm_mincore(struct tk_mm *mm, gva_t addr, u64 len, gva_t vec);
gva_t tk_mm_brk(struct tk_mm *mm, gva_t addr);

/* The loader's knobs. Names are for /proc/self/maps ("[stack]", "[heap]"); must be static. */
void tk_mm_set_brk_start(struct tk_mm *mm, gva_t start);
void tk_mm_set_name(struct tk_mm *mm, gva_t addr, u64 len, const char *name);

enum tk_fault_result {
	TK_FAULT_FIXED,	 /* the page tables now allow it: run on */
	TK_FAULT_MAPERR, /* SIGSEGV, SEGV_MAPERR */
	TK_FAULT_ACCERR, /* SIGSEGV, SEGV_ACCERR */
	TK_FAULT_BUS,	 /* SIGBUS, BUS_ADRERR: beyond the end of the mapped file */
	TK_FAULT_LIMIT,	 /* max_memory or max_address_space is used up */
};

/* A #PF of the guest. @error_code as pushed by the processor (SDM 3A 4.7). */
enum tk_fault_result tk_mm_fault(struct tk_mm *mm, gva_t addr, u64 error_code);

/*
 * KVM could not get a page of the host mapping behind @gpa (~0: unknown): drop the entries that
 * lie beyond their file's end so that the guest's next access is a precise fault.
 * Returns the number of entries dropped; 0 means that the cause is something else.
 */
unsigned int tk_mm_drop_beyond_eof(struct tk_mm *mm, gpa_t gpa);

/* Walk the page tables for a report: one line per level. */
void tk_mm_report_walk(struct tk_mm *mm, gva_t addr, struct tk_buf *out);

struct tk_vma_info {
	gva_t start, end;
	int prot;    /* PROT_* */
	bool shared; /* MAP_SHARED */
	bool grows_down;
	u64 offset;			  /* file offset of start */
	const struct tk_backing *backing; /* NULL: anonymous */
	const char *name;		  /* "[heap]", ...; NULL: none */
};

/* Call @fn for every vma in address order until it returns non-zero; returns that value. */
int tk_mm_for_each(struct tk_mm *mm, int (*fn)(void *arg, const struct tk_vma_info *vma),
		   void *arg);

struct tk_mm_usage {
	u64 virtual_bytes;  /* sum of vma sizes */
	u64 resident_bytes; /* measured on the host; costs a walk */
	u64 data_bytes, stack_bytes, text_bytes, shared_bytes;
	unsigned int vmas, chunks;
	u64 page_table_bytes;
	u64 lazy_faults; /* faults answered by filling a leaf */
};
void tk_mm_usage(struct tk_mm *mm, struct tk_mm_usage *usage);

/* RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK as the guest set them (bytes, RLIM_INFINITY allowed). */
struct tk_mm_rlimits {
	u64 as, data, stack, memlock;
};
struct tk_mm_rlimits *tk_mm_rlimits(struct tk_mm *mm);

/*
 * mlock, mlock2 (@onfault) and munlock, mlockall, munlockall. Guest memory is never really locked;
 * what is kept is the accounting: RLIMIT_MEMLOCK, and what locked pages refuse.
 */
long tk_mm_mlock(struct tk_mm *mm, gva_t addr, u64 len, bool onfault);
long tk_mm_munlock(struct tk_mm *mm, gva_t addr, u64 len);
long tk_mm_mlockall(struct tk_mm *mm, int flags);
long tk_mm_munlockall(struct tk_mm *mm);

/* True once a fault or an access by the VMM failed because max_memory or the arena is used up. */
bool tk_mm_over_limit(const struct tk_mm *mm);

/*
 * Verify that vmas, chunks, page tables, counts and the host mapping agree: for tests and fuzzers.
 * Returns NULL, or the text of what is wrong. @deep also reads the host's list of mappings.
 */
const char *tk_mm_check(struct tk_mm *mm, bool deep);

#endif
