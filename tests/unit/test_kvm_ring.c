/* SPDX-License-Identifier: MIT */
/*
 * Dirty rings: which pages the guest wrote, once each until the rings are handed back or the
 * page's mapping changed. Everything a hot set relies on (src/mm/hot.c).
 */
#include "test_kvm_rig.h"

#define RING	(16u << 10)
#define ENTRIES (RING / 16)

/* mov %rax, (%rdi); SYSCALL */
GUEST(store, "mov %rax, (%rdi)\n syscall");

static unsigned int seen[RIG_PAGES], others;

static void note(void *arg, gpa_t gpa)
{
	u64 page = (gpa - TK_GPA_MEMORY) / 4096;

	assert_int_equal(gpa % 4096, 0);
	if (gpa >= TK_GPA_MEMORY && page < RIG_PAGES)
		seen[page]++;
	else
		others++;
}

static bool harvest(void)
{
	memset(seen, 0, sizeof(seen));
	others = 0;
	return tk_vm_harvest(rig.vm, note, NULL);
}

static void store_to(struct rig *r, u64 page, u64 value)
{
	r->r->rip = RIG_CODE;
	r->r->rdi = RIG_CODE + page * 4096 + 8;
	r->r->rax = value;
	tk_vcpu_resume_full(r->vcpu);
	rig_expect(r, TK_EXIT_SYSCALL);
}

static int setup(void **state)
{
	if (!kvm.ring_max_bytes)
		skip();
	rig_open_with(&rig, &kvm, RING);
	rig_load(&rig, store);
	(void)harvest();
	return 0;
}

static int teardown(void **state)
{
	rig_close(&rig);
	return 0;
}

static void test_written_pages_are_told(void **state)
{
	store_to(&rig, 1, 1);
	store_to(&rig, 3, 1);
	assert_false(harvest());
	assert_true(seen[1] && seen[3]);
	assert_true(!seen[2] && !seen[4] && !seen[5]);
}

static void test_a_page_is_told_once(void **state)
{
	store_to(&rig, 1, 1);
	(void)harvest();
	store_to(&rig, 1, 2);
	store_to(&rig, 2, 2);
	(void)harvest();
	assert_int_equal(seen[1], 0);
	assert_true(seen[2]);
}

static void test_again_after_the_rings_were_handed_back(void **state)
{
	store_to(&rig, 1, 1);
	(void)harvest();
	assert_int_equal(tk_vm_reset_rings(rig.vm), 0);
	(void)harvest();
	assert_int_equal(seen[1], 0);
	store_to(&rig, 1, 2);
	(void)harvest();
	assert_true(seen[1]);
	assert_int_equal(*(u64 *)(void *)(rig.mem + 4096 + 8), 2);
}

/* Handing back what was not collected yet must not lose it. */
static void test_what_was_not_collected_stays(void **state)
{
	store_to(&rig, 1, 1);
	assert_int_equal(tk_vm_reset_rings(rig.vm), 0);
	(void)harvest();
	assert_true(seen[1]);
}

static void test_again_after_the_mapping_changed(void **state)
{
	store_to(&rig, 1, 1);
	(void)harvest();
	assert_int_equal(madvise(rig.mem + 4096, 4096, MADV_DONTNEED), 0);
	store_to(&rig, 1, 2);
	(void)harvest();
	assert_true(seen[1]);
	assert_int_equal(mprotect(rig.mem + 4096, 4096, PROT_READ), 0);
	assert_int_equal(mprotect(rig.mem + 4096, 4096, PROT_READ | PROT_WRITE), 0);
	store_to(&rig, 1, 3);
	(void)harvest();
	assert_true(seen[1]);
}

static void test_every_vcpu_has_a_ring(void **state)
{
	struct rig second = rig;

	rig_new_vcpu(&second);
	store_to(&second, 2, 1);
	store_to(&rig, 1, 1);
	(void)harvest();
	assert_true(seen[1] && seen[2]);
	/* One that is nobody's still has what it wrote. */
	store_to(&second, 3, 1);
	tk_vcpu_destroy(second.vcpu);
	(void)harvest();
	assert_true(seen[3]);
}

/* The program does not notice that a ring was full. */
static void test_full_rings_are_emptied(void **state)
{
	unsigned int full = 0, told = 0;
	bool filling = false;

	for (u64 i = 0; i < 3 * ENTRIES; i++) {
		rig.r->rip = RIG_CODE;
		rig.r->rdi = RIG_CODE + 4096 + 8;
		rig.r->rax = i;
		tk_vcpu_resume_full(rig.vcpu);
		while (rig_run(&rig) == TK_EXIT_RING_FULL) {
			full++;
			filling |= harvest();
			told += seen[1];
			assert_int_equal(tk_vm_reset_rings(rig.vm), 0);
		}
		assert_int_equal(rig.exit.kind, TK_EXIT_SYSCALL);
		assert_int_equal(*(u64 *)(void *)(rig.mem + 4096 + 8), i);
		assert_int_equal(madvise(rig.mem + 4096, 4096, MADV_DONTNEED), 0);
	}
	(void)harvest();
	told += seen[1];
	assert_true(full > 0 && filling);
	assert_true(told >= 3 * ENTRIES);
}

/* Half full is told early enough for a reset of the rings between two runs. */
static void test_filling_rings_are_told(void **state)
{
	bool filling = false;

	for (u64 i = 0; i < ENTRIES; i++) {
		store_to(&rig, 1, i);
		assert_int_equal(madvise(rig.mem + 4096, 4096, MADV_DONTNEED), 0);
		filling = harvest();
		if (filling)
			assert_int_equal(tk_vm_reset_rings(rig.vm), 0);
	}
}

static void test_no_ring_nothing_told(void **state)
{
	struct rig plain;

	rig_open(&plain, &kvm);
	rig_load(&plain, store);
	store_to(&plain, 1, 1);
	memset(seen, 0, sizeof(seen));
	assert_false(tk_vm_harvest(plain.vm, note, NULL));
	assert_int_equal(seen[1], 0);
	rig_close(&plain);
}

#define ring_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ring_test(test_written_pages_are_told),
		ring_test(test_a_page_is_told_once),
		ring_test(test_again_after_the_rings_were_handed_back),
		ring_test(test_what_was_not_collected_stays),
		ring_test(test_again_after_the_mapping_changed),
		ring_test(test_every_vcpu_has_a_ring),
		ring_test(test_full_rings_are_emptied),
		ring_test(test_filling_rings_are_told),
		cmocka_unit_test(test_no_ring_nothing_told),
	};

	return cmocka_run_group_tests(tests, rig_open_kvm, rig_close_kvm);
}
