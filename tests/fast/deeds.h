/* SPDX-License-Identifier: MIT */
/* What the server's deeds (deeds.c) and its loop (server.c) share. */
#ifndef TEST_FAST_DEEDS_H
#define TEST_FAST_DEEDS_H

#include <stddef.h>

#define TAKEN 98 /* exit status of a server whose port is taken (ways.py) */

/* One request's connection, and what was found out by it. */
struct talk {
	int ep, listener, conn, twin; /* twin: a dup(2) of conn, or -1 */
	int file;		   /* or -1 */
	long taken;		   /* bytes that were read */
	char log[1 << 16];
	size_t len;
};

void say(struct talk *talk, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "name:1:2,name,..." one after the other; each has its result in the log. */
void do_deeds(struct talk *talk, char *list);

/* HTTP/1.1, as long as the client wants; "/http?read=N&write=N&body=N" is how. */
void serve_http(struct talk *talk);

#endif
