/* SPDX-License-Identifier: MIT */
/* Pipes, eventfd, timerfd and inotify. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "fs/eventfd.h"
#include "fs/inotify.h"
#include "fs/pipe.h"
#include "fs/timerfd.h"
#include "sys/sock.h"

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

static struct tk_file *file_of(long fd)
{
	return tk_fd_get(&fake.proc.files, (u64)fd);
}

static void new_pipe(int fds[2], int flags)
{
	gva_t out = fake_alloc(&fake, NULL, 8);

	assert_int_equal(FAKE(&fake, pipe2, out, (u64)flags), 0);
	fake_get(&fake, out, fds, 8);
}

static ssize_t put(long fd, const char *text)
{
	struct iovec iov = {(char *)text, strlen(text)};

	return file_of(fd)->ops->writev(file_of(fd), &iov, 1, NULL);
}

static ssize_t take(long fd, char *buf, size_t len)
{
	struct iovec iov = {buf, len};

	return file_of(fd)->ops->readv(file_of(fd), &iov, 1, NULL);
}

static void test_pipe_ends(void **state)
{
	int fds[2];
	char buf[16];

	new_pipe(fds, O_CLOEXEC | O_NONBLOCK);
	assert_int_equal(fds[0], 0);
	assert_int_equal(fds[1], 1);
	assert_true(fake.proc.files.fds[0].cloexec && fake.proc.files.fds[1].cloexec);
	assert_int_equal(file_of(0)->flags, O_RDONLY | O_NONBLOCK);
	assert_int_equal(file_of(1)->flags, O_WRONLY | O_NONBLOCK);
	assert_memory_equal(file_of(0)->path, "pipe:[", 6);
	assert_string_equal(file_of(0)->path, file_of(1)->path);
	assert_int_equal(take(0, buf, 16), -EAGAIN);
	assert_int_equal(put(1, "hello"), 5);
	assert_int_equal(take(0, buf, 16), 5);
	tk_fd_close(&fake.proc.files, 1);
	assert_int_equal(take(0, buf, 16), 0);
}

static void test_pipe_failures_leave_nothing(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8);

	assert_int_equal(FAKE(&fake, pipe2, out, O_APPEND), -EINVAL);
	assert_int_equal(FAKE(&fake, pipe, 1), -EFAULT);
	assert_int_equal(fake.proc.files.open, 0);
	fake.proc.files.limit = 1;
	assert_int_equal(FAKE(&fake, pipe, out), -EMFILE);
	assert_int_equal(fake.proc.files.open, 0);
}

static void test_pipe_broken(void **state)
{
	struct sigaction old;
	int fds[2];

	/* The VMM's own disposition is the default: a SIGPIPE would end this test. */
	assert_int_equal(sigaction(SIGPIPE, NULL, &old), 0);
	assert_ptr_equal(old.sa_handler, SIG_DFL);
	new_pipe(fds, 0);
	tk_fd_close(&fake.proc.files, 0);
	assert_int_equal(put(1, "x"), -EPIPE);
	tk_raise_sigpipe(fake.task, file_of(1));
	assert_true(fake_signalled(&fake, SIGPIPE));
}

static void test_pipe_packets(void **state)
{
	int fds[2];
	char buf[16];

	new_pipe(fds, O_DIRECT);
	assert_int_equal(put(1, "one"), 3);
	assert_int_equal(put(1, "two"), 3);
	assert_int_equal(take(0, buf, 16), 3);
	assert_int_equal(take(0, buf, 2), 2);
	assert_int_equal(take(0, buf, 16), -EAGAIN); /* the rest of the packet is gone */
}

static void test_pipe_size(void **state)
{
	int fds[2];
	long ev = FAKE(&fake, eventfd2, 0, 0);

	new_pipe(fds, 0);
	assert_int_equal(FAKE(&fake, fcntl, fds[0], F_GETPIPE_SZ, 0), 65536);
	assert_int_equal(FAKE(&fake, fcntl, fds[0], F_SETPIPE_SZ, 5000), 8192);
	assert_int_equal(FAKE(&fake, fcntl, fds[1], F_GETPIPE_SZ, 0), 8192);
	assert_int_equal(FAKE(&fake, fcntl, fds[0], F_SETPIPE_SZ, 2 << 20), -EPERM);
	assert_int_equal(FAKE(&fake, fcntl, ev, F_GETPIPE_SZ, 0), -EBADF);
}

static void test_pipes_have_a_limit_together(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8);
	long rc = TK_MIB(1);
	int ends[2], n = 0;

	while (n < 200 && rc == TK_MIB(1)) {
		assert_int_equal(FAKE(&fake, pipe, out), 0);
		fake_get(&fake, out, ends, sizeof(ends));
		rc = FAKE(&fake, fcntl, ends[1], F_SETPIPE_SZ, TK_MIB(1));
		n++;
	}
	assert_int_equal(rc, -EPERM);
	assert_true(n > 60 && n < 70);
	assert_int_equal(FAKE(&fake, fcntl, ends[1], F_GETPIPE_SZ, 0), 65536);
	assert_int_equal(FAKE(&fake, fcntl, ends[1], F_SETPIPE_SZ, 4096), 4096);
}

static void test_pipe_unread(void **state)
{
	int fds[2], n;
	gva_t out = fake_alloc(&fake, NULL, 8);

	new_pipe(fds, 0);
	put(fds[1], "12345");
	assert_int_equal(file_of(fds[0])->ops->ioctl(file_of(fds[0]), fake.mm, FIONREAD, out), 0);
	fake_get(&fake, out, &n, 4);
	assert_int_equal(n, 5);
	assert_int_equal(file_of(fds[0])->ops->ioctl(file_of(fds[0]), fake.mm, FIONREAD, 1),
			 -EFAULT);
	assert_int_equal(file_of(fds[0])->ops->ioctl(file_of(fds[0]), fake.mm, TIOCSTI, out),
			 -ENOTTY);
}

static void test_eventfd(void **state)
{
	long fd = FAKE(&fake, eventfd2, 5, EFD_CLOEXEC),
	     sem = FAKE(&fake, eventfd2, 2, EFD_SEMAPHORE);
	u64 value = 0, max = UINT64_MAX;
	struct iovec bad = {&max, 8};

	assert_int_equal(FAKE(&fake, eventfd2, 0, 0x40), -EINVAL);
	assert_int_equal(FAKE(&fake, eventfd, 0), 2);
	assert_int_equal(take(fd, (char *)&value, 7), -EINVAL);
	assert_int_equal(take(fd, (char *)&value, 8), 8);
	assert_int_equal(value, 5);
	assert_int_equal(take(fd, (char *)&value, 8), -EAGAIN);
	assert_int_equal(file_of(fd)->ops->writev(file_of(fd), &bad, 1, NULL), -EINVAL);
	assert_int_equal(take(sem, (char *)&value, 8), 8);
	assert_int_equal(value, 1);
	assert_true(tk_eventfd_is_semaphore(file_of(sem)));
	assert_false(tk_eventfd_is_semaphore(file_of(fd)));
	assert_string_equal(file_of(fd)->path, "anon_inode:[eventfd]");
	assert_int_equal(file_of(fd)->ops->seek(file_of(fd), 5, SEEK_SET), 0);
}

static gva_t spec(s64 sec, s64 nsec)
{
	struct itimerspec its = {.it_value = {sec, nsec}};

	return fake_alloc(&fake, &its, sizeof(its));
}

static void test_timerfd(void **state)
{
	long fd = FAKE(&fake, timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC);
	gva_t old = fake_alloc(&fake, NULL, sizeof(struct itimerspec));
	struct itimerspec its;
	u64 n = 0;
	int clock, flags;

	assert_int_equal(FAKE(&fake, timerfd_create, CLOCK_MONOTONIC, 1), -EINVAL);
	assert_int_equal(FAKE(&fake, timerfd_create, CLOCK_REALTIME_ALARM, 0), -EPERM);
	assert_int_equal(FAKE(&fake, timerfd_create, 99, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, timerfd_settime, fd, 0, 1, 0), -EFAULT);
	assert_int_equal(FAKE(&fake, timerfd_settime, 99, 0, spec(1, 0), 0), -EBADF);
	assert_int_equal(FAKE(&fake, timerfd_settime, fd, 8, spec(1, 0), 0), -EINVAL);
	assert_int_equal(FAKE(&fake, timerfd_settime, fd, 0, spec(1, 1000000000), 0), -EINVAL);
	assert_int_equal(FAKE(&fake, timerfd_settime, fd, 0, spec(100, 0), 0), 0);
	assert_int_equal(FAKE(&fake, timerfd_settime, fd, TFD_TIMER_ABSTIME, spec(0, 1), old), 0);
	fake_get(&fake, old, &its, sizeof(its));
	assert_true(its.it_value.tv_sec == 99);
	assert_int_equal(take(fd, (char *)&n, 8), 8);
	assert_int_equal(n, 1);
	assert_int_equal(take(fd, (char *)&n, 8), -EAGAIN);
	assert_int_equal(FAKE(&fake, timerfd_gettime, fd, old), 0);
	tk_timerfd_describe(file_of(fd), &clock, &flags);
	assert_int_equal(clock, CLOCK_MONOTONIC);
	assert_int_equal(flags, TFD_TIMER_ABSTIME);
	assert_int_equal(FAKE(&fake, timerfd_gettime, FAKE(&fake, eventfd2, 0, 0), old), -EINVAL);
}

static void test_pipes_are_of_limited_size(void **state)
{
	struct tk_budget *memory = &fake.proc.files.host_memory;
	gva_t out = fake_alloc(&fake, NULL, 8);
	u64 before = memory->used;

	memory->most = before + 2 * 65536;
	for (int i = 0; i < 2; i++)
		assert_int_equal(FAKE(&fake, pipe, out), 0);
	assert_int_equal(FAKE(&fake, pipe, out), -ENFILE);
	assert_int_equal(FAKE(&fake, fcntl, 0, F_SETPIPE_SZ, 1 << 20), -EPERM);
	for (int fd = 0; fd < 4; fd++)
		assert_int_equal(FAKE(&fake, close, fd), 0);
	assert_int_equal(memory->used, before);
	assert_int_equal(FAKE(&fake, pipe, out), 0);
}

static void test_few_inotify_instances(void **state)
{
	long fd = -1;

	for (int i = 0; i < 16; i++) {
		fd = FAKE(&fake, inotify_init1, 0);
		assert_true(fd >= 0);
		assert_true(FAKE(&fake, dup, fd) >= 0);
	}
	assert_int_equal(FAKE(&fake, inotify_init1, 0), -EMFILE);
	assert_int_equal(FAKE(&fake, close, fd), 0);
	assert_int_equal(FAKE(&fake, inotify_init1, 0), -EMFILE);
	assert_int_equal(FAKE(&fake, close, fd + 1), 0);
	assert_true(FAKE(&fake, inotify_init1, 0) >= 0);
}

static void test_inotify(void **state)
{
	char dir[] = "/tmp/tk-inotify-XXXXXX", name[64];
	struct tkvm_error err;
	union {
		struct inotify_event ev;
		char raw[512];
	} u;
	long fd, wd;
	int host;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(tk_policy_allow_path(&fake.policy, dir, TK_MAY_READ, &err), 0);
	fd = FAKE(&fake, inotify_init1, IN_NONBLOCK | IN_CLOEXEC);
	assert_int_equal(fd, 0);
	assert_int_equal(FAKE(&fake, inotify_init1, 1), -EINVAL);
	wd = FAKE(&fake, inotify_add_watch, fd, fake_str(&fake, dir), IN_CREATE);
	assert_true(wd > 0);
	assert_int_equal(FAKE(&fake, inotify_add_watch, fd, fake_str(&fake, dir), 0), -EINVAL);
	assert_int_equal(FAKE(&fake, inotify_add_watch, 9, fake_str(&fake, dir), IN_CREATE),
			 -EBADF);
	assert_int_equal(FAKE(&fake, inotify_add_watch, fd, 1, IN_CREATE), -EFAULT);
	assert_true(FAKE(&fake, inotify_add_watch, fd, fake_str(&fake, "/root"), IN_CREATE) < 0);
	snprintf(name, sizeof(name), "%s/new", dir);
	host = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(take(fd, u.raw, sizeof(u.raw)) >= (ssize_t)sizeof(u.ev));
	assert_int_equal(u.ev.mask, IN_CREATE);
	assert_int_equal(u.ev.wd, wd);
	assert_string_equal(u.ev.name, "new");
	assert_int_equal(FAKE(&fake, inotify_rm_watch, fd, wd), 0);
	assert_int_equal(FAKE(&fake, inotify_rm_watch, fd, wd), -EINVAL);
	assert_true(tk_list_empty(&tk_inotify_of(file_of(fd))->watches));
	close(host);
	unlink(name);
	rmdir(dir);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_pipe_ends),
		T(test_pipe_failures_leave_nothing),
		T(test_pipe_broken),
		T(test_pipe_packets),
		T(test_pipe_size),
		T(test_pipes_have_a_limit_together),
		T(test_pipe_unread),
		T(test_eventfd),
		T(test_timerfd),
		T(test_pipes_are_of_limited_size),
		T(test_few_inotify_instances),
		T(test_inotify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
