/* SPDX-License-Identifier: MIT */
/* A TCP conversation of a program with itself, unix packets, SIGPIPE, and files that travel. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

#include "check.h"

static int pipes_seen;

static void on_pipe(int sig)
{
	pipes_seen++;
}

static int listen_on(struct sockaddr_in *in)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	socklen_t len = sizeof(*in);

	*in = (struct sockaddr_in){.sin_family = AF_INET};
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	CHECK(bind(fd, (void *)in, sizeof(*in)) == 0);
	CHECK(listen(fd, 8) == 0);
	CHECK(getsockname(fd, (void *)in, &len) == 0 && in->sin_port);
	return fd;
}

static void tcp(void)
{
	struct sockaddr_in in, peer;
	int ls = listen_on(&in), c = socket(AF_INET, SOCK_STREAM, 0), s, n;
	socklen_t len = sizeof(peer);
	struct iovec iov[2] = {{"hel", 3}, {"lo", 2}};
	char buf[16] = "";

	CHECK(connect(c, (void *)&in, sizeof(in)) == 0);
	s = accept4(ls, (void *)&peer, &len, SOCK_NONBLOCK);
	CHECK(s >= 0 && len == sizeof(peer) && peer.sin_family == AF_INET);
	CHECK(fcntl(s, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK_ERR(recv(s, buf, 1, 0), EAGAIN);
	CHECK(writev(c, iov, 2) == 5);
	CHECK(ioctl(s, FIONREAD, &n) == 0);
	CHECK(recv(s, buf, 2, MSG_PEEK) == 2);
	CHECK(recv(s, buf, 5, MSG_WAITALL) == 5 && !memcmp(buf, "hello", 5));
	CHECK(shutdown(c, SHUT_WR) == 0);
	CHECK(read(s, buf, 1) == 0);
	CHECK(write(s, "bye", 3) == 3 && read(c, buf, 16) == 3);
	CHECK_ERR(write(c, "x", 1), EPIPE);
	CHECK(pipes_seen == 1);
	CHECK_ERR(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(pipes_seen == 1);
	CHECK_ERR(connect(c, (void *)&in, sizeof(in)), EISCONN);
	close(ls);
	close(c);
	close(s);
}

static void timeouts(void)
{
	struct timeval tv = {0, 30000};
	struct timespec a, b;
	int s[2];
	char c;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	for (int i = 0; i < 2; i++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		if (i)
			CHECK_ERR(read(s[0], &c, 1), EAGAIN);
		else
			CHECK_ERR(recv(s[0], &c, 1, 0), EAGAIN);
		clock_gettime(CLOCK_MONOTONIC, &b);
		CHECK((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec >= 30000000);
	}
	close(s[0]);
	close(s[1]);
}

/* Send descriptor @fd over @sock, and take it out at @from. */
static int pass(int sock, int from, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {{0}};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf};
	struct cmsghdr *head;
	char byte;

	msg.msg_controllen = sizeof(u.buf);
	head = CMSG_FIRSTHDR(&msg);
	*head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	CHECK(sendmsg(sock, &msg, 0) == 1);
	iov.iov_base = &byte;
	msg.msg_controllen = sizeof(u.buf);
	CHECK(recvmsg(from, &msg, MSG_CMSG_CLOEXEC) == 1 && byte == 'x');
	head = CMSG_FIRSTHDR(&msg);
	CHECK(head && head->cmsg_type == SCM_RIGHTS && !(msg.msg_flags & MSG_CTRUNC));
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

static void rights(void)
{
	int s[2], p[2], q;
	char c = 0;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0 && pipe(p) == 0);
	q = pass(s[0], s[1], p[1]);
	CHECK(q != p[1] && fcntl(q, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(q, F_SETFL, O_NONBLOCK) == 0);
	CHECK(fcntl(p[1], F_GETFL) & O_NONBLOCK); /* one open file description */
	CHECK(write(q, "z", 1) == 1 && read(p[0], &c, 1) == 1 && c == 'z');
	close(p[1]);
	close(q);
	CHECK(read(p[0], &c, 1) == 0);
	close(p[0]);
	close(s[0]);
	close(s[1]);
}

static void epoll_mix(void)
{
	struct itimerspec its = {.it_value.tv_nsec = 5000000};
	int ep = epoll_create1(0), ev = eventfd(0, EFD_NONBLOCK),
	    t = timerfd_create(CLOCK_MONOTONIC, 0);
	struct epoll_event e = {.events = EPOLLIN | EPOLLET}, got[4];
	uint64_t n = 3;

	e.data.fd = ev;
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == 0);
	e = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.fd = t};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, t, &e) == 0);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, t, &e), EEXIST);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
	CHECK(epoll_wait(ep, got, 4, 0) == 0);
	CHECK(timerfd_settime(t, 0, &its, NULL) == 0);
	CHECK(epoll_wait(ep, got, 4, -1) == 1 && got[0].data.fd == t);
	CHECK(epoll_wait(ep, got, 4, 0) == 0);
	CHECK(read(t, &n, 8) == 8 && n == 1);
	n = 3;
	CHECK(write(ev, &n, 8) == 8);
	CHECK(epoll_wait(ep, got, 4, -1) == 1 && got[0].data.fd == ev);
	CHECK(epoll_wait(ep, got, 4, 10) == 0);
	CHECK(read(ev, &n, 8) == 8 && n == 3);
	close(ev);
	close(t);
	close(ep);
}

/* What read(2) does not ask the socket for, and an error, which is told once, to who peeks as well. */
static void odd_reads(void)
{
	struct linger now = {.l_onoff = 1};
	struct sockaddr_in in;
	int ls = listen_on(&in), c = socket(AF_INET, SOCK_STREAM, 0), s;
	struct iovec none[2] = {{NULL, 0}, {NULL, 0}};
	char *volatile nowhere = (char *)8, buf[4];

	CHECK(connect(c, (void *)&in, sizeof(in)) == 0);
	s = accept4(ls, NULL, NULL, SOCK_NONBLOCK);
	CHECK(s >= 0);
	CHECK(read(s, buf, 0) == 0 && readv(s, none, 2) == 0);
	CHECK_ERR(recv(s, buf, 0, 0), EAGAIN);
	CHECK_ERR(read(s, nowhere, 4), EAGAIN);
	CHECK(write(c, "data", 4) == 4);
	CHECK_ERR(read(s, nowhere, 4), EFAULT);
	CHECK(read(s, buf, 2) == 2 && !memcmp(buf, "da", 2));
	CHECK(recv(s, buf, 2, 0) == 2);
	CHECK_ERR(write(s, nowhere, 4), EFAULT);
	CHECK(shutdown(s, SHUT_WR) == 0);
	pipes_seen = 0;
	CHECK_ERR(write(s, nowhere, 4), EPIPE);
	CHECK(pipes_seen == 1 && writev(s, none, 2) == 0 && writev(s, none, 0) == 0);
	CHECK_ERR(send(s, buf, 0, MSG_NOSIGNAL), EPIPE);
	CHECK(setsockopt(c, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0 && close(c) == 0);
	CHECK_ERR(recv(s, buf, 2, MSG_PEEK), ECONNRESET);
	CHECK(recv(s, buf, 2, MSG_PEEK) == 0);
	CHECK(close(s) == 0 && close(ls) == 0);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_pipe};

	sigaction(SIGPIPE, &sa, NULL);
	tcp();
	timeouts();
	rights();
	epoll_mix();
	odd_reads();
	printf("%s\n", check_failures ? "failed" : "ok");
	return check_done();
}
