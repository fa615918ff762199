/* SPDX-License-Identifier: MIT */
/*
 * Where clients wait: listening sockets, and connections that have not sent a complete request. No
 * worker is held by them, and any free worker takes what is ready.
 */
#ifndef KVMSERVER_LOBBY_H
#define KVMSERVER_LOBBY_H

#include <pthread.h>

#include "conn.h"
#include "vigil.h"

struct ks_lobby;

struct ks_lobby_rules {
	bool server_first, http_only;
	bool http;	      /* clients are known to speak HTTP/1 */
	uint64_t max_idle;    /* ns that clients may wait; UINT64_MAX: for ever */
	size_t max_body;      /* bytes that a body may have for a request to wait for it */
	uint64_t max_bodies;  /* the same for all of them together */
	unsigned int workers; /* for complete requests */
};

/* A lobby that accepts nothing yet. NULL after a message. */
struct ks_lobby *ks_lobby_new(const struct ks_lobby_rules *rules);
/*
 * Accept from duplicates of these from now on, those of program @generation. 0, or -errno: nothing
 * has changed.
 */
int ks_lobby_listen(struct ks_lobby *lobby, const int *listeners, unsigned int n,
		    unsigned int generation);
/*
 * Let conn->listener be the socket of program @generation with the address at which @conn was
 * accepted. False: that one does not listen there.
 */
bool ks_lobby_place(struct ks_lobby *lobby, struct ks_conn *conn, unsigned int generation);
/*
 * How many connections may be open, before it listens: then the one that has waited longest makes
 * room for another. Up to a quarter more are open while they are being closed.
 */
void ks_lobby_limit(struct ks_lobby *lobby, uint64_t max_open);
/* Closes all connections. */
void ks_lobby_free(struct ks_lobby *lobby);

/*
 * Wait up to @timeout_ms for a connection with a request; @buf of @size bytes is used to look,
 * and @vigil is of the thread.
 * NULL: none came; *@what then tells why. Any thread.
 */
enum ks_lobby_what {
	KS_LOBBY_SOME, /* a client did something */
	KS_LOBBY_NOTHING,
	KS_LOBBY_REFUSED /* one was answered with status 400 */
};
struct ks_conn *ks_lobby_next(struct ks_lobby *lobby, struct ks_vigil *vigil, int timeout_ms,
			      void *buf, size_t size, enum ks_lobby_what *what);

/*
 * Wait up to @timeout_s seconds for a connection that may take long (turns.h) and waits for the
 * spare worker. NULL: none came. *@over: none will.
 */
struct ks_conn *ks_lobby_next_parked(struct ks_lobby *lobby, unsigned int timeout_s, bool *over);

/* Its request was complete, but its client takes long to read the response. */
void ks_lobby_hold(struct ks_lobby *lobby, struct ks_conn *conn);

/* The exchange is over: the connection waits for its next request. */
void ks_lobby_keep(struct ks_lobby *lobby, struct ks_conn *conn);
/* It is over for good. */
void ks_lobby_drop(struct ks_lobby *lobby, struct ks_conn *conn);

/* No new connections; ks_lobby_next() does not wait any more. */
void ks_lobby_close(struct ks_lobby *lobby);

/* Housekeeping, now and then: end connections that have waited too long. */
void ks_lobby_expire(struct ks_lobby *lobby, uint64_t now);

struct ks_lobby_stats {
	uint64_t accepted, expired;
	uint64_t open; /* now */
};
void ks_lobby_stats(struct ks_lobby *lobby, struct ks_lobby_stats *stats);

#endif
