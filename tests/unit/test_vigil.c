/* SPDX-License-Identifier: MIT */
/* How long workers stay awake (server/vigil.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "vigil.h"

static void test_soon_after_each_other(void **state)
{
	struct ks_vigil vigil = {0};
	uint64_t before = 0;

	/* It gets there from nothing, and is never longer than it may be. */
	for (int i = 0; i < 10; i++, before = vigil.ns) {
		ks_vigil_learn(&vigil, 40000);
		assert_true(vigil.ns <= KS_VIGIL_MOST);
		assert_true(before >= 40000 ? vigil.ns == before : vigil.ns > before);
	}
	assert_true(vigil.ns >= 40000);
	/* Long enough: it stays. */
	before = vigil.ns;
	ks_vigil_learn(&vigil, 1000);
	assert_int_equal(vigil.ns, before);
}

static void test_nobody_comes(void **state)
{
	struct ks_vigil vigil = {.ns = KS_VIGIL_MOST};

	ks_vigil_learn(&vigil, KS_VIGIL_MOST + 1);
	assert_int_equal(vigil.ns, 0);
	ks_vigil_learn(&vigil, 1000000000);
	assert_int_equal(vigil.ns, 0);
}

static void test_waits(void **state)
{
	int epoll = epoll_create1(0), bell = eventfd(0, EFD_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
	struct ks_vigil vigil = {.ns = KS_VIGIL_MOST};
	uint64_t one = 1;

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &event), 0);
	/* Asked not to wait, it learns nothing. */
	assert_int_equal(ks_vigil_wait(&vigil, epoll, &event, 0), 0);
	assert_int_equal(vigil.ns, KS_VIGIL_MOST);
	assert_int_equal(ks_vigil_wait(&vigil, epoll, &event, 1), 0);
	assert_int_equal(vigil.ns, 0);
	assert_int_equal(write(bell, &one, sizeof(one)), sizeof(one));
	event.data.u64 = 0;
	assert_int_equal(ks_vigil_wait(&vigil, epoll, &event, 1000), 1);
	assert_int_equal(event.data.u64, 7);
	assert_int_equal(vigil.ns, 0);
	close(bell);
	close(epoll);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_soon_after_each_other),
		cmocka_unit_test(test_nobody_comes),
		cmocka_unit_test(test_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
