/* SPDX-License-Identifier: MIT */
/*
 * What a program may do with its connection, by name. Each deed says what it got: "name=result",
 * errors as negative numbers, and of data the text or a hash. What depends on time is not said:
 * who waits for something (await, ...) says only whether it came.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deeds.h"

#define PATIENCE 3000 /* rounds of a millisecond or more */

char buf[1 << 17];

long outcome(long rc)
{
	return rc < 0 ? -errno : rc;
}

/* Letters only: what is sent is never taken for a sign to the client. */
static void fill(size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)('a' + i * 7 % 26);
}

void say_data(struct talk *t, const char *data, long n)
{
	uint64_t hash = 14695981039346656037u;

	for (long i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)data[i]) * 1099511628211u;
	if (n > 0)
		say(t, "#%08x", (unsigned int)(hash ^ hash >> 32));
}

/* What recv(2) and its like returned; @flags: theirs. */
static long got(struct talk *t, long rc, long flags)
{
	rc = outcome(rc);
	/* Of what is cut off TCP copies nothing. */
	if (!(flags & MSG_TRUNC))
		say_data(t, buf, rc);
	if (rc > 0 && !(flags & (MSG_PEEK | MSG_OOB)))
		t->taken += rc;
	return rc;
}

static long do_read(struct talk *t, long n, long unused)
{
	return got(t, read(t->conn, buf, (size_t)n), 0);
}

static long do_recv(struct talk *t, long n, long flags)
{
	return got(t, recv(t->conn, buf, (size_t)n, (int)flags), flags);
}

static long do_recvfrom(struct talk *t, long n, long flags)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	long rc = got(t, recvfrom(t->conn, buf, (size_t)n, (int)flags, (void *)&name, &len), flags);

	/* Untouched where there is no name; what is not a success says nothing of it. */
	if (rc >= 0)
		say(t, "n%u", len);
	return rc;
}

/* So many pieces of so many bytes, with an empty one between them. */
static int pieces(struct iovec *iov, long n, long size)
{
	int count = 0;

	for (long i = 0; i < n && i < 8; i++) {
		iov[count++] = (struct iovec){buf + i * size, (size_t)size};
		iov[count++] = (struct iovec){NULL, 0};
	}
	return count;
}

static long do_readv(struct talk *t, long n, long size)
{
	struct iovec iov[16];

	return got(t, readv(t->conn, iov, pieces(iov, n, size)), 0);
}

static long do_recvmsg(struct talk *t, long size, long flags)
{
	struct iovec iov[16];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)pieces(iov, 2, size)};
	long rc = got(t, recvmsg(t->conn, &msg, (int)flags), flags);

	if (rc >= 0)
		say(t, "f%x", (unsigned int)msg.msg_flags);
	return rc;
}

static long do_write(struct talk *t, long n, long unused)
{
	fill((size_t)n);
	return outcome(write(t->conn, buf, (size_t)n));
}

static long do_send(struct talk *t, long n, long flags)
{
	fill((size_t)n);
	return outcome(send(t->conn, buf, (size_t)n, (int)flags | MSG_NOSIGNAL));
}

static long do_writev(struct talk *t, long n, long size)
{
	struct iovec iov[16];

	fill((size_t)(8 * size));
	return outcome(writev(t->conn, iov, pieces(iov, n, size)));
}

static long do_sendmsg(struct talk *t, long size, long flags)
{
	struct iovec iov[16];
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)pieces(iov, 2, size)};

	fill((size_t)(2 * size));
	return outcome(sendmsg(t->conn, &msg, (int)flags | MSG_NOSIGNAL));
}

static long do_bad(struct talk *t, long unused, long unused2)
{
	long a = outcome(read(t->conn, (void *)8, 10));

	say(t, "%ld/", a);
	return outcome(write(t->conn, (void *)8, 10));
}

static long do_ctl(struct talk *t, long op, long events)
{
	struct epoll_event event = {.events = (uint32_t)events, .data.u64 = 7};

	return outcome(epoll_ctl(t->ep, (int)op, t->conn, &event));
}

/* Not the listener's: clients come when they like. */
static long do_wait(struct talk *t, long timeout, long max)
{
	struct epoll_event event[4];
	int n = epoll_wait(t->ep, event, max ? (int)max : 4, (int)timeout);

	for (int i = 0; i < n; i++)
		if (event[i].data.u64 != 1)
			say(t, "<%x %lx>", event[i].events, (unsigned long)event[i].data.u64);
	return n < 0 ? -errno : 0;
}

static long do_poll(struct talk *t, long events, long timeout)
{
	struct pollfd fd = {.fd = t->conn, .events = (short)events};
	long rc = outcome(poll(&fd, 1, (int)timeout));

	say(t, "<%x>", (unsigned int)fd.revents);
	return rc;
}

static long do_select(struct talk *t, long unused, long unused2)
{
	struct timeval none = {0};
	fd_set in, out;
	long rc;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(t->conn, &in);
	FD_SET(t->conn, &out);
	rc = outcome(select(t->conn + 1, &in, &out, NULL, &none));
	say(t, "<%d%d>", FD_ISSET(t->conn, &in) != 0, FD_ISSET(t->conn, &out) != 0);
	return rc;
}

static long do_nonblock(struct talk *t, long on, long by_ioctl)
{
	int value = (int)on;

	return outcome(by_ioctl ? ioctl(t->conn, FIONBIO, &value)
				: fcntl(t->conn, F_SETFL, on ? O_NONBLOCK : 0));
}

static long do_flags(struct talk *t, long unused, long unused2)
{
	return outcome(fcntl(t->conn, F_GETFL));
}

static long do_waiting(struct talk *t, long unused, long unused2)
{
	int n = -1;
	long rc = outcome(ioctl(t->conn, FIONREAD, &n));

	say(t, "%d ", n);
	return rc;
}

static long do_shutdown(struct talk *t, long how, long unused)
{
	return outcome(shutdown(t->conn, (int)how));
}

static long do_close(struct talk *t, long unused, long unused2)
{
	return outcome(close(t->conn));
}

static long do_dup(struct talk *t, long unused, long unused2)
{
	if (t->twin >= 0)
		return -1;
	t->twin = dup(t->conn);
	return outcome(t->twin);
}

/* From now on the other one is used. */
static long do_swap(struct talk *t, long unused, long unused2)
{
	int fd = t->twin;

	if (fd < 0)
		return -1;
	t->twin = t->conn;
	t->conn = fd;
	return 0;
}

static long do_undup(struct talk *t, long unused, long unused2)
{
	int fd = t->twin;

	t->twin = -1;
	return fd < 0 ? -1 : outcome(close(fd));
}

static long do_dup2(struct talk *t, long to, long unused)
{
	long rc = outcome(dup2(t->conn, (int)to));

	if (rc >= 0)
		say(t, "%ld/", outcome(close((int)to)));
	return rc;
}

static long do_option(struct talk *t, long which, long value)
{
	static const int options[][2] = {
		{IPPROTO_TCP, TCP_NODELAY},   {SOL_SOCKET, SO_KEEPALIVE}, {IPPROTO_TCP, TCP_KEEPIDLE},
		{IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_KEEPCNT}, {SOL_SOCKET, SO_RCVLOWAT},
		{SOL_SOCKET, SO_SNDBUF},      {SOL_SOCKET, SO_LINGER},	  {SOL_SOCKET, SO_ERROR},
		{SOL_SOCKET, SO_RCVTIMEO},    {SOL_SOCKET, SO_TYPE},	  {SOL_SOCKET, SO_OOBINLINE},
	};
	const int *o = options[which % 12];
	int now[4] = {-1, -1, -1, -1}, to = (int)value;
	socklen_t len = sizeof(now);
	long rc = outcome(setsockopt(t->conn, o[0], o[1], &to, sizeof(to)));

	say(t, "%ld/%ld/", rc, outcome(getsockopt(t->conn, o[0], o[1], now, &len)));
	return len == sizeof(int) ? now[0] : (long)len;
}

static long do_names(struct talk *t, long unused, long unused2)
{
	struct sockaddr_in name = {0};
	socklen_t len = sizeof(name);
	long rc = outcome(getpeername(t->conn, (void *)&name, &len));

	say(t, "%u %d/", len, name.sin_family);
	len = 3;
	rc = rc ? rc : outcome(getsockname(t->conn, (void *)&name, &len));
	say(t, "%u ", len);
	return rc;
}

static long do_accept(struct talk *t, long flags, long unused)
{
	int fd;

	/* One that waits would wait for another client. */
	if (!(fcntl(t->listener, F_GETFL) & O_NONBLOCK))
		return 0;
	fd = accept4(t->listener, NULL, NULL, (int)flags);
	return outcome(fd);
}

/* A call that leaves: what the shim was given is given anew. */
static long do_leave(struct talk *t, long unused, long unused2)
{
	(void)syscall(SYS_getppid);
	return 0;
}

static long do_nap(struct talk *t, long ms, long unused)
{
	usleep((unsigned int)ms * 1000);
	return 0;
}

/*
 * On another CPU what has come may be there to be seen a little before who waits for it is told: a
 * look at epoll(7) in between finds it, and is told of an edge once more.
 */
static long has_come(void)
{
	usleep(1000);
	return 1;
}

/* Until so many bytes have come in all, those that were read among them. */
static long do_await(struct talk *t, long n, long unused)
{
	for (int i = 0; i < PATIENCE; i++) {
		int now = 0;

		if (!ioctl(t->conn, FIONREAD, &now) && t->taken + now >= n)
			return has_come();
		usleep(1000);
	}
	return 0;
}

/* Until poll(2) says one of these; the end of the input, an error. */
static long do_await_event(struct talk *t, long events, long unused)
{
	struct pollfd fd = {.fd = t->conn, .events = (short)events};

	for (int i = 0; i < PATIENCE; i++) {
		if (poll(&fd, 1, 0) == 1 && fd.revents & (events | POLLERR | POLLHUP))
			return has_come();
		usleep(1000);
	}
	return 0;
}

/* Until the client's host has all. */
static long do_flushed(struct talk *t, long unused, long unused2)
{
	for (int i = 0; i < PATIENCE; i++) {
		int now = 0;

		if (ioctl(t->conn, SIOCOUTQ, &now) || !now)
			return 1;
		usleep(1000);
	}
	return 0;
}

/* The client goes on when it has this. */
static long do_go(struct talk *t, long unused, long unused2)
{
	return outcome(send(t->conn, "!", 1, MSG_NOSIGNAL));
}

static long do_respond(struct talk *t, long unused, long unused2)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

	return outcome(send(t->conn, text, sizeof(text) - 1, MSG_NOSIGNAL));
}

/* What was found so far, to the client. */
static long do_report(struct talk *t, long unused, long unused2)
{
	return outcome(send(t->conn, t->log, t->len, MSG_NOSIGNAL)) > 0;
}

/* Nothing is called for so many millions of cycles. */
static long do_busy(struct talk *t, long millions, long unused)
{
	unsigned long long begin = __builtin_ia32_rdtsc();

	while (__builtin_ia32_rdtsc() - begin < (unsigned long long)millions * 1000000)
		;
	return 0;
}

static long do_identity(struct talk *t, long unused, long unused2)
{
	say(t, "%u %u ", getuid(), getgid());
	return getpid() == syscall(SYS_gettid);
}

static long ready(struct talk *t, short events)
{
	struct pollfd fd = {.fd = t->conn, .events = events};

	return poll(&fd, 1, 10000);
}

/* All of it, by pieces of a size: how large each of them was depends on time. */
static long do_take(struct talk *t, long total, long piece)
{
	static char all[1 << 22];
	long done = 0;

	while (done < total && done < (long)sizeof(all)) {
		long most = total - done < piece ? total - done : piece;
		long n = read(t->conn, all + done, (size_t)most);

		if (n < 0 && errno == EAGAIN && ready(t, POLLIN) == 1)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	say_data(t, all, done);
	return done;
}

static long do_give(struct talk *t, long total, long piece)
{
	long done = 0;

	fill(sizeof(buf));
	while (done < total) {
		long most = total - done < piece ? total - done : piece;
		long n = send(t->conn, buf + done % 26, (size_t)most, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN && ready(t, POLLOUT) == 1)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

/* As much as can be sent without waiting: how much that is depends on time. */
static long do_stuff(struct talk *t, long piece, long unused)
{
	long n = 0;

	fill((size_t)piece);
	for (int i = 0; i < 100000 && n >= 0; i++)
		n = send(t->conn, buf, (size_t)piece, MSG_NOSIGNAL | MSG_DONTWAIT);
	return outcome(n);
}

static void *write_a_little(void *arg)
{
	const struct talk *t = arg;

	for (int i = 0; i < 4; i++) {
		(void)!send(t->conn, "tick\n", 5, MSG_NOSIGNAL);
		usleep(500);
	}
	return NULL;
}

/* Another thread sends while this one asks again and again. */
static long do_thread(struct talk *t, long unused, long unused2)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, write_a_little, t))
		return -1;
	for (int i = 0; i < 50; i++)
		(void)!recv(t->conn, buf, 1, MSG_PEEK | MSG_DONTWAIT);
	pthread_join(thread, NULL);
	return 0;
}

#define DEEDS(X)                                                                                   \
	X(read) X(recv) X(recvfrom) X(readv) X(recvmsg) X(write) X(send) X(writev) X(sendmsg)      \
	X(bad) X(ctl) X(wait) X(poll) X(select) X(nonblock) X(flags) X(waiting) X(shutdown)        \
	X(close) X(dup) X(swap) X(undup) X(dup2) X(option) X(names) X(accept) X(leave) X(nap)      \
	X(await) X(await_event) X(flushed) X(go) X(take) X(give) X(stuff) X(thread)    \
	X(respond) X(report) X(open) X(stat) X(fstat) X(fread) X(pread) X(seek) X(sendfile) X(put)    \
	X(fclose) X(identity) X(busy)

static const struct {
	const char *name;
	long (*deed)(struct talk *, long, long);
} deeds[] = {
#define X(name) {#name, do_##name},
	DEEDS(X)
#undef X
};

static void do_deed(struct talk *talk, char *text)
{
	char *first = strchr(text, ':'), *second = first ? strchr(first + 1, ':') : NULL;
	long a = first ? strtol(first + 1, NULL, 0) : 0, b = second ? strtol(second + 1, NULL, 0) : 0;
	size_t len = first ? (size_t)(first - text) : strlen(text);

	say(talk, " %s=", text);
	for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++)
		if (!strncmp(text, deeds[i].name, len) && !deeds[i].name[len]) {
			say(talk, "%ld", deeds[i].deed(talk, a, b));
			return;
		}
	say(talk, "?");
}

void do_deeds(struct talk *talk, char *list)
{
	char *next = list;

	while ((list = strsep(&next, ",")))
		if (*list)
			do_deed(talk, list);
}
