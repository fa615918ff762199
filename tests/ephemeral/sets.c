/* SPDX-License-Identifier: MIT */
/*
 * A server on the given port of 127.0.0.1 that waits with poll(2), or with select(2) if the second
 * argument says so: every request is answered with the number of requests that there were. Receives
 * and sends by recvmsg(2) and sendmsg(2).
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 15

static struct pollfd fds[1 + MOST];
static nfds_t n = 1;
static char text[1 + MOST][4096];
static size_t have[1 + MOST];
static unsigned long count;

static void answer(int fd)
{
	char body[32], head[128];
	int size = sprintf(body, "%lu\n", ++count);
	struct iovec iov[2] = {{head, 0}, {body, (size_t)size}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	iov[0].iov_len =
		(size_t)sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size);
	sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* False: the connection is over. */
static int readable(nfds_t i)
{
	struct iovec iov = {text[i] + have[i], sizeof(text[i]) - 1 - have[i]};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t got = recvmsg(fds[i].fd, &msg, MSG_DONTWAIT);
	char *end;
	int last;

	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	have[i] += (size_t)got;
	text[i][have[i]] = '\0';
	while ((end = strstr(text[i], "\r\n\r\n"))) {
		last = strcasestr(text[i], "connection: close") != NULL;
		answer(fds[i].fd);
		if (last)
			return 0;
		have[i] -= (size_t)(end + 4 - text[i]);
		memmove(text[i], end + 4, have[i] + 1);
	}
	return 1;
}

static void drop(nfds_t i)
{
	close(fds[i].fd);
	n--;
	fds[i] = fds[n];
	memcpy(text[i], text[n], sizeof(text[n]));
	have[i] = have[n];
}

/* As poll(fds, n, -1), by select(2). */
static void wait_by_select(void)
{
	fd_set ready;
	int most = 0;

	FD_ZERO(&ready);
	for (nfds_t i = 0; i < n; i++) {
		FD_SET(fds[i].fd, &ready);
		most = fds[i].fd > most ? fds[i].fd : most;
	}
	select(most + 1, &ready, NULL, NULL, NULL);
	for (nfds_t i = 0; i < n; i++)
		fds[i].revents = FD_ISSET(fds[i].fd, &ready) ? POLLIN : 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	int selects = argc > 2 && !strcmp(argv[2], "select"), on = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) || listen(listener, 128)) {
		perror(argv[1]);
		return 1;
	}
	fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
	for (;;) {
		if (selects)
			wait_by_select();
		else
			poll(fds, n, -1);
		for (nfds_t i = n - 1; i > 0; i--)
			if (fds[i].revents && !readable(i))
				drop(i);
		if (fds[0].revents && n < 1 + MOST) {
			have[n] = 0;
			fds[n] = (struct pollfd){.fd = accept(listener, NULL, NULL),
						 .events = POLLIN};
			n += fds[n].fd >= 0;
		}
	}
}
