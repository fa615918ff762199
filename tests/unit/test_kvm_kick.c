/* SPDX-License-Identifier: MIT */
/*
 * Ending tk_vcpu_run() from outside: kicks, timers, and both at the worst of moments.
 */
#include <poll.h>
#include <sys/resource.h>
#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "kvm/kick.h"
#include "test_kvm_rig.h"

GUEST(spin, "1: inc %rbx\njmp 1b\n");

static void test_kick_before_the_run(void **state)
{
	rig_load(&rig, spin);
	tk_vcpu_kick(rig.vcpu);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	assert_false(tk_vcpu_in_entry(rig.vcpu));
	assert_int_equal(rig.r->rip, RIG_CODE);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
}

struct kicker {
	pthread_t thread;
	struct tk_kick *kick;
	int times, pause_us;
	volatile bool done;
};

static void *kicker_main(void *arg)
{
	struct kicker *k = arg;

	for (int i = 0; i < k->times; i++) {
		usleep((useconds_t)k->pause_us);
		tk_vcpu_kick(rig.vcpu);
		tk_kick_send(k->kick);
	}
	k->done = true;
	return NULL;
}

static void start_kicker(struct kicker *k, int times, int pause_us)
{
	struct tkvm_error err;

	*k = (struct kicker){.times = times, .pause_us = pause_us};
	assert_int_equal(tk_kick_create(&k->kick, &err), 0);
	assert_int_equal(pthread_create(&k->thread, NULL, kicker_main, k), 0);
}

static void stop_kicker(struct kicker *k)
{
	pthread_join(k->thread, NULL);
	tk_kick_destroy(k->kick);
}

/* How often the loop had gone round when the kick came: not at all, if the host was busy. */
static u64 rounds_before_a_kick(void)
{
	struct kicker k;
	u64 rbx;

	rig_load(&rig, spin);
	rbx = rig.r->rbx;
	start_kicker(&k, 1, 20000);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	stop_kicker(&k);
	return rig.r->rbx - rbx;
}

static void test_kick_from_another_thread(void **state)
{
	u64 rounds = 0;

	for (int i = 0; i < 5 && !rounds; i++)
		rounds = rounds_before_a_kick();
	assert_true(rounds);
	assert_true(rig.r->rip - RIG_CODE < 5);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
}

static void test_timer_ends_an_endless_loop(void **state)
{
	struct tk_kick *kick;
	struct tkvm_error err;
	s64 start = tk_now_ns(), deadline;

	assert_int_equal(tk_kick_create(&kick, &err), 0);
	rig_load(&rig, spin);
	tk_kick_arm(kick, start + 30000000);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	assert_true(tk_now_ns() - start >= 30000000);
	assert_true(tk_kick_drain());
	assert_false(tk_kick_drain());

	/* a time that has passed: at once, and pending until drained */
	tk_kick_arm(kick, start);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	assert_true(tk_kick_drain());

	do { /* it may have been too late for that */
		(void)tk_kick_drain();
		deadline = tk_now_ns() + 1000000;
		tk_kick_arm(kick, deadline);
		tk_kick_disarm(kick);
	} while (tk_now_ns() >= deadline);
	usleep(3000);
	assert_false(tk_kick_drain());
	tk_kick_arm(kick, TK_FOREVER);
	tk_kick_destroy(kick);
}

static void test_kick_ends_a_wait(void **state)
{
	struct tk_kick *kick;
	struct tkvm_error err;
	struct pollfd pfd = {.events = POLLIN};

	assert_int_equal(tk_kick_create(&kick, &err), 0);
	pfd.fd = tk_kick_fd(kick);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	tk_kick_send(kick);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_true(tk_kick_drain());
	assert_int_equal(poll(&pfd, 1, 0), 0);
	tk_kick_arm(kick, tk_now_ns() + 5000000);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	tk_kick_destroy(kick);
}

/* The user's queue of signals is full: kicks arrive, and what the owner armed comes when it shall.
 */
static void test_a_full_queue_loses_nothing(void **state)
{
	struct rlimit old, none;
	struct tk_kick *kick;
	struct tkvm_error err;
	struct pollfd pfd = {.events = POLLIN};

	assert_int_equal(getrlimit(RLIMIT_SIGPENDING, &old), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
	assert_int_equal(tk_kick_create(&kick, &err), 0);
	pfd.fd = tk_kick_fd(kick);
	tk_kick_arm(kick, tk_now_ns() + 1000000000);
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &none), 0);
	for (int i = 0; i < 3; i++) {
		tk_kick_send(kick);
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		assert_true(tk_kick_drain());
	}
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(setrlimit(RLIMIT_SIGPENDING, &old), 0);
	tk_kick_destroy(kick);
}

static void test_probing_leaves_a_pending_kick_alone(void **state)
{
	struct tk_kvm_costs costs;
	struct tk_kick *kick;
	struct tkvm_error err;

	assert_int_equal(tk_kick_create(&kick, &err), 0);
	tk_kick_send(kick);
	assert_int_equal(tk_kvm_measure(&kvm, &costs, &err), 0);
	assert_true(tk_kick_drain());
	tk_kick_destroy(kick);
}

/*
 * The storm: kicks at random moments of entry, exit and return. No exit may be lost, seen twice
 * or come with foreign registers. RBX counts system calls, RBP faults; R12 mirrors RCX, R13 R11.
 */
GUEST(storm, "1: inc %rbx\nsyscall\nmov %rcx, %r12\nmov (%r14), %rax\n"
	     "inc %rbp\ncmp %rcx, %r12\njne 2f\njmp 1b\n2: ud2\n");

static void test_kicks_at_random_lose_nothing(void **state)
{
	u64 calls = 0, faults = 0, kicks = 0, in_entry = 0;
	struct kicker k;

	rig_load(&rig, storm);
	rig.r->rbx = rig.r->rbp = 0;
	rig.r->r14 = RIG_HOLE;
	start_kicker(&k, 3000, 37);
	while (!k.done) {
		tk_vcpu_run(rig.vcpu, &rig.exit);
		if (rig.exit.kind == TK_EXIT_INTERRUPTED) {
			tk_kick_drain();
			kicks++;
			in_entry += tk_vcpu_in_entry(rig.vcpu);
			if (!tk_vcpu_in_entry(rig.vcpu))
				assert_true(rig.r->rip - RIG_CODE < 32);
		} else if (rig.exit.kind == TK_EXIT_SYSCALL) {
			assert_int_equal(rig.r->rbx, ++calls);
			assert_int_equal(rig.r->rbp, faults);
			assert_int_equal(rig.r->rip, RIG_CODE + 5);
		} else {
			assert_int_equal(rig.exit.kind, TK_EXIT_FAULT);
			assert_int_equal(rig.exit.vector, 14);
			assert_int_equal(rig.r->rbx, calls);
			assert_int_equal(rig.r->rbp, faults);
			assert_int_equal(rig.exit.cr2, RIG_HOLE);
			assert_int_equal(rig.r->rip, RIG_CODE + 8);
			faults++;
			rig.r->rip += 3;
		}
	}
	stop_kicker(&k);
	print_message("%llu calls, %llu faults, %llu kicks, %llu of them in entry code\n",
		      (unsigned long long)calls, (unsigned long long)faults,
		      (unsigned long long)kicks, (unsigned long long)in_entry);
	assert_true(kicks > 10 && calls > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_kick_before_the_run),
		RIG_TEST(test_kick_from_another_thread),
		RIG_TEST(test_timer_ends_an_endless_loop),
		RIG_TEST(test_kick_ends_a_wait),
		RIG_TEST(test_a_full_queue_loses_nothing),
		RIG_TEST(test_probing_leaves_a_pending_kick_alone),
		RIG_TEST(test_kicks_at_random_lose_nothing),
	};

	return cmocka_run_group_tests(tests, rig_open_kvm, rig_close_kvm);
}
