/* SPDX-License-Identifier: MIT */
/*
 * Storage machines: a thread each, which boots the program (or, with several, forks the one that
 * was booted), serves until the program ends, and does it again. Calls that come in between fail.
 *
 * The first boot is waited for, and its failure ends kvmserver; later ones are tried again, later
 * and later.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "kvmserver.h"
#include "storage.h"

#define MIB	      (1ull << 20)
#define FIRST_PAUSE   (100 * KS_MS)
#define LONGEST_PAUSE (5 * KS_S)
#define LIVED	      (10 * KS_S) /* who lived that long is started again at once */

struct unit {
	struct ks_storage *storage;
	pthread_t thread;
	struct tkvm_remote *remote;
	struct tkvm_machine *machine; /* being booted; under the lock */
	int status;		      /* of the first boot: -1 not known yet; under the lock */
	_Atomic uint64_t restarts;
};

struct ks_storage {
	const struct ks_guest *guest;
	unsigned int n, started;
	pthread_mutex_t lock;
	pthread_cond_t changed;	  /* a status, or stop */
	bool stop;		  /* under the lock */
	struct tkvm_image *image; /* with several: what they are forks of; written by the first */
	struct unit units[];
};

static bool stops(struct ks_storage *storage)
{
	bool stop;

	pthread_mutex_lock(&storage->lock);
	stop = storage->stop;
	pthread_mutex_unlock(&storage->lock);
	return stop;
}

static void set_booting(struct unit *unit, struct tkvm_machine *machine)
{
	pthread_mutex_lock(&unit->storage->lock);
	unit->machine = machine;
	pthread_mutex_unlock(&unit->storage->lock);
}

static int is_waiting(void *ctx)
{
	return tkvm_machine_waits_for_calls(ctx);
}

static int say_not_ready(const struct ks_guest *guest, struct tkvm_machine *machine,
			 const struct tkvm_result *result)
{
	if (result->outcome == TKVM_LIMIT && result->limit == TKVM_LIMIT_TIME) {
		ks_message("storage: %s: does not wait for calls after %g s (--max-boot-time)",
			   guest->name, (double)guest->config->max_boot_time_ms / 1000);
		return 1;
	}
	ks_message("storage: %s: ended before it waited for calls: %s", guest->name,
		   result->message);
	ks_text(tkvm_machine_report(machine));
	return 1;
}

/* Run it until it waits for calls. 0 or an exit status after a message. */
static int run_up(struct unit *unit, struct tkvm_machine *machine)
{
	const struct ks_guest *guest = unit->storage->guest;
	struct tkvm_run_limits limits = {
		.size = sizeof(limits),
		.wall_ns = guest->config->max_boot_time_ms * KS_MS,
		.idle = is_waiting,
		.idle_ctx = machine,
	};
	struct tkvm_result result = {.outcome = TKVM_INTERRUPTED};
	struct tkvm_error err = {0};

	/* Whoever stopped us before there was this machine could not interrupt it. */
	while (result.outcome == TKVM_INTERRUPTED && !stops(unit->storage)) {
		if (tkvm_machine_run(machine, &limits, &result, &err)) {
			ks_message("storage: %s: %s", guest->name, err.message);
			return KS_EXIT_FAILED;
		}
	}
	if (result.outcome == TKVM_IDLE)
		return 0;
	return result.outcome == TKVM_INTERRUPTED ? KS_EXIT_FAILED
						  : say_not_ready(guest, machine, &result);
}

static int boot(struct unit *unit, struct tkvm_machine **ret)
{
	const struct ks_guest *guest = unit->storage->guest;
	uint64_t start = ks_now();
	struct tkvm_machine *machine;
	char text[80];
	int status = ks_guest_load(guest, false, NULL, 0, &machine);

	if (status)
		return status;
	set_booting(unit, machine);
	status = run_up(unit, machine);
	set_booting(unit, NULL);
	if (status) {
		tkvm_machine_destroy(machine);
		return status;
	}
	snprintf(text, sizeof(text), "Storage VM initialized. init=%.0fms\n",
		 (double)(ks_now() - start) / 1e6);
	ks_text(text);
	*ret = machine;
	return 0;
}

static int fork_image(struct ks_storage *storage, struct tkvm_machine **ret)
{
	const struct tkvm_fork_options options = {
		.size = sizeof(options),
		.max_memory = storage->guest->config->max_main_memory * MIB,
		.share_listeners = 1,
		.max_files = UINT_MAX / 2,
		.max_threads = UINT_MAX,
	};
	struct tkvm_error err = {0};

	if (!tkvm_image_fork(storage->image, &options, ret, &err))
		return 0;
	ks_message("storage: cannot make a fork: %s", err.message);
	return KS_EXIT_FAILED;
}

/* The first unit's first deed, where there are several: what all of them are made of. */
static int make_image(struct unit *unit)
{
	struct tkvm_machine *machine;
	struct tkvm_error err = {0};
	int status = boot(unit, &machine);

	if (status)
		return status;
	if (!tkvm_machine_freeze(machine, &unit->storage->image, &err))
		return 0;
	ks_message("storage: %s: %s", unit->storage->guest->name, err.message);
	tkvm_machine_destroy(machine);
	return KS_EXIT_FAILED;
}

static int make(struct unit *unit, struct tkvm_machine **ret)
{
	struct ks_storage *storage = unit->storage;
	int status = 0;

	if (storage->n == 1)
		return boot(unit, ret);
	if (!storage->image)
		status = make_image(unit);
	return status ? status : fork_image(storage, ret);
}

static void set_status(struct unit *unit, int status)
{
	struct ks_storage *storage = unit->storage;

	pthread_mutex_lock(&storage->lock);
	if (unit->status < 0)
		unit->status = status;
	pthread_cond_broadcast(&storage->changed);
	pthread_mutex_unlock(&storage->lock);
}

/* True: it is to end. */
static bool rest(struct ks_storage *storage, uint64_t ns)
{
	uint64_t when = ks_now() + ns;
	struct timespec ts = {(time_t)(when / KS_S), (long)(when % KS_S)};
	bool stop;

	pthread_mutex_lock(&storage->lock);
	while (!storage->stop &&
	       pthread_cond_timedwait(&storage->changed, &storage->lock, &ts) != ETIMEDOUT)
		;
	stop = storage->stop;
	pthread_mutex_unlock(&storage->lock);
	return stop;
}

static void serve(struct unit *unit, struct tkvm_machine *machine)
{
	const struct ks_guest *guest = unit->storage->guest;
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};
	int rc = tkvm_remote_serve(unit->remote, machine, &result, &err);

	if (rc < 0)
		ks_message("storage: %s: %s", guest->name, err.message);
	else if (!rc)
		ks_message("storage: %s: %s; it is started again", guest->name, result.message);
	if (!rc)
		ks_text(tkvm_machine_report(machine));
	set_status(unit, KS_EXIT_FAILED); /* unless it has been serving */
}

/* Not before: the first call of the program that is started now might come too early. */
static void is_serving(void *unit)
{
	set_status(unit, 0);
}

static void *work(void *arg)
{
	struct unit *unit = arg;
	struct ks_storage *storage = unit->storage;
	uint64_t pause = FIRST_PAUSE, born;
	struct tkvm_machine *machine;

	for (;;) {
		int status = make(unit, &machine);

		born = ks_now();
		if (status) {
			set_status(unit, status);
		} else {
			serve(unit, machine);
			tkvm_machine_destroy(machine);
		}
		if (ks_now() - born > LIVED)
			pause = FIRST_PAUSE;
		if (rest(storage, pause))
			return NULL;
		pause = pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
		atomic_fetch_add(&unit->restarts, 1);
	}
}

static void count(void *ctx, void *caller, const struct tkvm_remote_call *call)
{
	struct ks_counters *c = caller;

	(void)ctx;
	if (!c)
		return;
	ks_count(&c->storage_calls, 1);
	ks_count(&c->storage_failed, call->error != 0);
	ks_count(&c->storage_exits, call->exits);
	ks_observe(&c->storage_queue, call->queue_ns);
	ks_observe(&c->storage_call, call->call_ns);
}

/* Start the unit's thread and wait for its first machine. 0 or an exit status after a message. */
static int start_unit(struct ks_storage *storage, struct unit *unit)
{
	const struct tkvm_remote_options options = {
		.size = sizeof(options),
		.max_call_ns = storage->guest->config->max_call_time_ms * KS_MS,
		.done = count,
		.serving = is_serving,
		.ctx = unit,
	};
	struct tkvm_error err = {0};
	sigset_t all, old;
	int rc, status;

	unit->storage = storage;
	unit->status = -1;
	if (tkvm_remote_create(&unit->remote, &options, &err)) {
		ks_message("storage: %s", err.message);
		return KS_EXIT_FAILED;
	}
	/* Signals are the other threads'. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&unit->thread, NULL, work, unit);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		ks_message("storage: cannot start a thread: %s", strerror(rc));
		tkvm_remote_put(unit->remote);
		return KS_EXIT_FAILED;
	}
	storage->started++;
	pthread_mutex_lock(&storage->lock);
	while (unit->status < 0)
		pthread_cond_wait(&storage->changed, &storage->lock);
	status = unit->status;
	pthread_mutex_unlock(&storage->lock);
	return status;
}

static void init_sync(struct ks_storage *storage)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&storage->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&storage->changed, &attr);
	pthread_condattr_destroy(&attr);
}

int ks_storage_start(struct ks_storage **ret, const struct ks_guest *guest, unsigned int n)
{
	struct ks_storage *storage = calloc(1, sizeof(*storage) + n * sizeof(storage->units[0]));
	int status = 0;

	if (!storage) {
		ks_message("out of memory");
		return KS_EXIT_FAILED;
	}
	storage->guest = guest;
	storage->n = n;
	init_sync(storage);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	for (unsigned int i = 0; i < n && !status; i++)
		status = start_unit(storage, &storage->units[i]);
	if (status)
		ks_storage_stop(storage);
	else
		*ret = storage;
	return status;
}

void ks_storage_hurry(struct ks_storage *storage)
{
	for (unsigned int i = 0; storage && i < storage->started; i++)
		tkvm_remote_stop(storage->units[i].remote);
}

static void stop_unit(struct unit *unit)
{
	tkvm_remote_stop(unit->remote);
	pthread_mutex_lock(&unit->storage->lock);
	if (unit->machine)
		tkvm_machine_interrupt(unit->machine);
	pthread_mutex_unlock(&unit->storage->lock);
	pthread_join(unit->thread, NULL);
	tkvm_remote_put(unit->remote);
}

void ks_storage_stop(struct ks_storage *storage)
{
	if (!storage)
		return;
	pthread_mutex_lock(&storage->lock);
	storage->stop = true;
	pthread_cond_broadcast(&storage->changed);
	pthread_mutex_unlock(&storage->lock);
	for (unsigned int i = 0; i < storage->started; i++)
		stop_unit(&storage->units[i]);
	tkvm_image_put(storage->image);
	pthread_cond_destroy(&storage->changed);
	pthread_mutex_destroy(&storage->lock);
	free(storage);
}

void ks_storage_connect(struct ks_storage *storage, unsigned int index,
			struct tkvm_machine *machine, struct ks_counters *counters)
{
	if (storage)
		tkvm_machine_connect(machine, storage->units[index % storage->n].remote, counters);
}

uint64_t ks_storage_restarts(const struct ks_storage *storage)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; storage && i < storage->n; i++)
		sum += atomic_load(&storage->units[i].restarts);
	return sum;
}
