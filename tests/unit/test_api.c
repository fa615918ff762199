/* SPDX-License-Identifier: MIT */
/* The interface as others meet it: exported names, the example, the version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tinykvm/tinykvm.h"

static void test_nothing_else_is_exported(void **state)
{
	FILE *nm = popen("nm -D --defined-only " SHARED_LIBRARY, "r");
	char line[512], name[256];
	int n = 0;

	assert_non_null(nm);
	while (fgets(line, sizeof(line), nm)) {
		assert_int_equal(sscanf(line, "%*s %*s %255s", name), 1);
		if (strncmp(name, "tkvm_", 5))
			fail_msg("exported: %s", name);
		n++;
	}
	assert_int_equal(pclose(nm), 0);
	assert_true(n > 10);
}

static void test_version(void **state)
{
	assert_string_equal(tkvm_version(), VERSION);
}

static void test_example(void **state)
{
	char line[64] = "";
	FILE *embed;

	if (access("/dev/kvm", R_OK | W_OK))
		skip();
	embed = popen(EMBED " /bin/echo from inside", "r");
	assert_non_null(embed);
	assert_non_null(fgets(line, sizeof(line), embed));
	assert_string_equal(line, "from inside\n");
	assert_int_equal(pclose(embed), 0);
	assert_int_equal(WEXITSTATUS(system(EMBED " /bin/false")), 1);
	assert_int_equal(WEXITSTATUS(system(EMBED " /no/such/program 2>/dev/null")), 125);
	assert_int_equal(WEXITSTATUS(system(EMBED " 2>/dev/null")), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_else_is_exported),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
