/* SPDX-License-Identifier: MIT */
/*
 * See turns.h. A turn is handed from one to the next, which has it from then on, even before a
 * worker looks at it: nobody comes in between, and it is not lost if the next one is gone.
 */
#include "turns.h"
#include "conn.h"

void ks_turns_init(struct ks_turns *turns, unsigned int workers, bool http)
{
	*turns = (struct ks_turns){.http = http, .limited = workers > 0};
	turns->most = workers ? workers - 1 : 0;
	turns->last_parked = &turns->parked;
}

static void park(struct ks_turns *turns, struct ks_conn *conn)
{
	conn->is_parked = true;
	conn->parked = NULL;
	*turns->last_parked = conn;
	turns->last_parked = &conn->parked;
}

void ks_turns_hold(struct ks_turns *turns, struct ks_conn *conn)
{
	if (conn->is_open)
		return;
	conn->is_open = true;
	turns->open++;
}

bool ks_turns_ask(struct ks_turns *turns, struct ks_conn *conn)
{
	const struct ks_http *http = &conn->http;

	turns->http |= ks_http_is_http(http);
	if (!http->tunnel && http->request_complete)
		return true;
	/* Where no client speaks HTTP there are no others. */
	if (turns->limited && turns->http && turns->open >= turns->most) {
		park(turns, conn);
		return false;
	}
	ks_turns_hold(turns, conn);
	return true;
}

struct ks_conn *ks_turns_pass(struct ks_turns *turns, struct ks_conn *conn)
{
	struct ks_conn *next;

	if (!conn->is_open)
		return NULL;
	conn->is_open = false;
	turns->open--;
	next = turns->open < turns->most ? ks_turns_take(turns) : NULL;
	if (next)
		ks_turns_hold(turns, next);
	return next;
}

void ks_turns_quit(struct ks_turns *turns, struct ks_conn *conn)
{
	struct ks_conn **p = &turns->parked;

	while (*p != conn)
		p = &(*p)->parked;
	*p = conn->parked;
	if (!*p)
		turns->last_parked = p;
	conn->is_parked = false;
}

struct ks_conn *ks_turns_take(struct ks_turns *turns)
{
	struct ks_conn *conn = turns->parked;

	if (conn)
		ks_turns_quit(turns, conn);
	return conn;
}
