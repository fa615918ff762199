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

#include "failing.h"
#include "tinykvm/tinykvm.h"

WRAP_ALLOC(malloc, (size_t n), n)
WRAP_ALLOC(calloc, (size_t n, size_t size), n, size)
WRAP_ALLOC(realloc, (void *p, size_t n), p, n)
WRAP_ALLOC(reallocarray, (void *p, size_t n, size_t size), p, n, size)
WRAP_ALLOC(strdup, (const char *s), s)
WRAP_CALL(ioctl, (int fd, unsigned long request, void *arg), fd, request, arg)
WRAP_CALL(mprotect, (void *addr, size_t len, int prot), addr, len, prot)
WRAP_CALL(open64, (const char *path, int flags, mode_t mode), path, flags, mode)
WRAP_CALL(openat64, (int fd, const char *path, int flags, mode_t mode), fd, path, flags, mode)
WRAP_CALL(fcntl64, (int fd, int cmd, long arg), fd, cmd, arg)
WRAP_CALL(fstat64, (int fd, struct stat *st), fd, st)
WRAP_CALL(ftruncate64, (int fd, off_t len), fd, len)
WRAP_CALL(memfd_create, (const char *name, unsigned int flags), name, flags)
WRAP_CALL(timer_create, (clockid_t c, struct sigevent *ev, timer_t *t), c, ev, t)
WRAP(ssize_t, -1, pread64, (int fd, void *buf, size_t n, off_t at), fd, buf, n, at)
WRAP(ssize_t, -1, getrandom, (void *buf, size_t n, unsigned int flags), buf, n, flags)
WRAP(long, -1, syscall, (long nr, long a, long b, long c, long d, long e, long f), nr, a, b, c, d,
     e, f)

WRAP_MAP(mmap64, (void *addr, size_t len, int prot, int flags, int fd, off_t at), addr, len, prot,
	 flags, fd, at)

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
