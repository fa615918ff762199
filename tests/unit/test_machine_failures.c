/* SPDX-License-Identifier: MIT */
/*
 * Creating a machine and loading a program with the n-th host call or allocation failing, for
 * all n: an error with a message, or success where the call did not matter; no descriptor left
 * behind either way (memory is the sanitizer's part). The linker puts the calls through here.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tinykvm/tinykvm.h"

static bool counting;
static int countdown, injected;
static int injected_errno;

static bool fails_now(void)
{
	if (!counting || countdown-- != 0)
		return false;
	injected++;
	errno = injected_errno;
	return true;
}

/* Functions that return a pointer, NULL for failure. */
#define WRAP_ALLOC(name, params, ...)                                                              \
	void *__real_##name params;                                                                \
	void *__wrap_##name params;                                                                \
	void *__wrap_##name params                                                                 \
	{                                                                                          \
		return fails_now() ? NULL : __real_##name(__VA_ARGS__);                            \
	}

/* Functions that return an integer, -1 for failure. */
#define WRAP(type, name, params, ...)                                                              \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails_now() ? -1 : __real_##name(__VA_ARGS__);                              \
	}

WRAP_ALLOC(malloc, (size_t n), n)
WRAP_ALLOC(calloc, (size_t n, size_t size), n, size)
WRAP_ALLOC(realloc, (void *p, size_t n), p, n)
WRAP_ALLOC(reallocarray, (void *p, size_t n, size_t size), p, n, size)
WRAP_ALLOC(strdup, (const char *s), s)
WRAP(int, ioctl, (int fd, unsigned long request, void *arg), fd, request, arg)
WRAP(int, mprotect, (void *addr, size_t len, int prot), addr, len, prot)
WRAP(int, open, (const char *path, int flags, mode_t mode), path, flags, mode)
WRAP(int, openat, (int fd, const char *path, int flags, mode_t mode), fd, path, flags, mode)
WRAP(int, fcntl, (int fd, int cmd, long arg), fd, cmd, arg)
WRAP(int, fstat, (int fd, struct stat *st), fd, st)
WRAP(int, ftruncate, (int fd, off_t len), fd, len)
WRAP(int, memfd_create, (const char *name, unsigned int flags), name, flags)
WRAP(int, timer_create, (clockid_t c, struct sigevent *ev, timer_t *t), c, ev, t)
WRAP(ssize_t, pread, (int fd, void *buf, size_t n, off_t at), fd, buf, n, at)
WRAP(ssize_t, getrandom, (void *buf, size_t n, unsigned int flags), buf, n, flags)
WRAP(long, syscall, (long nr, long a, long b, long c, long d, long e, long f), nr, a, b, c, d, e, f)

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t at);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t at);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t at)
{
	return fails_now() ? MAP_FAILED : __real_mmap(addr, len, prot, flags, fd, at);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 200; fd++)
		n += fcntl(fd, F_GETFD, 0) >= 0;
	return n;
}

/* One attempt; which step failed, 0: none did. */
static int attempt(struct tkvm_error *err)
{
	static const char *const argv[] = {TARGET, "threads", NULL};
	static const char *const envp[] = {"A=B", NULL};
	struct tkvm_run_limits limits = {.size = sizeof(limits), .wall_ns = 20000000000};
	struct tkvm_machine *machine = NULL;
	struct tkvm_result result;
	int step = 1;

	*err = (struct tkvm_error){0};
	counting = true;
	if (tkvm_machine_create(&machine, NULL, err))
		goto out;
	step++;
	if (tkvm_machine_load(machine, TARGET, argv, envp, err))
		goto out;
	counting = false; /* from here on failures are the guest's to see */
	step++;
	if (tkvm_machine_run(machine, &limits, &result, err))
		goto out;
	assert_int_equal(result.outcome, TKVM_EXITED);
	step = 0;
out:
	counting = false;
	tkvm_machine_destroy(machine);
	return step;
}

static void run_with(int error)
{
	struct tkvm_error err;
	int fds = count_fds(), n = 0, failures = 0;

	injected_errno = error;
	countdown = -1;
	if (access("/dev/kvm", R_OK | W_OK))
		skip();
	if (attempt(&err))
		fail_msg("%s", err.message);
	do {
		int step;

		countdown = n;
		injected = 0;
		step = attempt(&err);
		if (step) {
			failures++;
			if (!err.code || !err.message[0])
				fail_msg("call %d, step %d: no message", n, step);
		}
		if (count_fds() != fds)
			fail_msg("call %d, step %d: %d descriptors, not %d", n, step, count_fds(),
				 fds);
		n++;
	} while (injected && n < 2000);
	print_message("%d calls, %d of them fatal\n", n - 1, failures);
	assert_true(n > 50 && n < 2000 && failures > 50);
}

static void test_every_call_may_fail(void **state)
{
	run_with(ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_call_may_fail)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
