/* SPDX-License-Identifier: MIT */
/*
 * One epoll object that all workers wait on. Every source is one-shot: whoever gets an event owns
 * the source until it arms it again, so that no two workers look at one connection.
 *
 * A connection is freed by its owner only. Housekeeping, which owns none, ends one by shutdown(2):
 * that makes it ready, and the worker that gets it finds it gone. The list's lock keeps it from
 * being closed in between.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "kvmserver.h"
#include "listener.h"
#include "lobby.h"
#include "turns.h"

/* How long a client may go on sending what nobody wants. */
#define LINGER_NS (2 * KS_S)
/* Sockets hold as much as that anyway. */
#define FREE_BODY 65536

struct ks_lobby {
	int epoll;
	struct ks_source bell;
	struct ks_lobby_rules rules;
	uint64_t max_open;
	bool closed; /* under the lock */
	pthread_mutex_t lock;
	struct ks_conn all; /* head of the list, who has waited longest first */
	uint64_t accepted, expired, open;
	uint64_t bodies; /* bytes reserved */
	struct ks_turns turns;
	pthread_cond_t parked; /* for the spare worker */
	struct ks_listeners listeners;
};

static int arm(struct ks_lobby *lobby, struct ks_source *source, int op)
{
	return ks_source_arm(lobby->epoll, source, op);
}

static int open_epoll(struct ks_lobby *lobby)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &lobby->bell};

	lobby->bell = (struct ks_source){KS_BELL, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	lobby->epoll = epoll_create1(EPOLL_CLOEXEC);
	ks_listeners_init(&lobby->listeners, lobby->epoll);
	if (lobby->bell.fd < 0 || lobby->epoll < 0 ||
	    epoll_ctl(lobby->epoll, EPOLL_CTL_ADD, lobby->bell.fd, &event))
		return -errno;
	return 0;
}

struct ks_lobby *ks_lobby_new(const struct ks_lobby_rules *rules)
{
	struct ks_lobby *lobby = calloc(1, sizeof(*lobby));
	int rc = -ENOMEM;

	if (lobby) {
		lobby->rules = *rules;
		ks_turns_init(&lobby->turns, rules->server_first ? 0 : rules->workers,
			      rules->http || rules->http_only);
		lobby->max_open = UINT64_MAX;
		lobby->all.next = lobby->all.prev = &lobby->all;
		pthread_mutex_init(&lobby->lock, NULL);
		pthread_cond_init(&lobby->parked, NULL);
		rc = open_epoll(lobby);
	}
	if (!rc)
		return lobby;
	ks_message("cannot wait for connections: %s", strerror(-rc));
	free(lobby);
	return NULL;
}

int ks_lobby_listen(struct ks_lobby *lobby, const int *fds, unsigned int n, unsigned int generation)
{
	return ks_listeners_replace(&lobby->listeners, fds, n, generation);
}

bool ks_lobby_place(struct ks_lobby *lobby, struct ks_conn *conn, unsigned int generation)
{
	return ks_listeners_place(&lobby->listeners, conn, generation);
}

static void leave(struct ks_lobby *lobby, struct ks_conn *conn)
{
	pthread_mutex_lock(&lobby->lock);
	conn->prev->next = conn->next;
	conn->next->prev = conn->prev;
	lobby->open--;
	lobby->bodies -= conn->reserved;
	pthread_mutex_unlock(&lobby->lock);
}

static void end(struct ks_lobby *lobby, struct ks_conn *conn)
{
	leave(lobby, conn);
	ks_conn_close(conn);
}

void ks_lobby_free(struct ks_lobby *lobby)
{
	while (lobby->all.next != &lobby->all)
		end(lobby, lobby->all.next);
	ks_listeners_free(&lobby->listeners);
	close(lobby->epoll);
	close(lobby->bell.fd);
	pthread_mutex_destroy(&lobby->lock);
	pthread_cond_destroy(&lobby->parked);
	free(lobby);
}

static void set_end(struct ks_conn *conn, uint64_t ns)
{
	uint64_t now = ks_now();

	atomic_store_explicit(&conn->end, ns < UINT64_MAX - now ? now + ns : UINT64_MAX,
			      memory_order_relaxed);
}

static void begin_exchange(const struct ks_lobby *lobby, struct ks_conn *conn)
{
	/* A connection that has been HTTP stays that. */
	ks_http_begin(&conn->http, lobby->rules.http_only || conn->requests);
	conn->http.tunnel = lobby->rules.server_first;
	conn->seen = conn->want = conn->counted = 0;
	conn->no_news = conn->continued = false;
	conn->sent = 0;
	conn->asked = false;
	set_end(conn, lobby->rules.max_idle);
}

static void link_last(struct ks_lobby *lobby, struct ks_conn *conn)
{
	conn->next = &lobby->all;
	conn->prev = lobby->all.prev;
	conn->prev->next = conn;
	lobby->all.prev = conn;
}

static void move_last(struct ks_lobby *lobby, struct ks_conn *conn)
{
	conn->prev->next = conn->next;
	conn->next->prev = conn->prev;
	link_last(lobby, conn);
}

/* Under the lock: one that was parked is epoll's again. */
static void unpark(struct ks_lobby *lobby, struct ks_conn *conn)
{
	bool armed = conn->armed;

	conn->armed = true;
	if (arm(lobby, &conn->source, armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD))
		atomic_store(&conn->late, true);
}

/* Under the lock. Whoever gets the event closes it. */
static void expire_one(struct ks_lobby *lobby, struct ks_conn *conn)
{
	atomic_store(&conn->expired, true);
	shutdown(conn->source.fd, SHUT_RDWR);
	if (conn->is_parked) {
		ks_turns_quit(&lobby->turns, conn);
		unpark(lobby, conn);
	}
	lobby->expired++;
}

/*
 * Make room for a connection: the one that has waited longest goes. False: too many are about to
 * go already. Those are at the end of the list, so that looking for one takes no time.
 */
static bool make_room(struct ks_lobby *lobby)
{
	struct ks_conn *conn;
	bool room;

	pthread_mutex_lock(&lobby->lock);
	room = lobby->open < lobby->max_open + lobby->max_open / 4;
	for (conn = lobby->all.next; room && lobby->open >= lobby->max_open && conn != &lobby->all;
	     conn = conn->next) {
		if (!atomic_load(&conn->waits) || atomic_load(&conn->expired))
			continue;
		expire_one(lobby, conn);
		move_last(lobby, conn);
		break;
	}
	pthread_mutex_unlock(&lobby->lock);
	return room;
}

/*
 * The kernel is to hold a body. If that is too much, those make room that have waited longest for
 * theirs; a client that sends half of one keeps its room no longer than others need it.
 */
static void reserve(struct ks_lobby *lobby, struct ks_conn *conn)
{
	struct ks_conn *other;

	if (conn->reserved || conn->want <= FREE_BODY)
		return;
	pthread_mutex_lock(&lobby->lock);
	conn->reserved = conn->want;
	lobby->bodies += conn->reserved;
	for (other = lobby->all.next;
	     lobby->bodies > lobby->rules.max_bodies && other != &lobby->all; other = other->next) {
		if (!other->reserved || !atomic_load(&other->waits) || atomic_load(&other->expired))
			continue;
		lobby->bodies -= other->reserved;
		other->reserved = 0;
		expire_one(lobby, other);
	}
	pthread_mutex_unlock(&lobby->lock);
}

static void unreserve(struct ks_lobby *lobby, struct ks_conn *conn)
{
	if (!conn->want)
		return;
	pthread_mutex_lock(&lobby->lock);
	lobby->bodies -= conn->reserved;
	conn->reserved = 0;
	pthread_mutex_unlock(&lobby->lock);
}

void ks_lobby_limit(struct ks_lobby *lobby, uint64_t max_open)
{
	lobby->max_open = max_open;
}

static void enter(struct ks_lobby *lobby, struct ks_conn *conn)
{
	pthread_mutex_lock(&lobby->lock);
	link_last(lobby, conn);
	lobby->accepted++;
	lobby->open++;
	pthread_mutex_unlock(&lobby->lock);
}

/*
 * The connection is epoll's from here on: another worker may have it at once. False: it is still
 * ours, and there is nothing to wait for.
 */
static bool wait_in(struct ks_lobby *lobby, struct ks_conn *conn)
{
	int op = conn->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int rc = conn->lingers ? 0 : ks_conn_wait_for_more(conn);

	if (rc == -ENOBUFS)
		return false;
	conn->armed = true;
	if (rc) {
		atomic_store(&conn->late, true);
		atomic_store(&conn->waits, true);
		return true;
	}
	atomic_store(&conn->waits, true);
	if (arm(lobby, &conn->source, op)) {
		atomic_store(&conn->waits, false);
		end(lobby, conn);
	}
	return true;
}

/*
 * A connection that is not plainly a complete request may keep its worker waiting: it gets one only
 * if another is left for those that are. False: it is parked.
 */
static bool may_enter(struct ks_lobby *lobby, struct ks_conn *conn)
{
	bool may;

	pthread_mutex_lock(&lobby->lock);
	/* At the end there is no spare worker any more. */
	may = (lobby->closed && !lobby->turns.most) || ks_turns_ask(&lobby->turns, conn);
	if (!may) {
		atomic_store(&conn->waits, true);
		pthread_cond_signal(&lobby->parked);
	}
	pthread_mutex_unlock(&lobby->lock);
	return may;
}

void ks_lobby_hold(struct ks_lobby *lobby, struct ks_conn *conn)
{
	pthread_mutex_lock(&lobby->lock);
	ks_turns_hold(&lobby->turns, conn);
	pthread_mutex_unlock(&lobby->lock);
}

/* It has no worker any more: the next one's turn. */
static void leave_worker(struct ks_lobby *lobby, struct ks_conn *conn)
{
	struct ks_conn *next;

	if (!conn->is_open)
		return;
	pthread_mutex_lock(&lobby->lock);
	next = ks_turns_pass(&lobby->turns, conn);
	if (next)
		unpark(lobby, next);
	pthread_mutex_unlock(&lobby->lock);
}

void ks_lobby_drop(struct ks_lobby *lobby, struct ks_conn *conn)
{
	leave_worker(lobby, conn);
	if (ks_conn_finish(conn)) {
		end(lobby, conn);
		return;
	}
	if (!conn->lingers) {
		conn->lingers = true;
		conn->seen = 0;
		set_end(conn, LINGER_NS);
	}
	wait_in(lobby, conn);
}

void ks_lobby_keep(struct ks_lobby *lobby, struct ks_conn *conn)
{
	leave_worker(lobby, conn);
	begin_exchange(lobby, conn);
	pthread_mutex_lock(&lobby->lock);
	move_last(lobby, conn);
	pthread_mutex_unlock(&lobby->lock);
	wait_in(lobby, conn);
}

static bool room_for_one(void *ctx)
{
	return make_room(ctx);
}

static struct ks_conn *accept_one(struct ks_lobby *lobby, struct ks_listener *listener)
{
	struct sockaddr_storage peer = {0};
	struct ks_conn *conn;
	int fd = ks_listener_accept(&lobby->listeners, listener, room_for_one, lobby, &peer);

	if (fd < 0)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn) {
		close(fd);
		return NULL;
	}
	conn->source = (struct ks_source){KS_CONN, fd};
	conn->from = listener;
	conn->listener = listener->index;
	conn->generation = listener->generation;
	conn->peer = peer;
	begin_exchange(lobby, conn);
	enter(lobby, conn);
	return conn;
}

static struct ks_conn *hand_out(struct ks_lobby *lobby, struct ks_conn *conn,
				enum ks_lobby_what *what)
{
	ks_conn_wait_no_more(conn);
	unreserve(lobby, conn);
	if (!conn->http.refused)
		return may_enter(lobby, conn) ? conn : NULL;
	*what = KS_LOBBY_REFUSED;
	ks_conn_refuse(conn, 400);
	ks_lobby_drop(lobby, conn);
	return NULL;
}

/* It was parked, and is not looked at again. */
static struct ks_conn *hand_parked(struct ks_lobby *lobby, struct ks_conn *conn)
{
	if (!atomic_load(&conn->expired) && !ks_conn_has_left(conn))
		return conn;
	ks_lobby_drop(lobby, conn);
	return NULL;
}

/* A connection that is its own: hand it out, let it wait, or end it. */
static struct ks_conn *sort_out(struct ks_lobby *lobby, struct ks_conn *conn, void *buf,
				size_t size, bool ended, enum ks_lobby_what *what)
{
	if (conn->lingers) {
		ks_lobby_drop(lobby, conn);
		return NULL;
	}
	if (lobby->rules.server_first)
		return conn;
	if (conn->is_open)
		return hand_parked(lobby, conn);
	switch (ks_conn_look(conn, buf, size, lobby->rules.max_body, ended)) {
	case KS_READY:
		return hand_out(lobby, conn, what);
	case KS_NOT_YET:
		reserve(lobby, conn);
		ks_conn_invite(conn);
		if (wait_in(lobby, conn))
			return NULL;
		return hand_out(lobby, conn, what);
	case KS_GONE:
		break;
	}
	ks_lobby_drop(lobby, conn);
	return NULL;
}

struct ks_conn *ks_lobby_next(struct ks_lobby *lobby, struct ks_vigil *vigil, int timeout_ms,
			      void *buf, size_t size, enum ks_lobby_what *what)
{
	struct epoll_event event;
	struct ks_source *source;
	struct ks_conn *conn;

	*what = KS_LOBBY_NOTHING;
	if (ks_vigil_wait(vigil, lobby->epoll, &event, timeout_ms) <= 0)
		return NULL;
	source = event.data.ptr;
	*what = source->kind == KS_BELL ? KS_LOBBY_NOTHING : KS_LOBBY_SOME;
	switch (source->kind) {
	case KS_LISTENER:
		conn = accept_one(lobby, (struct ks_listener *)source);
		return conn ? sort_out(lobby, conn, buf, size, false, what) : NULL;
	case KS_CONN:
		conn = (struct ks_conn *)source;
		/* What its last owner did is seen from here on. */
		atomic_exchange(&conn->waits, false);
		return sort_out(lobby, conn, buf, size,
				event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR), what);
	case KS_BELL:
		break;
	}
	return NULL;
}

struct ks_conn *ks_lobby_next_parked(struct ks_lobby *lobby, unsigned int timeout_s, bool *over)
{
	struct ks_conn *conn;
	struct timespec end;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += timeout_s;
	pthread_mutex_lock(&lobby->lock);
	while (!(conn = ks_turns_take(&lobby->turns)) && !rc && !lobby->closed)
		rc = pthread_cond_timedwait(&lobby->parked, &lobby->lock, &end);
	if (conn)
		atomic_store(&conn->waits, false);
	*over = !conn && lobby->closed;
	pthread_mutex_unlock(&lobby->lock);
	return conn ? hand_parked(lobby, conn) : NULL;
}

void ks_lobby_close(struct ks_lobby *lobby)
{
	uint64_t one = 1;

	pthread_mutex_lock(&lobby->lock);
	lobby->closed = true;
	pthread_cond_signal(&lobby->parked);
	pthread_mutex_unlock(&lobby->lock);
	ks_listeners_close(&lobby->listeners);
	if (write(lobby->bell.fd, &one, sizeof(one)) < 0)
		return; /* it has rung before */
}

/* A connection that epoll does not watch is nobody's: it belongs to housekeeping for the moment. */
static void arm_late(struct ks_lobby *lobby)
{
	struct ks_conn *conn;

	for (conn = lobby->all.next; conn != &lobby->all; conn = conn->next)
		if (atomic_load(&conn->waits) && atomic_exchange(&conn->late, false) &&
		    arm(lobby, &conn->source, EPOLL_CTL_MOD) && errno == ENOENT)
			arm(lobby, &conn->source, EPOLL_CTL_ADD);
}

void ks_lobby_expire(struct ks_lobby *lobby, uint64_t now)
{
	struct ks_conn *conn;

	ks_listeners_rearm(&lobby->listeners);
	pthread_mutex_lock(&lobby->lock);
	arm_late(lobby);
	for (conn = lobby->all.next; conn != &lobby->all; conn = conn->next) {
		if (!atomic_load(&conn->waits) || atomic_load(&conn->expired) ||
		    atomic_load(&conn->end) > now)
			continue;
		expire_one(lobby, conn);
	}
	pthread_mutex_unlock(&lobby->lock);
}

void ks_lobby_stats(struct ks_lobby *lobby, struct ks_lobby_stats *stats)
{
	pthread_mutex_lock(&lobby->lock);
	*stats = (struct ks_lobby_stats){
		.accepted = lobby->accepted,
		.expired = lobby->expired,
		.open = lobby->open,
	};
	pthread_mutex_unlock(&lobby->lock);
}
