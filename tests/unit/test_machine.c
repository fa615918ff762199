/* SPDX-License-Identifier: MIT */
/* Machines from outside: outcomes, limits, signals from other threads, nothing left behind. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tinykvm/tinykvm.h"

#define MS 1000000ull

struct fixture {
	struct tkvm_machine *machine;
	int in[2], out[2];
};

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 200; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void create(struct fixture *f, const char *deed, uint64_t max_memory)
{
	struct tkvm_machine_options options = {.size = sizeof(options), .max_memory = max_memory};
	const char *argv[] = {TARGET, deed, NULL};
	struct tkvm_error err = {0};
	int stdio[3];

	assert_int_equal(pipe(f->in), 0);
	assert_int_equal(pipe(f->out), 0);
	stdio[0] = f->in[0];
	stdio[1] = stdio[2] = f->out[1];
	options.stdio = stdio;
	if (access("/dev/kvm", R_OK | W_OK))
		skip();
	if (tkvm_machine_create(&f->machine, &options, &err))
		fail_msg("%s", err.message);
	if (tkvm_machine_load(f->machine, TARGET, argv, NULL, &err))
		fail_msg("%s", err.message);
}

static void destroy(struct fixture *f)
{
	tkvm_machine_destroy(f->machine);
	close(f->in[0]);
	close(f->in[1]);
	close(f->out[0]);
	close(f->out[1]);
}

static struct tkvm_result run(struct fixture *f, uint64_t wall_ns)
{
	struct tkvm_run_limits limits = {.size = sizeof(limits), .wall_ns = wall_ns};
	struct tkvm_error err = {0};
	struct tkvm_result result;

	if (tkvm_machine_run(f->machine, &limits, &result, &err))
		fail_msg("%s", err.message);
	return result;
}

static struct tkvm_result run_deed(const char *deed, uint64_t wall_ns, uint64_t max_memory)
{
	struct tkvm_result result;
	struct fixture f;
	int fds = count_fds();

	create(&f, deed, max_memory);
	result = run(&f, wall_ns);
	destroy(&f);
	assert_int_equal(count_fds(), fds);
	return result;
}

static void test_exit_status_and_descriptors(void **state)
{
	struct tkvm_result result;
	char buf[16] = "";
	struct fixture f;

	create(&f, "echo", 0);
	assert_int_equal(write(f.in[1], "hello", 5), 5);
	result = run(&f, 0);
	assert_int_equal(result.outcome, TKVM_EXITED);
	assert_int_equal(result.status, 7);
	assert_string_equal(result.message, "exited with status 7");
	assert_int_equal(read(f.out[0], buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	assert_string_equal(tkvm_machine_report(f.machine), "");
	destroy(&f);
}

static void test_signals_kill(void **state)
{
	struct tkvm_result result = run_deed("fault", 0, 0);

	assert_int_equal(result.outcome, TKVM_SIGNALLED);
	assert_int_equal(result.signal, SIGSEGV);
	assert_non_null(strstr(result.message, "SIGSEGV"));
	assert_non_null(strstr(result.message, "0x1234"));
	assert_int_equal(run_deed("abort", 0, 0).signal, SIGABRT);
	assert_int_equal(run_deed("overflow", 0, 0).signal, SIGSEGV);
}

static void test_time_limit_ends_a_busy_program(void **state)
{
	struct tkvm_result result = run_deed("spin", 50 * MS, 0);

	assert_int_equal(result.outcome, TKVM_LIMIT);
	assert_int_equal(result.limit, TKVM_LIMIT_TIME);
}

static void test_time_limit_ends_a_sleeping_program(void **state)
{
	assert_int_equal(run_deed("hang", 50 * MS, 0).limit, TKVM_LIMIT_TIME);
	assert_int_equal(run_deed("stop", 50 * MS, 0).limit, TKVM_LIMIT_TIME);
}

static void test_memory_limit(void **state)
{
	struct tkvm_result result = run_deed("hog", 20000 * MS, 64 << 20);

	/* the program is refused more memory, or stopped: never more than that */
	assert_true((result.outcome == TKVM_LIMIT && result.limit == TKVM_LIMIT_MEMORY) ||
		    (result.outcome == TKVM_EXITED && result.status == 12));
}

static void test_exit_ends_all_threads(void **state)
{
	struct tkvm_result result = run_deed("threads", 20000 * MS, 0);

	assert_int_equal(result.outcome, TKVM_EXITED);
	assert_int_equal(result.status, 3);
}

static void *send_when_ready(void *arg)
{
	struct fixture *f = arg;
	char buf[5];

	if (read(f->out[0], buf, 5) == 5)
		tkvm_machine_signal(f->machine, SIGWINCH);
	return NULL;
}

static void test_signal_from_another_thread(void **state)
{
	struct tkvm_result result;
	struct fixture f;
	pthread_t t;

	create(&f, "wait", 0);
	assert_int_equal(pthread_create(&t, NULL, send_when_ready, &f), 0);
	result = run(&f, 20000 * MS);
	pthread_join(t, NULL);
	assert_int_equal(result.outcome, TKVM_EXITED);
	assert_int_equal(result.status, SIGWINCH);
	destroy(&f);
}

static void *send_later(void *arg)
{
	usleep(50000);
	tkvm_machine_signal(arg, SIGTERM);
	return NULL;
}

static void test_signal_ends_a_busy_program(void **state)
{
	struct tkvm_result result;
	struct fixture f;
	pthread_t t;

	create(&f, "spin", 0);
	assert_int_equal(pthread_create(&t, NULL, send_later, f.machine), 0);
	result = run(&f, 20000 * MS);
	pthread_join(t, NULL);
	assert_int_equal(result.signal, SIGTERM);
	destroy(&f);
}

static atomic_int enough;

/* SIGWINCH is ignored: all it does is to interrupt the vCPU wherever it is. */
static void *pester(void *arg)
{
	for (unsigned int i = 0; !enough; i++) {
		tkvm_machine_signal(arg, SIGWINCH);
		for (volatile unsigned int k = 0; k < i % 5000; k++)
			;
	}
	return NULL;
}

static void test_vcpus_are_used_again_under_interruptions(void **state)
{
	struct tkvm_result result;
	struct fixture f;
	pthread_t t;

	create(&f, "renew", 0);
	enough = 0;
	assert_int_equal(pthread_create(&t, NULL, pester, f.machine), 0);
	result = run(&f, 60000 * MS);
	enough = 1;
	pthread_join(t, NULL);
	assert_int_equal(result.outcome, TKVM_EXITED);
	assert_int_equal(result.status, 5);
	destroy(&f);
}

static void test_signal_before_the_run_is_kept(void **state)
{
	struct fixture f;

	create(&f, "spin", 0);
	assert_int_equal(tkvm_machine_signal(f.machine, SIGUSR1), 0);
	assert_int_equal(tkvm_machine_signal(f.machine, 0), -EINVAL);
	assert_int_equal(tkvm_machine_signal(f.machine, 65), -EINVAL);
	assert_int_equal(run(&f, 20000 * MS).signal, SIGUSR1);
	destroy(&f);
}

static void test_stopped_program_continues(void **state)
{
	struct tkvm_result result;
	struct fixture f;

	create(&f, "stop", 0);
	/* kept until it runs, then harmless: the stop comes later and waits for the limit */
	assert_int_equal(tkvm_machine_signal(f.machine, SIGCONT), 0);
	result = run(&f, 100 * MS);
	assert_int_equal(result.limit, TKVM_LIMIT_TIME);
	destroy(&f);
}

static int answer(void *ctx)
{
	int *countdown = ctx;

	return --*countdown == 0;
}

static void test_idle_run_goes_on_later(void **state)
{
	int countdown = 1;
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .idle = answer, .idle_ctx = &countdown};
	struct tkvm_result result;
	struct fixture f;

	create(&f, "echo", 0);
	assert_int_equal(tkvm_machine_run(f.machine, &limits, &result, NULL), 0);
	assert_int_equal(result.outcome, TKVM_IDLE);
	countdown = 1;
	assert_int_equal(tkvm_machine_run(f.machine, &limits, &result, NULL), 0);
	assert_int_equal(result.outcome, TKVM_IDLE);
	assert_int_equal(countdown, 0);
	/* what is there already is no reason to call it idle */
	countdown = 1;
	assert_int_equal(write(f.in[1], "x", 1), 1);
	assert_int_equal(tkvm_machine_run(f.machine, &limits, &result, NULL), 0);
	assert_int_equal(result.outcome, TKVM_EXITED);
	assert_int_equal(result.status, 7);
	assert_int_equal(countdown, 1);
	destroy(&f);
}

static void *interrupt_later(void *arg)
{
	usleep(50000);
	tkvm_machine_interrupt(arg);
	return NULL;
}

static void test_interrupted_run_goes_on_later(void **state)
{
	struct tkvm_result result;
	struct fixture f;
	pthread_t t;

	create(&f, "spin", 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_create(&t, NULL, interrupt_later, f.machine), 0);
		result = run(&f, 20000 * MS);
		pthread_join(t, NULL);
		assert_int_equal(result.outcome, TKVM_INTERRUPTED);
	}
	/* one that comes between two runs ends the second, and no other */
	tkvm_machine_interrupt(f.machine);
	assert_int_equal(run(&f, 20000 * MS).outcome, TKVM_INTERRUPTED);
	assert_int_equal(run(&f, 50 * MS).limit, TKVM_LIMIT_TIME);
	destroy(&f);
}

static void test_wrong_order_is_refused(void **state)
{
	struct tkvm_error err = {0};
	struct tkvm_result result;
	const char *argv[] = {"x", NULL};
	struct fixture f;

	create(&f, "echo", 0);
	assert_int_equal(tkvm_machine_load(f.machine, TARGET, argv, NULL, &err), -EALREADY);
	close(f.in[1]);
	run(&f, 20000 * MS);
	assert_int_equal(tkvm_machine_run(f.machine, NULL, &result, &err), -EINVAL);
	assert_string_equal(err.message, "run: the program has ended");
	destroy(&f);
}

static void test_bad_options(void **state)
{
	struct tkvm_machine_options options = {.size = 4};
	struct tkvm_policy *policy = tkvm_policy_new();
	struct tkvm_machine *machine = NULL;
	struct tkvm_error err = {0};

	assert_int_equal(tkvm_machine_create(&machine, &options, &err), -EINVAL);
	assert_int_equal(tkvm_policy_allow_path(policy, NULL, TKVM_READ, &err), 0);
	options = (struct tkvm_machine_options){.size = sizeof(options), .policy = policy};
	options.cwd = "/no/such/directory";
	if (!access("/dev/kvm", R_OK | W_OK)) {
		assert_int_equal(tkvm_machine_create(&machine, &options, &err), -ENOENT);
		assert_non_null(strstr(err.message, "/no/such/directory"));
		assert_null(machine);
	}
	assert_int_equal(tkvm_policy_allow_path(policy, "/", 0, &err), -EINVAL);
	assert_int_equal(tkvm_policy_allow_path(policy, "/", 4, &err), -EINVAL);
	assert_int_equal(tkvm_policy_allow_net(policy, NULL, 0, &err), -EINVAL);
	assert_int_equal(tkvm_policy_add_volume(policy, "nonsense", &err), -EINVAL);
	tkvm_policy_free(policy);
	tkvm_policy_free(NULL);
	tkvm_machine_destroy(NULL);
}

static void test_programs_that_cannot_be_loaded(void **state)
{
	static const struct {
		const char *path;
		int rc;
	} cases[] = {
		{"/no/such/program", -ENOENT},
		{"/etc/passwd", -EACCES},
		{"/etc", -EACCES},
		{"/dev/null", -EACCES},
	};
	struct tkvm_error err = {0};
	const char *argv[] = {"x", NULL};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tkvm_machine *machine;
		struct tkvm_result result;

		if (access("/dev/kvm", R_OK | W_OK))
			skip();
		assert_int_equal(tkvm_machine_create(&machine, NULL, &err), 0);
		assert_int_equal(tkvm_machine_run(machine, NULL, &result, &err), -EINVAL);
		assert_int_equal(tkvm_machine_load(machine, cases[i].path, argv, NULL, &err),
				 cases[i].rc);
		assert_int_equal(tkvm_machine_run(machine, NULL, &result, &err), -EINVAL);
		tkvm_machine_destroy(machine);
	}
}

static void add_call(void *ctx, unsigned int nr, uint64_t calls, uint64_t inside)
{
	uint64_t *sum = ctx;

	assert_true(calls && calls >= inside && tkvm_syscall_name(nr));
	sum[0] += calls;
	sum[1] += inside;
}

static void test_stats_count(void **state)
{
	uint64_t sum[2] = {0};
	struct tkvm_stats stats = {.size = sizeof(stats)};
	struct fixture f;

	create(&f, "threads", 0);
	run(&f, 20000 * MS);
	assert_int_equal(tkvm_machine_stats(f.machine, &stats), 0);
	assert_true(stats.exits >= stats.syscalls && stats.syscalls > 10);
	assert_true(stats.cpu_ns > 0 && stats.virtual_bytes > stats.resident_bytes);
	assert_true(stats.resident_bytes > 0 && stats.mappings > 3);
	assert_int_equal(tkvm_machine_syscall_count(f.machine, 231), 1);
	tkvm_machine_calls(f.machine, add_call, sum);
	assert_int_equal(sum[0], stats.syscalls);
	assert_int_equal(sum[1], stats.inside);
	stats.size = 3;
	assert_int_equal(tkvm_machine_stats(f.machine, &stats), -EINVAL);
	destroy(&f);
}

static void test_thirty_machines_leave_nothing(void **state)
{
	int fds = count_fds();

	for (int i = 0; i < 30; i++) {
		struct fixture f;

		create(&f, "threads", 0);
		assert_int_equal(run(&f, 20000 * MS).status, 3);
		destroy(&f);
	}
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status_and_descriptors),
		cmocka_unit_test(test_signals_kill),
		cmocka_unit_test(test_time_limit_ends_a_busy_program),
		cmocka_unit_test(test_time_limit_ends_a_sleeping_program),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_exit_ends_all_threads),
		cmocka_unit_test(test_signal_from_another_thread),
		cmocka_unit_test(test_signal_ends_a_busy_program),
		cmocka_unit_test(test_vcpus_are_used_again_under_interruptions),
		cmocka_unit_test(test_signal_before_the_run_is_kept),
		cmocka_unit_test(test_stopped_program_continues),
		cmocka_unit_test(test_idle_run_goes_on_later),
		cmocka_unit_test(test_interrupted_run_goes_on_later),
		cmocka_unit_test(test_wrong_order_is_refused),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_programs_that_cannot_be_loaded),
		cmocka_unit_test(test_stats_count),
		cmocka_unit_test(test_thirty_machines_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
