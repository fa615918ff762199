/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 by the letter of it that tests need: what was asked is what is answered, by reads and
 * writes of the sizes that the request's path asks for. Nothing of one request is kept for the next
 * but the bytes that came with it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deeds.h"

struct http {
	struct talk *talk;
	char in[1 << 16];
	size_t have; /* bytes in @in */
	size_t reads, writes;
};

static void wait_for(const struct http *h, short events)
{
	struct pollfd fd = {.fd = h->talk->conn, .events = events};

	poll(&fd, 1, 10000);
}

/* False: nothing comes any more. */
static int more(struct http *h)
{
	size_t room = sizeof(h->in) - h->have, most = h->reads && h->reads < room ? h->reads : room;
	ssize_t n;

	while ((n = read(h->talk->conn, h->in + h->have, most)) < 0 && errno == EAGAIN)
		wait_for(h, POLLIN);
	h->have += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void drop(struct http *h, size_t n)
{
	memmove(h->in, h->in + n, h->have - n);
	h->have -= n;
}

static size_t number(const char *head, const char *name, size_t otherwise)
{
	const char *at = strcasestr(head, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : otherwise;
}

static int send_all(struct http *h, const char *data, size_t n)
{
	while (n) {
		size_t most = h->writes && h->writes < n ? h->writes : n;
		ssize_t done = send(h->talk->conn, data, most, MSG_NOSIGNAL);

		if (done < 0 && errno == EAGAIN)
			wait_for(h, POLLOUT);
		else if (done < 0)
			return 0;
		else {
			data += done;
			n -= (size_t)done;
		}
	}
	return 1;
}

/* The head, without its end, moved out of the way of the body. */
static int take_head(struct http *h, char *head, size_t size)
{
	char *end;

	while (!(end = memmem(h->in, h->have, "\r\n\r\n", 4)))
		if (h->have >= size || !more(h))
			return 0;
	memcpy(head, h->in, (size_t)(end - h->in));
	head[end - h->in] = 0;
	drop(h, (size_t)(end - h->in) + 4);
	return 1;
}

static uint64_t hash_of(uint64_t hash, const char *data, size_t n)
{
	while (n--)
		hash = (hash ^ (unsigned char)*data++) * 1099511628211u;
	return hash;
}

static uint64_t take_body(struct http *h, size_t left)
{
	uint64_t hash = 14695981039346656037u;

	while (left) {
		size_t n = h->have < left ? h->have : left;

		hash = hash_of(hash, h->in, n);
		drop(h, n);
		left -= n;
		if (left && !more(h))
			return 0;
	}
	return hash;
}

static int answer(struct http *h, const char *head, uint64_t body)
{
	static char text[8192], data[1 << 16];
	size_t extra = number(head, "body=", 0), path = strcspn(head, "\r");
	int n = snprintf(text + 4096, 4096, "%.*s\n%llx\n", (int)path, head,
			 (unsigned long long)body);
	int m = snprintf(text, 4096, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			 (size_t)n + extra);

	memmove(text + m, text + 4096, (size_t)n);
	if (!send_all(h, text, (size_t)(m + n)))
		return 0;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)('a' + i * 7 % 26);
	while (extra) {
		size_t part = extra < sizeof(data) ? extra : sizeof(data);

		if (!send_all(h, data, part))
			return 0;
		extra -= part;
	}
	return 1;
}

void serve_http(struct talk *talk)
{
	static struct http h;
	static char head[8192];
	int on = 1;

	setsockopt(talk->conn, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	h = (struct http){.talk = talk, .reads = 1 << 14};
	while (take_head(&h, head, sizeof(head) - 1)) {
		h.reads = number(head, "read=", 0);
		h.writes = number(head, "write=", 0);
		if (!answer(&h, head, take_body(&h, number(head, "content-length:", 0))) ||
		    strcasestr(head, "connection: close"))
			break;
	}
}
