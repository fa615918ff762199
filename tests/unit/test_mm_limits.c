/* SPDX-License-Identifier: MIT */
/* Limits, hostile guests, and every host call failing in its turn. */
#include <dlfcn.h>
#include <sys/syscall.h>
#include <time.h>

#include "mm_rig.h"

/*
 * Interposed host calls: while armed, the n-th call from src/mm fails with ENOMEM.
 */
static int fail_after = -1; /* calls left; -1: not armed */
static bool failed;

static bool fails(void)
{
	if (fail_after < 0 || fail_after--)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

static void *result(long rc)
{
	return (void *)rc;
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fails())
		return MAP_FAILED;
	return result(syscall(SYS_mmap, addr, len, prot, flags, fd, offset));
}

int mprotect(void *addr, size_t len, int prot)
{
	return fails() ? -1 : (int)syscall(SYS_mprotect, addr, len, prot);
}

void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	va_list ap;
	void *new;

	va_start(ap, flags);
	new = va_arg(ap, void *);
	va_end(ap);
	if (fails())
		return MAP_FAILED;
	return result(syscall(SYS_mremap, old, old_len, new_len, flags, new));
}

int memfd_create(const char *name, unsigned int flags)
{
	return fails() ? -1 : (int)syscall(SYS_memfd_create, name, flags);
}

static u64 resident(struct tk_mm *mm)
{
	struct tk_mm_usage usage;

	tk_mm_usage(mm, &usage);
	return usage.resident_bytes;
}

/* What the guest does: take the fault, then store. False when the limit says no. */
static bool guest_store(struct tk_mm *mm, gva_t addr)
{
	u8 *hva;

	if (!tk_pt_get(mm, addr)) {
		enum tk_fault_result rc = tk_mm_fault(mm, addr, WRITE_CODE);

		if (rc == TK_FAULT_LIMIT)
			return false;
		assert_int_equal(rc, TK_FAULT_FIXED);
	}
	assert_true(tk_pt_get(mm, addr) & TK_PTE_W);
	tk_chunk_run(mm, addr, addr + 1, &hva);
	*(volatile u8 *)hva = 1;
	return true;
}

static void test_memory_that_is_never_touched_is_free(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), TK_MIB(16), 1000);
	u64 stored = 0;
	gva_t a;

	assert_int_equal(tk_mm_mmap(mm, 0, TK_MIB(64), RW, PRIVATE, NULL, 0), -ENOMEM);
	a = (gva_t)tk_mm_mmap(mm, 0, TK_MIB(256), RW, PRIVATE | MAP_NORESERVE, NULL, 0);
	/* A page here and there: each fault fills far more than is used. */
	for (u64 at = 0; at < TK_MIB(256); at += TK_MIB(1))
		assert_true(guest_store(mm, a + at));
	rig_check(mm);
	/* Now all of it: the limit holds to the page, page tables included. */
	while (stored < TK_MIB(256) && guest_store(mm, a + stored))
		stored += PAGE;
	assert_true(tk_mm_over_limit(mm));
	assert_true(stored >= TK_MIB(14));
	assert_true(resident(mm) + mm->tables * PAGE <= TK_MIB(16));
	assert_true(resident(mm) + mm->tables * PAGE >= TK_MIB(16) - TK_KIB(16));
	rig_check(mm);
	/* What is given back can be had again. */
	assert_int_equal(tk_mm_madvise(mm, a, TK_MIB(8), MADV_DONTNEED), 0);
	assert_true(guest_store(mm, a + TK_MIB(200)));
	assert_int_equal(tk_mm_munmap(mm, a, TK_MIB(256)), 0);
	assert_int_equal(mm->charged, 0);
	assert_true(tk_mm_mmap(mm, 0, TK_MIB(8), RW, PRIVATE, NULL, 0) > 0);
	rig_check(mm);
	tk_mm_destroy(mm);
}

static void test_small_mappings_fail_at_the_limit(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), TK_MIB(16), 1000);
	unsigned int n = 0;
	long addr;

	while (n < 100) {
		addr = tk_mm_mmap(mm, 0, TK_MIB(1), RW, PRIVATE | MAP_POPULATE, NULL, 0);
		if (addr < 0)
			break;
		n++;
	}
	assert_int_equal(addr, -ENOMEM);
	assert_int_equal(n, 15);
	rig_check(mm);
	tk_mm_destroy(mm);
}

static void test_the_vmm_cannot_be_made_to_exceed_the_limit(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), TK_MIB(16), 1000);
	long a = tk_mm_mmap(mm, 0, TK_MIB(256), RW, PRIVATE | MAP_NORESERVE, NULL, 0);
	u64 at = 0;

	assert_true(a > 0);
	while (at < TK_MIB(256) && !tk_zero_out(mm, (gva_t)a + at, TK_MIB(1)))
		at += TK_MIB(1);
	assert_true(at >= TK_MIB(14) && at <= TK_MIB(16));
	assert_true(resident(mm) <= TK_MIB(16));
	assert_true(tk_mm_over_limit(mm));
	tk_mm_destroy(mm);
}

static void test_shared_memory_counts_until_nobody_maps_it(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), TK_MIB(16), 1000);

	for (int i = 0; i < 20; i++) {
		long a = tk_mm_mmap(mm, 0, TK_MIB(6), RW, SHARED | MAP_POPULATE, NULL, 0);

		assert_true(a > 0);
		assert_int_equal(tk_mm_munmap(mm, (gva_t)a, TK_MIB(6) - PAGE), 0);
		assert_true(tk_charge_used(mm) >= TK_MIB(6) >> TK_PAGE_SHIFT);
		assert_int_equal(tk_mm_munmap(mm, (gva_t)a, TK_MIB(6)), 0);
		assert_int_equal(mm->kept, 0);
		assert_int_equal(mm->charged, 0);
	}
	tk_mm_destroy(mm);
}

static void test_read_only_pages_are_charged_when_they_become_writable(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), TK_MIB(16), 1000);
	gva_t a = rig_map(mm, TK_MIB(1), PROT_READ);

	assert_int_equal(mm->charged, 0);
	assert_int_equal(tk_mm_mprotect(mm, a, TK_MIB(1), RW), 0);
	assert_int_equal(mm->charged, 256);
	assert_int_equal(tk_mm_mprotect(mm, a, TK_MIB(1), PROT_NONE), 0);
	assert_int_equal(mm->charged, 256);
	rig_check(mm);
	tk_mm_destroy(mm);
}

struct slots {
	u64 memory, tables;
	int fail_at;
	int n;
};

static int slot_add(void *ctx, gpa_t gpa, u64 size, void *hva, unsigned int flags)
{
	struct slots *slots = ctx;

	assert_int_equal(flags, 0);
	if (slots->n++ == slots->fail_at)
		return -ENOSPC;
	if (gpa >= TK_GPA_MEMORY) {
		assert_true(size && size <= TK_SLOT_SIZE && !(size % TK_CHUNK_SIZE));
		slots->memory += size;
	} else {
		assert_int_equal(gpa, TK_GPA_PT + slots->tables);
		slots->tables += size;
	}
	return 0;
}

static struct tk_mm *new_with_slots(struct slots *slots)
{
	struct tk_mm_options opts = {.max_address_space = 4ull * TK_CHUNK_SIZE,
				     .max_vmas = 1000,
				     .backend = {.slot_add = slot_add, .ctx = slots}};
	struct tk_mm *mm = NULL;

	assert_int_equal(tk_mm_create(&mm, &opts, NULL), 0);
	return mm;
}

static void test_a_full_arena_is_shared_out_again(void **state)
{
	struct slots slots = {.fail_at = -1};
	struct tk_mm *mm = new_with_slots(&slots);

	for (u64 i = 0; i < 4; i++)
		assert_true(tk_mm_mmap(mm, TK_GIB(100 + i), PAGE, RW, PRIVATE, NULL, 0) > 0);
	assert_int_equal(tk_mm_mmap(mm, TK_GIB(200), PAGE, RW, PRIVATE, NULL, 0), -ENOMEM);
	assert_true(tk_mm_mmap(mm, TK_GIB(200), PAGE, PROT_NONE, PRIVATE, NULL, 0) > 0);
	assert_true(rig_poke(mm, TK_GIB(102), 77));
	assert_int_equal(tk_mm_munmap(mm, TK_GIB(102), PAGE), 0);
	assert_int_equal(tk_mm_mprotect(mm, TK_GIB(200), PAGE, RW), 0);
	assert_int_equal(rig_peek(mm, TK_GIB(200)), 0);
	assert_int_equal(slots.memory, 4 * TK_CHUNK_SIZE);
	/* The arena is full of small mappings: a large one is refused when it is touched. */
	assert_true(tk_mm_mmap(mm, TK_GIB(300), TK_GIB(1), RW, PRIVATE, NULL, 0) > 0);
	assert_int_equal(tk_mm_fault(mm, TK_GIB(300), WRITE_CODE), TK_FAULT_LIMIT);
	assert_false(rig_poke(mm, TK_GIB(300), 1));
	rig_check(mm);
	tk_mm_destroy(mm);
}

static void test_neighbouring_chunks_are_neighbours_in_the_arena(void **state)
{
	struct slots slots = {.fail_at = -1};
	struct tk_mm *mm = new_with_slots(&slots);
	gva_t a = TK_GIB(100);
	struct iovec iov[4];
	size_t mapped;

	assert_true(tk_mm_mmap(mm, a, 3ull * TK_CHUNK_SIZE, RW, PRIVATE, NULL, 0) > 0);
	assert_true(rig_poke(mm, a + 2ull * TK_CHUNK_SIZE, 1)); /* last first */
	assert_true(rig_poke(mm, a, 1));
	assert_true(rig_poke(mm, a + TK_CHUNK_SIZE, 1));
	assert_int_equal(tk_iov_map(mm, a, 3ull * TK_CHUNK_SIZE, TK_ACCESS_READ, iov, 4, &mapped),
			 1);
	assert_int_equal(mapped, 3ull * TK_CHUNK_SIZE);
	tk_mm_destroy(mm);
}

static void test_a_refused_memslot_is_no_memory(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct slots slots = {.fail_at = i};
		struct tk_mm_options opts = {.max_address_space = 4ull * TK_SLOT_SIZE,
					     .max_vmas = 1000,
					     .backend = {.slot_add = slot_add, .ctx = &slots}};
		struct tk_mm *mm = NULL;
		struct tkvm_error err;
		long rc;

		rc = tk_mm_create(&mm, &opts, &err);
		assert_int_equal(rc, i ? 0 : -ENOMEM);
		if (rc)
			continue;
		for (u64 at = 1; at <= 3; at++) {
			rc = tk_mm_mmap(mm, TK_GIB(at), TK_SLOT_SIZE, PROT_READ,
					PRIVATE | MAP_POPULATE, NULL, 0);
			assert_int_equal(rc, (int)at == i ? -ENOMEM : (long)TK_GIB(at));
		}
		rig_check(mm);
		tk_mm_destroy(mm);
	}
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* As Linux does at max_map_count; quickly, since the guest pays nothing for asking. */
static void test_a_million_mappings_are_refused_in_time(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), 0, 10000);
	double start = seconds();
	unsigned int made = 0;

	for (unsigned int i = 0; i < 1000000; i++) {
		long rc = tk_mm_mmap(mm, 0, PAGE, i % 2 ? PROT_READ : RW, PRIVATE, NULL, 0);

		if (rc > 0)
			made++;
		else
			assert_int_equal(rc, -ENOMEM);
	}
	assert_int_equal(made, 10000);
	assert_int_equal(tk_mm_munmap(mm, mm->first->start, PAGE), 0);
	assert_int_equal(tk_mm_mprotect(mm, mm->first->start, PAGE, PROT_EXEC), 0);
	rig_check(mm);
	assert_true(seconds() - start < 5);
	tk_mm_destroy(mm);
}

static void test_splitting_stops_at_the_vma_limit(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), 0, 8);
	gva_t a = rig_map(mm, 64 * PAGE, RW);
	long rc = 0;

	for (u64 i = 1; i < 64 && !rc; i += 2)
		rc = tk_mm_munmap(mm, a + i * PAGE, PAGE);
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(mm->n_vmas, 8);
	assert_int_equal(tk_mm_mprotect(mm, a + 32 * PAGE, PAGE, PROT_READ), -ENOMEM);
	assert_int_equal(tk_mm_mremap(mm, a + 32 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0),
			 -ENOMEM);
	assert_int_equal(tk_mm_munmap(mm, a + 32 * PAGE, 32 * PAGE), 0); /* no more than before */
	assert_int_equal(tk_mm_munmap(mm, a, 64 * PAGE), 0);
	rig_check(mm);
	tk_mm_destroy(mm);
}

static void test_empty_page_tables_give_their_memory_back(void **state)
{
	struct tk_mm *mm = rig_new(TK_GIB(4), 0, 1000);

	for (u64 i = 0; i < 2000; i++) {
		gva_t addr = TK_GIB(1) + i * TK_MIB(2);

		assert_true(tk_mm_mmap(mm, addr, PAGE, RW, PRIVATE, NULL, 0) > 0);
		assert_int_equal(tk_mm_munmap(mm, addr, PAGE), 0);
	}
	assert_true(mm->tables < 100);
	assert_true(mm->pool_used > 2000);
	/* and work again */
	assert_true(tk_mm_mmap(mm, TK_GIB(1), TK_MIB(8), RW, PRIVATE, NULL, 0) > 0);
	assert_true(rig_poke(mm, TK_GIB(1), 1));
	rig_check(mm);
	tk_mm_destroy(mm);
}

/* A bit of everything; results are free to be -ENOMEM, the state is not free to be wrong. */
static void scenario(struct tk_mm *mm, struct tk_backing *backing)
{
	gva_t a = TK_GIB(64) - 8 * PAGE; /* across a chunk boundary */
	long b;

	(void)!tk_mm_mmap(mm, a, 16 * PAGE, RW, PRIVATE | MAP_FIXED, NULL, 0);
	(void)!tk_zero_out(mm, a, 16 * PAGE);
	(void)!tk_mm_mmap(mm, a + 2 * PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, backing, 0);
	(void)!tk_mm_mprotect(mm, a, 16 * PAGE, PROT_READ | PROT_EXEC);
	(void)!tk_mm_mprotect(mm, a, 16 * PAGE, PROT_READ);
	(void)!tk_mm_mprotect(mm, a + PAGE, 10 * PAGE, RW);
	b = tk_mm_mmap(mm, 0, 4 * PAGE, RW, SHARED, NULL, 0);
	if (b > 0)
		(void)!tk_mm_mremap(mm, (gva_t)b, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0);
	(void)!tk_mm_mremap(mm, a + 5 * PAGE, 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			    TK_GIB(80) - 2 * PAGE);
	(void)!tk_mm_munmap(mm, a + 3 * PAGE, 6 * PAGE);
}

static void test_every_host_call_may_fail(void **state)
{
	int fd = rig_file(2);
	struct tk_backing *backing = rig_backing(fd, false);
	int n = 0;

	do {
		struct tk_mm *mm = rig_new(TK_GIB(4), 0, 1000);

		failed = false;
		fail_after = n++;
		scenario(mm, backing);
		fail_after = -1;
		/*
		 * A release that fails leaves the old protection on the host, out of the guest's
		 * reach: the page tables, which the guest sees, must be right in any case.
		 */
		assert_null(tk_mm_check(mm, false));
		tk_mm_destroy(mm);
		assert_int_equal(backing->refs, 1);
	} while (failed);
	assert_true(n > 15);
	tk_backing_put(backing);
	close(fd);
}

static void test_creation_may_fail_at_any_call(void **state)
{
	struct tk_mm_options opts = {.max_address_space = TK_GIB(1), .max_vmas = 10};
	int n = 0, rc;

	do {
		struct tk_mm *mm = NULL;

		fail_after = n++;
		rc = tk_mm_create(&mm, &opts, NULL);
		fail_after = -1;
		assert_int_equal(rc, mm ? 0 : -ENOMEM);
		tk_mm_destroy(mm);
	} while (rc);
	assert_int_equal(n, 6);
	opts.max_address_space = 5;
	struct tk_mm *mm;
	struct tkvm_error err;

	assert_int_equal(tk_mm_create(&mm, &opts, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_that_is_never_touched_is_free),
		cmocka_unit_test(test_small_mappings_fail_at_the_limit),
		cmocka_unit_test(test_the_vmm_cannot_be_made_to_exceed_the_limit),
		cmocka_unit_test(test_shared_memory_counts_until_nobody_maps_it),
		cmocka_unit_test(test_read_only_pages_are_charged_when_they_become_writable),
		cmocka_unit_test(test_a_full_arena_is_shared_out_again),
		cmocka_unit_test(test_neighbouring_chunks_are_neighbours_in_the_arena),
		cmocka_unit_test(test_a_refused_memslot_is_no_memory),
		cmocka_unit_test(test_a_million_mappings_are_refused_in_time),
		cmocka_unit_test(test_splitting_stops_at_the_vma_limit),
		cmocka_unit_test(test_empty_page_tables_give_their_memory_back),
		cmocka_unit_test(test_every_host_call_may_fail),
		cmocka_unit_test(test_creation_may_fail_at_any_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
