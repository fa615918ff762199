/* SPDX-License-Identifier: MIT */
/*
 * Client connections while no program has them. What a client sends stays in the socket: it is only
 * peeked at, so that the program takes it from there as ever.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "conn.h"

/* Unix sockets hold more than that, but not always much more. */
#define UNIX_BODY 32768
/*
 * A unix socket counts what each write takes of the kernel's memory: with writes of one byte it is
 * full, to who asks poll(2), behind 69 of them. Whether it is its reader is not told.
 */
#define UNIX_FEWEST  64
#define SPARE_WINDOW (128 * 1024)
/* Unread input that is thrown away so that closing does not reset the connection. */
#define DRAIN_MAX (256 * 1024)

void ks_conn_peer(const struct ks_conn *conn, char *text, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&conn->peer;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&conn->peer;
	char ip[INET6_ADDRSTRLEN] = "";

	if (conn->peer.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		snprintf(text, size, "%s:%u", ip, ntohs(v4->sin_port));
	} else if (conn->peer.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		snprintf(text, size, "[%s]:%u", ip, ntohs(v6->sin6_port));
	} else {
		snprintf(text, size, "%s", conn->peer.ss_family == AF_UNIX ? "unix" : "-");
	}
}

/*
 * A body of which the length is known need not be looked at: @want is set. Unix sockets cannot wait
 * for a number of bytes, and if nothing came since the last look they may be full.
 */
static enum ks_look judge(struct ks_conn *conn, bool enough, size_t max_body)
{
	const struct ks_http *http = &conn->http;
	bool is_unix = conn->peer.ss_family == AF_UNIX;

	if (is_unix && max_body > UNIX_BODY)
		max_body = UNIX_BODY;
	if (http->tunnel || http->refused || http->request_complete)
		return KS_READY;
	if (http->head_complete && (http->skip_in > max_body || !max_body))
		return KS_READY;
	if (is_unix && conn->no_news && conn->seen >= UNIX_FEWEST)
		return KS_READY;
	if (http->skip_in && !is_unix && !(http->request.flags & F_CHUNKED)) {
		conn->want = conn->seen + http->skip_in;
		return KS_NOT_YET;
	}
	return enough ? KS_READY : KS_NOT_YET;
}

/*
 * The socket is ready with less than was wanted at the end, and when its window is closed: looking
 * at it opens that, if there is room. If nothing has come since the last time there is none.
 */
static enum ks_look count_body(struct ks_conn *conn, bool ended)
{
	int there = 0;
	char byte;

	if (ioctl(conn->source.fd, FIONREAD, &there) || there < 0)
		return KS_GONE;
	if ((size_t)there < conn->want && (size_t)there > conn->counted && !ended) {
		conn->counted = (size_t)there;
		recv(conn->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		return KS_NOT_YET;
	}
	if ((size_t)there >= conn->want) {
		ks_http_input_body(&conn->http, conn->want - conn->seen);
		conn->seen = conn->want;
	}
	return KS_READY;
}

enum ks_look ks_conn_look(struct ks_conn *conn, void *buf, size_t size, size_t max_body, bool ended)
{
	enum ks_look look;
	ssize_t n;

	if (atomic_load(&conn->expired))
		return KS_GONE;
	if (conn->want)
		return count_body(conn, ended);
	n = recv(conn->source.fd, buf, size, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return KS_GONE;
	if (!n)
		return KS_GONE;
	/* Urgent data: it counts as data, but we do not see it. */
	conn->no_news = n <= (ssize_t)conn->seen;
	if (!conn->no_news && !conn->asked) {
		conn->asked = true;
		conn->asked_at = ks_now();
	}
	if (!conn->no_news)
		conn->seen += ks_http_input(&conn->http, (char *)buf + conn->seen,
					    (size_t)n - conn->seen);
	look = judge(conn, !conn->no_news && (size_t)n == size, max_body);
	/* Half a request and no more to come: whatever the program makes of it. */
	return ended ? KS_READY : look;
}

void ks_conn_invite(struct ks_conn *conn)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct ks_http *http = &conn->http;

	if (!http->expects_continue || !http->head_complete || conn->continued ||
	    http->request.http_minor < 1)
		return;
	conn->continued = true;
	/* It is the first that is sent in this exchange: if there is no room, the client is lost.
	 */
	send(conn->source.fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * The kernel makes the buffer as large as the mark, and calls a socket ready whose window is
 * smaller than a segment, which on the loopback device has 64 KiB.
 */
static void make_room(int fd, int want)
{
	int more = want + SPARE_WINDOW;

	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof(more));
}

int ks_conn_wait_for_more(struct ks_conn *conn)
{
	int fd = conn->source.fd, value = 0;
	int want = (int)(conn->want ? conn->want : conn->seen + 1);
	socklen_t len = sizeof(int);

	if (!conn->seen)
		return 0;
	/* It would be ready at once. */
	if (conn->no_news)
		return -EAGAIN;
	/* Unix sockets take the option, but are ready all the same. */
	if (conn->peer.ss_family == AF_UNIX)
		return -EAGAIN;
	if (!conn->lowat && getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &conn->lowat, &len))
		return -EAGAIN;
	if (conn->want)
		make_room(fd, want);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &want, sizeof(want)) ||
	    getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, &len))
		return -EAGAIN;
	/* The kernel cuts it to what the buffer can hold. */
	return value < want ? -ENOBUFS : 0;
}

void ks_conn_wait_no_more(struct ks_conn *conn)
{
	if (conn->lowat)
		setsockopt(conn->source.fd, SOL_SOCKET, SO_RCVLOWAT, &conn->lowat,
			   sizeof(conn->lowat));
	conn->lowat = 0;
}

static const char *reason(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 408:
		return "Request Timeout";
	case 499: /* nobody gets it; counts and log lines tell it from what we turn away */
		return "Client Closed Request";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	case 507:
		return "Insufficient Storage";
	default:
		return "Internal Server Error";
	}
}

void ks_conn_refuse(struct ks_conn *conn, int status)
{
	const char *text = reason(status);
	char response[256];
	int len = snprintf(response, sizeof(response),
			   "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
			   "Connection: close\r\n\r\n%s\n",
			   status, text, strlen(text) + 1, text);

	conn->http.status = status;
	if (send(conn->source.fd, response, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		conn->sent += (uint64_t)len;
	ks_conn_end_output(conn);
}

bool ks_conn_has_left(const struct ks_conn *conn)
{
	struct pollfd client = {.fd = conn->source.fd};

	return poll(&client, 1, 0) > 0 && client.revents & (POLLHUP | POLLERR);
}

void ks_conn_end_output(struct ks_conn *conn)
{
	if (!conn->finished)
		shutdown(conn->source.fd, SHUT_WR);
	conn->finished = true;
}

/*
 * close(2) with unread input makes the kernel drop what was sent and not yet acknowledged. True at
 * the end of what the client sends.
 */
static bool drain(int fd)
{
	char buf[4096];
	size_t total = 0;
	ssize_t n;

	do {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		total += n > 0 ? (size_t)n : 0;
	} while (n > 0 && total < DRAIN_MAX);
	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

bool ks_conn_finish(struct ks_conn *conn)
{
	const struct ks_http *http = &conn->http;

	if (conn->source.fd < 0)
		return true;
	if (drain(conn->source.fd) || atomic_load(&conn->expired))
		return true;
	if (!http->refused && (!http->head_complete || http->request_complete || http->tunnel))
		return true;
	ks_conn_end_output(conn);
	return false;
}

void ks_conn_abort(struct ks_conn *conn)
{
	static const struct linger now = {.l_onoff = 1};

	if (conn->source.fd < 0)
		return;
	setsockopt(conn->source.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	atomic_store(&conn->expired, true);
}

void ks_conn_close(struct ks_conn *conn)
{
	if (conn->source.fd >= 0)
		close(conn->source.fd);
	free(conn);
}
