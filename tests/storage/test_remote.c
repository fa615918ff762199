/* SPDX-License-Identifier: MIT */
/* Remote calls through the public interface: who may see what, for how long, and at what cost. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "message.h"
#include "tinykvm/tinykvm.h"

#define MS	1000000ull
#define CALLERS 8

/* The storage machine, and the thread that serves. */
struct store {
	struct tkvm_remote *remote;
	struct tkvm_machine *machine;
	struct tkvm_result result;
	pthread_t thread;
	int rc;
	unsigned long calls, failed, exits;
	struct tkvm_remote_call impatient; /* the last that gave up waiting */
	bool serving;
	pthread_cond_t changed; /* @serving */
	pthread_mutex_t lock;
};

static void count(void *ctx, void *caller, const struct tkvm_remote_call *call)
{
	struct store *store = ctx;

	(void)caller;
	pthread_mutex_lock(&store->lock);
	store->calls++;
	store->failed += call->error != 0;
	store->exits += call->exits;
	if (call->error == ETIMEDOUT)
		store->impatient = *call;
	pthread_mutex_unlock(&store->lock);
}

static void is_serving(void *ctx)
{
	struct store *store = ctx;

	pthread_mutex_lock(&store->lock);
	store->serving = true;
	pthread_cond_signal(&store->changed);
	pthread_mutex_unlock(&store->lock);
}

static void wait_for_service(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	while (!store->serving)
		pthread_cond_wait(&store->changed, &store->lock);
	pthread_mutex_unlock(&store->lock);
}

static int is_waiting(void *ctx)
{
	return tkvm_machine_waits_for_calls(ctx);
}

static struct tkvm_machine *load(int storage, const char *const *argv, const int *stdio)
{
	struct tkvm_machine_options options = {
		.size = sizeof(options), .storage = storage, .stdio = stdio};
	struct tkvm_machine *machine;
	struct tkvm_error err = {0};

	if (access("/dev/kvm", R_OK | W_OK))
		skip();
	if (tkvm_machine_create(&machine, &options, &err) ||
	    tkvm_machine_load(machine, argv[0], argv, NULL, &err))
		fail_msg("%s", err.message);
	return machine;
}

static struct tkvm_result run(struct tkvm_machine *machine, int (*idle)(void *ctx))
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .wall_ns = 1000000 * MS, .idle = idle, .idle_ctx = machine};
	struct tkvm_result result;
	struct tkvm_error err = {0};

	do
		if (tkvm_machine_run(machine, &limits, &result, &err))
			fail_msg("%s", err.message);
	while (result.outcome == TKVM_INTERRUPTED);
	return result;
}

static void *serve(void *arg)
{
	struct store *store = arg;
	struct tkvm_error err = {0};

	store->rc = tkvm_remote_serve(store->remote, store->machine, &store->result, &err);
	return NULL;
}

static struct tkvm_machine *boot(void)
{
	static const char *const argv[] = {PROGRAM_STORE, NULL};
	struct tkvm_machine *machine = load(1, argv, NULL);

	assert_int_equal(run(machine, is_waiting).outcome, TKVM_IDLE);
	assert_true(tkvm_machine_waits_for_calls(machine));
	return machine;
}

static void open_store_told_by(struct store *store, struct tkvm_machine *machine,
			       uint64_t max_call_ns, void (*serving)(void *ctx))
{
	const struct tkvm_remote_options options = {
		.size = sizeof(options),
		.max_call_ns = max_call_ns,
		.done = count,
		.serving = serving,
		.ctx = store,
	};
	struct tkvm_error err = {0};

	*store = (struct store){.machine = machine};
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->changed, NULL);
	if (tkvm_remote_create(&store->remote, &options, &err))
		fail_msg("%s", err.message);
	assert_int_equal(pthread_create(&store->thread, NULL, serve, store), 0);
}

static void open_store(struct store *store, struct tkvm_machine *machine, uint64_t max_call_ns)
{
	open_store_told_by(store, machine, max_call_ns, is_serving);
}

static void close_store(struct store *store, int rc)
{
	if (rc == 1)
		tkvm_remote_stop(store->remote);
	pthread_join(store->thread, NULL);
	assert_int_equal(store->rc, rc);
	tkvm_machine_destroy(store->machine);
	tkvm_remote_put(store->remote);
	pthread_cond_destroy(&store->changed);
	pthread_mutex_destroy(&store->lock);
}

/* Run "call ..." to its end; what it prints goes to @out. */
static void call(struct tkvm_remote *remote, char *out, size_t size, const char *what,
		 const char *number)
{
	const char *const argv[] = {PROGRAM_CALL, what, number, NULL};
	struct tkvm_machine *machine;
	struct tkvm_result result;
	int ends[2], stdio[3];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	stdio[0] = -1;
	stdio[1] = ends[1];
	stdio[2] = 2;
	machine = load(0, argv, stdio);
	close(ends[1]);
	assert_int_equal(tkvm_machine_connect(machine, remote, NULL), 0);
	result = run(machine, NULL);
	tkvm_machine_destroy(machine);
	n = read(ends[0], out, size - 1);
	close(ends[0]);
	out[n > 0 ? n : 0] = '\0';
	if (result.outcome != TKVM_EXITED || result.status)
		fail_msg("%s: %s: %s", what, result.message, out);
}

static void expect(struct tkvm_remote *remote, int what, const char *number, const char *wanted)
{
	char name[16], out[256];

	snprintf(name, sizeof(name), "%d", what);
	call(remote, out, sizeof(out), name, number);
	if (strcmp(out, wanted) != 0)
		fail_msg("%d %s: %snot %s", what, number, out, wanted);
}

static void test_buffers_of_every_kind(void **state)
{
	struct store store;
	char out[256];

	(void)state;
	open_store(&store, boot(), 0);
	wait_for_service(&store);
	call(store.remote, out, sizeof(out), "check", NULL);
	assert_string_equal(out, "all well\n");
	close_store(&store, 1);
}

static void test_storage_keeps_its_state(void **state)
{
	struct store store;

	(void)state;
	open_store(&store, boot(), 0);
	wait_for_service(&store);
	expect(store.remote, COUNT, "0", "0 - 1 hello from storage 1\n");
	expect(store.remote, COUNT, "0", "0 - 2 hello from storage 2\n");
	expect(store.remote, SLEEP, "20", "0 - 20 \n");
	expect(store.remote, MAP_OVER, "0", "-2022 - 0 \n");
	close_store(&store, 1);
}

/* What storage does beyond its buffer ends storage, and is nothing to the caller. */
static void test_only_the_buffer_and_only_during_the_call(void **state)
{
	static const struct {
		int what;
		const char *number, *wanted;
	} deeds[] = {
		{BEFORE, "0", "-1 Input/output error 0 \n"},
		{BEFORE, "1", "-1 Input/output error 1 \n"},
		{BEHIND, "0", "-1 Input/output error 0 \n"},
		{BEHIND, "1", "-1 Input/output error 1 \n"},
		{USE_KEPT, "4096", "-1 Input/output error 4096 \n"},
		{CRASH, "0", "-1 Input/output error 0 \n"},
		{LEAVE, "0", "-1 Input/output error 0 \n"},
		{HANG, "0", "-1 Connection timed out 0 \n"},
		{SLEEP, "5000", "-1 Connection timed out 5000 \n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		bool lasts = deeds[i].what == HANG || deeds[i].what == SLEEP;
		struct store store;

		open_store(&store, boot(), lasts ? 1000 * MS : 0);
		wait_for_service(&store);
		expect(store.remote, KEEP, "0", "0 - 0 \n");
		expect(store.remote, deeds[i].what, deeds[i].number, deeds[i].wanted);
		pthread_join(store.thread, NULL);
		expect(store.remote, COUNT, "0", "-1 Resource temporarily unavailable 0 \n");
		store.thread = pthread_self();
		assert_int_equal(store.rc, 0);
		if (deeds[i].what == LEAVE)
			assert_int_equal(store.result.status, 3);
		else if (lasts)
			assert_int_equal(store.result.limit, TKVM_LIMIT_TIME);
		else
			assert_int_equal(store.result.outcome, TKVM_SIGNALLED);
		tkvm_machine_destroy(store.machine);
		/* Another one takes its place. */
		store.serving = false;
		store.machine = boot();
		assert_int_equal(pthread_create(&store.thread, NULL, serve, &store), 0);
		wait_for_service(&store);
		expect(store.remote, COUNT, "0", "0 - 1 hello from storage 1\n");
		close_store(&store, 1);
	}
}

/* The same with a caller that is still there, and so is its memory. */
static void test_nothing_of_a_buffer_stays(void **state)
{
	static const char *const what[] = {"kept", "late"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct store store;
		char out[256];

		open_store(&store, boot(), 0);
		wait_for_service(&store);
		call(store.remote, out, sizeof(out), what[i], NULL);
		assert_string_equal(out, "all well\n");
		close_store(&store, 0);
	}
}

static void *call_for_long(void *arg)
{
	struct store *store = arg;

	expect(store->remote, SLEEP, "1000000", "-1 Input/output error 1000000 \n");
	return NULL;
}

#define MOST_LATE 32

/* Whose time is over before its turn was in the queue for so long, and in no call. */
static void test_waiting_is_no_call(void **state)
{
	struct tkvm_run_limits limits = {.size = sizeof(limits), .wall_ns = 500 * MS};
	const int stdio[3] = {-1, -1, -1};
	struct tkvm_machine *late[MOST_LATE];
	struct tkvm_result result;
	struct tkvm_error err = {0};
	struct store store;
	pthread_t thread;
	int n = 0;

	(void)state;
	open_store(&store, boot(), 0);
	wait_for_service(&store);
	assert_int_equal(pthread_create(&thread, NULL, call_for_long, &store), 0);
	/* Until the other one is there, and this one. */
	for (; n < MOST_LATE && !store.impatient.error; n++) {
		late[n] = load(0, (const char *const[]){PROGRAM_CALL, "2", "1", NULL}, stdio);
		assert_int_equal(tkvm_machine_connect(late[n], store.remote, NULL), 0);
		assert_int_equal(tkvm_machine_run(late[n], &limits, &result, &err), 0);
		if (result.outcome == TKVM_LIMIT)
			limits.wall_ns *= 2;
	}
	/* To destroy them waits for the call. */
	tkvm_remote_stop(store.remote);
	pthread_join(thread, NULL);
	while (n)
		tkvm_machine_destroy(late[--n]);
	assert_int_equal(store.impatient.error, ETIMEDOUT);
	assert_true(store.impatient.queue_ns > store.impatient.call_ns);
	close_store(&store, 1);
}

static void *call_once(void *arg)
{
	struct store *store = arg;

	expect(store->remote, ECHO, "1", "1 - 1 \n");
	return NULL;
}

static pthread_t early;

/* The first call comes while it is still told, and has time to fail. */
static void call_at_once(void *ctx)
{
	assert_int_equal(pthread_create(&early, NULL, call_once, ctx), 0);
	usleep(300000);
	is_serving(ctx);
}

static void test_who_is_told_may_call(void **state)
{
	struct store store;

	(void)state;
	open_store_told_by(&store, boot(), 0, call_at_once);
	wait_for_service(&store);
	pthread_join(early, NULL);
	assert_int_equal(store.calls, 1);
	assert_int_equal(store.failed, 0);
	close_store(&store, 1);
}

static int fails; /* mprotect(PROT_NONE): the host can split no mapping */

int __real_mprotect(void *addr, size_t len, int prot);
int __wrap_mprotect(void *addr, size_t len, int prot);
int __wrap_mprotect(void *addr, size_t len, int prot)
{
	if (fails && prot == PROT_NONE) {
		errno = ENOMEM;
		return -1;
	}
	return __real_mprotect(addr, len, prot);
}

static void test_nothing_stays_without_host_mappings(void **state)
{
	fails = 1;
	test_nothing_of_a_buffer_stays(state);
	fails = 0;
}

struct caller {
	struct store *store;
	const char *n;
	pthread_t thread;
	unsigned long exits;
	struct tkvm_result result;
	struct rusage before, after;
};

static void *make_calls(void *arg)
{
	struct caller *caller = arg;
	const char *const argv[] = {PROGRAM_CALL, "many", caller->n, NULL};
	const int stdio[3] = {-1, -1, -1};
	struct tkvm_stats stats = {.size = offsetof(struct tkvm_stats, resident_bytes)};
	struct tkvm_machine *machine = load(0, argv, stdio);

	assert_int_equal(tkvm_machine_connect(machine, caller->store->remote, NULL), 0);
	getrusage(RUSAGE_THREAD, &caller->before);
	caller->result = run(machine, NULL);
	getrusage(RUSAGE_THREAD, &caller->after);
	tkvm_machine_stats(machine, &stats);
	caller->exits = stats.exits;
	tkvm_machine_destroy(machine);
	return NULL;
}

static void test_answers_are_not_mixed_up(void **state)
{
	const char *n = getenv("CALLS");
	struct caller callers[CALLERS];
	struct store store;

	(void)state;
	open_store(&store, boot(), 0);
	wait_for_service(&store);
	for (int i = 0; i < CALLERS; i++) {
		callers[i] = (struct caller){.store = &store, .n = n ? n : "200"};
		pthread_create(&callers[i].thread, NULL, make_calls, &callers[i]);
	}
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].result.outcome, TKVM_EXITED);
		assert_int_equal(callers[i].result.status, 0);
	}
	assert_int_equal(store.calls, CALLERS * strtoul(callers[0].n, NULL, 10));
	assert_int_equal(store.failed, 0);
	close_store(&store, 1);
}

/* One exit of the caller and one of storage for each call, and nobody waits for anybody. */
static void test_a_call_needs_no_scheduler(void **state)
{
	struct caller caller = {.n = "1000"};
	struct store store;

	(void)state;
	open_store(&store, boot(), 0);
	wait_for_service(&store);
	caller.store = &store;
	make_calls(&caller);
	assert_int_equal(store.calls, 1000);
	/* One more for each interruption of the host's, which there may be some of. */
	assert_in_range(store.exits, 1000, 1100);
	assert_in_range(caller.exits, 1000, 1150);
	assert_in_range(caller.after.ru_nvcsw - caller.before.ru_nvcsw, 0, 5);
	close_store(&store, 1);
}

static void test_wrong_uses_are_refused(void **state)
{
	struct tkvm_machine *machine = boot();
	struct tkvm_remote_options options = {.size = 1};
	struct tkvm_remote *remote;
	struct tkvm_error err = {0};
	struct tkvm_result result;
	char out[256];

	(void)state;
	assert_int_equal(tkvm_remote_create(&remote, &options, &err), -EINVAL);
	assert_int_equal(tkvm_remote_create(&remote, NULL, &err), 0);
	assert_int_equal(tkvm_machine_connect(machine, remote, NULL), -EINVAL);
	call(NULL, out, sizeof(out), "1", "0");
	assert_string_equal(out, "-1 Function not implemented 0 \n");
	tkvm_machine_destroy(machine);
	machine = load(0, (const char *const[]){PROGRAM_STORE, NULL}, NULL);
	assert_int_equal(tkvm_remote_serve(remote, machine, &result, &err), -EINVAL);
	tkvm_machine_destroy(machine);
	tkvm_remote_put(remote);
	tkvm_remote_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffers_of_every_kind),
		cmocka_unit_test(test_storage_keeps_its_state),
		cmocka_unit_test(test_who_is_told_may_call),
		cmocka_unit_test(test_only_the_buffer_and_only_during_the_call),
		cmocka_unit_test(test_nothing_of_a_buffer_stays),
		cmocka_unit_test(test_nothing_stays_without_host_mappings),
		cmocka_unit_test(test_waiting_is_no_call),
		cmocka_unit_test(test_answers_are_not_mixed_up),
		cmocka_unit_test(test_a_call_needs_no_scheduler),
		cmocka_unit_test(test_wrong_uses_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
