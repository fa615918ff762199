/* SPDX-License-Identifier: MIT */
/* The sockets that a lobby accepts from. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "listener.h"

int ks_source_arm(int epoll, struct ks_source *source, int op)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
				    .data.ptr = source};

	return epoll_ctl(epoll, op, source->fd, &event);
}

void ks_listeners_init(struct ks_listeners *listeners, int epoll)
{
	*listeners = (struct ks_listeners){.epoll = epoll};
	pthread_mutex_init(&listeners->lock, NULL);
}

static struct ks_listener *listener_new(int fd, unsigned int index, unsigned int generation)
{
	socklen_t len = sizeof(struct sockaddr_storage);
	struct ks_listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return NULL;
	listener->source = (struct ks_source){KS_LISTENER, fcntl(fd, F_DUPFD_CLOEXEC, 3)};
	listener->index = index;
	listener->generation = generation;
	getsockname(fd, (struct sockaddr *)&listener->addr, &len);
	if (listener->source.fd >= 0)
		return listener;
	free(listener);
	return NULL;
}

/* Their structures stay: events of them may be under way. */
static void retire(struct ks_listeners *listeners)
{
	for (struct ks_listener *l = listeners->all; l; l = l->next) {
		if (l->source.fd < 0)
			continue;
		epoll_ctl(listeners->epoll, EPOLL_CTL_DEL, l->source.fd, NULL);
		close(l->source.fd);
		l->source.fd = -1;
	}
}

void ks_listeners_free(struct ks_listeners *listeners)
{
	struct ks_listener *listener;

	retire(listeners);
	while ((listener = listeners->all)) {
		listeners->all = listener->next;
		free(listener);
	}
	pthread_mutex_destroy(&listeners->lock);
}

int ks_listeners_replace(struct ks_listeners *listeners, const int *fds, unsigned int n,
			 unsigned int generation)
{
	struct ks_listener *old = listeners->all, *all = old, *listener;

	for (unsigned int i = 0; i < n; i++) {
		listener = listener_new(fds[i], i, generation);
		if (!listener)
			break;
		listener->next = all;
		all = listener;
	}
	if (n && (all == old || all->index != n - 1)) {
		for (; all != old; all = listener) {
			listener = all->next;
			close(all->source.fd);
			free(all);
		}
		return -ENOMEM;
	}
	pthread_mutex_lock(&listeners->lock);
	retire(listeners);
	listeners->all = all;
	for (listener = all; listener != old; listener = listener->next)
		ks_source_arm(listeners->epoll, &listener->source, EPOLL_CTL_ADD);
	pthread_mutex_unlock(&listeners->lock);
	return 0;
}

bool ks_listeners_place(struct ks_listeners *listeners, struct ks_conn *conn,
			unsigned int generation)
{
	const struct ks_listener *listener;

	if (conn->generation == generation)
		return true;
	pthread_mutex_lock(&listeners->lock);
	for (listener = listeners->all; listener; listener = listener->next)
		if (listener->generation == generation &&
		    !memcmp(&listener->addr, &conn->from->addr, sizeof(listener->addr)))
			break;
	pthread_mutex_unlock(&listeners->lock);
	if (!listener)
		return false;
	conn->listener = listener->index;
	conn->generation = generation;
	return true;
}

int ks_listener_accept(struct ks_listeners *listeners, struct ks_listener *listener,
		       bool (*room)(void *ctx), void *ctx, struct sockaddr_storage *peer)
{
	socklen_t len = sizeof(*peer);
	int fd = -1;

	pthread_mutex_lock(&listeners->lock);
	if (listener->source.fd >= 0 && !listeners->closed && !room(ctx)) {
		atomic_store(&listener->stuck, true);
	} else if (listener->source.fd >= 0 && !listeners->closed) {
		fd = accept4(listener->source.fd, (struct sockaddr *)peer, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		/* Nothing helps but waiting until somebody closes something. */
		if (fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			atomic_store(&listener->stuck, true);
		else
			ks_source_arm(listeners->epoll, &listener->source, EPOLL_CTL_MOD);
	}
	pthread_mutex_unlock(&listeners->lock);
	return fd;
}

void ks_listeners_rearm(struct ks_listeners *listeners)
{
	pthread_mutex_lock(&listeners->lock);
	for (struct ks_listener *l = listeners->all; l; l = l->next)
		if (atomic_exchange(&l->stuck, false) && l->source.fd >= 0)
			ks_source_arm(listeners->epoll, &l->source, EPOLL_CTL_MOD);
	pthread_mutex_unlock(&listeners->lock);
}

void ks_listeners_close(struct ks_listeners *listeners)
{
	pthread_mutex_lock(&listeners->lock);
	listeners->closed = true;
	retire(listeners);
	pthread_mutex_unlock(&listeners->lock);
}
