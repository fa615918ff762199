/* SPDX-License-Identifier: MIT */
/* poll, ppoll, select and pselect6. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "fakeproc.h"

static struct fake_proc fake;
static int rd, wr; /* a pipe */

static int setup(void **state)
{
	gva_t out;
	int fds[2];

	fake_init(&fake);
	out = fake_alloc(&fake, NULL, 8);
	assert_int_equal(FAKE(&fake, pipe2, out, 0), 0);
	fake_get(&fake, out, fds, 8);
	rd = fds[0];
	wr = fds[1];
	return 0;
}

static int teardown(void **state)
{
	fake_destroy(&fake);
	return 0;
}

static void fill(const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(write(tk_fd_get(&fake.proc.files, (u64)wr)->hostfd, text, n), n);
}

static long do_poll(struct pollfd *fds, unsigned int n, int ms)
{
	gva_t at = fake_alloc(&fake, fds, n * sizeof(*fds));
	long rc = FAKE(&fake, poll, at, n, (u64)(long)ms);

	fake_get(&fake, at, fds, n * sizeof(*fds));
	return rc;
}

static void test_poll_revents(void **state)
{
	static const struct tk_file_ops ops = {.kind = "fake"};
	struct tk_file *plain = calloc(1, sizeof(*plain));
	int fd;
	struct pollfd fds[5];

	tk_file_init(plain, &ops, -1, O_RDWR, NULL);
	fd = tk_fd_install(&fake.proc.files, plain, 0, false);
	fds[0] = (struct pollfd){rd, POLLIN, -1};
	fds[1] = (struct pollfd){wr, POLLOUT, 0};
	fds[2] = (struct pollfd){77, POLLIN, 0};
	fds[3] = (struct pollfd){-5, POLLIN, -1};
	fds[4] = (struct pollfd){fd, POLLIN | POLLPRI, 0};
	assert_int_equal(do_poll(fds, 5, -1), 3);
	assert_int_equal(fds[0].revents, 0);
	assert_int_equal(fds[1].revents, POLLOUT);
	assert_int_equal(fds[2].revents, POLLNVAL);
	assert_int_equal(fds[3].revents, 0);
	assert_int_equal(fds[4].revents, POLLIN); /* no host descriptor: always ready */
	fill("x");
	tk_fd_close(&fake.proc.files, (u64)wr);
	assert_int_equal(do_poll(fds, 1, 0), 1);
	assert_int_equal(fds[0].revents, POLLIN | POLLHUP);
}

static void test_poll_path_descriptor_is_invalid(void **state)
{
	struct pollfd fds[1] = {{rd, POLLIN, 0}};

	tk_fd_get(&fake.proc.files, (u64)rd)->flags |= O_PATH;
	assert_int_equal(do_poll(fds, 1, 0), 1);
	assert_int_equal(fds[0].revents, POLLNVAL);
}

static void test_poll_errors(void **state)
{
	struct pollfd one = {rd, POLLIN, 0};
	gva_t at = fake_alloc(&fake, &one, sizeof(one));

	assert_int_equal(FAKE(&fake, poll, at, 1025, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, poll, at, ~0ul, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, poll, 1, 1, 0), -EFAULT);
	assert_int_equal(FAKE(&fake, poll, 1, 0, 0), 0);
}

static void test_poll_timeout(void **state)
{
	struct pollfd one = {rd, POLLIN, 0};
	s64 start = tk_now_ns();

	assert_int_equal(do_poll(&one, 1, 15), 0);
	assert_true(tk_now_ns() - start >= 15000000);
	assert_int_equal(do_poll(&one, 0, 5), 0);
}

static void test_poll_blocks_once_per_descriptor(void **state)
{
	struct pollfd fds[1000];
	gva_t at;

	for (int i = 0; i < 1000; i++)
		fds[i] = (struct pollfd){rd, i % 2 ? POLLIN : POLLPRI, 0};
	at = fake_alloc(&fake, fds, sizeof(fds));
	assert_int_equal(fake_enter(&fake, tk_sys_poll, (const u64[6]){at, 1000, ~0ul}),
			 TK_BLOCKED);
	assert_int_equal(fake.task->wait.nfds, 1);
	assert_int_equal(fake.task->wait.fds[0].events, POLLIN | POLLPRI);
	fill("x");
	assert_true(fake_wait(&fake, 1000));
	assert_int_equal(fake_again(&fake, tk_sys_poll, (const u64[6]){at, 1000, ~0ul}), 500);
}

static void test_ppoll_writes_time_left(void **state)
{
	struct pollfd one = {rd, POLLIN, 0};
	struct timespec ts = {10, 0};
	gva_t at = fake_alloc(&fake, &one, sizeof(one)), t = fake_alloc(&fake, &ts, sizeof(ts));

	fill("x");
	assert_int_equal(FAKE(&fake, ppoll, at, 1, t, 0, 0), 1);
	fake_get(&fake, t, &ts, sizeof(ts));
	assert_true(ts.tv_sec == 9 && ts.tv_nsec > 0);
	ts = (struct timespec){0, -1};
	fake_put(&fake, t, &ts, sizeof(ts));
	assert_int_equal(FAKE(&fake, ppoll, at, 1, t, 0, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, ppoll, at, 1, 0, t, 4), -EINVAL);
}

static void test_ppoll_signal(void **state)
{
	struct tk_siginfo info = tk_siginfo_user(SIGUSR1, 0, 1, 0);
	struct timespec ts = {0, 0};
	u64 mask = 0;
	gva_t t = fake_alloc(&fake, &ts, sizeof(ts)), m = fake_alloc(&fake, &mask, 8);

	fake.task->sig.blocked = TK_SIGBIT(SIGUSR1);
	fake.proc.sig.actions[SIGUSR1].handler = 0x1000;
	tk_signal_task(fake.task, &info);
	assert_int_equal(FAKE(&fake, ppoll, 0, 0, t, 0, 8), 0);
	assert_int_equal(FAKE(&fake, ppoll, 0, 0, t, m, 8), -TK_ERESTARTNOHAND);
}

static u64 bits(gva_t at)
{
	u64 word;

	fake_get(&fake, at, &word, 8);
	return word;
}

static gva_t set_of(u64 word)
{
	return fake_alloc(&fake, &word, 8);
}

static void test_select_sets(void **state)
{
	u64 both = 1ull << rd | 1ull << wr;
	gva_t r = set_of(both), w = set_of(both), e = set_of(both);

	assert_int_equal(FAKE(&fake, select, 8, r, w, e, 0), 1);
	assert_int_equal(bits(r), 0);
	assert_int_equal(bits(w), 1ull << wr);
	assert_int_equal(bits(e), 0);
	fill("x");
	fake_put(&fake, r, &both, 8);
	assert_int_equal(FAKE(&fake, select, 8, r, 0, 0, 0), 1);
	assert_int_equal(bits(r), 1ull << rd);
}

static void test_select_errors(void **state)
{
	struct timeval tv = {0, 0}, bad = {-1, 0}, odd = {0, 2000000};
	gva_t zero = fake_alloc(&fake, &tv, sizeof(tv)), set = set_of(1ull << 20);
	gva_t late = fake_alloc(&fake, &odd, sizeof(odd));

	assert_int_equal(FAKE(&fake, select, -1ul, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, select, 21, set, 0, 0, zero), -EBADF);
	assert_int_equal(FAKE(&fake, select, 8, 1, 0, 0, zero), -EFAULT);
	assert_int_equal(FAKE(&fake, select, 0, 0, 0, 0, 1), -EFAULT);
	assert_int_equal(FAKE(&fake, select, 0, 0, 0, 0, fake_alloc(&fake, &bad, sizeof(bad))),
			 -EINVAL);
	assert_int_equal(FAKE(&fake, select, 0, 0, 0, 0, zero), 0);
	/* Two million microseconds are two seconds; the bits beyond nfds do not count. */
	assert_int_equal(FAKE_ONCE(&fake, select, 8, set, 0, 0, late), TK_BLOCKED);
	/* nfds may be anything: descriptors that cannot be do not count. */
	assert_int_equal(FAKE(&fake, select, INT32_MAX, fake_alloc(&fake, NULL, 4096), 0, 0, zero),
			 0);
}

static void test_select_writes_time_left(void **state)
{
	struct timeval tv = {10, 0};
	gva_t t = fake_alloc(&fake, &tv, sizeof(tv)), w = set_of(1ull << wr);

	assert_int_equal(FAKE(&fake, select, 8, 0, w, 0, t), 1);
	fake_get(&fake, t, &tv, sizeof(tv));
	assert_true(tv.tv_sec == 9 && tv.tv_usec < 1000000);
	tv = (struct timeval){0, 10000};
	fake_put(&fake, t, &tv, sizeof(tv));
	assert_int_equal(FAKE(&fake, select, 0, 0, 0, 0, t), 0);
	fake_get(&fake, t, &tv, sizeof(tv));
	assert_true(!tv.tv_sec && !tv.tv_usec);
}

/* A hung-up descriptor is "ready" for poll(2) but not for exceptfds: no busy loop. */
static void test_select_does_not_spin(void **state)
{
	gva_t e = set_of(1ull << rd);

	tk_fd_close(&fake.proc.files, (u64)wr);
	assert_int_equal(fake_enter(&fake, tk_sys_select, (const u64[6]){8, 0, 0, e, 0}),
			 TK_BLOCKED);
	assert_int_equal(fake.task->wait.nfds, 0);
	assert_true(fake.task->wait.deadline < tk_now_ns() + 100000000);
}

static void test_pselect(void **state)
{
	struct timespec ts = {0, 5000000};
	u64 mask = 0, arg[2];
	gva_t t = fake_alloc(&fake, &ts, sizeof(ts)), r = set_of(1ull << rd), p;

	arg[0] = fake_alloc(&fake, &mask, 8);
	arg[1] = 8;
	p = fake_alloc(&fake, arg, 16);
	assert_int_equal(FAKE(&fake, pselect6, 8, r, 0, 0, t, p), 0);
	assert_int_equal(bits(r), 0);
	arg[1] = 4;
	fake_put(&fake, p, arg, 16);
	assert_int_equal(FAKE(&fake, pselect6, 8, r, 0, 0, t, p), -EINVAL);
	assert_int_equal(FAKE(&fake, pselect6, 8, r, 0, 0, t, 1), -EFAULT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_poll_revents),
		T(test_poll_path_descriptor_is_invalid),
		T(test_poll_errors),
		T(test_poll_timeout),
		T(test_poll_blocks_once_per_descriptor),
		T(test_ppoll_writes_time_left),
		T(test_ppoll_signal),
		T(test_select_sets),
		T(test_select_errors),
		T(test_select_writes_time_left),
		T(test_select_does_not_spin),
		T(test_pselect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
