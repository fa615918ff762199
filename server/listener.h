/* SPDX-License-Identifier: MIT */
/*
 * The sockets that a lobby accepts from: those of one program at a time, and, as structures only,
 * of those before it. One-shot in the lobby's epoll object, as all of its sources.
 */
#ifndef KVMSERVER_LISTENER_H
#define KVMSERVER_LISTENER_H

#include <pthread.h>

#include "conn.h"

struct ks_listener {
	struct ks_source source; /* first member; fd -1: retired */
	unsigned int index, generation;
	struct sockaddr_storage addr; /* zeros behind what the kernel says */
	atomic_bool stuck;	  /* out of descriptors or of room: to be armed by housekeeping */
	struct ks_listener *next; /* of all there ever were: a worker may still have its event */
};

struct ks_listeners {
	int epoll;
	bool closed;
	pthread_mutex_t lock; /* of all but what a listener's structure never changes */
	struct ks_listener *all;
};

/* epoll_ctl(2), for one event. 0, or -1 with errno. */
int ks_source_arm(int epoll, struct ks_source *source, int op);

void ks_listeners_init(struct ks_listeners *listeners, int epoll);
void ks_listeners_free(struct ks_listeners *listeners);

/* ks_lobby_listen(), ks_lobby_place() */
int ks_listeners_replace(struct ks_listeners *listeners, const int *fds, unsigned int n,
			 unsigned int generation);
bool ks_listeners_place(struct ks_listeners *listeners, struct ks_conn *conn,
			unsigned int generation);

/*
 * accept(2) from one that had an event, if @room(@ctx) says that there is room, and see to it that
 * the next one is noticed. -1: none was there, or there was no room.
 */
int ks_listener_accept(struct ks_listeners *listeners, struct ks_listener *listener,
		       bool (*room)(void *ctx), void *ctx, struct sockaddr_storage *peer);

/* Housekeeping: what was stuck may go on by now. */
void ks_listeners_rearm(struct ks_listeners *listeners);

/* None accepts any more. */
void ks_listeners_close(struct ks_listeners *listeners);

#endif
