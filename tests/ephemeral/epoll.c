/* SPDX-License-Identifier: MIT */
/*
 * A server with epoll on the given port of 127.0.0.1 (or the unix socket of that path): every
 * request is answered with the number of requests that there were. Keeps connections open.
 *   /fault, /abort, /exit, /spin, /memory   what a request can do to it
 *   /slow     answers after 300 ms
 *   /close    answers and closes
 *   /long     answers 3 MB
 *   /work     answers, and works on for ever
 *   others    the count
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LONG (3 * 1024 * 1024)

static int ep;
static unsigned long count;

struct client {
	int fd;
	size_t have, body;
	char buf[16384];
};

static int listen_on(const char *where)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(where))};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int on = 1, fd;

	if (strchr(where, '/')) {
		strcpy(un.sun_path, where);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (bind(fd, (struct sockaddr *)&un, sizeof(un)))
			return -1;
	} else {
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&in, sizeof(in)))
			return -1;
	}
	return listen(fd, 128) ? -1 : fd;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			usleep(1000);
			continue;
		}
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static void misbehave(const char *path)
{
	if (!strncmp(path, "/fault ", 7))
		*(volatile int *)8 = 1;
	if (!strncmp(path, "/abort ", 7))
		abort();
	if (!strncmp(path, "/exit ", 6))
		exit(3);
	if (!strncmp(path, "/spin ", 6))
		for (;;)
			;
	if (!strncmp(path, "/memory ", 8))
		for (;;)
			memset(malloc(1 << 20), 1, 1 << 20);
}

static void answer(struct client *c, const char *path, int keep)
{
	static char big[LONG];
	char body[64], head[256];
	size_t len;
	int n;

	misbehave(path);
	count++;
	if (!strncmp(path, "/slow ", 6))
		usleep(300000);
	len = (size_t)sprintf(body, "%lu\n", count);
	if (!strncmp(path, "/long ", 6)) {
		memset(big, 'x', sizeof(big));
		len = sizeof(big);
	}
	n = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", len,
		    keep ? "" : "Connection: close\r\n");
	if (len < sizeof(body)) {
		memcpy(head + n, body, len);
		send_all(c->fd, head, (size_t)n + len);
	} else {
		send_all(c->fd, head, (size_t)n);
		send_all(c->fd, big, len);
	}
	if (!strncmp(path, "/work ", 6))
		for (;;)
			;
}

static void drop(struct client *c)
{
	close(c->fd);
	free(c);
}

/* True if a request was there. */
static int take_request(struct client *c)
{
	char *end, *length;
	size_t size;
	int keep;

	c->buf[c->have] = '\0';
	end = strstr(c->buf, "\r\n\r\n");
	if (!end)
		return 0;
	length = strcasestr(c->buf, "content-length:");
	size = (size_t)(end + 4 - c->buf);
	if (length && length < end)
		size += strtoul(length + 15, NULL, 10);
	if (size > c->have)
		return 0;
	keep = !strcasestr(c->buf, "connection: close") && !strstr(c->buf, "HTTP/1.0") &&
	       strncmp(c->buf, "GET /close ", 11);
	answer(c, strchr(c->buf, ' ') + 1, keep);
	memmove(c->buf, c->buf + size, c->have - size);
	c->have -= size;
	if (keep)
		return 1;
	drop(c);
	return -1;
}

static void readable(struct client *c)
{
	for (;;) {
		ssize_t n = read(c->fd, c->buf + c->have, sizeof(c->buf) - 1 - c->have);
		int rc;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			drop(c);
			return;
		}
		c->have += (size_t)n;
		while ((rc = take_request(c)) > 0)
			;
		if (rc < 0)
			return;
	}
}

static void accept_all(int listener)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct client *c = calloc(1, sizeof(*c));

		c->fd = fd;
		event.data.ptr = c;
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event event = {.events = EPOLLIN}, events[64];
	int listener = listen_on(argv[1]);

	if (listener < 0) {
		perror(argv[1]);
		return 1;
	}
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(ep, events, 64, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				readable(events[i].data.ptr);
			else
				accept_all(listener);
		}
	}
}
