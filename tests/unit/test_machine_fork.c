/* SPDX-License-Identifier: MIT */
/* Servers frozen, forked and reset: the same answer to every request, and nothing left behind. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tinykvm/tinykvm.h"

#define MS 1000000ull

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 400; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int stop_when_idle(void *ctx)
{
	return 1;
}

static struct tkvm_result run_until(struct tkvm_machine *machine, int (*idle)(void *ctx))
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .wall_ns = 10000 * MS, .idle = idle};
	struct tkvm_error err = {0};
	struct tkvm_result result;

	if (tkvm_machine_run(machine, &limits, &result, &err))
		fail_msg("%s", err.message);
	return result;
}

static struct tkvm_result run(struct tkvm_machine *machine)
{
	return run_until(machine, stop_when_idle);
}

static void expect_idle(struct tkvm_machine *machine)
{
	struct tkvm_result result = run(machine);

	if (result.outcome != TKVM_IDLE)
		fail_msg("outcome %d: %s\n%s", result.outcome, result.message,
			 tkvm_machine_report(machine));
}

/* @file: the target's second argument, or NULL. */
static struct tkvm_machine *boot_with(const char *kind, const char *file)
{
	struct tkvm_policy *policy = tkvm_policy_new();
	struct tkvm_machine_options options = {.size = sizeof(options), .policy = policy};
	const char *argv[] = {FORK_TARGET, kind, file, NULL};
	struct tkvm_machine *machine;
	struct tkvm_error err = {0};

	if (access("/dev/kvm", R_OK | W_OK))
		skip();
	assert_int_equal(tkvm_policy_allow_net(policy, NULL, TKVM_LISTEN | TKVM_CONNECT, &err), 0);
	assert_int_equal(tkvm_policy_allow_path(policy, "/tmp", TKVM_READ | TKVM_WRITE, &err), 0);
	if (tkvm_machine_create(&machine, &options, &err))
		fail_msg("%s", err.message);
	if (tkvm_machine_load(machine, FORK_TARGET, argv, NULL, &err))
		fail_msg("%s", err.message);
	tkvm_policy_free(policy);
	return machine;
}

static struct tkvm_machine *boot(const char *kind)
{
	return boot_with(kind, NULL);
}

static struct tkvm_image *freeze(struct tkvm_machine *machine)
{
	struct tkvm_image *image;
	struct tkvm_error err = {0};

	if (tkvm_machine_freeze(machine, &image, &err))
		fail_msg("%s", err.message);
	return image;
}

static struct tkvm_machine *make_fork(struct tkvm_image *image)
{
	struct tkvm_machine *fork;
	struct tkvm_error err = {0};

	if (tkvm_image_fork(image, NULL, &fork, &err))
		fail_msg("%s", err.message);
	return fork;
}

static void reset(struct tkvm_machine *fork)
{
	struct tkvm_error err = {0};

	if (tkvm_machine_reset(fork, &err))
		fail_msg("%s", err.message);
}

static void released(void *ctx, int fd, enum tkvm_release how)
{
	*(int *)ctx += 1;
	close(fd);
}

static const struct tkvm_connection_ops ops = {.size = sizeof(ops), .released = released};

/* A connection for the fork; its other end. */
static int offer(struct tkvm_machine *fork, int *n_released)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	assert_int_equal(tkvm_machine_offer(fork, 0, sv[1], &ops, n_released), 0);
	return sv[0];
}

static void ask(struct tkvm_machine *fork, int conn, const char *request, const char *expected)
{
	char reply[128] = "";

	assert_int_equal(write(conn, request, strlen(request)), strlen(request));
	expect_idle(fork);
	assert_true(read(conn, reply, sizeof(reply) - 1) > 0);
	assert_string_equal(reply, expected);
}

static void request(struct tkvm_machine *fork, const char *text, const char *expected)
{
	int n = 0, conn = offer(fork, &n);

	ask(fork, conn, text, expected);
	assert_int_equal(n, 1);
	close(conn);
}

static void serve(const char *kind)
{
	int fds = count_fds(), conn, n = 0;
	struct tkvm_machine *master = boot(kind), *forks[2];
	struct tkvm_image *image;

	expect_idle(master);
	image = freeze(master);
	for (int i = 0; i < 2; i++)
		forks[i] = make_fork(image);
	tkvm_image_put(image);
	for (int i = 0; i < 20; i++) {
		struct tkvm_machine *fork = forks[i % 2];

		request(fork, "one", "one 1 8");
		request(fork, "two", "two 2 8");
		conn = offer(fork, &n);
		ask(fork, conn, "stay", "stay 3 8");
		ask(fork, conn, "stay", "stay 4 8");
		reset(fork);
		assert_int_equal(n, i + 1);
		close(conn);
	}
	for (int i = 0; i < 2; i++)
		tkvm_machine_destroy(forks[i]);
	assert_int_equal(count_fds(), fds);
}

static void test_blocking_accept(void **state)
{
	serve("accept");
}

static void test_epoll(void **state)
{
	serve("epoll");
}

static void test_edge_triggered_epoll(void **state)
{
	serve("edge");
}

static void test_poll(void **state)
{
	serve("poll");
}

static void test_select(void **state)
{
	serve("select");
}

/* Memfds and unlinked files are the program's own, whether it has them open or mapped. */
static void test_files_without_a_name_are_state(void **state)
{
	serve("nameless");
}

static void test_memfds_are_held_to_the_forks_limit(void **state)
{
	struct tkvm_machine *master = boot("nameless"), *fork;
	struct tkvm_image *image;

	expect_idle(master);
	image = freeze(master);
	fork = make_fork(image);
	for (int i = 0; i < 3; i++) {
		request(fork, "grow", "grow 1 8");
		reset(fork);
	}
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
}

/* Forks could not have descriptions of their own. As root, nothing is forbidden but to others. */
static void test_files_that_cannot_be_reopened_are_refused(void **state)
{
	char path[] = "/tmp/test_machine_fork.XXXXXX";
	int fd = mkstemp(path), rc;
	struct tkvm_image *image = NULL;
	struct tkvm_machine *master;
	struct tkvm_error err = {0};

	assert_true(fd >= 0);
	close(fd);
	master = boot_with("forbidden", path);
	expect_idle(master);
	if (!geteuid())
		setfsuid(65534);
	rc = tkvm_machine_freeze(master, &image, &err);
	if (!geteuid())
		setfsuid(0);
	assert_int_equal(rc, -ENOTSUP);
	assert_non_null(strstr(err.message, path));
	tkvm_machine_destroy(master);
	unlink(path);
}

static void test_threads(void **state)
{
	serve("thread");
}

static void *serve_some(void *image)
{
	for (int i = 0; i < 3; i++) {
		struct tkvm_machine *fork = make_fork(image);

		for (int k = 0; k < 10; k++) {
			request(fork, "one", "one 1 8");
			request(fork, "two", "two 2 8");
			reset(fork);
		}
		tkvm_machine_destroy(fork);
	}
	return NULL;
}

/* Once it is warm, a reset asks KVM for nothing and makes nothing anew: only pages are copied. */
static void expect_steady(const char *kind)
{
	struct tkvm_fork_stats before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	struct tkvm_stats faults = {.size = sizeof(faults)}, later = {.size = sizeof(later)};
	struct tkvm_machine *master = boot(kind), *fork;
	struct tkvm_image *image;

	expect_idle(master);
	image = freeze(master);
	fork = make_fork(image);
	for (int i = 0; i < 20; i++) {
		if (i == 10) {
			assert_int_equal(tkvm_fork_stats(fork, &before), 0);
			assert_int_equal(tkvm_machine_stats(fork, &faults), 0);
		}
		request(fork, "one", "one 1 8");
		reset(fork);
	}
	assert_int_equal(tkvm_fork_stats(fork, &after), 0);
	assert_int_equal(tkvm_machine_stats(fork, &later), 0);
	assert_int_equal(after.resets, 20);
	assert_int_equal(after.vcpu_ioctls, 0);
	assert_int_equal(after.renewed_files, before.renewed_files);
	assert_int_equal(after.restored_ranges, before.restored_ranges);
	assert_int_equal(after.hot_pages, before.hot_pages);
	assert_int_equal(after.reprotects, 0);
	assert_int_equal(later.faults, faults.faults);
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
}

static void test_a_warm_fork_is_reset_by_copying(void **state)
{
	expect_steady("epoll");
	expect_steady("accept");
}

/* Its socket is looked up when it waits in a fresh fork, and in no other request. */
static void test_who_only_waits_needs_no_new_files(void **state)
{
	expect_steady("receiver");
}

static uint64_t exits(struct tkvm_machine *machine)
{
	struct tkvm_stats stats = {.size = sizeof(stats)};

	assert_int_equal(tkvm_machine_stats(machine, &stats), 0);
	return stats.exits;
}

/* The fewest that one of several requests takes, each @pause_ms after the one before. */
static uint64_t fewest_exits(struct tkvm_machine *fork, unsigned int pause_ms)
{
	uint64_t fewest = UINT64_MAX, before, n;

	for (int i = 0; i < 12; i++) {
		usleep(1000 * pause_ms);
		before = exits(fork);
		request(fork, "one", "one 1 8");
		n = exits(fork) - before;
		fewest = i && n < fewest ? n : fewest;
		reset(fork);
	}
	return fewest;
}

/* The timer that bounds a run (TK_FAST_NS) is not stopped with it, and goes off in the pause. */
static void test_who_comes_late_pays_no_exit(void **state)
{
	struct tkvm_machine *master = boot("epoll"), *fork;
	struct tkvm_image *image;

	expect_idle(master);
	image = freeze(master);
	fork = make_fork(image);
	tkvm_image_put(image);
	assert_int_equal(fewest_exits(fork, 15), fewest_exits(fork, 0));
	tkvm_machine_destroy(fork);
}

static void test_threads_fork_one_image(void **state)
{
	struct tkvm_machine *master = boot("epoll");
	struct tkvm_image *image;
	pthread_t threads[3];

	expect_idle(master);
	image = freeze(master);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, serve_some, image), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	tkvm_image_put(image);
}

static int n_sleepers_released;

static int stop_when_released(void *ctx)
{
	return n_sleepers_released > 0;
}

/* The program sleeps in between. */
static void ask_a_sleeper(struct tkvm_machine *fork, const char *request, const char *expected)
{
	int conn = offer(fork, &n_sleepers_released);
	ssize_t len = (ssize_t)strlen(request);
	char reply[128] = "";

	n_sleepers_released = 0;
	assert_int_equal(write(conn, request, (size_t)len), len);
	assert_int_equal(run_until(fork, stop_when_released).outcome, TKVM_IDLE);
	assert_true(read(conn, reply, sizeof(reply) - 1) > 0);
	assert_string_equal(reply, expected);
	close(conn);
}

static void test_clocks_stand_still_in_an_image(void **state)
{
	struct tkvm_machine *master = boot("clocks"), *fork;
	struct tkvm_image *image;

	expect_idle(master);
	image = freeze(master);
	fork = make_fork(image);
	for (int i = 0; i < 3; i++) {
		usleep(1200 * 1000);
		ask_a_sleeper(fork, "clocks", "ok");
		reset(fork);
	}
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
}

/* No descriptor says when it may go on, so it has to try again in forks, too. */
static void test_calls_that_try_again_go_on_in_forks(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int queue = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct tkvm_machine *master, *fork;
	struct tkvm_image *image;
	char byte, request[32];
	int n = 0;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/test_machine_fork.%d", getpid());
	assert_int_equal(bind(queue, (struct sockaddr *)&addr, sizeof(addr)), 0);
	master = boot_with("queue", addr.sun_path);
	expect_idle(master);
	image = freeze(master);
	fork = make_fork(image);
	while (recv(queue, &byte, 1, 0) == 1)
		n++;
	snprintf(request, sizeof(request), "sent %d", n);
	for (int i = 0; i < 3; i++) {
		ask_a_sleeper(fork, request, "ok");
		reset(fork);
		while (recv(queue, &byte, 1, 0) == 1)
			continue;
	}
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
	close(queue);
	unlink(addr.sun_path);
}

/* @then: more than a second later. */
static void expect_rest(const char *kind, uint64_t least, uint64_t most, uint64_t then)
{
	struct tkvm_machine *machine = boot(kind);
	uint64_t rest;

	assert_int_equal(tkvm_machine_rest(machine), 0); /* it has not begun */
	expect_idle(machine);
	rest = tkvm_machine_rest(machine);
	if (rest < least || rest > most)
		fail_msg("%s: %llu ns", kind, (unsigned long long)rest);
	usleep(1100 * 1000);
	assert_int_equal(tkvm_machine_rest(machine), then);
	tkvm_machine_destroy(machine);
}

static void test_rest_is_what_the_earliest_timer_has_to_go(void **state)
{
	expect_rest("accept", UINT64_MAX, UINT64_MAX, UINT64_MAX);
	expect_rest("timeout", 1, 1000 * MS, 0);
	expect_rest("clocks", 1, 1000 * MS, 0);
	expect_rest("timerfd", 1, 1000 * MS, UINT64_MAX); /* which nobody looks at */
	expect_rest("never", UINT64_MAX, UINT64_MAX, UINT64_MAX);
}

static void test_waits_are_not_over_sooner_for_having_been_frozen(void **state)
{
	struct tkvm_machine *master = boot("timeout"), *fork;
	struct tkvm_image *image;

	expect_idle(master);
	image = freeze(master);
	usleep(1200 * 1000);
	fork = make_fork(image);
	for (int i = 0; i < 2; i++) {
		request(fork, "one", "one 1 8");
		reset(fork);
	}
	/* nor does it wait for ever */
	usleep(100 * 1000);
	assert_int_equal(run_until(fork, NULL).status, 42);
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
}

static void test_ended_fork_is_not_reset(void **state)
{
	struct tkvm_machine *master = boot("epoll"), *fork;
	struct tkvm_image *image;
	int n = 0, conn;

	expect_idle(master);
	image = freeze(master);
	fork = make_fork(image);
	conn = offer(fork, &n);
	assert_int_equal(write(conn, "exit", 4), 4);
	assert_int_equal(run(fork).status, 3);
	assert_int_equal(tkvm_machine_reset(fork, NULL), -ESTALE);
	tkvm_machine_destroy(fork);
	assert_int_equal(n, 1);
	close(conn);
	fork = make_fork(image);
	request(fork, "one", "one 1 8");
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
}

static int stop_when_over(void *ctx)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000 >= *(long long *)ctx;
}

/* What cannot be in two machines is refused, and the program goes on as if nobody had asked. */
static void test_refused_freeze_changes_nothing(void **state)
{
	struct tkvm_machine *master = boot("flight"), *fork;
	struct tkvm_run_limits limits = {.size = sizeof(limits), .idle = stop_when_over};
	struct tkvm_image *image = NULL;
	struct tkvm_error err = {0};
	struct tkvm_result result;
	struct timespec now;
	long long end;

	expect_idle(master);
	assert_int_equal(tkvm_machine_freeze(master, &image, &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "socket"));
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec * 1000 + now.tv_nsec / 1000000 + 200;
	limits.idle_ctx = &end;
	usleep(400 * 1000);
	assert_int_equal(tkvm_machine_run(master, &limits, &result, &err), 0);
	assert_int_equal(result.outcome, TKVM_IDLE);
	image = freeze(master);
	fork = make_fork(image);
	request(fork, "one", "one 1 8");
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
}

static void test_single_stepping_is_refused(void **state)
{
	struct tkvm_machine *master = boot("stepping");
	struct tkvm_image *image = NULL;
	struct tkvm_error err = {0};

	expect_idle(master);
	assert_int_equal(tkvm_machine_freeze(master, &image, &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "single-steps"));
	tkvm_machine_destroy(master);
}

static void expect_limits(const struct tkvm_fork_options *options, const char *threads,
			  const char *files, const char *pipes)
{
	struct tkvm_machine *master = boot("accept"), *fork;
	struct tkvm_image *image;
	struct tkvm_error err = {0};

	expect_idle(master);
	image = freeze(master);
	if (tkvm_image_fork(image, options, &fork, &err))
		fail_msg("%s", err.message);
	for (int i = 0; i < 3; i++) {
		request(fork, "threads", threads);
		if (tkvm_machine_reset(fork, &err)) {
			tkvm_machine_destroy(fork);
			assert_int_equal(tkvm_image_fork(image, options, &fork, &err), 0);
		}
		request(fork, "files", files);
		reset(fork);
		request(fork, "pipes", pipes);
		reset(fork);
	}
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
}

/* One of the files is the connection. A pipe is two, and 64 KiB. */
static void test_threads_files_and_pipes_of_a_fork_are_limited(void **state)
{
	const struct tkvm_fork_options options = {
		.size = sizeof(options), .max_files = 11, .max_threads = 3};
	const struct tkvm_fork_options little = {.size = sizeof(little), .max_memory = 16 << 20};

	expect_limits(&options, "threads 3", "files 10", "pipes 5");
	expect_limits(&little, "threads 64", "files 1023", "pipes 128");
	expect_limits(NULL, "threads 64", "files 1023", "pipes 511");
}

static void test_wrong_uses_are_refused(void **state)
{
	struct tkvm_machine *master = boot("epoll"), *fork;
	struct tkvm_fork_options options = {.size = 1};
	struct tkvm_image *image = NULL;
	struct tkvm_error err = {0};

	assert_int_equal(tkvm_machine_freeze(master, &image, &err), -EBUSY);
	expect_idle(master);
	assert_int_equal(tkvm_machine_reset(master, &err), -EINVAL);
	image = freeze(master);
	assert_int_equal(tkvm_image_fork(image, &options, &fork, &err), -EINVAL);
	fork = make_fork(image);
	assert_int_equal(tkvm_machine_freeze(fork, &image, &err), -EINVAL);
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
	tkvm_image_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocking_accept),
		cmocka_unit_test(test_epoll),
		cmocka_unit_test(test_edge_triggered_epoll),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_files_without_a_name_are_state),
		cmocka_unit_test(test_memfds_are_held_to_the_forks_limit),
		cmocka_unit_test(test_files_that_cannot_be_reopened_are_refused),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_a_warm_fork_is_reset_by_copying),
		cmocka_unit_test(test_who_only_waits_needs_no_new_files),
		cmocka_unit_test(test_who_comes_late_pays_no_exit),
		cmocka_unit_test(test_threads_fork_one_image),
		cmocka_unit_test(test_clocks_stand_still_in_an_image),
		cmocka_unit_test(test_calls_that_try_again_go_on_in_forks),
		cmocka_unit_test(test_rest_is_what_the_earliest_timer_has_to_go),
		cmocka_unit_test(test_waits_are_not_over_sooner_for_having_been_frozen),
		cmocka_unit_test(test_ended_fork_is_not_reset),
		cmocka_unit_test(test_single_stepping_is_refused),
		cmocka_unit_test(test_refused_freeze_changes_nothing),
		cmocka_unit_test(test_threads_files_and_pipes_of_a_fork_are_limited),
		cmocka_unit_test(test_wrong_uses_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
