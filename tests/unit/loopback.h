/* SPDX-License-Identifier: MIT */
/* Connections of a test with itself, whatever signals come in between: libFuzzer has a timer. */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static inline void loopback_wait(int fd, short events)
{
	struct pollfd state = {.fd = fd, .events = events};

	while (poll(&state, 1, -1) < 0 && errno == EINTR)
		;
}

/* An interrupted connect(2) goes on by itself. */
static inline int loopback_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (!connect(fd, addr, len))
		return 0;
	if (errno != EINTR)
		return -1;
	loopback_wait(fd, POLLOUT);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) || error ? -1 : 0;
}

/* The other end, not blocking, of a connection that was just made. */
static inline int loopback_accept(int listener)
{
	loopback_wait(listener, POLLIN);
	return accept4(listener, NULL, NULL, SOCK_NONBLOCK);
}

#endif
