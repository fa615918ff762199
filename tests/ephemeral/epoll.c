/* SPDX-License-Identifier: MIT */
/*
 * A server with epoll on the given port of 127.0.0.1 (or the unix socket of that path): every
 * request is answered with the number of requests that there were. Keeps connections open.
 *   /fault, /abort, /exit, /spin, /memory, /stack   what a request can do to it
 *   /silent     no answer, and closes
 *   /breed      threads that start threads, and work, all of them, for ever
 *   /print      writes to standard output for ever
 *   /threads, /fds, /output   as many as there can be; answers
 *   /bomb       every descriptor that there is, for two seconds; answers
 *   /open       ends if no file can be opened, else answers
 *   /unlisten, /shut, /over, /options   what can be done to the listening socket; answers
 *   /slow       answers after 300 ms
 *   /close      answers and closes
 *   /odd        answers, with a header that no parser should take
 *   /long       answers 3 MB
 *   /work       answers, and works on for ever
 *   /leave      answers, closes, and works on for ever
 *   /upgrade    101, and from then on echoes
 *   /listeners  answers with the number of a second listening socket (of the second argument)
 *   others      the count
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LONG (3 * 1024 * 1024)

static int ep, listeners[2], n_listeners;
static unsigned long count;

struct client {
	int fd, echo, continued;
	size_t have;
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
		memset(mmap(NULL, 1 << 30, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), 1, 1 << 30);
	if (!strncmp(path, "/stack ", 7))
		misbehave((char *)memcpy(alloca(1 << 16), "/stack ", 8));
}

/* Descriptors of all kinds: files, mappings, second registrations, files on their way. */
static void take_descriptors(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int pair[2], fd;

	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	fd = dup(pair[0]);
	while (!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
		fd = dup(pair[0]);
	fd = open("/proc/self/exe", O_RDONLY);
	for (int i = 0; i < 20000; i++)
		if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			break;
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	usleep(2000000);
}

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

static void *breed(void *arg)
{
	pthread_t thread;

	for (;;)
		pthread_create(&thread, NULL, breed, arg);
}

/* What is to be gone afterwards, or never to be noticed by others. */
static void exhaust(const char *path)
{
	static char text[4096];
	int one = 1, n = 0;
	pthread_t thread;

	if (!strncmp(path, "/threads ", 9))
		while (n++ < 100 && !pthread_create(&thread, NULL, sleeper, NULL))
			;
	if (!strncmp(path, "/breed ", 7))
		breed(NULL);
	if (!strncmp(path, "/print ", 7))
		for (;;)
			write(1, text, sizeof(text));
	if (!strncmp(path, "/bomb ", 6))
		take_descriptors();
	if (!strncmp(path, "/open ", 6) && open("/dev/null", O_RDONLY) < 0)
		exit(4);
	if (!strncmp(path, "/fds ", 5))
		while (n++ < 1000 && open("/dev/null", O_RDONLY) >= 0)
			;
	if (!strncmp(path, "/output ", 8)) {
		memset(text, 'o', sizeof(text));
		text[sizeof(text) - 1] = '\n';
		for (n = 0; n < 64; n++)
			write(1, text, sizeof(text));
	}
	if (!strncmp(path, "/unlisten ", 10))
		close(listeners[0]);
	if (!strncmp(path, "/shut ", 6))
		shutdown(listeners[0], SHUT_RDWR);
	if (!strncmp(path, "/over ", 6))
		dup2(0, listeners[0]);
	if (!strncmp(path, "/options ", 9)) {
		setsockopt(listeners[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		fcntl(listeners[0], F_SETFL, 0);
		listen(listeners[0], 1);
	}
}

static const char upgrade[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			      "Upgrade: echo\r\n\r\n";

static void answer(struct client *c, const char *path, int keep)
{
	static char big[LONG];
	char body[64], head[256];
	size_t len;
	int n;

	misbehave(path);
	exhaust(path);
	if (!strncmp(path, "/silent ", 8))
		return;
	count++;
	if (!strncmp(path, "/upgrade ", 9)) {
		send_all(c->fd, upgrade, strlen(upgrade));
		c->echo = 1;
		return;
	}
	if (!strncmp(path, "/slow ", 6))
		usleep(300000);
	len = (size_t)sprintf(body, "%lu\n", count);
	if (!strncmp(path, "/listeners ", 11))
		len = (size_t)sprintf(body, "%d\n", n_listeners);
	if (!strncmp(path, "/long ", 6) || !strncmp(path, "/odd-long ", 10)) {
		memset(big, 'x', sizeof(big));
		len = sizeof(big);
	}
	n = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s%s\r\n", len,
		    keep ? "" : "Connection: close\r\n",
		    !strncmp(path, "/odd", 4) ? "X[0]: 1\r\n" : "");
	if (!strncmp(c->buf, "HEAD ", 5)) {
		send_all(c->fd, head, (size_t)n);
	} else if (len < sizeof(body)) {
		memcpy(head + n, body, len);
		send_all(c->fd, head, (size_t)n + len);
	} else {
		send_all(c->fd, head, (size_t)n);
		send_all(c->fd, big, len);
	}
	if (!strncmp(path, "/leave ", 7))
		close(c->fd);
	if (!strncmp(path, "/work ", 6) || !strncmp(path, "/leave ", 7))
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
	if (size > c->have) {
		misbehave(strchr(c->buf, ' ') + 1);
		if (strstr(c->buf, "100-continue") && !c->continued++)
			send_all(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		return 0;
	}
	if (strcasestr(c->buf, "transfer-encoding: chunked")) {
		end = strstr(end + 4, "0\r\n\r\n");
		if (!end)
			return 0;
		size = (size_t)(end + 5 - c->buf);
	}
	keep = !strcasestr(c->buf, "connection: close") && !strstr(c->buf, "HTTP/1.0") &&
	       strncmp(c->buf, "GET /close ", 11) && strncmp(c->buf, "GET /silent ", 12);
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
		if (c->echo) {
			send_all(c->fd, c->buf, c->have);
			c->have = 0;
			continue;
		}
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

	ep = epoll_create1(0);
	for (int i = 1; i < argc && i <= 2; i++) {
		int fd = listen_on(argv[i]);

		if (fd < 0) {
			perror(argv[i]);
			return 1;
		}
		listeners[n_listeners++] = fd;
		event.data.u64 = 0;
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
	}
	for (;;) {
		int n = epoll_wait(ep, events, 64, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				readable(events[i].data.ptr);
			else
				for (int k = 0; k < n_listeners; k++)
					accept_all(listeners[k]);
		}
	}
}
