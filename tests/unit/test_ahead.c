/* SPDX-License-Identifier: MIT */
/* The arithmetic of reading ahead: what a guest may say that it took, and how much it gets next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "guest/ahead.h"

static void expect_taken(u64 word, u32 given, u32 bytes, u32 reads)
{
	struct tk_ahead_taken taken = tk_ahead_take(word, given);

	assert_int_equal(taken.bytes, bytes);
	assert_int_equal(taken.reads, reads);
}

static void test_what_the_guest_took_is_at_most_what_it_was_given(void **state)
{
	expect_taken(0, 4096, 0, 0);
	expect_taken(3ull << 32 | 3000, 4096, 3000, 3);
	expect_taken(1ull << 32 | 4096, 4096, 4096, 1);
	expect_taken(1ull << 32 | 4097, 4096, 4096, 1);
	expect_taken(~0ull, 4096, 4096, 4096);
	expect_taken(5ull << 32 | 2, 4096, 2, 2);
	expect_taken(7ull << 32, 4096, 0, 0);
	expect_taken(~0ull, 0, 0, 0);
}

static void test_it_gets_whole_reads_only_and_no_more_than_there_is(void **state)
{
	struct tk_ahead_pace pace = {0};
	static const u64 sizes[] = {1, 7, 512, 4096, 10000, 32768, 131072};

	for (size_t i = 0; i < TK_ARRAY_SIZE(sizes); i++) {
		u32 window = tk_ahead_window(&pace, sizes[i], 1 << 30);

		assert_true(window >= 2 * sizes[i] && window <= TK_AHEAD_WINDOW);
		assert_int_equal(window % sizes[i], 0);
	}
	assert_int_equal(tk_ahead_window(&pace, 4096, 10000), 8192);
	assert_int_equal(tk_ahead_window(&pace, 4096, 4095), 0);
	assert_int_equal(tk_ahead_window(&pace, 4096, 0), 0);
	assert_int_equal(tk_ahead_window(&pace, 0, 10000), 0);
}

static void test_large_reads_are_left_alone(void **state)
{
	struct tk_ahead_pace pace = {0};

	assert_int_equal(tk_ahead_window(&pace, TK_AHEAD_WINDOW, ~0ull), 0);
	assert_int_equal(tk_ahead_window(&pace, ~0ull, ~0ull), 0);
	assert_int_equal(tk_ahead_window(&pace, 1ull << 63, ~0ull), 0);
	assert_int_not_equal(tk_ahead_window(&pace, TK_AHEAD_WINDOW / 2, ~0ull), 0);
}

static void test_who_takes_all_gets_more_up_to_the_most(void **state)
{
	struct tk_ahead_pace pace = {0};
	u32 before = 0, window = 0;

	for (int i = 0; i < 10; i++) {
		window = tk_ahead_window(&pace, 4096, 1 << 30);
		assert_true(window >= before && window <= TK_AHEAD_WINDOW);
		tk_ahead_learn(&pace, 4096, window, window);
		before = window;
	}
	assert_int_equal(window, TK_AHEAD_WINDOW / 4096 * 4096);
}

static void test_who_takes_little_gets_less(void **state)
{
	struct tk_ahead_pace pace = {.window = TK_AHEAD_WINDOW};
	u32 window = tk_ahead_window(&pace, 4096, 1 << 30), less;

	tk_ahead_learn(&pace, 4096, window, 4096);
	less = tk_ahead_window(&pace, 4096, 1 << 30);
	assert_true(less && less < window);
	for (int i = 0; i < 20; i++)
		tk_ahead_learn(&pace, 4096, less, 4096);
	assert_int_not_equal(tk_ahead_window(&pace, 4096, 1 << 30), 0);
}

/* Tries when @reads reads are each followed by something else. */
static int tries(struct tk_ahead_pace *pace, int reads)
{
	int n = 0;

	for (int i = 0; i < reads; i++) {
		u32 window = tk_ahead_window(pace, 4096, 1 << 30);

		n += window != 0;
		if (window)
			tk_ahead_learn(pace, 4096, window, 0);
	}
	return n;
}

static void test_who_takes_nothing_is_soon_left_alone(void **state)
{
	struct tk_ahead_pace pace = {0};

	assert_int_equal(tries(&pace, 1), 1);
	assert_true(tries(&pace, 1000) < 15);
	assert_true(tries(&pace, 10000) < 50);
	assert_true(tries(&pace, 10000) > 20);
	/* and starts anew once it does take some */
	tk_ahead_learn(&pace, 4096, 8192, 8192);
	pace.pause = 0;
	assert_int_equal(tries(&pace, 1), 1);
	assert_int_equal(pace.pause, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_guest_took_is_at_most_what_it_was_given),
		cmocka_unit_test(test_it_gets_whole_reads_only_and_no_more_than_there_is),
		cmocka_unit_test(test_large_reads_are_left_alone),
		cmocka_unit_test(test_who_takes_all_gets_more_up_to_the_most),
		cmocka_unit_test(test_who_takes_little_gets_less),
		cmocka_unit_test(test_who_takes_nothing_is_soon_left_alone),
	};

	return cmocka_run_group_tests_name("ahead", tests, NULL, NULL);
}
