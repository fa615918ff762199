/* SPDX-License-Identifier: MIT */
/* What is made before it is used, and that it stays within bounds. */
#include "mm_rig.h"

static u64 resident(struct tk_mm *mm)
{
	struct tk_mm_usage usage;

	tk_mm_usage(mm, &usage);
	return usage.resident_bytes;
}

static void test_a_first_write_makes_the_pages_around_it(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, TK_GIB(1), RW) + TK_MIB(512);

	assert_int_equal(tk_mm_fault(mm, a + TK_KIB(300), WRITE_CODE), TK_FAULT_FIXED);
	assert_true(tk_pt_filled(mm, a + TK_KIB(256), a + TK_KIB(512)));
	assert_int_equal(tk_pt_get(mm, a + TK_KIB(252)), 0);
	assert_int_equal(tk_pt_get(mm, a + TK_KIB(512)), 0);
	assert_int_equal(resident(mm), TK_KIB(256));
	/* More of it for a program that goes on from there. */
	assert_int_equal(tk_mm_fault(mm, a + TK_KIB(512), WRITE_CODE), TK_FAULT_FIXED);
	assert_int_equal(resident(mm), TK_KIB(256 + 512));
}

static void test_what_is_only_read_is_not_made(void **state)
{
	struct tk_mm *mm = *state;
	gva_t a = rig_map(mm, TK_MIB(1), RW);

	assert_int_equal(tk_mm_fault(mm, a, READ_CODE), TK_FAULT_FIXED);
	assert_int_equal(resident(mm), 0);
	assert_int_equal(tk_pt_get(mm, a + TK_KIB(32)), 0); /* a write there will be seen */
}

static void test_nothing_shared_is_made_ahead(void **state)
{
	struct tk_mm *mm = *state;
	long a = tk_mm_mmap(mm, 0, TK_MIB(1), RW, SHARED, NULL, 0);

	assert_true(a > 0 && tk_pt_filled(mm, (gva_t)a, (gva_t)a + TK_MIB(1)));
	assert_int_equal(resident(mm), 0);
}

/* A program that touches little of much gets no more than the budget, and no more exits. */
static void test_memory_made_ahead_is_bounded(void **state)
{
	struct tk_mm *mm = *state;
	const u64 len = TK_AHEAD_TOTAL * 20;
	gva_t a = rig_map(mm, len, RW);
	u64 faults = 0;

	for (u64 at = 0; at < len; at += TK_MIB(1)) {
		if (tk_pt_get(mm, a + at))
			continue;
		assert_int_equal(tk_mm_fault(mm, a + at, WRITE_CODE), TK_FAULT_FIXED);
		faults++;
	}
	assert_true(resident(mm) <= TK_AHEAD_TOTAL);
	assert_true(faults <= TK_AHEAD_TOTAL / TK_AHEAD_FIRST + len / TK_LEAF_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(test_a_first_write_makes_the_pages_around_it),
		rig_test(test_what_is_only_read_is_not_made),
		rig_test(test_nothing_shared_is_made_ahead),
		rig_test(test_memory_made_ahead_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
