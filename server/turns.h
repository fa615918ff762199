/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is among those of whom nobody knows how long they take: connections that are not
 * plainly complete HTTP/1 requests. Under the lobby's lock, all of it.
 */
#ifndef KVMSERVER_TURNS_H
#define KVMSERVER_TURNS_H

#include <stdbool.h>

struct ks_conn;

struct ks_turns {
	bool http;	   /* clients speak it */
	bool limited;	   /* there is a limit, once that is known */
	unsigned int most; /* how many may have a worker; 0: there is a spare worker for them */
	unsigned int open; /* how many have */
	struct ks_conn *parked, **last_parked;
};

/*
 * With 0 @workers there is no limit; if there is one worker another one, the spare, takes those who
 * wait (ks_turns_take()); otherwise they get all workers but one.
 */
void ks_turns_init(struct ks_turns *turns, unsigned int workers, bool http);

/* False: it is to wait, and is parked. */
bool ks_turns_ask(struct ks_turns *turns, struct ks_conn *conn);
/* It has a worker, and nobody knows any more how long it will take. */
void ks_turns_hold(struct ks_turns *turns, struct ks_conn *conn);
/* It has no worker any more. Returns who has its turn then, and has left the queue; or NULL. */
struct ks_conn *ks_turns_pass(struct ks_turns *turns, struct ks_conn *conn);

/* The first of those who wait leaves the queue; NULL: nobody waits. */
struct ks_conn *ks_turns_take(struct ks_turns *turns);
/* One that is parked leaves the queue. */
void ks_turns_quit(struct ks_turns *turns, struct ks_conn *conn);

#endif
