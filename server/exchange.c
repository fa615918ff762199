/* SPDX-License-Identifier: MIT */
/*
 * Following a request through a program: what it may take of the client's bytes, what it sent, and
 * whether it is done. A request is over, once the program is idle,
 *  - when request and response are complete (HTTP); a program that answers early may still want the
 *    rest of the request, but only as long as it comes (ks_exchange_answered_at()), or
 *  - when it has closed the connection, or shut it down in both directions, or
 *  - when nobody knows where the request or the response ends: what came after it might be another
 *    user's request, which this program must not get.
 *
 * The program's memory may vanish while it is looked at (files that are truncated): it is
 * copied by the kernel, and only where framing depends on it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "exchange.h"
#include "kvmserver.h"

static void on_accepted(void *ctx)
{
	struct ks_exchange *exchange = ctx;

	exchange->accepted = true;
}

/* The next that the program gets is an error, which looking with recv(2) would take. */
static bool is_broken(int fd)
{
	struct pollfd client = {.fd = fd};
	int there = 0;

	return poll(&client, 1, 0) > 0 && client.revents & POLLERR &&
	       !ioctl(fd, FIONREAD, &there) && !there;
}

/* Look at what has come behind the part that is known, which the program has taken. */
static size_t look_further(struct ks_exchange *exchange, int fd)
{
	ssize_t n;

	if (is_broken(fd))
		return SIZE_MAX;
	n = recv(fd, exchange->buf, exchange->buf_size, MSG_PEEK | MSG_DONTWAIT);
	/* The end, or an error: nothing can come in between. */
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		return SIZE_MAX;
	if (n < 0)
		return 0;
	exchange->ahead = ks_http_input(&exchange->conn->http, exchange->buf, (size_t)n);
	if (exchange->conn->http.refused)
		exchange->ahead = 0;
	return exchange->conn->http.tunnel ? SIZE_MAX : exchange->ahead;
}

static size_t on_input(void *ctx, int fd, size_t wanted)
{
	struct ks_exchange *exchange = ctx;
	const struct ks_http *http = &exchange->conn->http;

	if (http->tunnel)
		return SIZE_MAX;
	if (exchange->ahead)
		return exchange->ahead;
	if (http->request_complete || http->refused)
		return 0;
	if (http->skip_in)
		return http->skip_in;
	return look_further(exchange, fd);
}

static void on_took(void *ctx, size_t len)
{
	struct ks_exchange *exchange = ctx;
	size_t known = len < exchange->ahead ? len : exchange->ahead;

	exchange->taken += len;
	ks_stall_end_wait(&exchange->stall);
	exchange->ahead -= known;
	if (len > known)
		ks_http_input_body(&exchange->conn->http, len - known);
	if (ks_exchange_answered_at(exchange))
		atomic_store_explicit(&exchange->answered_at, ks_now(), memory_order_relaxed);
}

static void note_answer(struct ks_exchange *exchange)
{
	if (exchange->conn->http.response_complete &&
	    !atomic_load_explicit(&exchange->answered_at, memory_order_relaxed))
		atomic_store_explicit(&exchange->answered_at, ks_now(), memory_order_relaxed);
}

/* A piece of what was sent, up to @left bytes of it. Returns how much was dealt with. */
static size_t follow_piece(struct ks_exchange *exchange, char *data, size_t left, bool stable)
{
	struct ks_http *http = &exchange->conn->http;
	struct iovec from = {data, left}, to = {exchange->buf, exchange->buf_size};
	ssize_t n;

	if (http->skip_out) {
		n = (ssize_t)(left < http->skip_out ? left : http->skip_out);
		ks_http_output_body(http, (uint64_t)n);
		return (size_t)n;
	}
	if (stable) {
		ks_http_output(http, data, left);
		return left;
	}
	if (from.iov_len > to.iov_len)
		from.iov_len = to.iov_len;
	n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	if (n <= 0) {
		http->lost = true;
		return left;
	}
	ks_http_output(http, exchange->buf, (size_t)n);
	return (size_t)n;
}

static void on_sent(void *ctx, const struct iovec *iov, int n, size_t len, unsigned int how)
{
	struct ks_exchange *exchange = ctx;
	struct ks_http *http = &exchange->conn->http;

	exchange->conn->sent += len;
	ks_stall_end_wait(&exchange->stall);
	/* In a conversation who is asked may think. */
	if (http->tunnel)
		exchange->stall.waited = 0;
	http->response_begun = true;
	exchange->conn->finished |= (how & TKVM_SENT_ENDED) != 0;
	for (int i = 0; i < n && len && !http->tunnel && !http->lost; i++) {
		size_t left = iov[i].iov_len < len ? iov[i].iov_len : len;
		char *data = iov[i].iov_base;

		len -= left;
		while (left && !http->tunnel && !http->lost) {
			size_t done = follow_piece(exchange, data, left, how & TKVM_SENT_STABLE);

			data += done;
			left -= done;
		}
	}
	if (http->lost)
		atomic_store_explicit(&exchange->lost, true, memory_order_relaxed);
	note_answer(exchange);
}

static void on_shut(void *ctx, int how)
{
	struct ks_exchange *exchange = ctx;

	exchange->shut |= how == SHUT_RD ? 1u : how == SHUT_WR ? 2u : 3u;
}

static void on_released(void *ctx, int fd, enum tkvm_release how)
{
	struct ks_exchange *exchange = ctx;

	exchange->closed = true;
	exchange->unchanged = how == TKVM_UNCHANGED;
	if (fd < 0) /* otherwise it is the one that it was, and housekeeping may look at it */
		exchange->conn->source.fd = -1;
	/* The client need not wait for what the program does after it closed, nor for the reset. */
	else if (exchange->runs && exchange->conn->http.response_begun)
		ks_conn_end_output(exchange->conn);
}

static const struct tkvm_connection_ops ops = {
	.size = sizeof(ops),
	.accepted = on_accepted,
	.input = on_input,
	.took = on_took,
	.sent = on_sent,
	.shut = on_shut,
	.released = on_released,
};

void ks_exchange_begin(struct ks_exchange *exchange, struct ks_conn *conn, void *buf,
		       size_t buf_size)
{
	exchange->conn = conn;
	exchange->buf = buf;
	exchange->buf_size = buf_size;
	exchange->ahead = conn->http.tunnel ? 0 : conn->seen;
	exchange->taken = 0;
	exchange->accepted = exchange->closed = exchange->unchanged = exchange->left_open = false;
	exchange->runs = true;
	exchange->shut = 0;
	exchange->stalled = exchange->blocks = false;
	exchange->unread = 0;
	ks_stall_begin(&exchange->stall);
	atomic_store(&exchange->lost, false);
	atomic_store(&exchange->answered_at, 0);
}

int ks_exchange_offer(struct ks_exchange *exchange, struct tkvm_machine *fork)
{
	struct ks_conn *conn = exchange->conn;

	return tkvm_machine_offer(fork, conn->listener, conn->source.fd, &ops, exchange);
}

/* An idle program that still sends is one whose client takes nothing. */
static bool can_send(int fd)
{
	struct pollfd client = {.fd = fd, .events = POLLOUT};

	return poll(&client, 1, 0) > 0;
}

bool ks_exchange_is_over(const struct ks_exchange *exchange)
{
	const struct ks_http *http = &exchange->conn->http;

	if (exchange->closed || exchange->shut == 3 || http->refused)
		return true;
	if (http->lost)
		return can_send(exchange->conn->source.fd);
	return http->response_complete && http->request_complete;
}

/* Nothing has come that the program could take; the end of input would be something. */
static bool owes_input(const struct ks_exchange *exchange)
{
	int there = 0;

	if (exchange->conn->http.request_complete)
		return false;
	return !ioctl(exchange->conn->source.fd, FIONREAD, &there) && !there;
}

/*
 * It is the client's turn. Switched protocols are the program's: it knows how long its clients may
 * say nothing; but one that has said its last word will not say more.
 */
static bool is_clients_turn(struct ks_exchange *exchange)
{
	const struct ks_http *http = &exchange->conn->http;
	struct pollfd client = {.fd = exchange->conn->source.fd, .events = POLLOUT | POLLRDHUP};

	poll(&client, 1, 0);
	if (http->tunnel && http->status)
		return client.revents & POLLRDHUP;
	if (!(client.revents & (POLLOUT | POLLERR | POLLHUP)))
		return exchange->blocks = true;
	return !(client.revents & ~POLLOUT) && owes_input(exchange);
}

/* A slow reader makes room in the socket long before the program is told. */
static int64_t moved_by_client(struct ks_exchange *exchange)
{
	ioctl(exchange->conn->source.fd, TIOCOUTQ, &exchange->unread);
	return (int64_t)(exchange->taken + exchange->conn->sent) - exchange->unread;
}

bool ks_exchange_is_stalled(struct ks_exchange *exchange, uint64_t now, uint64_t limit)
{
	if (!limit)
		return false;
	exchange->stalled = ks_stall_look(&exchange->stall, is_clients_turn(exchange),
					  moved_by_client(exchange), now, limit);
	return exchange->stalled;
}

bool ks_exchange_may_be_stalled(struct ks_exchange *exchange, uint64_t now)
{
	return ks_stall_is_due(&exchange->stall, now);
}

bool ks_exchange_is_lost(const struct ks_exchange *exchange)
{
	return atomic_load_explicit(&exchange->lost, memory_order_relaxed);
}

uint64_t ks_exchange_answered_at(const struct ks_exchange *exchange)
{
	return atomic_load_explicit(&exchange->answered_at, memory_order_relaxed);
}

void ks_exchange_ran(struct ks_exchange *exchange, uint64_t ns)
{
	exchange->left_open = !exchange->closed;
	exchange->runs = false;
	exchange->guest_ns = ns;
}

bool ks_exchange_refuse(struct ks_exchange *exchange, int status)
{
	struct ks_conn *conn = exchange->conn;

	if (conn->source.fd < 0 || conn->http.response_begun || exchange->shut & 2 ||
	    !ks_http_is_http(&conn->http))
		return false;
	ks_conn_refuse(conn, status);
	return true;
}

bool ks_exchange_may_keep(const struct ks_exchange *exchange)
{
	const struct ks_conn *conn = exchange->conn;

	return conn->source.fd >= 0 && exchange->closed && exchange->unchanged && !exchange->shut &&
	       !conn->finished && !exchange->ahead && exchange->left_open &&
	       ks_http_may_keep(&conn->http);
}

void ks_exchange_log(const struct ks_exchange *exchange, unsigned int worker)
{
	const struct ks_conn *conn = exchange->conn;
	char peer[80];

	ks_conn_peer(conn, peer, sizeof(peer));
	ks_message("%s \"%s %.*s\" %d %llu bytes, worker %u, guest %.3f ms, reset %.3f ms", peer,
		   ks_http_method(&conn->http), (int)conn->http.target_len, conn->http.target,
		   conn->http.status, (unsigned long long)conn->sent, worker,
		   (double)exchange->guest_ns / 1e6, (double)exchange->reset_ns / 1e6);
}
