/* SPDX-License-Identifier: MIT */
/* The epoll family: errno by errno, registrations' lives, and every kind of delivery. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "fs/epoll.h"
#include "fs/eventfd.h"
#include "fs/pipe.h"

static struct fake_proc fake;

static int setup(void **state)
{
	fake_init(&fake);
	return 0;
}

static int teardown(void **state)
{
	fake_destroy(&fake);
	return 0;
}

static long ctl(long ep, int op, long fd, u32 events, u64 data)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};

	return FAKE(&fake, epoll_ctl, (u64)ep, (u64)op, (u64)fd,
		    fake_alloc(&fake, &ev, sizeof(ev)));
}

static long new_epoll(void)
{
	long ep = FAKE(&fake, epoll_create1, EPOLL_CLOEXEC);

	assert_true(ep >= 0);
	return ep;
}

static long new_eventfd(unsigned int value)
{
	long fd = FAKE(&fake, eventfd2, value, O_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* Make eventfd @fd ready or not, behind the handlers' backs. */
static void poke(long fd, bool ready)
{
	struct tk_file *file = tk_fd_get(&fake.proc.files, (u64)fd);
	u64 n = 1;

	assert_non_null(file);
	if (ready)
		assert_int_equal(write(file->hostfd, &n, 8), 8);
	else
		assert_int_equal(read(file->hostfd, &n, 8), 8);
}

/* epoll_wait with timeout 0; the first event in *@ev. */
static long ready(long ep, struct epoll_event *ev, int max)
{
	gva_t out = fake_alloc(&fake, NULL, sizeof(*ev) * (size_t)max);
	long n = FAKE(&fake, epoll_wait, (u64)ep, out, (u64)max, 0);

	if (n > 0)
		fake_get(&fake, out, ev, sizeof(*ev) * (size_t)n);
	return n;
}

static void test_create_errors(void **state)
{
	assert_int_equal(FAKE(&fake, epoll_create, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_create, -1ul), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_create1, 1), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_create, 1), 0);
	assert_int_equal(FAKE(&fake, epoll_create1, EPOLL_CLOEXEC), 1);
	assert_true(fake.proc.files.fds[1].cloexec);
	assert_false(fake.proc.files.fds[0].cloexec);
}

static void test_ctl_errors(void **state)
{
	long ep = new_epoll(), ev = new_eventfd(0);
	struct epoll_event e = {.events = EPOLLIN};
	gva_t at = fake_alloc(&fake, &e, sizeof(e));

	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, 99, EPOLLIN, 0), -EBADF);
	assert_int_equal(ctl(99, EPOLL_CTL_ADD, ev, EPOLLIN, 0), -EBADF);
	assert_int_equal(ctl(ev, EPOLL_CTL_ADD, ep, EPOLLIN, 0), -EINVAL);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 0), -EINVAL);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, ev, EPOLLIN, 0), -ENOENT);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, ev, EPOLLIN, 0), -ENOENT);
	assert_int_equal(ctl(ep, 77, ev, EPOLLIN, 0), -EINVAL);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN, 0), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN, 0), -EEXIST);
	assert_int_equal(ctl(ep, 77, ev, EPOLLIN, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_MOD, ev, 1), -EFAULT);
	assert_int_equal(FAKE(&fake, epoll_ctl, 99, EPOLL_CTL_ADD, 98, 1), -EFAULT);
	/* DEL does not look at its event. */
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_DEL, ev, 1), 0);
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_DEL, ev, at), -ENOENT);
}

static void test_exclusive_rules(void **state)
{
	long ep = new_epoll(), inner = new_epoll(), ev = new_eventfd(0);

	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE, 0), -EINVAL);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 0),
			 -EINVAL);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN | EPOLLEXCLUSIVE, 0), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, ev, EPOLLIN, 0), -EINVAL);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, ev, 0, 0), 0);
	/* Without CAP_BLOCK_SUSPEND, EPOLLWAKEUP goes unnoticed. */
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN | EPOLLWAKEUP, 0), 0);
}

static void test_regular_files_are_refused(void **state)
{
	long ep = new_epoll(), fd;
	struct tk_file *file;
	static const struct tk_file_ops ops = {.kind = "fake"};

	file = calloc(1, sizeof(*file));
	tk_file_init(file, &ops, memfd_create("x", MFD_CLOEXEC), O_RDWR, "x");
	fd = tk_fd_install(&fake.proc.files, file, 0, false);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 0), -EPERM);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN, 0), -EPERM);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, fd, EPOLLIN, 0), -EPERM);
	assert_int_equal(ctl(fd, EPOLL_CTL_ADD, fd, EPOLLIN, 0), -EPERM);
}

static void test_loops_are_refused(void **state)
{
	long a = new_epoll(), b = new_epoll();

	assert_int_equal(ctl(a, EPOLL_CTL_ADD, b, EPOLLIN, 0), 0);
	assert_int_equal(ctl(b, EPOLL_CTL_ADD, a, EPOLLIN, 0), -ELOOP);
}

static void test_nested(void **state)
{
	long outer = new_epoll(), inner = new_epoll(), fd = new_eventfd(0);
	struct epoll_event ev[4];

	assert_int_equal(ctl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 7), 0);
	assert_int_equal(ctl(inner, EPOLL_CTL_ADD, fd, EPOLLIN, 9), 0);
	assert_int_equal(ready(outer, ev, 4), 0);
	poke(fd, true);
	assert_int_equal(ready(outer, ev, 4), 1);
	assert_int_equal(ev[0].data.u64, 7);
	assert_int_equal(ready(inner, ev, 4), 1);
	assert_int_equal(ev[0].data.u64, 9);
	tk_fd_close(&fake.proc.files, (u64)inner);
	assert_int_equal(ready(outer, ev, 4), 0);
}

static void test_level_edge_oneshot(void **state)
{
	long ep = new_epoll(), fd = new_eventfd(0);
	struct epoll_event ev[4];

	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	poke(fd, true);
	assert_int_equal(ready(ep, ev, 4), 1);
	assert_int_equal(ev[0].events, EPOLLIN);
	assert_int_equal(ready(ep, ev, 4), 1);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, 2), 0);
	assert_int_equal(ready(ep, ev, 4), 1);
	assert_int_equal(ev[0].data.u64, 2);
	assert_int_equal(ready(ep, ev, 4), 0);
	poke(fd, true);
	assert_int_equal(ready(ep, ev, 4), 1);
	assert_int_equal(ready(ep, ev, 4), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 3), 0);
	assert_int_equal(ready(ep, ev, 4), 1);
	poke(fd, true);
	assert_int_equal(ready(ep, ev, 4), 0);
	assert_true(tk_fd_get(&fake.proc.files, (u64)fd)->watches->spent);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 4), 0);
	assert_false(tk_fd_get(&fake.proc.files, (u64)fd)->watches->spent);
	assert_int_equal(ready(ep, ev, 4), 1);
	assert_int_equal(ev[0].data.u64, 4);
}

static void test_registration_ends_with_the_last_reference(void **state)
{
	long ep = new_epoll(), fd = new_eventfd(1);
	struct tk_file *file = tk_fd_get(&fake.proc.files, (u64)fd);
	struct tk_epoll *epoll = tk_epoll_of(tk_fd_get(&fake.proc.files, (u64)ep));
	struct epoll_event ev[4];
	int dup;

	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 5), 0);
	dup = tk_fd_install(&fake.proc.files, tk_file_get(file), 10, false);
	tk_fd_close(&fake.proc.files, (u64)fd);
	assert_int_equal(ready(ep, ev, 4), 1); /* the quirk of epoll(7), Q6 */
	/* Neither number reaches the registration any more. */
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, fd, 0, 0), -EBADF);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, dup, 0, 0), -ENOENT);
	tk_fd_close(&fake.proc.files, (u64)dup);
	assert_int_equal(ready(ep, ev, 4), 0);
	assert_int_equal(epoll->n_items, 0);
}

static void test_reused_number_is_another_file(void **state)
{
	long ep = new_epoll(), fd = new_eventfd(1), again;
	struct tk_file *file = tk_fd_get(&fake.proc.files, (u64)fd);
	struct epoll_event ev[4];
	int dup;

	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 5), 0);
	dup = tk_fd_install(&fake.proc.files, tk_file_get(file), 10, false);
	tk_fd_close(&fake.proc.files, (u64)fd);
	again = new_eventfd(1);
	assert_int_equal(again, fd);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, again, EPOLLIN, 6), 0);
	assert_int_equal(ready(ep, ev, 4), 2);
	assert_int_equal(ev[0].data.u64 + ev[1].data.u64, 11);
	tk_fd_close(&fake.proc.files, (u64)dup);
	assert_int_equal(ready(ep, ev, 4), 1);
	assert_int_equal(ev[0].data.u64, 6);
}

static void test_one_file_twice(void **state)
{
	long ep = new_epoll(), fd = new_eventfd(1);
	struct tk_file *file = tk_fd_get(&fake.proc.files, (u64)fd);
	int dup = tk_fd_install(&fake.proc.files, tk_file_get(file), 10, false);
	struct epoll_event ev[4];

	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, dup, EPOLLIN, 2), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, dup, EPOLLIN, 2), -EEXIST);
	assert_int_equal(ready(ep, ev, 4), 2);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, fd, 0, 0), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_DEL, fd, 0, 0), -ENOENT);
	assert_int_equal(ready(ep, ev, 4), 1);
	assert_int_equal(ev[0].data.u64, 2);
	assert_int_equal(ctl(ep, EPOLL_CTL_MOD, dup, EPOLLIN, 3), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 4), 0);
	assert_int_equal(ready(ep, ev, 4), 2);
	assert_int_equal(ev[0].data.u64 + ev[1].data.u64, 7);
}

static void test_one_file_in_many(void **state)
{
	long eps[5], fd = new_eventfd(1);
	struct epoll_event ev[4];

	for (int i = 0; i < 5; i++) {
		eps[i] = new_epoll();
		assert_int_equal(ctl(eps[i], EPOLL_CTL_ADD, fd, EPOLLIN, (u64)i), 0);
	}
	tk_fd_close(&fake.proc.files, (u64)eps[2]);
	for (int i = 0; i < 5; i++)
		if (i != 2)
			assert_int_equal(ready(eps[i], ev, 4), 1);
	tk_fd_close(&fake.proc.files, (u64)fd);
	for (int i = 0; i < 5; i++)
		if (i != 2)
			assert_int_equal(ready(eps[i], ev, 4), 0);
}

static void test_wait_errors(void **state)
{
	long ep = new_epoll(), fd = new_eventfd(1);
	gva_t out = fake_alloc(&fake, NULL, 64);
	gva_t ro = (gva_t)tk_mm_mmap(fake.mm, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NULL,
				     0);

	assert_int_equal(FAKE(&fake, epoll_wait, ep, out, 0, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_wait, ep, out, -1ul, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_wait, ep, out, INT32_MAX, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_wait, 99, out, 1, 0), -EBADF);
	assert_int_equal(FAKE(&fake, epoll_wait, fd, out, 1, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_wait, ep, -8ul, 4, 0), -EFAULT);
	/* A buffer that cannot be written is noticed when there is something to write. */
	assert_int_equal(FAKE(&fake, epoll_wait, ep, ro, 4, 0), 0);
	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 1), 0);
	assert_int_equal(FAKE(&fake, epoll_wait, ep, ro, 4, 0), -EFAULT);
	/* ... and nothing was lost. */
	assert_int_equal(FAKE(&fake, epoll_wait, ep, out, 4, 0), 1);
}

static void test_more_events_than_room(void **state)
{
	long ep = new_epoll();
	struct epoll_event ev[200];
	u64 seen = 0;

	for (u64 i = 0; i < 200; i++)
		assert_int_equal(ctl(ep, EPOLL_CTL_ADD, new_eventfd(1), EPOLLIN | EPOLLET, i), 0);
	assert_int_equal(ready(ep, ev, 150), 150);
	for (int i = 0; i < 150; i++)
		seen += ev[i].data.u64;
	assert_int_equal(ready(ep, ev, 200), 50);
	for (int i = 0; i < 50; i++)
		seen += ev[i].data.u64;
	assert_int_equal(seen, 199 * 200 / 2);
}

static void test_waits_and_wakes(void **state)
{
	long ep = new_epoll(), fd = new_eventfd(0);
	gva_t out = fake_alloc(&fake, NULL, 64);
	const u64 a[6] = {(u64)ep, out, 4, (u64)-1l};
	s64 start = tk_now_ns();

	assert_int_equal(ctl(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 1), 0);
	assert_int_equal(fake_enter(&fake, tk_sys_epoll_wait, a), TK_BLOCKED);
	assert_false(fake_wait(&fake, 1));
	poke(fd, true);
	assert_true(fake_wait(&fake, 1000));
	assert_int_equal(fake_again(&fake, tk_sys_epoll_wait, a), 1);
	poke(fd, false);
	assert_int_equal(FAKE(&fake, epoll_wait, ep, out, 4, 20), 0);
	assert_true(tk_now_ns() - start >= 20000000);
}

static void test_pwait_mask_and_pwait2(void **state)
{
	long ep = new_epoll();
	gva_t out = fake_alloc(&fake, NULL, 64);
	u64 mask = 0;
	struct timespec ts = {0, 3000000}, bad = {0, 1000000000};
	gva_t m = fake_alloc(&fake, &mask, 8), t = fake_alloc(&fake, &ts, sizeof(ts));
	s64 start = tk_now_ns();
	struct tk_siginfo info = tk_siginfo_user(SIGUSR1, 0, 1, 0);

	assert_int_equal(FAKE(&fake, epoll_pwait, ep, out, 4, 0, m, 4), -EINVAL);
	assert_int_equal(FAKE(&fake, epoll_pwait, ep, out, 4, 0, 1, 8), -EFAULT);
	assert_int_equal(FAKE(&fake, epoll_pwait2, ep, out, 4, t, 0, 0), 0);
	assert_true(tk_now_ns() - start >= 3000000);
	assert_int_equal(
		FAKE(&fake, epoll_pwait2, ep, out, 4, fake_alloc(&fake, &bad, sizeof(bad)), 0, 0),
		-EINVAL);
	/* A blocked signal that the mask lets through ends the wait at once, even one of no time.
	 */
	fake.task->sig.blocked = TK_SIGBIT(SIGUSR1);
	fake.proc.sig.actions[SIGUSR1].handler = 0x1000;
	tk_signal_task(fake.task, &info);
	assert_int_equal(FAKE(&fake, epoll_wait, ep, out, 4, 0), 0);
	assert_int_equal(FAKE(&fake, epoll_pwait, ep, out, 4, 0, m, 8), -EINTR);
	assert_true(fake.task->sig.restore_saved);
	assert_int_equal(fake.task->sig.saved, TK_SIGBIT(SIGUSR1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_create_errors),
		T(test_ctl_errors),
		T(test_exclusive_rules),
		T(test_regular_files_are_refused),
		T(test_loops_are_refused),
		T(test_nested),
		T(test_level_edge_oneshot),
		T(test_registration_ends_with_the_last_reference),
		T(test_reused_number_is_another_file),
		T(test_one_file_twice),
		T(test_one_file_in_many),
		T(test_wait_errors),
		T(test_more_events_than_room),
		T(test_waits_and_wakes),
		T(test_pwait_mask_and_pwait2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
