/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"

static void test_error_text(void **state)
{
	struct tkvm_error err = {0};

	assert_int_equal(tk_fail(&err, EINVAL, "option %s: no number", "-t"), -EINVAL);
	assert_int_equal(err.code, EINVAL);
	assert_string_equal(err.message, "option -t: no number");
	assert_int_equal(tk_fail_errno(&err, ENOENT, "open %s", "/x"), -ENOENT);
	assert_string_equal(err.message, "open /x: No such file or directory");
	assert_int_equal(tk_fail(NULL, EPERM, "lost"), -EPERM);
}

static void test_error_is_cut_not_overrun(void **state)
{
	struct tkvm_error err;
	char text[600];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	tk_fail_errno(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

static void test_buf_grows(void **state)
{
	struct tk_buf buf = {0};

	for (int i = 0; i < 1000; i++)
		tk_buf_printf(&buf, "%d,", i);
	assert_int_equal(buf.len, 3890);
	assert_memory_equal(buf.data + buf.len - 4, "999,", 4);
	assert_false(buf.failed);
	tk_buf_free(&buf);
	assert_null(buf.data);
}

struct item {
	int n;
	struct tk_list link;
};

static void test_list(void **state)
{
	struct tk_list head;
	struct item items[3] = {{1}, {2}, {3}}, *pos, *tmp;
	int sum = 0;

	tk_list_init(&head);
	assert_true(tk_list_empty(&head));
	for (int i = 0; i < 3; i++)
		tk_list_add_tail(&head, &items[i].link);
	tk_list_for_each (pos, &head, link)
		sum = sum * 10 + pos->n;
	assert_int_equal(sum, 123);
	tk_list_for_each_safe (pos, tmp, &head, link)
		tk_list_del(&pos->link);
	assert_true(tk_list_empty(&head));
	tk_list_del(&items[0].link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_text),
		cmocka_unit_test(test_error_is_cut_not_overrun),
		cmocka_unit_test(test_buf_grows),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
