/* SPDX-License-Identifier: MIT */
/*
 * Workers. A request is offered to the fork, which runs until it is over (exchange.c says when);
 * then the fork is reset. A fork that came to harm is destroyed, and another made in its place.
 *
 * Housekeeping may interrupt a run from outside: @lock keeps the machine and the connection from
 * going away meanwhile.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "exchange.h"
#include "kvmserver.h"
#include "reaper.h"
#include "storage.h"
#include "tally.h"
#include "worker.h"

#define MIB	 (1ull << 20)
#define BUF_SIZE 65536
#define PATIENCE                                                                                   \
	(100 * KS_MS) /* until a client that left is looked for, and work after a response */
#define RETRY_US      100000
#define MAX_RETRIES   16 /* times that, at most, from one try to the next */
#define REQUEST_FILES 1024u
#define WAIT_MS	      1000 /* a new generation is noticed by then */

/* Why a run was interrupted. */
enum stop { STOP_NOT, STOP_GONE, STOP_WORKS_ON, STOP_HURRY };

struct ks_worker {
	struct ks_pool *pool;
	unsigned int index, generation;
	pthread_t thread;
	atomic_int state;
	struct tkvm_machine *fork;	/* changes under the lock */
	struct ks_exchange *exchange;	/* changes under the lock */
	struct tkvm_machine *condemned; /* to be destroyed after this request; NULL: none */
	pthread_mutex_t lock;
	struct ks_conn *conn; /* whose request is being served; under the lock */
	uint64_t begun;	      /* when; under the lock */
	atomic_int stop;
	struct ks_tally tally;
	struct ks_counters counters;
	char buf[BUF_SIZE];
};

struct ks_counters *ks_worker_counters(struct ks_worker *worker)
{
	return &worker->counters;
}

int ks_worker_state(const struct ks_worker *worker)
{
	return atomic_load(&worker->state);
}

static void set_fork(struct ks_worker *worker, struct tkvm_machine *fork)
{
	pthread_mutex_lock(&worker->lock);
	worker->fork = fork;
	pthread_mutex_unlock(&worker->lock);
	ks_tally_begin(&worker->tally);
}

static void drop_fork(struct ks_worker *worker)
{
	struct tkvm_machine *fork = worker->fork;

	set_fork(worker, NULL);
	tkvm_machine_destroy(fork);
}

static struct tkvm_image *current_image(struct ks_worker *worker)
{
	struct tkvm_image *image;

	pthread_mutex_lock(&worker->pool->lock);
	image = tkvm_image_get(worker->pool->image);
	worker->generation = atomic_load(&worker->pool->generation);
	pthread_mutex_unlock(&worker->pool->lock);
	return image;
}

/*
 * What a fork may take of our descriptors, so that no request can leave none for others: besides
 * those of the workers there are the image and forks that are about to go.
 */
static unsigned int file_share(const struct ks_worker *worker)
{
	const struct ks_pool *pool = worker->pool;
	unsigned int share =
		ks_reaper_files() / (pool->n_workers + 1 + ks_reaper_room(pool->reaper));

	if (pool->guest->config->ephemeral && share > REQUEST_FILES)
		share = REQUEST_FILES;
	return share ? share : 1;
}

static int make_fork(struct ks_worker *worker, struct tkvm_error *err)
{
	const struct ks_config *config = worker->pool->guest->config;
	struct tkvm_fork_options options = {
		.size = sizeof(options),
		.max_memory = config->max_request_memory * MIB,
		.share_listeners = !config->ephemeral,
		.max_files = file_share(worker),
		.new_pids = config->new_pid,
	};
	struct tkvm_image *image = current_image(worker);
	struct tkvm_machine *fork;
	int rc;

	if (!config->ephemeral) {
		options.max_memory = config->max_main_memory * MIB;
		options.max_threads = UINT_MAX; /* as many as the program itself could have had */
	}
	rc = tkvm_image_fork(image, &options, &fork, err);
	tkvm_image_put(image);
	if (rc)
		return rc;
	ks_count(&worker->counters.forks, 1);
	ks_storage_connect(worker->pool->guest->storage, worker->index, fork, &worker->counters);
	set_fork(worker, fork);
	return 0;
}

static void say_no_fork(const struct ks_worker *worker, const struct tkvm_error *err)
{
	ks_message("worker %u: cannot make a fork: %s", worker->index, err->message);
}

/*
 * The fork goes, when the request is dealt with if the reaper has room for it; if it has not, now:
 * there must not be more of them than there are descriptors for.
 */
static void condemn(struct ks_worker *worker)
{
	if (!ks_reaper_reserve(worker->pool->reaper)) {
		drop_fork(worker);
		return;
	}
	worker->condemned = worker->fork;
	set_fork(worker, NULL);
}

/* Another fork in place of this one. The host may be out of something for a while. */
static void renew_fork(struct ks_worker *worker)
{
	const atomic_bool *stopping = &worker->pool->stopping;
	unsigned int wait = 1, waited;
	struct tkvm_error err = {0};

	if (worker->fork)
		condemn(worker);
	if (!make_fork(worker, &err) || atomic_load(stopping))
		return;
	say_no_fork(worker, &err);
	/* What the old one has may be what is missing. */
	if (worker->condemned) {
		tkvm_machine_destroy(worker->condemned);
		worker->condemned = NULL;
		ks_reaper_unreserve(worker->pool->reaper);
	}
	while (make_fork(worker, &err)) {
		for (waited = 0; waited < wait && !atomic_load(stopping); waited++)
			usleep(RETRY_US);
		if (atomic_load(stopping))
			return;
		wait = wait < MAX_RETRIES ? 2 * wait : MAX_RETRIES;
	}
	ks_message("worker %u: made a fork", worker->index);
}

static uint64_t stall_limit(const struct ks_worker *worker)
{
	return worker->pool->guest->config->max_stall_time_ms * KS_MS;
}

/* The program is idle, and there is nothing that it waits for but may be its client. */
static int is_over(void *ctx)
{
	struct ks_worker *worker = ctx;
	struct ks_exchange *exchange = worker->exchange;
	bool over = ks_exchange_is_over(exchange) ||
		    ks_exchange_is_stalled(exchange, ks_now(), stall_limit(worker));

	if (exchange->blocks && !exchange->conn->is_open)
		ks_lobby_hold(worker->pool->lobby, exchange->conn);
	return over;
}

/* Run the fork until the request is over, or something ends it. */
static int run_fork(struct ks_worker *worker, struct tkvm_result *result, struct tkvm_error *err)
{
	uint64_t limit = worker->pool->guest->config->max_request_time_ms * KS_MS, used;
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .wall_ns = limit, .idle = is_over, .idle_ctx = worker};
	int rc;

	do {
		used = ks_now() - worker->begun;
		if (limit)
			limits.wall_ns = used < limit ? limit - used : 1;
		rc = tkvm_machine_run(worker->fork, &limits, result, err);
	} while (!rc && result->outcome == TKVM_INTERRUPTED && !atomic_load(&worker->stop));
	return rc;
}

static void begin_request(struct ks_worker *worker, struct ks_conn *conn)
{
	pthread_mutex_lock(&worker->lock);
	worker->conn = conn;
	worker->begun = ks_now();
	atomic_store(&worker->stop, STOP_NOT);
	pthread_mutex_unlock(&worker->lock);
	if (conn->asked)
		ks_observe(&worker->counters.wait, worker->begun - conn->asked_at);
}

static void end_request(struct ks_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->conn = NULL;
	pthread_mutex_unlock(&worker->lock);
}

/* The error response for a run that ended badly; 0: the program ended, but not badly. */
static int error_status(struct ks_worker *worker, const struct tkvm_result *result)
{
	struct ks_counters *c = &worker->counters;

	if (result->outcome == TKVM_LIMIT && result->limit == TKVM_LIMIT_TIME) {
		ks_count(&c->timeouts, 1);
		return 504;
	}
	if (result->outcome == TKVM_LIMIT) {
		ks_count(&c->out_of_memory, 1);
		return 507;
	}
	if (result->outcome == TKVM_INTERRUPTED) {
		bool gone = atomic_load(&worker->stop) == STOP_GONE;

		ks_count(&c->gone, gone);
		return gone ? 499 : 503;
	}
	if (result->outcome == TKVM_EXITED && ks_exchange_is_over(worker->exchange))
		return 0;
	ks_count(&c->crashed, 1);
	return 502;
}

static void say_end(const struct ks_worker *worker, const struct tkvm_result *result)
{
	if (result->outcome == TKVM_INTERRUPTED)
		return;
	ks_message("%s: worker %u: %s", worker->pool->guest->name, worker->index, result->message);
	if (result->outcome == TKVM_FAILED)
		ks_text(tkvm_machine_report(worker->fork));
}

static bool ended_well(const struct ks_worker *worker, const struct tkvm_result *result)
{
	return result->outcome == TKVM_IDLE ||
	       (result->outcome == TKVM_INTERRUPTED && atomic_load(&worker->stop) == STOP_WORKS_ON);
}

static void try_reset(struct ks_worker *worker)
{
	struct tkvm_error err = {0};

	if (!tkvm_machine_reset(worker->fork, &err)) {
		ks_count(&worker->counters.resets, 1);
		ks_tally_reset(&worker->tally, worker->fork, &worker->counters);
		return;
	}
	/* The connection may stay: it is needed back at once. */
	ks_count(&worker->counters.stale, 1);
	drop_fork(worker);
	renew_fork(worker);
}

static void end_stalled(struct ks_worker *worker)
{
	struct ks_exchange *exchange = worker->exchange;

	if (!exchange->stalled)
		return;
	ks_count(&worker->counters.stalled, 1);
	if (ks_exchange_refuse(exchange, 408))
		ks_count(&worker->counters.refused, 1);
	else if (exchange->unread)
		ks_conn_abort(exchange->conn);
}

/* Offer, run, reset or renew. The connection is ours again afterwards. */
static void serve(struct ks_worker *worker, struct ks_conn *conn)
{
	struct ks_exchange *exchange = worker->exchange;
	struct ks_counters *c = &worker->counters;
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};
	uint64_t ran;
	int rc, status;

	begin_request(worker, conn);
	ks_exchange_begin(exchange, conn, worker->buf, sizeof(worker->buf));
	rc = ks_exchange_offer(exchange, worker->fork);
	if (!rc)
		rc = run_fork(worker, &result, &err);
	ran = ks_now();
	ks_exchange_ran(exchange, ran - worker->begun);
	ks_observe(&c->guest, exchange->guest_ns);
	if (worker->fork)
		ks_tally_run(&worker->tally, worker->fork, c);
	if (rc) {
		snprintf(result.message, sizeof(result.message), "%s",
			 err.message[0] ? err.message : strerror(-rc));
		result.outcome = TKVM_FAILED;
	}
	if (!rc && ended_well(worker, &result)) {
		end_stalled(worker);
		if (conn->http.refused)
			ks_count(&c->refused, ks_exchange_refuse(exchange, 400));
		try_reset(worker);
	} else {
		status = error_status(worker, &result);
		if (status) {
			say_end(worker, &result);
			ks_count(&c->refused, ks_exchange_refuse(exchange, status));
		}
		renew_fork(worker);
	}
	exchange->reset_ns = ks_now() - ran;
	ks_observe(&c->reset, exchange->reset_ns);
	end_request(worker);
}

static void count_request(struct ks_worker *worker)
{
	const struct ks_exchange *exchange = worker->exchange;
	struct ks_counters *c = &worker->counters;
	int status = exchange->conn->http.status;

	ks_count(&c->requests, 1);
	ks_count(&c->request_bytes, exchange->taken);
	ks_count(&c->response_bytes, exchange->conn->sent);
	ks_count(&c->status[status > 0 && status < 600 ? status : 0], 1);
}

/* The fork that served still has the connection: both go, in the background if possible. */
static void give_up(struct ks_worker *worker)
{
	struct ks_exchange *old = worker->exchange, *exchange = calloc(1, sizeof(*exchange));
	struct tkvm_machine *fork = worker->condemned;

	worker->condemned = NULL;
	if (exchange) {
		ks_reaper_take(worker->pool->reaper, fork, old);
		pthread_mutex_lock(&worker->lock);
		worker->exchange = exchange;
		pthread_mutex_unlock(&worker->lock);
		return;
	}
	tkvm_machine_destroy(fork);
	ks_reaper_unreserve(worker->pool->reaper);
	ks_lobby_drop(worker->pool->lobby, old->conn);
}

/* A fork that has no connection. */
static void bury(struct ks_worker *worker)
{
	if (worker->condemned)
		ks_reaper_take(worker->pool->reaper, worker->condemned, NULL);
	worker->condemned = NULL;
}

/* A fork of the image that is current now, in place of one that has no connection. */
static void replace_fork(struct ks_worker *worker)
{
	renew_fork(worker);
	bury(worker);
}

static void handle(struct ks_worker *worker, struct ks_conn *conn)
{
	serve(worker, conn);
	conn->requests++;
	count_request(worker);
	if (worker->pool->guest->config->verbose)
		ks_exchange_log(worker->exchange, worker->index);
	if (worker->condemned && !worker->exchange->closed) {
		give_up(worker);
		return;
	}
	bury(worker);
	if (ks_exchange_may_keep(worker->exchange) && !atomic_load(&worker->pool->stopping)) {
		ks_count(&worker->counters.kept, 1);
		ks_lobby_keep(worker->pool->lobby, conn);
	} else {
		ks_lobby_drop(worker->pool->lobby, conn);
	}
}

/* There is no program for it: we stop, or it does not listen there any more. */
static void turn_away(struct ks_worker *worker, struct ks_conn *conn)
{
	if (ks_http_is_http(&conn->http)) {
		ks_conn_refuse(conn, 503);
		ks_count(&worker->counters.refused, 1);
		ks_count(&worker->counters.status[503], 1);
	}
	ks_lobby_drop(worker->pool->lobby, conn);
}

static void handle_or_not(struct ks_worker *worker, struct ks_conn *conn)
{
	if (worker->fork && ks_lobby_place(worker->pool->lobby, conn, worker->generation)) {
		handle(worker, conn);
		if (worker->fork)
			ks_tally_memory(&worker->tally, worker->fork, &worker->counters);
	} else {
		turn_away(worker, conn);
	}
}

static bool is_current(const struct ks_worker *worker)
{
	return worker->generation == atomic_load(&worker->pool->generation);
}

static void serve_clients(struct ks_worker *worker)
{
	struct ks_pool *pool = worker->pool;
	struct ks_vigil vigil = {0};
	int nothings = 0;

	/* When it stops, what has come is served: the bell alone, twice, says that this is all. */
	while (!atomic_load(&pool->hurry) && nothings < 2) {
		bool stopping = atomic_load(&pool->stopping);
		enum ks_lobby_what what;
		struct ks_conn *conn = ks_lobby_next(pool->lobby, &vigil, stopping ? 0 : WAIT_MS,
						     worker->buf, sizeof(worker->buf), &what);

		nothings = stopping && what == KS_LOBBY_NOTHING ? nothings + 1 : 0;
		if (what == KS_LOBBY_REFUSED) {
			ks_count(&worker->counters.refused, 1);
			ks_count(&worker->counters.status[400], 1);
		}
		if (!is_current(worker))
			replace_fork(worker);
		if (conn)
			handle_or_not(worker, conn);
	}
}

/* The spare worker. Most servers have no need of it: its fork is made for the first that comes. */
static void serve_parked(struct ks_worker *worker)
{
	struct ks_pool *pool = worker->pool;
	bool over = false;

	while (!atomic_load(&pool->hurry) && !over) {
		struct ks_conn *conn = ks_lobby_next_parked(pool->lobby, WAIT_MS / 1000, &over);

		if (worker->fork && !is_current(worker))
			drop_fork(worker);
		if (conn && !worker->fork)
			replace_fork(worker);
		if (conn)
			handle_or_not(worker, conn);
	}
}

/* Without resets: the fork accepts for itself, until it ends. */
static void serve_itself(struct ks_worker *worker)
{
	struct ks_pool *pool = worker->pool;
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};

	while (!atomic_load(&pool->stopping)) {
		if (tkvm_machine_run(worker->fork, NULL, &result, &err)) {
			ks_message("worker %u: %s", worker->index, err.message);
			usleep(RETRY_US);
		} else if (result.outcome != TKVM_INTERRUPTED) {
			say_end(worker, &result);
			ks_count(&worker->counters.crashed, 1);
		} else if (is_current(worker)) {
			continue;
		}
		if (!atomic_load(&pool->stopping))
			replace_fork(worker);
	}
}

static bool is_spare(const struct ks_worker *worker)
{
	return worker->pool->spare && worker->index + 1 == worker->pool->n_workers;
}

static void *work(void *arg)
{
	struct ks_worker *worker = arg;
	struct tkvm_error err = {0};

	if (is_spare(worker)) {
		atomic_store(&worker->state, 1);
		serve_parked(worker);
	} else if (make_fork(worker, &err)) {
		say_no_fork(worker, &err);
		atomic_store(&worker->state, -1);
	} else {
		atomic_store(&worker->state, 1);
		if (worker->pool->guest->config->ephemeral)
			serve_clients(worker);
		else
			serve_itself(worker);
	}
	drop_fork(worker);
	atomic_fetch_sub(&worker->pool->alive, 1);
	return NULL;
}

struct ks_worker *ks_worker_start(struct ks_pool *pool, unsigned int index)
{
	struct ks_worker *worker = calloc(1, sizeof(*worker));
	int rc = ENOMEM;

	if (worker)
		worker->exchange = calloc(1, sizeof(*worker->exchange));
	if (worker && worker->exchange) {
		worker->pool = pool;
		worker->index = index;
		pthread_mutex_init(&worker->lock, NULL);
		atomic_fetch_add(&pool->alive, 1);
		rc = pthread_create(&worker->thread, NULL, work, worker);
	}
	if (!rc)
		return worker;
	if (worker && worker->exchange)
		atomic_fetch_sub(&pool->alive, 1);
	if (worker)
		free(worker->exchange);
	free(worker);
	ks_message("cannot start a worker: %s", strerror(rc));
	return NULL;
}

void ks_worker_end(struct ks_worker *worker)
{
	pthread_join(worker->thread, NULL);
	pthread_mutex_destroy(&worker->lock);
	free(worker->exchange);
	free(worker);
}

static enum stop reason_to_stop(struct ks_worker *worker, uint64_t now)
{
	uint64_t answered;

	if (atomic_load(&worker->pool->hurry))
		return STOP_HURRY;
	if (!worker->conn || worker->begun + PATIENCE > now)
		return STOP_NOT;
	answered = ks_exchange_answered_at(worker->exchange);
	/* Once it has its answer a client may go. */
	if (!answered && ks_conn_has_left(worker->conn))
		return STOP_GONE;
	return answered && answered + PATIENCE < now ? STOP_WORKS_ON : STOP_NOT;
}

void ks_worker_check(struct ks_worker *worker, uint64_t now)
{
	bool ephemeral = worker->pool->guest->config->ephemeral;
	enum stop stop;

	pthread_mutex_lock(&worker->lock);
	stop = ephemeral ? reason_to_stop(worker, now) : STOP_NOT;
	if (!ephemeral && (atomic_load(&worker->pool->stopping) || !is_current(worker)))
		stop = STOP_HURRY;
	if (stop != STOP_NOT && worker->fork) {
		atomic_store(&worker->stop, stop);
		tkvm_machine_interrupt(worker->fork);
	} else if (worker->fork && worker->conn &&
		   (ks_exchange_is_lost(worker->exchange) ||
		    ks_exchange_may_be_stalled(worker->exchange, now))) {
		/* For another look: run_fork() goes on. */
		tkvm_machine_interrupt(worker->fork);
	}
	pthread_mutex_unlock(&worker->lock);
}
