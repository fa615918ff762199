/* SPDX-License-Identifier: MIT */
/*
 * Booting a server program. It is ready when it listens and all its threads wait; it is quiet, and
 * can be frozen, when it is ready and has no connection open; it has settled when moreover no timer
 * is due soon (settle.h). All is looked at whenever the program is idle; a watchdog ends the wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "kvmserver.h"
#include "master.h"
#include "serve.h"
#include "settle.h"
#include "signals.h"
#include "warmup.h"

#define LOOK_NS (100 * KS_MS) /* how soon a cancellation is noticed */

/* What has to be so for a run to end well. */
struct goal {
	struct ks_master *master;
	struct ks_warmup *warmup; /* NULL: there is none */
	struct ks_settle *settle; /* NULL: it need not have settled */
	bool reached;
};

/*
 * Interrupts the machine once the time is over, or it is cancelled; and at @nudge, for the goal to
 * be looked at again: the program may be idle until then, and for ever after.
 */
struct watchdog {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct tkvm_machine *machine;
	const atomic_bool *cancel;
	uint64_t nudge, end;
	bool stop;
	atomic_bool bitten;
};

static bool is_cancelled(const struct watchdog *dog)
{
	return dog->cancel && atomic_load(dog->cancel);
}

static void wait_a_little(struct watchdog *dog)
{
	uint64_t when = ks_now() + LOOK_NS;
	struct timespec ts;

	when = when < dog->end ? when : dog->end;
	when = when < dog->nudge ? when : dog->nudge;
	ts = (struct timespec){(time_t)(when / KS_S), (long)(when % KS_S)};
	pthread_cond_timedwait(&dog->cond, &dog->lock, &ts);
}

static void nudge(struct watchdog *dog)
{
	if (dog->stop || ks_now() < dog->nudge)
		return;
	dog->nudge = UINT64_MAX;
	tkvm_machine_interrupt(dog->machine);
}

static void *watch(void *arg)
{
	struct watchdog *dog = arg;

	pthread_mutex_lock(&dog->lock);
	while (!dog->stop && !is_cancelled(dog) && ks_now() < dog->end) {
		wait_a_little(dog);
		nudge(dog);
	}
	if (!dog->stop) {
		atomic_store(&dog->bitten, true);
		tkvm_machine_interrupt(dog->machine);
	}
	pthread_mutex_unlock(&dog->lock);
	return NULL;
}

/* @ms: 0: no limit. */
static int watchdog_start(struct watchdog *dog, const struct goal *goal, uint64_t ms)
{
	const struct ks_master *master = goal->master;
	pthread_condattr_t attr;
	int rc;

	*dog = (struct watchdog){.machine = master->machine, .cancel = master->cancel};
	dog->end = ms ? ks_now() + ms * KS_MS : UINT64_MAX;
	dog->nudge = goal->settle ? goal->settle->start + goal->settle->limit : UINT64_MAX;
	pthread_mutex_init(&dog->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dog->cond, &attr);
	pthread_condattr_destroy(&attr);
	rc = pthread_create(&dog->thread, NULL, watch, dog);
	if (rc)
		ks_message("cannot start a thread: %s", strerror(rc));
	return rc;
}

/* Returns whether it had to bite. */
static bool watchdog_stop(struct watchdog *dog)
{
	pthread_mutex_lock(&dog->lock);
	dog->stop = true;
	pthread_cond_signal(&dog->cond);
	pthread_mutex_unlock(&dog->lock);
	pthread_join(dog->thread, NULL);
	pthread_cond_destroy(&dog->cond);
	pthread_mutex_destroy(&dog->lock);
	return dog->bitten;
}

static void say_thread(void *ctx, int tid, const char *name, const char *doing)
{
	ks_message("  thread %d (%s) %s", tid, name, doing);
}

static bool has_listener(struct tkvm_machine *machine)
{
	struct tkvm_listener listener = {.size = sizeof(listener)};

	return !tkvm_machine_listener(machine, 0, &listener);
}

static void say_not_ready(const struct ks_master *master, const char *what)
{
	unsigned int n = tkvm_machine_connections(master->machine);

	ks_message("%s: not ready %s after %g s (--max-boot-time): %s", master->guest->name, what,
		   (double)master->guest->config->max_boot_time_ms / 1000,
		   has_listener(master->machine) ? "it does not wait for connections"
						 : "it has no listening socket");
	if (n)
		ks_message("  %u connection%s open", n, n > 1 ? "s are" : " is");
	tkvm_machine_threads(master->machine, say_thread, NULL);
}

static int goal_reached(void *ctx)
{
	struct goal *goal = ctx;
	struct ks_master *master = goal->master;

	if (goal->warmup && !ks_warmup_is_over(goal->warmup))
		return 0;
	goal->reached = tkvm_machine_ready(master->machine, &master->call) &&
			!tkvm_machine_connections(master->machine) &&
			(!goal->settle || ks_settled(goal->settle, master->machine));
	return goal->reached;
}

/* More to do before the goal: run on. */
static bool is_on_the_way(const struct goal *goal, const struct watchdog *dog)
{
	if (atomic_load(&dog->bitten))
		return false;
	return !goal->warmup || !ks_warmup_failed(goal->warmup);
}

/* Run until the goal, the watchdog's bite, a failure of the warm-up, or the program's end. */
static int run_until(struct goal *goal, const struct watchdog *dog)
{
	struct ks_master *master = goal->master;
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .idle = goal_reached, .idle_ctx = goal};
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};

	do {
		if (goal->warmup)
			ks_warmup_offer(goal->warmup);
		if (tkvm_machine_run(master->machine, &limits, &result, &err)) {
			ks_message("%s: %s", master->guest->name, err.message);
			return KS_EXIT_FAILED;
		}
	} while (result.outcome == TKVM_INTERRUPTED && is_on_the_way(goal, dog));
	if (result.outcome == TKVM_IDLE || result.outcome == TKVM_INTERRUPTED)
		return 0;
	master->ended = true;
	/* An end that is none of our business, unless it looks like success. */
	if (result.outcome == TKVM_EXITED && !result.status)
		ks_message("%s: ended before it was ready to serve", master->guest->name);
	return ks_guest_end_status(master->guest, master->machine, &result);
}

/* @what: "to serve"; what it is not ready for after @ms. */
static int run_watched(struct goal *goal, uint64_t ms, const char *what)
{
	struct ks_master *master = goal->master;
	struct watchdog dog;
	int status;

	if (watchdog_start(&dog, goal, ms))
		return KS_EXIT_FAILED;
	status = run_until(goal, &dog);
	if (!watchdog_stop(&dog) || status || goal->reached || master->ended)
		return status;
	if (!is_cancelled(&dog))
		say_not_ready(master, what);
	return 1;
}

/* The program has ended, or is to: requests that wait for it need not. */
static void give_up(struct ks_master *master, struct ks_warmup *warmup)
{
	ks_warmup_forget_machine(warmup);
	if (!master->replaces)
		ks_signals_forward(NULL);
	tkvm_machine_destroy(master->machine);
	master->machine = NULL;
}

static int run_warmup(struct ks_master *master, struct ks_warmup *warmup)
{
	struct goal goal = {.master = master, .warmup = warmup};
	int status = run_watched(&goal, 0, "");

	/* Its last connection may take its time to close. */
	if (!status && !master->ended && !ks_warmup_failed(warmup) && !goal.reached) {
		goal.warmup = NULL;
		status = run_watched(&goal, master->guest->config->max_boot_time_ms,
				     "again after the warm-up");
	}
	return status;
}

static int warm_up(struct ks_master *master)
{
	const struct ks_config *config = master->guest->config;
	struct tkvm_listener listener = {.size = sizeof(listener)};
	struct ks_warmup *warmup;
	uint64_t start = ks_now();
	int status;

	if (!config->warmup)
		return 0;
	if (tkvm_machine_listener(master->machine, 0, &listener))
		return KS_EXIT_FAILED;
	warmup = ks_warmup_start(config, &listener, master->machine, config->ephemeral);
	if (!warmup)
		return KS_EXIT_FAILED;
	status = run_warmup(master, warmup);
	if (status || master->ended)
		give_up(master, warmup);
	if (ks_warmup_end(warmup, status || master->ended ? NULL : master->guest->name))
		status = status || master->ended ? status : 1;
	master->warmup_ns = ks_now() - start;
	return status;
}

static void say_settled(const struct ks_master *master, const struct ks_settle *settle)
{
	char rest[48] = "none";

	if (settle->rest != UINT64_MAX)
		snprintf(rest, sizeof(rest), "%.0f ms", (double)settle->rest / 1e6);
	ks_message("%s: waited for timers for %.0f ms; the next one: %s", master->guest->name,
		   (double)settle->waited / 1e6, rest);
}

/* Let it do what it has put off, before it is frozen. */
static int settle(struct ks_master *master)
{
	const struct ks_config *config = master->guest->config;
	struct ks_settle settle = {.start = ks_now(), .limit = config->settle_time_ms * KS_MS};
	struct goal goal = {.master = master, .settle = &settle};
	uint64_t most = config->max_boot_time_ms;
	int status;

	if (!config->settle_time_ms || !ks_serve_by_forks(config))
		return 0;
	status = run_watched(&goal, most ? most + config->settle_time_ms : 0, "to be frozen");
	if (config->verbose && goal.reached)
		say_settled(master, &settle);
	return status;
}

static int keep_listeners(struct ks_master *master)
{
	struct tkvm_listener listener = {.size = sizeof(listener)};

	while (master->n_listeners < KS_MAX_LISTENERS &&
	       !tkvm_machine_listener(master->machine, master->n_listeners, &listener)) {
		int fd = fcntl(listener.fd, F_DUPFD_CLOEXEC, 3);

		if (fd < 0) {
			ks_message("%s: listening socket: %s", master->guest->name,
				   strerror(errno));
			return KS_EXIT_FAILED;
		}
		master->known[master->n_listeners] = listener;
		master->known[master->n_listeners].fd = fd;
		master->listeners[master->n_listeners++] = fd;
	}
	if (tkvm_machine_listener(master->machine, KS_MAX_LISTENERS, &listener))
		return 0;
	ks_message("%s: it listens on more than %d sockets, which is not supported",
		   master->guest->name, KS_MAX_LISTENERS);
	return KS_EXIT_FAILED;
}

int ks_master_boot(struct ks_master *master, const struct ks_guest *guest,
		   const struct ks_master *old, const atomic_bool *cancel)
{
	struct goal goal = {.master = master};
	uint64_t start = ks_now();
	int status;

	*master = (struct ks_master){.guest = guest, .cancel = cancel, .replaces = old};
	status = ks_guest_load(guest, guest->config->ephemeral, old ? old->known : NULL,
			       old ? old->n_listeners : 0, &master->machine);
	if (status)
		return status;
	if (!old)
		ks_signals_forward(master->machine);
	status = run_watched(&goal, guest->config->max_boot_time_ms, "to serve");
	master->boot_ns = ks_now() - start;
	if (!status && !master->ended)
		status = warm_up(master);
	if (!status && !master->ended)
		status = settle(master);
	if (!status && !master->ended)
		status = keep_listeners(master);
	if (!old && (status || master->ended))
		ks_signals_forward(NULL);
	return status;
}

#define FREEZE_TRIES 10

int ks_master_freeze(struct ks_master *master)
{
	struct goal goal = {.master = master};
	struct tkvm_error err = {0};
	int status;

	/* Something may have come since it was idle: a timer, a byte in a pipe. */
	for (int i = 0; tkvm_machine_freeze(master->machine, &master->image, &err); i++) {
		if (err.code != EBUSY || i == FREEZE_TRIES) {
			ks_message("%s: %s", master->guest->name, err.message);
			return KS_EXIT_FAILED;
		}
		status =
			run_watched(&goal, master->guest->config->max_boot_time_ms, "to be frozen");
		if (status || master->ended)
			return status ? status : KS_EXIT_FAILED;
	}
	master->machine = NULL;
	return 0;
}

void ks_master_destroy(struct ks_master *master)
{
	for (unsigned int i = 0; i < master->n_listeners; i++)
		close(master->listeners[i]);
	master->n_listeners = 0;
	tkvm_image_put(master->image);
	tkvm_machine_destroy(master->machine);
	master->image = NULL;
	master->machine = NULL;
}
