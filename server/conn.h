/* SPDX-License-Identifier: MIT */
/* A client's connection, from accept(2) to close(2). */
#ifndef KVMSERVER_CONN_H
#define KVMSERVER_CONN_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "http.h"

/* What the lobby's epoll knows: listening sockets, connections, the bell that ends it all. */
enum ks_source_kind { KS_LISTENER, KS_CONN, KS_BELL };

struct ks_source {
	enum ks_source_kind kind;
	int fd;
};

struct ks_conn {
	struct ks_source source;     /* first member */
	struct ks_conn *next, *prev; /* in the lobby's list, under its lock */
	const struct ks_listener *from;
	unsigned int listener;	 /* which one of the program's it is for */
	unsigned int generation; /* of which program */
	struct sockaddr_storage peer;
	atomic_bool waits;	/* in the lobby, with no worker */
	_Atomic uint64_t end;	/* when it has waited too long */
	bool finished;		/* nothing more will be sent */
	struct ks_conn *parked; /* the next one that waits for its turn, under the lobby's lock */
	bool is_parked;
	bool is_open;	     /* counted among those of which nobody knows how long they take */
	bool lingers;	     /* it is over, but the client still sends */
	atomic_bool expired; /* housekeeping has shut it down */
	atomic_bool late;    /* to be armed by housekeeping */
	bool armed;	     /* epoll knows it */
	int lowat;	     /* SO_RCVLOWAT as it was; 0: not changed */
	bool asked;	     /* a byte of the next request is here */
	uint64_t asked_at;
	unsigned long requests; /* that it has had */
	bool no_news;		/* the last look found nothing new */
	size_t seen;		/* bytes in the socket that @http was given */
	size_t want;		/* with the body, if that is only to be counted; 0: not so */
	size_t counted;		/* of @want, when last looked at */
	size_t reserved;	/* of the lobby's room for bodies */
	bool continued;		/* 100 Continue was sent */
	uint64_t sent;		/* bytes that the program sent */
	struct ks_http http;
};

/* "127.0.0.1:4711", "[::1]:4711", "unix". */
void ks_conn_peer(const struct ks_conn *conn, char *text, size_t size);

/* What a look at the socket says. */
enum ks_look { KS_NOT_YET, KS_READY, KS_GONE };

/*
 * Look at what has arrived, through @buf. Ready: a request is there as far as a program should have
 * it before it begins (its header; its body too if no more than @max_body bytes of that are
 * missing), or it is not HTTP, or @ended, nothing more will come.
 */
enum ks_look ks_conn_look(struct ks_conn *conn, void *buf, size_t size, size_t max_body,
			  bool ended);

/* A client that asked for it, and waits, may send its body. */
void ks_conn_invite(struct ks_conn *conn);

/*
 * Not to be ready again before more has come than was seen. 0; -EAGAIN: that cannot be had, look
 * again later; -ENOBUFS: no more will come before something is taken.
 */
int ks_conn_wait_for_more(struct ks_conn *conn);
/* Undo that. */
void ks_conn_wait_no_more(struct ks_conn *conn);

/* Send an error response, as far as the socket takes it at once, and nothing after it. */
void ks_conn_refuse(struct ks_conn *conn, int status);

/* Nobody is there any more; one that still reads is. */
bool ks_conn_has_left(const struct ks_conn *conn);

/* Send nothing more: the client sees the end once it has read what was sent. */
void ks_conn_end_output(struct ks_conn *conn);

/*
 * Throw away what has come. True if it can be closed now; if not, the client is in the middle of a
 * request, and closing would make it lose the response: nothing more is sent, but that is read.
 */
bool ks_conn_finish(struct ks_conn *conn);

/* Before it is dropped: what was sent and not read is lost, and the client sees an error. */
void ks_conn_abort(struct ks_conn *conn);

/* Close and free it. */
void ks_conn_close(struct ks_conn *conn);

#endif
