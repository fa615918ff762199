/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "guest/layout.h"
#include "mm/access.h"

#define RW	     (PROT_READ | PROT_WRITE)
#define PRIVATE_ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct tk_mm *new_mm(u64 max_memory)
{
	struct tk_mm_options opts = {
		.max_address_space = TK_GIB(4), .max_memory = max_memory, .max_vmas = 1000};
	struct tk_mm *mm = NULL;

	assert_int_equal(tk_mm_create(&mm, &opts, NULL), 0);
	return mm;
}

static void test_smoke(void **state)
{
	struct tk_mm *mm = new_mm(0);
	char buf[64] = {0};
	long a, b;

	a = tk_mm_mmap(mm, 0, 0x3000, RW, PRIVATE_ANON, NULL, 0);
	assert_true(a > 0);
	assert_int_equal(tk_copy_out(mm, (gva_t)a + 0x1000, "hello", 6), 0);
	assert_null(tk_mm_check(mm, true));
	b = tk_mm_mremap(mm, (gva_t)a, 0x3000, 0x5000, MREMAP_MAYMOVE | MREMAP_FIXED, 0x10000000);
	assert_int_equal(b, 0x10000000);
	assert_null(tk_mm_check(mm, true));
	assert_int_equal(tk_copy_in(mm, buf, 0x10001000, 6), 0);
	assert_string_equal(buf, "hello");
	assert_int_equal(tk_copy_in(mm, buf, (gva_t)a, 6), -EFAULT);
	assert_int_equal(tk_mm_mprotect(mm, 0x10001000, 0x1000, PROT_READ), 0);
	assert_null(tk_mm_check(mm, true));
	assert_int_equal(tk_copy_out(mm, 0x10001000, "x", 1), -EFAULT);
	assert_int_equal(tk_copy_out_force(mm, 0x10001000, "y", 1), 0);
	assert_null(tk_mm_check(mm, true));
	tk_mm_destroy(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smoke),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
