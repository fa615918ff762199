/* SPDX-License-Identifier: MIT */
/* Waiting, timers, futexes and the end of threads on a fake process. */
#include <errno.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "task/exit.h"
#include "task/futex.h"
#include "task/timer.h"

#define MS 1000000ll

static int setup(void **state)
{
	struct fake_proc *fake = calloc(1, sizeof(*fake));

	fake_init(fake);
	fake->proc.max_tasks = 100;
	*state = fake;
	return 0;
}

static int teardown(void **state)
{
	fake_destroy(*state);
	free(*state);
	return 0;
}

static void test_deadline_is_fixed_at_the_first_entry(void **state)
{
	struct tk_task *task = ((struct fake_proc *)*state)->task;
	s64 first = tk_deadline(task, 5 * MS);

	assert_int_equal(tk_block(task, first), TK_BLOCKED);
	assert_int_equal(task->state, TK_TASK_BLOCKED);
	assert_int_equal(tk_deadline(task, 5 * MS), first);
	assert_false(tk_timed_out(task));
	while (tk_now_ns() < first)
		;
	assert_true(tk_timed_out(task));
	tk_task_wake(task);
	assert_true(task->wait.woken);
	tk_wait_end(task);
	assert_false(task->wait.begun);
	assert_int_equal(tk_deadline(task, -1), TK_FOREVER);
	assert_int_equal(tk_deadline(task, TK_FOREVER), TK_FOREVER);
	assert_int_equal(tk_deadline(task, TK_FOREVER - 1), TK_FOREVER);
}

static int n_cancelled;

static void cancel(struct tk_task *task)
{
	n_cancelled++;
}

static void test_what_a_wait_holds_is_freed(void **state)
{
	struct tk_task *task = ((struct fake_proc *)*state)->task;
	struct pollfd fds[100] = {{0}};

	n_cancelled = 0;
	task->wait.priv = malloc(10);
	task->wait.cancel = cancel;
	assert_int_equal(tk_block_fds(task, fds, 100, TK_FOREVER), TK_BLOCKED);
	assert_int_equal(tk_block_fds(task, fds, 2, TK_FOREVER), TK_BLOCKED);
	assert_int_equal(task->wait.nfds, 2);
	tk_wait_end(task);
	assert_int_equal(n_cancelled, 1);
}

static void test_signals_end_waits(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_siginfo info = tk_siginfo_user(SIGUSR1, SI_USER, 2, 0);

	fake->proc.sig.actions[SIGUSR1].handler = 0x1000;
	assert_int_equal(tk_block(fake->task, TK_FOREVER), TK_BLOCKED);
	tk_signal_proc(&fake->proc, &info);
	assert_int_equal(fake->task->state, TK_TASK_RUNNABLE);
	assert_int_equal(tk_block(fake->task, TK_FOREVER), -TK_ERESTARTSYS);
	tk_block_restart(fake->task, TK_RESTART_NOHAND);
	assert_int_equal(tk_block(fake->task, TK_FOREVER), -TK_ERESTARTNOHAND);
	tk_block_restart(fake->task, TK_RESTART_NEVER);
	assert_int_equal(tk_block(fake->task, TK_FOREVER), -EINTR);
}

static void test_ignored_signals_end_no_waits(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_siginfo info = tk_siginfo_user(SIGWINCH, SI_USER, 2, 0);

	assert_int_equal(tk_block(fake->task, TK_FOREVER), TK_BLOCKED);
	tk_signal_proc(&fake->proc, &info);
	assert_int_equal(fake->task->state, TK_TASK_BLOCKED);
	assert_int_equal(fake->proc.sig.shared.pending, 0);
}

static void test_fatal_signal_ends_a_wait_and_the_process(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_siginfo info = tk_siginfo_user(SIGTERM, SI_USER, 2, 0);

	assert_int_equal(tk_block(fake->task, TK_FOREVER), TK_BLOCKED);
	tk_signal_proc(&fake->proc, &info);
	assert_int_equal(fake->task->state, TK_TASK_RUNNABLE);
	assert_int_not_equal(tk_block(fake->task, TK_FOREVER), TK_BLOCKED);
	assert_true(fake->proc.exiting);
	assert_int_equal(fake->proc.term_signal, SIGTERM);
}

static struct tk_timer *timer(struct fake_proc *fake, clockid_t clock, int notify)
{
	struct {
		u64 value;
		int signo, notify, tid, pad[11];
	} ev = {.signo = SIGUSR1, .notify = notify};
	gva_t sev = fake_alloc(fake, &ev, sizeof(ev)), id_at = fake_alloc(fake, NULL, 4);
	int id;

	assert_int_equal(FAKE(fake, timer_create, (u64)clock, sev, id_at), 0);
	fake_get(fake, id_at, &id, sizeof(id));
	return tk_timer_find(&fake->proc, id);
}

static void test_timer_values_at_the_edge(void **state)
{
	static const s64 values[] = {1, TK_FOREVER, TK_FOREVER - 1, TK_NSEC_PER_SEC};
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC,
					   CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	struct fake_proc *fake = *state;

	fake->task->sig.blocked = ~0ull;
	for (unsigned int c = 0; c < 4; c++) {
		struct tk_timer *t = timer(fake, clocks[c], SIGEV_SIGNAL);

		for (unsigned int v = 0; v < 16; v++) {
			tk_timer_set(&fake->proc, t, v % 2, values[v / 4], values[v % 4]);
			assert_true(tk_timers_deadline(&fake->proc) >= 0);
			tk_timers_run(&fake->proc);
			assert_true(tk_timer_left(&fake->proc, t) >= 0);
			tk_timers_run(&fake->proc);
		}
		assert_int_equal(FAKE(fake, timer_delete, (u64)t->id), 0);
	}
	assert_int_equal(fake->proc.sig.shared.pending, 0);
	assert_int_equal(tk_timers_deadline(&fake->proc), TK_FOREVER);
}

static void test_overruns_are_counted_not_run(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_timer *t = timer(fake, CLOCK_MONOTONIC, SIGEV_SIGNAL);
	struct tk_siginfo info;
	s64 start = tk_now_ns();
	int overrun;

	fake->task->sig.blocked = ~0ull;
	tk_timer_set(&fake->proc, t, false, 1, 1000);
	while (tk_now_ns() < start + 5 * MS)
		tk_timers_run(&fake->proc);
	assert_int_equal(fake->proc.sig.shared.n, 1);
	assert_int_equal(tk_signal_dequeue(fake->task, ~0ull, &info), SIGUSR1);
	memcpy(&overrun, info.fields + 4, sizeof(overrun));
	assert_true(overrun >= 4000);
	assert_int_equal(FAKE(fake, timer_getoverrun, (u64)t->id), overrun);
	assert_true(t->expiry > start + 5 * MS);
}

static void test_timers_are_bounded(void **state)
{
	struct fake_proc *fake = *state;
	gva_t id_at = fake_alloc(fake, NULL, 4);
	int n = 0;

	while (n < 100000 && FAKE(fake, timer_create, CLOCK_MONOTONIC, 0, id_at) == 0)
		n++;
	assert_int_equal(n, TK_MAX_TIMERS);
	assert_int_equal(FAKE(fake, timer_create, CLOCK_MONOTONIC, 0, id_at), -EAGAIN);
}

static struct tk_task *waiter(struct fake_proc *fake, gva_t addr)
{
	struct tk_task *task = tk_task_new(&fake->proc);

	assert_non_null(task);
	assert_int_equal(tk_futex_wait(task, addr, false, 0, TK_FUTEX_ANY, TK_FOREVER), TK_BLOCKED);
	return task;
}

static void test_futex_wakes_in_order(void **state)
{
	struct fake_proc *fake = *state;
	gva_t a = fake_alloc(fake, NULL, 4), b = fake_alloc(fake, NULL, 4);
	struct tk_task *first = waiter(fake, a), *second = waiter(fake, a),
		       *third = waiter(fake, b);

	assert_int_equal(tk_futex_wake(&fake->proc, a, false, 1, TK_FUTEX_ANY), 1);
	assert_int_equal(first->state, TK_TASK_RUNNABLE);
	assert_int_equal(second->state, TK_TASK_BLOCKED);
	assert_int_equal(tk_futex_wait(first, a, false, 0, TK_FUTEX_ANY, TK_FOREVER), 0);
	assert_int_equal(tk_futex_requeue(&fake->proc, a, b, false, 0, 10), 1);
	assert_int_equal(tk_futex_wake(&fake->proc, b, false, 10, TK_FUTEX_ANY), 2);
	assert_int_equal(third->state, TK_TASK_RUNNABLE);
	assert_true(tk_list_empty(&fake->proc.futexes));
}

static void test_dead_waiter_leaves_the_queue(void **state)
{
	struct fake_proc *fake = *state;
	gva_t a = fake_alloc(fake, NULL, 4);
	struct tk_task *task = waiter(fake, a);

	tk_task_exit(task, 0);
	assert_true(tk_list_empty(&fake->proc.futexes));
	assert_int_equal(task->state, TK_TASK_DEAD);
	assert_false(fake->proc.exiting);
	tk_task_free(task);
}

static void test_exit_wakes_the_joiner(void **state)
{
	struct fake_proc *fake = *state;
	u32 tid = 77;
	gva_t a = fake_alloc(fake, &tid, 4);
	struct tk_task *task = tk_task_new(&fake->proc);

	assert_int_equal(tk_futex_wait(fake->task, a, true, 77, TK_FUTEX_ANY, TK_FOREVER),
			 TK_BLOCKED);
	task->clear_child_tid = a;
	tk_task_exit(task, 0);
	fake_get(fake, a, &tid, sizeof(tid));
	assert_int_equal(tid, 0);
	assert_int_equal(fake->task->state, TK_TASK_RUNNABLE);
}

static void test_robust_lists_that_bite(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_task *task = tk_task_new(&fake->proc);
	struct {
		u64 next, offset, pending;
		u32 word;
	} loop = {.offset = 24};
	gva_t head = fake_alloc(fake, NULL, sizeof(loop)), entry = fake_alloc(fake, NULL, 16);
	u64 self = entry;

	/* an entry that points at itself, and a lock word at an address nobody has */
	loop.next = entry;
	loop.pending = 0xdeadbeef0000;
	fake_put(fake, entry, &self, sizeof(self));
	fake_put(fake, head, &loop, sizeof(loop));
	task->robust_list = head;
	tk_robust_list_exit(task);
	task->robust_list = 3;
	tk_robust_list_exit(task);
	loop.next = ~0ull;
	loop.offset = ~0ull;
	fake_put(fake, head, &loop, sizeof(loop));
	task->robust_list = head;
	tk_robust_list_exit(task);
}

static void test_owner_of_a_robust_lock_dies(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_task *task = tk_task_new(&fake->proc);
	struct {
		u64 next, offset, pending, entry;
		u32 word;
	} list = {.offset = 8};
	gva_t at = fake_alloc(fake, NULL, sizeof(list));

	list.next = at + 24;
	list.entry = at;
	list.word = (u32)task->tid | FUTEX_WAITERS;
	fake_put(fake, at, &list, sizeof(list));
	task->robust_list = at;
	tk_robust_list_exit(task);
	fake_get(fake, at, &list, sizeof(list));
	assert_int_equal(list.word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
}

static void test_last_thread_ends_the_process(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_task *task = tk_task_new(&fake->proc);

	tk_task_exit(fake->task, 5); /* the first thread's status is the process's */
	assert_false(fake->proc.exiting);
	tk_task_exit(task, 6);
	assert_true(fake->proc.exiting);
	assert_int_equal(fake->proc.exit_status, 5);
}

static void test_thread_ids_begin_again(void **state)
{
	struct fake_proc *fake = *state;
	struct tk_task *a, *b;

	fake->proc.next_tid = 4194303;
	a = tk_task_new(&fake->proc);
	b = tk_task_new(&fake->proc);
	assert_int_equal(a->tid, 4194303);
	assert_int_equal(b->tid, TK_GUEST_PID + 1);
	fake->proc.max_tasks = fake->proc.n_tasks;
	assert_null(tk_task_new(&fake->proc));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deadline_is_fixed_at_the_first_entry),
		TEST(test_what_a_wait_holds_is_freed),
		TEST(test_signals_end_waits),
		TEST(test_ignored_signals_end_no_waits),
		TEST(test_fatal_signal_ends_a_wait_and_the_process),
		TEST(test_timer_values_at_the_edge),
		TEST(test_overruns_are_counted_not_run),
		TEST(test_timers_are_bounded),
		TEST(test_futex_wakes_in_order),
		TEST(test_dead_waiter_leaves_the_queue),
		TEST(test_exit_wakes_the_joiner),
		TEST(test_robust_lists_that_bite),
		TEST(test_owner_of_a_robust_lock_dies),
		TEST(test_last_thread_ends_the_process),
		TEST(test_thread_ids_begin_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
