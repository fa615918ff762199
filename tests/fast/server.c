/* SPDX-License-Identifier: MIT */
/*
 * A server that does with its connection what the client asks for, and writes down what each call
 * gave: one line for each connection, on standard error. server MODE PORT|PATH
 *
 * A connection begins with a line of deeds (deeds.c), or is HTTP (http.c). MODE is how it waits for
 * connections: accept (blocking), level or edge (epoll), poll; "unix-" before it: a unix socket.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "deeds.h"

#define FIRST 4096

static struct talk talk = {.twin = -1, .file = -1};

void say(struct talk *to, const char *format, ...)
{
	size_t room = sizeof(to->log) - to->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(to->log + to->len, room, format, args);
	va_end(args);
	to->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

/* What it did, in one write. */
static void tell(void)
{
	static char line[sizeof(talk.log) + 8];
	int n = snprintf(line, sizeof(line), "\n@%.*s\n", (int)talk.len, talk.log);

	if (talk.len)
		(void)!write(2, line, (size_t)n);
	talk.len = 0;
}

static int is_http(const char *line)
{
	return !strncmp(line, "GET /http", 9) || !strncmp(line, "POST /http", 10);
}

/* The first line is taken, and nothing behind it, into two halves of @size. 0: there is none. */
static size_t take_line(char *line, size_t size)
{
	struct pollfd fd = {.fd = talk.conn, .events = POLLIN};

	for (int tries = 0; tries < 2000; tries++) {
		ssize_t n = recv(talk.conn, line, size - 1, MSG_PEEK | MSG_DONTWAIT);
		char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;

		if (end && is_http(line))
			return 1;
		if (end) {
			*end = 0;
			return recv(talk.conn, line + size, (size_t)(end - line) + 1, 0) > 0;
		}
		if (!n || poll(&fd, 1, 10000) != 1 || fd.revents & (POLLERR | POLLHUP))
			return 0;
		if (n > 0)
			usleep(1000); /* of the line only a part is there */
	}
	return 0;
}

/* One line of deeds, or HTTP. True: there may be another line, "METHOD /DEEDS HTTP/1.1". */
static int serve_line(void)
{
	static char line[2 * FIRST];
	char *deeds;

	talk.taken = 0;
	if (!take_line(line, FIRST))
		return 0;
	deeds = strchr(line, ' ');
	if (is_http(line))
		serve_http(&talk);
	else if (deeds && deeds[1] == '/')
		do_deeds(&talk, strtok(deeds + 2, " "));
	else if (deeds)
		do_deeds(&talk, deeds + 1);
	tell();
	return deeds && deeds[1] == '/' && !is_http(line);
}

static void serve(void)
{
	while (serve_line())
		;
	if (talk.twin >= 0)
		close(talk.twin);
	if (talk.file >= 0)
		close(talk.file);
	talk.twin = talk.file = -1;
	close(talk.conn);
}

static int open_listener(int is_unix, const char *where)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0), on = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons((unsigned short)atoi(where));
	strncpy(un.sun_path, where, sizeof(un.sun_path) - 1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (is_unix ? bind(fd, (struct sockaddr *)&un, sizeof(un))
		    : bind(fd, (struct sockaddr *)&in, sizeof(in)))
		return -1;
	return listen(fd, 64) ? -1 : fd;
}

static void wait_for_client(const char *mode)
{
	struct pollfd fd = {.fd = talk.listener, .events = POLLIN};
	struct epoll_event event[2];

	if (!strcmp(mode, "poll"))
		poll(&fd, 1, -1);
	else if (strcmp(mode, "accept"))
		epoll_wait(talk.ep, event, 2, -1);
}

int main(int argc, char **argv)
{
	int is_unix = !strncmp(argv[1], "unix-", 5);
	const char *mode = argv[1] + 5 * is_unix;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1};
	int nonblock = strcmp(mode, "accept") ? SOCK_NONBLOCK : 0;

	signal(SIGPIPE, SIG_IGN);
	talk.listener = open_listener(is_unix, argv[2]);
	talk.ep = epoll_create1(0);
	if (talk.listener < 0 || talk.ep < 0)
		return TAKEN;
	if (nonblock)
		fcntl(talk.listener, F_SETFL, O_NONBLOCK);
	if (!strcmp(mode, "edge"))
		event.events |= EPOLLET;
	if (!strcmp(mode, "edge") || !strcmp(mode, "level"))
		epoll_ctl(talk.ep, EPOLL_CTL_ADD, talk.listener, &event);
	for (;;) {
		wait_for_client(mode);
		while ((talk.conn = accept4(talk.listener, NULL, NULL, nonblock)) >= 0)
			serve();
	}
}
