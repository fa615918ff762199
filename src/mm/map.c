/* SPDX-License-Identifier: MIT */
/*
 * mmap and munmap. Checks come in Linux's order, so that a call with two mistakes gets Linux's
 * errno. Addresses are given out downwards from TK_MMAP_BASE, without randomisation: a machine
 * boots the same way every time. Mappings of whole 2 MiB multiples are aligned to 2 MiB.
 */
#include <errno.h>

#include "mm/cow.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif
#define MAP_TYPE_MASK 0xf
#define MAP_32BIT_LO  0x40000000ull
#define MAP_32BIT_HI  0x80000000ull
#define PROT_ALL      (PROT_READ | PROT_WRITE | PROT_EXEC)
/* What MAP_SHARED_VALIDATE accepts: every flag older than itself. */
#define LEGACY_FLAGS                                                                               \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |   \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |    \
	 MAP_HUGETLB | MAP_32BIT | (0x3full << MAP_HUGE_SHIFT))
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

struct request {
	gva_t addr;
	u64 len;
	unsigned int prot, vma_flags;
	u64 flags;
	struct tk_backing *backing;
	u64 offset;
};

bool tk_mm_may_expand(const struct tk_mm *mm, bool data, u64 len)
{
	u64 sum;

	if (__builtin_add_overflow(mm->total, len, &sum) || sum > mm->rlimits.as)
		return false;
	return !data || mm->data + len <= mm->rlimits.data;
}

/* Bytes of [@start, @end) that are mapped, and those of them that count as data. */
static u64 overlap(struct tk_mm *mm, gva_t start, gva_t end)
{
	const struct tk_vma *vma = tk_vma_first(mm, start, end);
	u64 sum = 0;

	for (; vma && vma->start < end; vma = vma->next)
		sum += TK_MIN(end, vma->end) - TK_MAX(start, vma->start);
	return sum;
}

static bool is_free(struct tk_mm *mm, gva_t addr, u64 len)
{
	const struct tk_vma *vma = tk_vma_find(mm, addr);

	return !vma || addr + len <= tk_vma_start_gap(vma);
}

static gva_t search(struct tk_mm *mm, u64 len, u64 flags)
{
	u64 align = len % TK_LEAF_SIZE ? TK_PAGE_SIZE : TK_LEAF_SIZE;
	gva_t addr = 0;

	if (flags & MAP_32BIT)
		return tk_vma_gap(mm, len, MAP_32BIT_LO, MAP_32BIT_HI, TK_PAGE_SIZE, false);
	if (align != TK_PAGE_SIZE)
		addr = tk_vma_gap(mm, len, TK_USER_MIN, TK_MMAP_BASE, align, true);
	if (!addr)
		addr = tk_vma_gap(mm, len, TK_USER_MIN, TK_MMAP_BASE, TK_PAGE_SIZE, true);
	if (!addr)
		addr = tk_vma_gap(mm, len, TK_MMAP_BOTTOM, TK_USER_TOP, TK_PAGE_SIZE, false);
	return addr;
}

/* Where a mapping goes: an address or -errno. @addr is a demand with MAP_FIXED, else a hint. */
long tk_mm_place(struct tk_mm *mm, gva_t addr, u64 len, u64 flags)
{
	if (len > TK_USER_TOP)
		return -ENOMEM;
	if (flags & MAP_FIXED) {
		if (addr > TK_USER_TOP - len)
			return -ENOMEM;
		if (addr % TK_PAGE_SIZE)
			return -EINVAL;
		return addr < TK_USER_MIN ? -EPERM : (long)addr;
	}
	addr = tk_page_down(addr);
	if (addr && addr < TK_USER_MIN)
		addr = TK_USER_MIN;
	if (addr && !(flags & MAP_32BIT) && addr <= TK_USER_TOP - len && is_free(mm, addr, len))
		return (long)addr;
	addr = search(mm, len, flags);
	return addr ? (long)addr : -ENOMEM;
}

static int check_shared(const struct request *r)
{
	u64 type = r->flags & MAP_TYPE_MASK;

	if (type == MAP_SHARED_VALIDATE &&
	    r->flags & ~(u64)LEGACY_FLAGS & ~(u64)MAP_FIXED_NOREPLACE)
		return -EOPNOTSUPP; /* MAP_SYNC too: no file here is on persistent memory */
	return r->prot & PROT_WRITE && !r->backing->may_write ? -EACCES : 0;
}

static int check_type(struct request *r)
{
	u64 type = r->flags & MAP_TYPE_MASK;
	int rc = 0;

	if (r->backing && (type == MAP_SHARED || type == MAP_SHARED_VALIDATE))
		rc = check_shared(r);
	else if (type == MAP_SHARED_VALIDATE || (type != MAP_SHARED && type != MAP_PRIVATE))
		rc = -EINVAL;
	if (rc)
		return rc;
	if (type != MAP_PRIVATE)
		r->vma_flags |= TK_VMA_SHARED;
	if (r->flags & MAP_GROWSDOWN) {
		if (r->backing || type != MAP_PRIVATE)
			return -EINVAL;
		r->vma_flags |= TK_VMA_GROWSDOWN;
	}
	return 0;
}

static int check_limits(struct tk_mm *mm, const struct request *r, gva_t addr)
{
	u64 old = r->flags & MAP_FIXED ? overlap(mm, addr, addr + r->len) : 0;
	bool data = tk_vma_is_data(r->prot, r->vma_flags);

	if (mm->n_vmas >= mm->opts.max_vmas || !tk_mm_may_expand(mm, data, r->len - old))
		return -ENOMEM;
	/* Linux's heuristic overcommit refuses only what can never be had. */
	if (data && !(r->flags & MAP_NORESERVE) && mm->largest &&
	    r->len >> TK_PAGE_SHIFT > mm->largest)
		return -ENOMEM;
	return 0;
}

static int check_locked(struct tk_mm *mm, struct request *r)
{
	if (r->flags & MAP_LOCKED && !mm->rlimits.memlock)
		return -EPERM;
	if (r->flags & MAP_LOCKED || mm->lock_future)
		r->vma_flags |= TK_VMA_LOCKED;
	if (r->vma_flags & TK_VMA_LOCKED && !tk_mm_may_lock(mm, r->len))
		return -EAGAIN;
	return 0;
}

/* Everything that can be refused without changing anything. Stores the address in r->addr. */
static int check(struct tk_mm *mm, struct request *r)
{
	long addr;
	int rc;

	if (!r->len)
		return -EINVAL;
	if (!tk_page_up(r->len, &r->len) || !r->len)
		return -ENOMEM;
	if (!r->backing && r->flags & MAP_HUGETLB)
		return -ENOMEM; /* no huge pages are reserved here */
	addr = tk_mm_place(mm, r->addr, r->len, r->flags);
	if (addr < 0)
		return (int)addr;
	r->addr = (gva_t)addr;
	if (r->flags & MAP_FIXED_NOREPLACE && tk_vma_first(mm, r->addr, r->addr + r->len))
		return -EEXIST;
	rc = check_locked(mm, r);
	if (rc)
		return rc;
	if (r->backing && r->offset > INT64_MAX - r->len)
		return -EOVERFLOW;
	rc = check_type(r);
	if (rc)
		return rc;
	if (r->backing) {
		rc = tk_host_probe(r->prot, r->vma_flags, r->backing, r->offset);
		if (rc)
			return rc;
	}
	return check_limits(mm, r, r->addr);
}

static void remove_vma(struct tk_mm *mm, struct tk_vma *vma, unsigned int how)
{
	u64 charged = mm->charged;

	tk_pt_clear(mm, vma->start, vma->end);
	if (vma->backing && vma->backing->anon && !(how & TK_REMOVE_KEEP_CONTENT))
		tk_backing_keep_charge(mm, vma->backing, charged - mm->charged);
	tk_vma_unlink(mm, vma);
	tk_vma_free(vma);
}

int tk_mm_remove(struct tk_mm *mm, gva_t start, gva_t end, unsigned int how)
{
	struct tk_vma *vma = tk_vma_first(mm, start, end), *next;
	int rc;

	if (!vma)
		return 0;
	tk_cow_note(mm, start, end);
	rc = tk_vma_carve_hole(mm, start, end);
	if (rc) {
		tk_vma_merge(mm, start, end);
		return rc;
	}
	for (vma = tk_vma_first(mm, start, end); vma && vma->start < end; vma = next) {
		next = vma->next;
		remove_vma(mm, vma, how);
	}
	if (!(how & TK_REMOVE_KEEP_HOST))
		(void)tk_host_release(mm, start, end);
	tk_pt_trim(mm);
	return 0;
}

int tk_mm_attach(struct tk_mm *mm, struct tk_vma *vma)
{
	gva_t start = vma->start, end = vma->end;

	tk_cow_note(mm, start, end);
	tk_vma_link(mm, vma);
	if (!tk_host_map(mm, vma, start, end))
		return 0;
	(void)tk_host_release(mm, start, end);
	tk_vma_unlink(mm, vma);
	tk_vma_free(vma);
	return -ENOMEM;
}

/* Fill a small mapping now. A large one waits for its first touch. */
static int fill(struct tk_mm *mm, const struct tk_vma *vma, u64 flags)
{
	u64 len = vma->end - vma->start;
	bool touch = flags & (MAP_POPULATE | MAP_LOCKED) && !(flags & MAP_NONBLOCK);
	gva_t end = vma->start + TK_MIN(len, TK_TOUCH_MAX);

	if (!touch && !tk_mm_eager(mm, vma, len))
		return 0;
	if (tk_vma_charges(vma) && !tk_charge_room(mm, (end - vma->start) >> TK_PAGE_SHIFT))
		return tk_mm_eager(mm, vma, len) ? -ENOMEM : 0;
	if (tk_mm_populate(mm, vma, vma->start, end))
		return -ENOMEM;
	if (touch) /* failure is not mmap's: see its man page */
		(void)tk_host_advise(mm, vma->start, TK_MIN(end, tk_vma_eof(vma)),
				     vma->prot & PROT_WRITE ? MADV_POPULATE_WRITE
							    : MADV_POPULATE_READ);
	return 0;
}

static long map(struct tk_mm *mm, const struct request *r)
{
	gva_t end = r->addr + r->len;
	struct tk_vma *vma;
	int rc;

	vma = tk_vma_new(r->addr, end, r->prot, r->vma_flags, r->backing, r->offset);
	if (!vma)
		return -ENOMEM;
	rc = tk_mm_remove(mm, r->addr, end, TK_REMOVE_KEEP_HOST);
	if (rc) {
		tk_vma_free(vma);
		return rc;
	}
	if (r->vma_flags & TK_VMA_SHARED)
		tk_cow_aliased(mm, r->backing);
	rc = tk_mm_attach(mm, vma);
	if (rc)
		return rc;
	if (fill(mm, vma, r->flags)) {
		(void)tk_mm_remove(mm, r->addr, end, 0);
		return -ENOMEM;
	}
	tk_vma_merge(mm, r->addr, end);
	return (long)r->addr;
}

long tk_mm_mmap(struct tk_mm *mm, gva_t addr, u64 len, u64 prot, u64 flags,
		struct tk_backing *backing, u64 offset)
{
	struct request r = {.addr = addr,
			    .len = len,
			    .prot = prot & PROT_ALL,
			    .flags = flags,
			    .backing = backing,
			    .offset = backing ? offset : 0};
	long rc;

	if (offset % TK_PAGE_SIZE)
		return -EINVAL;
	if (flags & MAP_FIXED_NOREPLACE)
		r.flags |= MAP_FIXED;
	rc = check(mm, &r);
	if (rc)
		return rc;
	if (backing && !tk_backing_charge(backing, mm->host_fds))
		return -ENFILE;
	if (backing || !(r.vma_flags & TK_VMA_SHARED))
		return map(mm, &r);
	r.backing = tk_backing_new_anon(r.len);
	if (!r.backing)
		return -ENOMEM;
	rc = tk_backing_charge(r.backing, mm->host_fds) ? map(mm, &r) : -ENFILE;
	tk_backing_put(r.backing);
	return rc;
}

long tk_mm_munmap(struct tk_mm *mm, gva_t addr, u64 len)
{
	if (addr % TK_PAGE_SIZE || addr > TK_USER_TOP || len > TK_USER_TOP - addr)
		return -EINVAL;
	if (!tk_page_up(len, &len) || !len)
		return -EINVAL;
	return tk_mm_remove(mm, addr, TK_MIN(addr + len, (gva_t)TK_USER_TOP), 0);
}
