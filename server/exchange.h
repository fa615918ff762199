/* SPDX-License-Identifier: MIT */
/* One request on one connection, as a fork's program carries it out. */
#ifndef KVMSERVER_EXCHANGE_H
#define KVMSERVER_EXCHANGE_H

#include "conn.h"
#include "stall.h"
#include "tinykvm/tinykvm.h"

struct ks_exchange {
	struct ks_conn *conn;
	void *buf; /* to look at what passes */
	size_t buf_size;
	size_t ahead;	/* bytes in the socket that are the request's, and not yet taken */
	uint64_t taken; /* bytes that the program took */
	bool runs;	/* as far as ks_exchange_ran() was not called */
	bool accepted, closed, unchanged;
	bool left_open;		      /* the program had not closed it when it was over */
	unsigned int shut;	      /* 1: for reading, 2: for writing */
	atomic_bool lost;	      /* nobody knows where the response ends */
	_Atomic uint64_t answered_at; /* when the response was complete, or input taken after it */
	bool stalled;		      /* it was ended as its client does nothing */
	bool blocks;		      /* its client has not taken what the program sends */
	struct ks_stall stall;
	int unread; /* bytes that the client had still to take, when last looked at */
	uint64_t guest_ns, reset_ns;
};

void ks_exchange_begin(struct ks_exchange *exchange, struct ks_conn *conn, void *buf,
		       size_t buf_size);
/* 0 or -errno: the connection is not the fork's then. */
int ks_exchange_offer(struct ks_exchange *exchange, struct tkvm_machine *fork);

/* The program needs to do no more, if it is idle. */
bool ks_exchange_is_over(const struct ks_exchange *exchange);
/* Since when nothing has happened to the connection after the response; 0: that is not complete. */
uint64_t ks_exchange_answered_at(const struct ks_exchange *exchange);

/*
 * A response has begun of which nobody knows where it ends: it is over once the program is idle and
 * its client can take more. The second may become true long after the first.
 */
bool ks_exchange_is_lost(const struct ks_exchange *exchange);

/*
 * An idle program has waited for its client for @limit ns in all (stall.h; 0: may do so for ever),
 * and does again: it sends no more of its request, or takes no more of the response. Notes that in
 * @stalled.
 */
bool ks_exchange_is_stalled(struct ks_exchange *exchange, uint64_t now, uint64_t limit);
/* It is worth while to look for that now; from another thread. */
bool ks_exchange_may_be_stalled(struct ks_exchange *exchange, uint64_t now);

/* The run ended; the fork will be reset or destroyed. */
void ks_exchange_ran(struct ks_exchange *exchange, uint64_t ns);

/* Answer in the program's place, if the client expects it. True if so. */
bool ks_exchange_refuse(struct ks_exchange *exchange, int status);

/* The fork has been reset, or is gone: may the connection have another request? */
bool ks_exchange_may_keep(const struct ks_exchange *exchange);

/* A line for the access log. */
void ks_exchange_log(const struct ks_exchange *exchange, unsigned int worker);

#endif
