/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cmocka.h>

#include "guest/calls.h"
#include "sysproc.h"
#include "sys/desc.h"
#include "sys/identity.h"

static struct fakeproc fake;

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	tk_policy_init(&fake.policy);
	fake_start(&fake, "/");
	return 0;
}

static int teardown(void **state)
{
	fake_end(&fake);
	return 0;
}

#define ARGS6(a, b, c, d, e, f, ...) (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f)
#define CALL(nr, ...)		     fake_call(&fake, nr, ARGS6(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0))

static void put(gva_t addr, const void *data, size_t len)
{
	assert_int_equal(tk_copy_out(fake.proc.mm, addr, data, len), 0);
}

static void get(gva_t addr, void *data, size_t len)
{
	assert_int_equal(tk_copy_in(fake.proc.mm, data, addr, len), 0);
}

static void test_numbers_are_the_low_half_of_rax(void **state)
{
	assert_int_equal(CALL(SYS_getpid, 0), TK_GUEST_PID);
	assert_int_equal(CALL(0xffffffff00000000 | SYS_getpid, 0), TK_GUEST_PID);
	assert_int_equal(CALL(0x40000000 | SYS_getpid, 0), -ENOSYS);
	assert_int_equal(CALL(-1, 0), -ENOSYS);
	assert_int_equal(CALL(TK_SYSCALL_MAX, 0), -ENOSYS);
	assert_int_equal(CALL(TK_SYSCALL_MAX - 1, 0), -ENOSYS);
	assert_string_equal(tk_syscall_name(SYS_getpid), "getpid");
	assert_null(tk_syscall_name(TK_SYSCALL_MAX));
}

/* A fork may have a process id of its own: its first thread is called like it all the same. */
static void test_the_first_thread_has_the_id_of_the_process(void **state)
{
	struct tk_task *task = fake.proc.leader;

	assert_non_null(task);
	fake.proc.pid = TK_PID_LAST;
	assert_int_equal(CALL(SYS_getpid, 0), TK_PID_LAST);
	assert_int_equal(CALL(SYS_tkill, TK_PID_LAST, 0), 0);
	assert_int_equal(CALL(SYS_tgkill, TK_PID_LAST, TK_PID_LAST, 0), 0);
	assert_int_equal(CALL(SYS_tgkill, TK_PID_LAST, task->tid, 0), 0);
	assert_int_equal(CALL(SYS_sched_getscheduler, TK_PID_LAST), 0);
	assert_int_equal(CALL(SYS_tkill, TK_PID_LAST - 1, 0), -ESRCH);
	task->state = TK_TASK_DEAD;
	assert_null(tk_task_by_tid(&fake.proc, TK_PID_LAST));
	task->state = TK_TASK_RUNNABLE;
}

static void test_calls_are_counted_by_number(void **state)
{
	CALL(SYS_getpid, 0);
	CALL(SYS_getpid, 0);
	CALL(500, 0);
	CALL(100000, 0);
	assert_int_equal(fake.proc.stats.calls->made[SYS_getpid], 2);
	assert_int_equal(fake.proc.stats.calls->made[500], 1);
	assert_int_equal(fake.proc.stats.unknown_calls, 2);
}

static void test_every_row_is_complete(void **state)
{
	for (u64 nr = 0; nr < TK_SYSCALL_MAX; nr++) {
		const struct tk_syscall_desc *desc = tk_syscall_desc(nr);

		if (!desc)
			continue;
		assert_non_null(desc->fn);
		for (unsigned int i = tk_syscall_n_args(desc); i < 6; i++)
			assert_int_equal(desc->kinds[i], TK_ARG_NONE);
	}
}

static void test_timeouts_are_checked(void **state)
{
	struct timespec ts = {5, 7};
	bool given;
	s64 ns;

	assert_int_equal(tk_arg_timeout(fake.task, 0, &given, &ns), 0);
	assert_false(given);
	assert_int_equal(ns, TK_FOREVER);
	put(FAKE_MEM, &ts, sizeof(ts));
	assert_int_equal(tk_arg_timeout(fake.task, FAKE_MEM, &given, &ns), 0);
	assert_true(given);
	assert_int_equal(ns, 5000000007);
	ts = (struct timespec){INT64_MAX, 999999999};
	put(FAKE_MEM, &ts, sizeof(ts));
	assert_int_equal(tk_arg_timeout(fake.task, FAKE_MEM, &given, &ns), 0);
	assert_int_equal(ns, TK_FOREVER);
	ts = (struct timespec){0, 1000000000};
	put(FAKE_MEM, &ts, sizeof(ts));
	assert_int_equal(tk_arg_timeout(fake.task, FAKE_MEM, &given, &ns), -EINVAL);
	ts = (struct timespec){-1, 0};
	put(FAKE_MEM, &ts, sizeof(ts));
	assert_int_equal(tk_arg_timeout(fake.task, FAKE_MEM, &given, &ns), -EINVAL);
	assert_int_equal(tk_arg_timeout(fake.task, 8, &given, &ns), -EFAULT);
}

static void test_unprivileged_ids(void **state)
{
	fake.proc.cred = (struct tk_cred){10, 10, 10, 20, 20, 20};
	tk_privileges(&fake.proc)->cap_effective = 0;
	assert_int_equal(CALL(SYS_getuid, 0), 10);
	assert_int_equal(CALL(SYS_setuid, 11), -EPERM);
	assert_int_equal(CALL(SYS_setgid, -1), -EINVAL);
	assert_int_equal(CALL(SYS_setresuid, -1, -1, 11), -EPERM);
	assert_int_equal(CALL(SYS_setgroups, 0, 0), -EPERM);
	assert_int_equal(CALL(SYS_setfsuid, 0), 10);
	assert_int_equal(CALL(SYS_setfsuid, -1), 10);
	assert_int_equal(CALL(SYS_setreuid, 10, 10), 0);
}

static void test_root_drops_for_good(void **state)
{
	struct tk_privileges *priv;
	const gid_t groups[2] = {9, 3};
	gid_t got[2];

	fake.proc.cred = (struct tk_cred){0};
	priv = tk_privileges(&fake.proc);
	priv->cap_effective = priv->cap_permitted = TK_CAP_ALL;
	put(FAKE_MEM, groups, sizeof(groups));
	assert_int_equal(CALL(SYS_setgroups, 2, FAKE_MEM), 0);
	assert_int_equal(CALL(SYS_getgroups, 1, FAKE_MEM), -EINVAL);
	assert_int_equal(CALL(SYS_getgroups, 2, FAKE_MEM), 2);
	get(FAKE_MEM, got, sizeof(got));
	assert_int_equal(got[0], 3);
	assert_int_equal(CALL(SYS_setgroups, TK_NGROUPS_MAX + 1, FAKE_MEM), -EINVAL);
	assert_int_equal(CALL(SYS_setresuid, -1, 5, -1), 0); /* for a while */
	assert_int_equal(priv->cap_effective, 0);
	assert_int_equal(CALL(SYS_setresuid, 7, -1, -1), -EPERM);
	assert_int_equal(CALL(SYS_setresuid, -1, 0, -1), 0);
	assert_true(tk_capable(&fake.proc, CAP_SETUID));
	assert_int_equal(CALL(SYS_setuid, 1000), 0);
	assert_int_equal(priv->cap_permitted, 0);
	assert_int_equal(priv->fsuid, 1000);
	assert_int_equal(CALL(SYS_setuid, 0), -EPERM);
	/* prctl(2): the process is not dumpable any more. */
	assert_int_equal(CALL(SYS_prctl, 3), 0);
	assert_int_equal(getuid(), geteuid()); /* and the VMM is who it was */
}

static void test_limits_act(void **state)
{
	const struct rlimit low = {3, 64}, wrong = {5, 4}, more = {1, 65};
	const struct rlimit as = {TK_MIB(1), RLIM_INFINITY};
	struct rlimit old;

	tk_privileges(&fake.proc)->cap_effective = 0;
	put(FAKE_MEM, &wrong, sizeof(wrong));
	assert_int_equal(CALL(SYS_setrlimit, RLIMIT_NOFILE, FAKE_MEM), -EINVAL);
	put(FAKE_MEM, &more, sizeof(more));
	assert_int_equal(CALL(SYS_setrlimit, RLIMIT_NOFILE, FAKE_MEM), -EPERM);
	put(FAKE_MEM, &low, sizeof(low));
	assert_int_equal(CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, FAKE_MEM, FAKE_MEM + 64), 0);
	get(FAKE_MEM + 64, &old, sizeof(old));
	assert_int_equal(old.rlim_cur, 64);
	assert_int_equal(fake.proc.files.limit, 3);
	put(FAKE_MEM, &as, sizeof(as));
	assert_int_equal(CALL(SYS_setrlimit, RLIMIT_AS, FAKE_MEM), 0);
	assert_int_equal(tk_mm_rlimits(fake.proc.mm)->as, TK_MIB(1));
	assert_int_equal(CALL(SYS_getrlimit, RLIM_NLIMITS, FAKE_MEM), -EINVAL);
	assert_int_equal(CALL(SYS_prlimit64, 77, RLIMIT_AS, 0, 0), -ESRCH);
}

static void test_random_survives_any_buffer(void **state)
{
	u8 bytes[64] = {0}, zero[64] = {0};
	gva_t end = FAKE_MEM + FAKE_MEM_SIZE;

	assert_int_equal(CALL(SYS_getrandom, FAKE_MEM, 64, 0), 64);
	get(FAKE_MEM, bytes, sizeof(bytes));
	assert_memory_not_equal(bytes, zero, sizeof(bytes));
	assert_int_equal(CALL(SYS_getrandom, end - 10, 64, 0), 10);
	assert_int_equal(CALL(SYS_getrandom, end, 64, 0), -EFAULT);
	assert_int_equal(CALL(SYS_getrandom, 0xffff800000000000, 64, 0), -EFAULT);
	assert_int_equal(CALL(SYS_getrandom, -1, -1, 0), -EFAULT);
	assert_int_equal(CALL(SYS_getrandom, end, 0, 0), 0);
	assert_int_equal(CALL(SYS_getrandom, FAKE_MEM, 1, 8), -EINVAL);
	assert_int_equal(CALL(SYS_getrandom, FAKE_MEM, 1, 6), -EINVAL);
}

static void test_huge_random_comes_in_pieces(void **state)
{
	gva_t big = 0x10000000;
	long rc;
	int entries = 0;

	fake_map(&fake, big, TK_MIB(5), PROT_READ | PROT_WRITE);
	do {
		rc = CALL(SYS_getrandom, big, TK_MIB(5), 0);
		entries++;
	} while (rc == TK_BLOCKED && entries < 100);
	assert_int_equal(rc, TK_MIB(5));
	assert_true(entries >= 5);
	assert_int_equal(fake.proc.stats.calls->made[SYS_getrandom], 1);
}

static void test_the_generation_stays(void **state)
{
	long first = CALL(TK_SYS_GENERATION, 0);

	assert_string_equal(tk_syscall_name(TK_SYS_GENERATION), "tinykvm_generation");
	assert_true(first > 0);
	assert_true(CALL(TK_SYS_GENERATION, 0) == first);
	fake.proc.generation = 0;
	assert_true(CALL(TK_SYS_GENERATION, 0) > 0);
	assert_true(CALL(TK_SYS_GENERATION, 0) != first);
}

static void test_segment_bases_are_canonical(void **state)
{
	u64 base;

	assert_int_equal(CALL(SYS_arch_prctl, 0x1002, 0x7f0000001000), 0);
	assert_int_equal(CALL(SYS_arch_prctl, 0x1003, FAKE_MEM), 0);
	get(FAKE_MEM, &base, sizeof(base));
	assert_int_equal(base, 0x7f0000001000);
	assert_int_equal(CALL(SYS_arch_prctl, 0x1001, 0x800000000000), -EPERM);
	assert_int_equal(CALL(SYS_arch_prctl, 0x1001, 0xffff800000000000), -EPERM);
	assert_int_equal(CALL(SYS_arch_prctl, 0x1003, 3), -EFAULT);
	assert_int_equal(CALL(SYS_arch_prctl, 0x5001, 3), -EINVAL);
}

static void test_uname_says_linux(void **state)
{
	struct utsname name;

	assert_int_equal(CALL(SYS_uname, FAKE_MEM), 0);
	get(FAKE_MEM, &name, sizeof(name));
	assert_string_equal(name.sysname, "Linux");
	assert_string_equal(name.nodename, "fakehost");
	assert_string_equal(name.machine, "x86_64");
	assert_int_equal(CALL(SYS_uname, 1), -EFAULT);
}

/* Make a call with tracing on and return the line, without the newline. */
static const char *traced(u64 nr, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	static char line[4096];
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	fake.proc.trace_fd = fds[1];
	fake_call(&fake, nr, a0, a1, a2, a3, a4, a5);
	n = read(fds[0], line, sizeof(line) - 1);
	assert_true(n > 0 && line[n - 1] == '\n');
	line[n - 1] = '\0';
	fake.proc.trace_fd = -1;
	close(fds[0]);
	close(fds[1]);
	return line;
}

#define TRACE(nr, ...) traced(nr, ARGS6(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0))

static void test_trace_lines(void **state)
{
	assert_int_equal(tk_policy_allow_path(&fake.policy, NULL, TK_MAY_READ, NULL), 0);
	put(FAKE_MEM, "a\n\"\\\001\377", 7);
	assert_string_equal(TRACE(SYS_getpid, 1), "[2] getpid() = 2");
	assert_string_equal(TRACE(SYS_open, FAKE_MEM, O_CLOEXEC),
			    "[2] open(\"a\\n\\\"\\\\\\1\\377\", O_RDONLY|O_CLOEXEC) = -1 ENOENT "
			    "(No such file or directory)");
	assert_string_equal(TRACE(SYS_write, -1, FAKE_MEM, 2),
			    "[2] write(-1, \"a\\n\", 2) = -1 EBADF (Bad file descriptor)");
	assert_string_equal(TRACE(SYS_mmap, 0, 4096, 7, 0x22, -1, -1),
			    "[2] mmap(NULL, 4096, PROT_READ|PROT_WRITE|PROT_EXEC, "
			    "MAP_PRIVATE|MAP_ANONYMOUS, -1, -1) = -1 EINVAL (Invalid argument)");
	assert_string_equal(TRACE(SYS_clock_gettime, 1, 0x10),
			    "[2] clock_gettime(CLOCK_MONOTONIC, 0x10) = -1 EFAULT (Bad address)");
	assert_string_equal(TRACE(500, 1, 2, 3, 4, 5, 6),
			    "[2] syscall_0x1f4(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS "
			    "(Function not implemented)");
}

static void test_trace_takes_any_pointer(void **state)
{
	static const u64 bad[] = {0,
				  1,
				  0xffff800000000000,
				  -1ull,
				  FAKE_MEM + FAKE_MEM_SIZE - 1,
				  FAKE_MEM - 1,
				  0x7fffffffffff};
	char *path = malloc(5000);

	for (size_t i = 0; i < TK_ARRAY_SIZE(bad); i++) {
		TRACE(SYS_open, bad[i], -1, -1);
		TRACE(SYS_write, 99, bad[i], -1);
		TRACE(SYS_writev, 99, bad[i], -1);
		TRACE(SYS_clock_nanosleep, 99, 0, bad[i]);
	}
	memset(path, 'x', 5000);
	put(FAKE_MEM, path, 5000);
	assert_true(strlen(TRACE(SYS_open, FAKE_MEM, 0)) < 400);
	free(path);
}

static void test_trace_ends_when_nobody_reads(void **state)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	fake.proc.trace_fd = fds[1];
	assert_int_equal(CALL(SYS_getpid, 0), TK_GUEST_PID); /* and no SIGPIPE */
	assert_int_equal(fake.proc.trace_fd, -1);
	close(fds[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_numbers_are_the_low_half_of_rax),
		T(test_the_first_thread_has_the_id_of_the_process),
		T(test_calls_are_counted_by_number),
		T(test_every_row_is_complete),
		T(test_timeouts_are_checked),
		T(test_unprivileged_ids),
		T(test_root_drops_for_good),
		T(test_limits_act),
		T(test_random_survives_any_buffer),
		T(test_huge_random_comes_in_pieces),
		T(test_the_generation_stays),
		T(test_segment_bases_are_canonical),
		T(test_uname_says_linux),
		T(test_trace_lines),
		T(test_trace_takes_any_pointer),
		T(test_trace_ends_when_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
