/* SPDX-License-Identifier: MIT */
/* The memory calls one by one: what the model test does not reach. */
#include <stdlib.h>
#include <sys/syscall.h>

#include "mm_rig.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static long host_mmap(u64 addr, u64 len, u64 prot, u64 flags, u64 offset)
{
	long rc = syscall(SYS_mmap, addr, len, prot, flags, -1, offset);

	if (rc == -1)
		return -errno;
	munmap((void *)rc, len);
	return 0;
}

static void test_mmap_refuses_what_the_kernel_refuses(void **state)
{
	static const struct {
		u64 addr, len, prot, flags, offset;
	} calls[] = {
		{0, 0, RW, PRIVATE, 0},
		{0, PAGE, RW, MAP_ANONYMOUS, 0},
		{0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, 0},
		{0, PAGE, RW, 4 | MAP_ANONYMOUS, 0},
		{0, PAGE, RW, 15 | MAP_ANONYMOUS, 0},
		{0, PAGE, RW, SHARED | MAP_GROWSDOWN, 0},
		{0, PAGE, RW, PRIVATE, 1},
		{0, PAGE, RW, PRIVATE, ~0ull},
		{0, ~0ull, RW, PRIVATE, 0},
		{0, ~0ull - PAGE, RW, PRIVATE, 0},
		{0, 1ull << 47, PROT_NONE, PRIVATE, 0},
		{0x100000000001, PAGE, RW, PRIVATE | MAP_FIXED, 0},
		{0x7ffffffff000, 2 * PAGE, RW, PRIVATE | MAP_FIXED, 0},
		{~0ull & TK_PAGE_MASK, PAGE, RW, PRIVATE | MAP_FIXED, 0},
		{0xffff800000000000, PAGE, RW, PRIVATE | MAP_FIXED, 0},
		{~0ull, PAGE, RW, PRIVATE, 0},
		{0, PAGE, 0xfffffff0 | RW, PRIVATE, 0},
		{0, TK_MIB(2), RW, PRIVATE | MAP_HUGETLB, 0},
		{0, 0, RW, PRIVATE | MAP_HUGETLB, 0},
	};
	struct tk_mm *mm = *state;

	for (size_t i = 0; i < TK_ARRAY_SIZE(calls); i++) {
		long theirs = host_mmap(calls[i].addr, calls[i].len, calls[i].prot, calls[i].flags,
					calls[i].offset);
		long mine = tk_mm_mmap(mm, calls[i].addr, calls[i].len, calls[i].prot,
				       calls[i].flags, NULL, calls[i].offset);

		if (TK_MIN(mine, 0l) != theirs)
			fail_msg("call %zu: host %ld, guest %ld", i, theirs, mine);
	}
}

static void test_hints_are_taken_if_free(void **state)
{
	struct tk_mm *mm = *state;
	const gva_t hint = 0x123456789000;
	long addr;

	assert_int_equal(tk_mm_mmap(mm, hint + 5, PAGE, RW, PRIVATE, NULL, 0), (long)hint);
	addr = tk_mm_mmap(mm, hint, PAGE, RW, PRIVATE, NULL, 0);
	assert_true(addr > 0 && addr != (long)hint);
	assert_int_equal(tk_mm_mmap(mm, 1, PAGE, RW, PRIVATE, NULL, 0), addr - (long)PAGE);
	assert_int_equal(tk_mm_mmap(mm, 0x1000, PAGE, RW, PRIVATE, NULL, 0), TK_USER_MIN);
	addr = tk_mm_mmap(mm, TK_USER_TOP, PAGE, RW, PRIVATE, NULL, 0);
	assert_true(addr > 0 && addr < (long)TK_MMAP_BASE);
	assert_int_equal(tk_mm_mmap(mm, 0, PAGE, RW, PRIVATE | MAP_FIXED, NULL, 0), -EPERM);
	assert_int_equal(tk_mm_mmap(mm, hint, 2 * PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, NULL, 0),
			 -EEXIST);
}

static void test_map_32bit_stays_below_2_gib(void **state)
{
	struct tk_mm *mm = *state;

	for (int i = 0; i < 3; i++) {
		long addr = tk_mm_mmap(mm, 0x500000000000, TK_MIB(128), RW, SHARED | MAP_32BIT,
				       NULL, 0);

		assert_true(addr > 0 && addr + (long)TK_MIB(128) <= (long)TK_GIB(2));
	}
	assert_int_equal(tk_mm_mmap(mm, 0, TK_GIB(2), 0, PRIVATE | MAP_32BIT, NULL, 0), -ENOMEM);
}

static void test_neighbours_merge_and_split(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 4 * PAGE, RW), b = rig_map(mm, 4 * PAGE, RW);

	assert_int_equal(b, a - 4 * PAGE);
	assert_int_equal(mm->n_vmas, 1);
	assert_int_equal(tk_mm_mprotect(mm, b + PAGE, PAGE, PROT_READ), 0);
	assert_int_equal(mm->n_vmas, 3);
	assert_int_equal(tk_mm_mprotect(mm, b + PAGE, PAGE, RW), 0);
	assert_int_equal(mm->n_vmas, 1);
	tk_mm_set_name(mm, b, PAGE, "[stack]");
	assert_int_equal(mm->n_vmas, 2);
}

static void test_terabytes_of_reservation_cost_nothing(void **state)
{
	struct tk_mm *mm = *state;
	struct tk_mm_usage usage;
	gva_t a = rig_map(mm, TK_GIB(16 * 1024), PROT_NONE);

	assert_int_equal(tk_mm_munmap(mm, a, TK_GIB(1)), 0);
	assert_int_equal(tk_mm_mprotect(mm, a + TK_GIB(100), TK_KIB(256), RW), 0);
	assert_true(rig_poke(mm, a + TK_GIB(100), 1));
	tk_mm_usage(mm, &usage);
	assert_int_equal(usage.chunks, 1);
	assert_int_equal(usage.resident_bytes, PAGE);
	assert_int_equal(usage.virtual_bytes, TK_GIB(16 * 1024 - 1));
	assert_int_equal(tk_mm_munmap(mm, 0, TK_USER_TOP), 0);
	assert_int_equal(mm->n_vmas, 0);
}

static void test_a_small_mapping_needs_no_fault_and_a_large_one_does(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, TK_MIB(1), RW), b = rig_map(mm, TK_GIB(1), RW);

	assert_true(tk_pt_filled(mm, a, a + TK_MIB(1)));
	assert_int_equal(tk_pt_get(mm, b), 0);
	assert_int_equal(tk_mm_fault(mm, b + TK_MIB(2) + 5, WRITE_CODE), TK_FAULT_FIXED);
	assert_true(tk_pt_filled(mm, b + TK_MIB(2), b + TK_MIB(4)));
	assert_int_equal(tk_pt_get(mm, b), 0);
	assert_int_equal(tk_mm_fault(mm, b + TK_MIB(2), FETCH_CODE), TK_FAULT_ACCERR);
	assert_int_equal(tk_mm_fault(mm, a + TK_GIB(2), READ_CODE), TK_FAULT_MAPERR);
	assert_int_equal(tk_mm_fault(mm, TK_USER_TOP, READ_CODE), TK_FAULT_MAPERR);
	assert_int_equal(tk_mm_fault(mm, ~0ull, READ_CODE), TK_FAULT_MAPERR);
}

static void test_entries_are_exact(void **state)
{
	static const int prots[] = {0, 1, 2, 3, 4, 5, 6, 7};
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, PAGE, RW);

	for (size_t i = 0; i < TK_ARRAY_SIZE(prots); i++) {
		u64 prot = (u64)prots[i], entry;

		assert_int_equal(tk_mm_mprotect(mm, a, PAGE, prot), 0);
		entry = tk_pt_get(mm, a);
		assert_int_equal(!!(entry & TK_PTE_P), prot != 0);
		assert_int_equal(!!(entry & TK_PTE_W), !!(prot & PROT_WRITE));
		assert_int_equal(!(entry & TK_PTE_NX), !!(prot & PROT_EXEC));
		rig_check(mm);
	}
}

static void test_the_stack_grows_by_being_touched(void **state)
{
	struct tk_mm *mm = *state;
	const gva_t top = TK_USER_TOP - PAGE;

	assert_true(tk_mm_mmap(mm, top - 4 * PAGE, 4 * PAGE, RW,
			       PRIVATE | MAP_FIXED | MAP_GROWSDOWN, NULL, 0) > 0);
	assert_int_equal(tk_mm_fault(mm, top - TK_MIB(1), WRITE_CODE), TK_FAULT_FIXED);
	assert_true(rig_poke(mm, top - TK_MIB(2), 7));
	assert_int_equal(rig_peek(mm, top - TK_MIB(2)), 7);
	assert_int_equal(tk_mm_fault(mm, top - TK_MIB(8) - 1, WRITE_CODE), TK_FAULT_MAPERR);
	assert_int_equal(tk_mm_fault(mm, top - TK_MIB(8), WRITE_CODE), TK_FAULT_FIXED);
	assert_false(rig_poke(mm, top - TK_MIB(8) - 1, 7));
}

static void test_the_stack_keeps_its_distance(void **state)
{
	struct tk_mm *mm = *state;
	const gva_t top = TK_USER_TOP - PAGE, below = top - TK_MIB(4);

	assert_true(tk_mm_mmap(mm, top - PAGE, PAGE, RW, PRIVATE | MAP_FIXED | MAP_GROWSDOWN, NULL,
			       0) > 0);
	assert_true(tk_mm_mmap(mm, below, PAGE, RW, PRIVATE | MAP_FIXED, NULL, 0) > 0);
	assert_int_equal(tk_mm_fault(mm, below + PAGE + TK_STACK_GUARD - 1, WRITE_CODE),
			 TK_FAULT_MAPERR);
	assert_int_equal(tk_mm_fault(mm, below + PAGE + TK_STACK_GUARD, WRITE_CODE),
			 TK_FAULT_FIXED);
	/* A hint into the gap is not taken. */
	assert_true(tk_mm_mmap(mm, below + 2 * PAGE, PAGE, RW, PRIVATE, NULL, 0) < (long)below);
}

static void test_brk(void **state)
{
	struct tk_mm *mm = *state;
	const gva_t start = 0x700123;

	assert_int_equal(tk_mm_brk(mm, 0), 0);
	tk_mm_set_brk_start(mm, start);
	assert_int_equal(tk_mm_brk(mm, 0), start);
	assert_int_equal(tk_mm_brk(mm, start + 0x10000), start + 0x10000);
	assert_true(rig_poke(mm, start + 0xffff, 5));
	assert_string_equal(tk_vma_at(mm, start + 0x1000)->name, "[heap]");
	assert_int_equal(tk_mm_brk(mm, start - 1), start + 0x10000);
	assert_int_equal(tk_mm_brk(mm, start + 0x8000), start + 0x8000);
	assert_false(rig_poke(mm, start + 0xffff, 5));
	assert_int_equal(tk_mm_brk(mm, start + 0x10000), start + 0x10000);
	assert_int_equal(rig_peek(mm, start + 0xffff), 0);
	assert_true(tk_mm_mmap(mm, 0x800000, PAGE, RW, PRIVATE | MAP_FIXED, NULL, 0) > 0);
	assert_int_equal(tk_mm_brk(mm, 0x800000), start + 0x10000);
	assert_int_equal(tk_mm_brk(mm, 0x7ff000), 0x7ff000); /* a page stays free between */
	tk_mm_rlimits(mm)->data = TK_MIB(1);
	assert_int_equal(tk_mm_munmap(mm, 0x800000, PAGE), 0);
	assert_int_equal(tk_mm_brk(mm, start + TK_MIB(2)), 0x7ff000);
	assert_int_equal(tk_mm_brk(mm, ~0ull), 0x7ff000);
}

static void test_rlimits(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, TK_MIB(1), PROT_READ);

	tk_mm_rlimits(mm)->as = TK_MIB(2);
	assert_int_equal(tk_mm_mmap(mm, 0, TK_MIB(2), 0, PRIVATE, NULL, 0), -ENOMEM);
	assert_true(tk_mm_mmap(mm, a, TK_MIB(2), 0, PRIVATE | MAP_FIXED, NULL, 0) > 0);
	assert_int_equal(tk_mm_mremap(mm, a, TK_MIB(2), TK_MIB(3), MREMAP_MAYMOVE, 0), -ENOMEM);
	tk_mm_rlimits(mm)->data = TK_MIB(1);
	assert_int_equal(tk_mm_mprotect(mm, a, TK_MIB(2), RW), -ENOMEM);
	assert_int_equal(tk_mm_mprotect(mm, a, TK_MIB(1), RW), 0);
}

static void test_mlock_is_accounted(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, TK_MIB(1), RW);

	tk_mm_rlimits(mm)->memlock = TK_KIB(512);
	assert_int_equal(tk_mm_mlock(mm, a + 1, TK_KIB(512), false), -ENOMEM);
	assert_int_equal(tk_mm_mlock(mm, a, TK_KIB(512), false), 0);
	assert_int_equal(tk_mm_mlock(mm, a, TK_KIB(512), true), 0);
	assert_int_equal(tk_mm_mlock(mm, a + TK_KIB(512), PAGE, false), -ENOMEM);
	assert_int_equal(tk_mm_madvise(mm, a, PAGE, MADV_DONTNEED), -EINVAL);
	assert_int_equal(tk_mm_msync(mm, a, PAGE, MS_INVALIDATE), -EBUSY);
	assert_int_equal(tk_mm_munlock(mm, a, PAGE), 0);
	assert_int_equal(tk_mm_madvise(mm, a, PAGE, MADV_DONTNEED), 0);
	assert_int_equal(tk_mm_mlock(mm, a - TK_MIB(1), PAGE, false), -ENOMEM);
	assert_int_equal(tk_mm_mlockall(mm, MCL_CURRENT), -ENOMEM);
	assert_int_equal(tk_mm_mlockall(mm, 0), -EINVAL);
	assert_int_equal(tk_mm_mlockall(mm, MCL_FUTURE), 0);
	assert_int_equal(tk_mm_mmap(mm, 0, TK_MIB(1), RW, PRIVATE, NULL, 0), -EAGAIN);
	assert_int_equal(tk_mm_munlockall(mm), 0);
	assert_int_equal(mm->locked, 0);
	tk_mm_rlimits(mm)->memlock = 0;
	assert_int_equal(tk_mm_mlock(mm, a, PAGE, false), -EPERM);
	assert_int_equal(tk_mm_mmap(mm, 0, PAGE, RW, PRIVATE | MAP_LOCKED, NULL, 0), -EPERM);
}

static void test_mincore_tells_what_was_touched(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 4 * PAGE, RW), vec = rig_map(mm, PAGE, RW), big;
	u8 got[4];

	assert_true(rig_poke(mm, a + PAGE, 1));
	assert_int_equal(tk_mm_mincore(mm, a, 3 * PAGE + 1, vec), 0);
	assert_int_equal(tk_copy_in(mm, got, vec, 4), 0);
	assert_int_equal(got[0] & 1, 0);
	assert_int_equal(got[1] & 1, 1);
	assert_int_equal(got[3] & 1, 0);
	assert_int_equal(tk_mm_mincore(mm, a + 1, PAGE, vec), -EINVAL);
	assert_int_equal(tk_mm_mincore(mm, a, PAGE, 0x1000), -EFAULT);
	assert_int_equal(tk_mm_mincore(mm, 0x10000, PAGE, vec), -ENOMEM);
	assert_int_equal(tk_mm_mincore(mm, a, ~0ull, vec), -ENOMEM);
	big = rig_map(mm, TK_GIB(2), PROT_NONE);
	assert_int_equal(tk_mm_mincore(mm, big, TK_MIB(16), vec), 0);
	assert_int_equal(mm->n_bound, 1);
}

static void test_populate_brings_pages_in(void **state)
{
	struct tk_mm *mm = *state;
	struct tk_mm_usage usage;
	gva_t ro;

	assert_true(tk_mm_mmap(mm, 0, TK_MIB(16), RW, PRIVATE | MAP_POPULATE, NULL, 0) > 0);
	tk_mm_usage(mm, &usage);
	assert_int_equal(usage.resident_bytes, TK_MIB(16));
	ro = rig_map(mm, PAGE, PROT_READ);
	assert_int_equal(tk_mm_madvise(mm, ro, PAGE, MADV_POPULATE_READ), 0);
	assert_int_equal(tk_mm_madvise(mm, ro, PAGE, MADV_POPULATE_WRITE), -EINVAL);
}

static void test_advice_is_accepted(void **state)
{
	static const int advices[] = {0, 1, 2, 3, 4, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 2 * PAGE, RW);

	for (size_t i = 0; i < TK_ARRAY_SIZE(advices); i++)
		assert_int_equal(tk_mm_madvise(mm, a, PAGE, advices[i]), 0);
	assert_int_equal(tk_mm_madvise(mm, a, PAGE, 5), -EINVAL);
	assert_int_equal(tk_mm_madvise(mm, a, 0, MADV_DONTNEED), 0);
	assert_int_equal(tk_mm_madvise(mm, a, 0, 5), -EINVAL);
	assert_int_equal(tk_mm_madvise(mm, a, PAGE, MADV_HWPOISON), -EPERM);
	rig_poke(mm, a, 9);
	assert_int_equal(tk_mm_madvise(mm, a, PAGE, MADV_FREE), 0);
	assert_int_equal(rig_peek(mm, a), 0);
}

static void test_wipe_on_fork_is_a_flag_of_pages(void **state)
{
	struct tk_mm *mm = *state;
	int fd = rig_file(1);
	struct tk_backing *backing = rig_backing(fd, false);
	long file = tk_mm_mmap(mm, 0, PAGE, RW, MAP_PRIVATE, backing, 0);
	long shared = tk_mm_mmap(mm, 0, PAGE, RW, SHARED, NULL, 0);
	gva_t a = rig_map(mm, 6 * PAGE, RW);
	unsigned int vmas = mm->n_vmas;

	assert_int_equal(tk_mm_madvise(mm, (gva_t)file, PAGE, MADV_WIPEONFORK), -EINVAL);
	assert_int_equal(tk_mm_madvise(mm, (gva_t)shared, PAGE, MADV_WIPEONFORK), -EINVAL);
	assert_int_equal(tk_mm_madvise(mm, (gva_t)shared, PAGE, MADV_KEEPONFORK), 0);
	rig_poke(mm, a + 2 * PAGE, 9);
	assert_int_equal(tk_mm_madvise(mm, a + PAGE, 3 * PAGE, MADV_WIPEONFORK), 0);
	assert_int_equal(mm->n_vmas, vmas + 2);
	assert_int_equal(tk_mm_madvise(mm, a + PAGE, 2 * PAGE, MADV_WIPEONFORK), 0);
	assert_int_equal(rig_peek(mm, a + 2 * PAGE), 9);
	assert_int_equal(tk_mm_madvise(mm, a, 2 * PAGE, MADV_KEEPONFORK), 0);
	assert_int_equal(mm->n_vmas, vmas + 2);
	/* Three vmas at once, and a hole. */
	assert_int_equal(tk_mm_munmap(mm, a + 5 * PAGE, PAGE), 0);
	assert_int_equal(tk_mm_madvise(mm, a, 6 * PAGE, MADV_WIPEONFORK), -ENOMEM);
	assert_int_equal(mm->n_vmas, vmas);
	assert_int_equal(tk_mm_madvise(mm, a, 5 * PAGE, MADV_KEEPONFORK), 0);
	tk_backing_put(backing);
	close(fd);
}

static void test_dontneed_of_a_private_file_shows_the_file_again(void **state)
{
	struct tk_mm *mm = *state;
	int fd = rig_file(2);
	struct tk_backing *backing = rig_backing(fd, false);
	long a = tk_mm_mmap(mm, 0, 2 * PAGE, RW, MAP_PRIVATE, backing, 0);

	assert_true(a > 0);
	assert_true(rig_poke(mm, (gva_t)a + PAGE, 99));
	assert_int_equal(rig_peek(mm, (gva_t)a + PAGE), 99);
	assert_int_equal(tk_mm_madvise(mm, (gva_t)a, 2 * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(rig_peek(mm, (gva_t)a + PAGE), 2);
	assert_int_equal(tk_mm_madvise(mm, (gva_t)a, PAGE, MADV_FREE), -EINVAL);
	tk_backing_put(backing);
	close(fd);
}

static void test_a_read_only_file_is_not_mapped_writable(void **state)
{
	struct tk_mm *mm = *state;
	int fd = rig_file(1);
	struct tk_backing *backing = rig_backing(fd, false);
	long a;

	assert_int_equal(tk_mm_mmap(mm, 0, PAGE, RW, MAP_SHARED, backing, 0), -EACCES);
	a = tk_mm_mmap(mm, 0, PAGE, PROT_READ, MAP_SHARED, backing, 0);
	assert_true(a > 0);
	assert_int_equal(tk_mm_mprotect(mm, (gva_t)a, PAGE, RW), -EACCES);
	assert_int_equal(tk_mm_mmap(mm, 0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_SYNC, backing, 0),
			 -EOPNOTSUPP);
	assert_int_equal(tk_mm_mmap(mm, 0, PAGE, RW, MAP_PRIVATE, backing, TK_PAGE_SIZE * 9) > 0,
			 1);
	assert_int_equal(tk_mm_mmap(mm, 0, PAGE, RW, MAP_PRIVATE, backing, 1ull << 63), -EOVERFLOW);
	assert_int_equal(tk_mm_mmap(mm, 0, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, backing, 0),
			 -EINVAL);
	tk_backing_put(backing);
	close(fd);
}

static void test_shared_anonymous_memory_can_be_mapped_twice(void **state)
{
	struct tk_mm *mm = *state;
	long a = tk_mm_mmap(mm, 0, 4 * PAGE, RW, SHARED, NULL, 0), b;

	assert_true(a > 0);
	assert_true(rig_poke(mm, (gva_t)a + PAGE, 3));
	b = tk_mm_mremap(mm, (gva_t)a, 0, 4 * PAGE, MREMAP_MAYMOVE, 0);
	assert_true(b > 0 && b != a);
	assert_int_equal(rig_peek(mm, (gva_t)b + PAGE), 3);
	assert_int_equal(tk_mm_munmap(mm, (gva_t)a, 4 * PAGE), 0);
	assert_true(rig_poke(mm, (gva_t)b + PAGE, 4));
	assert_int_equal(rig_peek(mm, (gva_t)b + PAGE), 4);
	/* Beyond the object there is nothing, and the VMM survives looking for it. */
	b = tk_mm_mremap(mm, (gva_t)b, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0);
	assert_true(b > 0);
	assert_int_equal(rig_peek(mm, (gva_t)b + 4 * PAGE), -1);
	assert_int_equal(tk_mm_fault(mm, (gva_t)b + 4 * PAGE, READ_CODE), TK_FAULT_BUS);
	b = rig_map(mm, PAGE, RW) ? tk_mm_mremap(mm, rig_map(mm, PAGE, RW), 0, PAGE, 1, 0) : 0;
	assert_int_equal(b, -EINVAL);
}

static void test_mremap_moves_contents_and_leaves_nothing(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, TK_MIB(200), RW), to = 0x300000000000;
	long b;

	/* Across chunks, and to a place that is misaligned against them. */
	for (u64 at = 0; at < TK_MIB(200); at += TK_MIB(8))
		assert_true(rig_poke(mm, a + at + 5, (u8)(at >> 23) + 1));
	b = tk_mm_mremap(mm, a, TK_MIB(200), TK_MIB(300), MREMAP_MAYMOVE | MREMAP_FIXED,
			 to + TK_MIB(3));
	assert_int_equal(b, (long)(to + TK_MIB(3)));
	rig_check(mm);
	for (u64 at = 0; at < TK_MIB(200); at += TK_MIB(8))
		assert_int_equal(rig_peek(mm, (gva_t)b + at + 5), (u8)(at >> 23) + 1);
	assert_int_equal(rig_peek(mm, a), -1);
	assert_int_equal(rig_peek(mm, (gva_t)b + TK_MIB(250)), 0);
	b = tk_mm_mremap(mm, (gva_t)b, TK_MIB(100), TK_MIB(100), MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			 0);
	assert_true(b > 0);
	assert_int_equal(rig_peek(mm, (gva_t)b + 5), 1);
	assert_int_equal(rig_peek(mm, to + TK_MIB(3) + 5), 0);
}

static void test_mremap_refuses_what_the_man_page_says(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 4 * PAGE, RW);

	assert_int_equal(tk_mm_mremap(mm, a, PAGE, PAGE, 8, 0), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a + 1, PAGE, PAGE, 0, 0), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, 0, 0, 0), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, ~0ull, 1, 0), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, PAGE, MREMAP_FIXED, 0x100000), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, PAGE, 3, a), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, PAGE, 3, a + 1), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, 2 * PAGE, 5, 0), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a - TK_MIB(1), PAGE, 2 * PAGE, 1, 0), -EFAULT);
	assert_int_equal(tk_mm_mremap(mm, a, 8 * PAGE, 9 * PAGE, 1, 0), -EFAULT);
	assert_int_equal(tk_mm_mremap(mm, a, TK_USER_TOP, PAGE, 0, 0), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, 1ull << 62, PAGE, 1, 0), -EINVAL);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, 2 * PAGE, 0, 0), -ENOMEM);
	assert_int_equal(tk_mm_mremap(mm, a, PAGE, PAGE, 3, 0x1000), -EPERM);
}

static void test_mprotect_stops_at_a_hole(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 4 * PAGE, RW);

	assert_int_equal(tk_mm_munmap(mm, a + 2 * PAGE, PAGE), 0);
	assert_int_equal(tk_mm_mprotect(mm, a, 4 * PAGE, PROT_READ), -ENOMEM);
	assert_false(rig_poke(mm, a + PAGE, 1));
	assert_true(rig_poke(mm, a + 3 * PAGE, 1));
	assert_int_equal(tk_mm_mprotect(mm, a, PAGE, PROT_GROWSDOWN | RW), -EINVAL);
	assert_int_equal(tk_mm_mprotect(mm, a, 0, RW), 0);
	assert_int_equal(tk_mm_mprotect(mm, a, ~0ull, RW), -ENOMEM);
}

static void test_the_kernel_area_and_the_report(void **state)
{
	struct tk_mm *mm = *state;
	struct tk_buf buf = {0};

	assert_int_equal(
		tk_mm_map_kernel(mm, TK_KERNEL_VA, TK_GPA_AREA, TK_AREA_SIZE, true, false, true),
		0);
	assert_int_equal(tk_pt_get(mm, TK_KERNEL_VA + PAGE) & TK_PTE_ADDR, PAGE);
	tk_mm_report_walk(mm, TK_KERNEL_VA, &buf);
	assert_non_null(strstr(buf.data, "PML4E"));
	assert_non_null(strstr(buf.data, "PTE "));
	tk_buf_free(&buf);
	assert_int_equal(tk_mm_cr3(mm), TK_GPA_PT);
}

static int count(void *arg, const struct tk_vma_info *vma)
{
	return ++*(int *)arg == 2 ? 42 : 0;
}

static void test_for_each_stops_when_told(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, 4 * PAGE, RW);
	int n = 0;

	assert_int_equal(tk_mm_mprotect(mm, a, PAGE, 0), 0);
	assert_int_equal(tk_mm_mprotect(mm, a + 2 * PAGE, PAGE, 0), 0);
	assert_int_equal(tk_mm_for_each(mm, count, &n), 42);
	assert_int_equal(n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(test_mmap_refuses_what_the_kernel_refuses),
		rig_test(test_hints_are_taken_if_free),
		rig_test(test_map_32bit_stays_below_2_gib),
		rig_test(test_neighbours_merge_and_split),
		rig_test(test_terabytes_of_reservation_cost_nothing),
		rig_test(test_a_small_mapping_needs_no_fault_and_a_large_one_does),
		rig_test(test_entries_are_exact),
		rig_test(test_the_stack_grows_by_being_touched),
		rig_test(test_the_stack_keeps_its_distance),
		rig_test(test_brk),
		rig_test(test_rlimits),
		rig_test(test_mlock_is_accounted),
		rig_test(test_mincore_tells_what_was_touched),
		rig_test(test_populate_brings_pages_in),
		rig_test(test_advice_is_accepted),
		rig_test(test_wipe_on_fork_is_a_flag_of_pages),
		rig_test(test_dontneed_of_a_private_file_shows_the_file_again),
		rig_test(test_a_read_only_file_is_not_mapped_writable),
		rig_test(test_shared_anonymous_memory_can_be_mapped_twice),
		rig_test(test_mremap_moves_contents_and_leaves_nothing),
		rig_test(test_mremap_refuses_what_the_man_page_says),
		rig_test(test_mprotect_stops_at_a_hole),
		rig_test(test_the_kernel_area_and_the_report),
		rig_test(test_for_each_stops_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
