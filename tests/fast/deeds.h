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

/* What they work with; what a call returned, or -errno; and data that it gave, as a hash. */
extern char buf[1 << 17];
long outcome(long rc);
void say_data(struct talk *t, const char *data, long n);

/* Deeds with a file (files.c). */
long do_open(struct talk *t, long a, long b);
long do_stat(struct talk *t, long a, long b);
long do_fstat(struct talk *t, long a, long b);
long do_fread(struct talk *t, long a, long b);
long do_pread(struct talk *t, long a, long b);
long do_seek(struct talk *t, long a, long b);
long do_sendfile(struct talk *t, long a, long b);
long do_put(struct talk *t, long a, long b);
long do_fclose(struct talk *t, long a, long b);

/* "name:1:2,name,..." one after the other; each has its result in the log. */
void do_deeds(struct talk *talk, char *list);

/* HTTP/1.1, as long as the client wants; "/http?read=N&write=N&body=N" is how. */
void serve_http(struct talk *talk);

#endif
