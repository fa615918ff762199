/* SPDX-License-Identifier: MIT */
/*
 * A server that is asked, by the path of a request, to use its connection in some unusual way. What
 * each call gave is the response, or goes to standard error if the response is over: the same with
 * and without the fast path, and without a machine. /scribble/SEED does what no program should do,
 * to the pages that the fast path shares with the VMM (of which the second argument tells).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../lib/forget_files.h"

#define MIB   (1 << 20)
#define GUARD ((void *)0x7fffc0000000) /* of a machine; natively nothing is there */

static char text[65536], request[8192], big[MIB];
static size_t len;
static int ep, conn, listener;
static unsigned long shared_pages;
static char *volatile nowhere;
static volatile int minus_one = -1, too_many = 2000, far_too_many = 200 << 20;

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	len += (size_t)vsnprintf(text + len, sizeof(text) - len, format, args);
	va_end(args);
}

static void said(const char *what, long rc)
{
	int error = errno;

	if (rc < 0)
		say("%s: %s\n", what, strerror(error));
	else
		say("%s: %ld\n", what, rc);
}

#define SAY(call) said(#call, (long)(call))

static void flush(void)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(conn, text + done, len - done, MSG_NOSIGNAL);
		struct pollfd fd = {.fd = conn, .events = POLLOUT};

		if (n < 0 && errno == EAGAIN)
			poll(&fd, 1, 1000);
		else if (n < 0)
			break;
		else
			done += (size_t)n;
	}
	len = 0;
}

static void tell_stderr(void)
{
	(void)!write(2, text, len);
	len = 0;
}

static int wait_for(int events, int timeout)
{
	struct epoll_event event[4];
	int n;

	memset(event, 0, sizeof(event));
	n = epoll_wait(ep, event, 4, timeout);
	for (int i = 0; i < n; i++)
		say("event %x data %lx\n", event[i].events & (unsigned)events,
		    (long)event[i].data.u64);
	return n;
}

static int control(int op, unsigned int events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	return epoll_ctl(ep, op, conn, &event);
}

static void small_reads(void)
{
	char c[6] = "";

	for (int i = 0; i < 4; i++) {
		SAY(read(conn, c, 5));
		say("<%s>\n", c);
	}
	SAY(recv(conn, c, 5, MSG_PEEK));
	say("<%s>\n", c);
	SAY(recv(conn, c, 5, MSG_PEEK | MSG_DONTWAIT));
	say("<%s>\n", c);
	SAY(recv(conn, c, 3, 0));
	say("<%s>\n", c);
	SAY(recv(conn, c, 0, 0));
	SAY(read(conn, c, 0));
	SAY(recv(conn, request, sizeof(request), MSG_TRUNC));
	SAY(read(conn, c, 5));
	SAY(read(conn, c, 5));
	SAY(recv(conn, c, 5, MSG_PEEK));
}

static void vectors(void)
{
	char a[3] = "", b[1], c[100] = "";
	struct iovec in[3] = {{a, 3}, {b, 0}, {c, 4}}, out[3] = {{"x", 1}, {"", 0}, {"yz\n", 3}};
	struct msghdr msg = {.msg_iov = out, .msg_iovlen = 3};

	SAY(readv(conn, in, 3));
	say("<%.3s %.4s>\n", a, c);
	SAY(readv(conn, in, 0));
	SAY(readv(conn, in, minus_one));
	SAY(readv(conn, in, too_many));
	flush();
	SAY(writev(conn, out, 3));
	SAY(sendmsg(conn, &msg, MSG_NOSIGNAL));
	SAY(writev(conn, out, 0));
	SAY(write(conn, "", 0));
	msg.msg_iov = in;
	SAY(recvmsg(conn, &msg, MSG_DONTWAIT));
}

static void names(void)
{
	struct sockaddr_in in = {0};
	socklen_t size = sizeof(in), small = 4, negative = (socklen_t)-1;

	SAY(getsockname(conn, (struct sockaddr *)&in, &size));
	say("%d %d %x\n", size, in.sin_family, ntohl(in.sin_addr.s_addr));
	SAY(getpeername(conn, (struct sockaddr *)&in, &size));
	say("%d %d %x %d\n", size, in.sin_family, ntohl(in.sin_addr.s_addr), in.sin_port != 0);
	memset(&in, 0xff, sizeof(in));
	SAY(getsockname(conn, (struct sockaddr *)&in, &small));
	say("%d %d %x\n", small, in.sin_family, ntohl(in.sin_addr.s_addr));
	SAY(getpeername(conn, (struct sockaddr *)&in, &negative));
	SAY(getpeername(conn, NULL, &size));
	SAY(getpeername(conn, (struct sockaddr *)&in, NULL));
	SAY(getpeername(ep, (struct sockaddr *)&in, &size));
	SAY(accept4(listener, NULL, NULL, 0));
	SAY(accept4(listener, (struct sockaddr *)&in, &size, 12345));
}

static void option(int level, int name, int value, socklen_t size)
{
	int now = -1;
	socklen_t n = sizeof(now);

	SAY(setsockopt(conn, level, name, &value, size));
	SAY(getsockopt(conn, level, name, &now, &n));
	say("%d %d %d: %d\n", level, name, value, now);
}

static void options(void)
{
	int on = 1, off = 0;

	option(IPPROTO_TCP, TCP_NODELAY, 1, 4);
	option(IPPROTO_TCP, TCP_NODELAY, 0, 4);
	option(IPPROTO_TCP, TCP_NODELAY, 1, 2);
	option(IPPROTO_TCP, TCP_CORK, 1, 4);
	option(IPPROTO_TCP, TCP_CORK, 0, 4);
	option(IPPROTO_TCP, TCP_KEEPIDLE, 0, 4);
	option(IPPROTO_TCP, TCP_KEEPIDLE, 77, 4);
	option(IPPROTO_TCP, TCP_KEEPINTVL, 40000, 4);
	option(IPPROTO_TCP, TCP_KEEPINTVL, 78, 4);
	option(IPPROTO_TCP, TCP_KEEPCNT, 128, 4);
	option(IPPROTO_TCP, TCP_KEEPCNT, 9, 4);
	option(SOL_SOCKET, SO_KEEPALIVE, 1, 4);
	option(SOL_SOCKET, SO_ERROR, 1, 4);
	SAY(fcntl(conn, F_GETFL));
	SAY(ioctl(conn, FIONBIO, &off));
	SAY(fcntl(conn, F_GETFL));
	SAY(ioctl(conn, FIONBIO, &on));
	SAY(fcntl(conn, F_GETFL));
	SAY(fcntl(conn, F_SETFL, 0));
	SAY(fcntl(conn, F_GETFL));
	SAY(fcntl(conn, F_SETFL, O_NONBLOCK | O_RDWR));
	SAY(fcntl(conn, F_GETFL));
	SAY(fcntl(conn, F_GETFD));
	SAY(fcntl(conn, F_SETFL, O_NONBLOCK | O_APPEND));
	SAY(fcntl(conn, F_GETFL));
	SAY(fcntl(conn, F_SETFL, O_NONBLOCK));
	SAY(fcntl(conn, F_GETFL));
}

static void events(void)
{
	static const unsigned int modes[] = {0, EPOLLET, EPOLLONESHOT};
	char c[4096];

	for (int i = 0; i < 3; i++) {
		SAY(control(i ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | modes[i],
			    100 + (uint64_t)i));
		SAY(wait_for(-1, 0));
		SAY(wait_for(-1, 0));
		SAY(control(EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT | modes[i], 200 + (uint64_t)i));
		SAY(wait_for(-1, -1));
		SAY(wait_for(-1, 0));
		(void)getppid();
		SAY(wait_for(-1, 0));
	}
	SAY(control(EPOLL_CTL_ADD, EPOLLIN, 5));
	SAY(control(EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT | EPOLLET, 6));
	SAY(wait_for(-1, 0));
	SAY(read(conn, c, sizeof(c)) > 0);
	SAY(control(EPOLL_CTL_MOD, EPOLLIN, 7));
	SAY(wait_for(-1, 0));
	SAY(control(EPOLL_CTL_DEL, 0, 0));
	SAY(wait_for(-1, 0));
	SAY(control(EPOLL_CTL_DEL, 0, 0));
	SAY(control(EPOLL_CTL_MOD, EPOLLIN, 7));
	SAY(control(99, EPOLLIN, 7));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, ep, NULL));
	SAY(epoll_wait(ep, NULL, 0, 0));
	SAY(syscall(SYS_epoll_pwait, ep, c, 2, 0, c, 3));
	SAY(control(EPOLL_CTL_ADD, EPOLLOUT, 8));
	SAY(wait_for(-1, 50));
	SAY(epoll_wait(ep, (void *)request, far_too_many, 0));
}

/* What else is ready is told in the end, whatever the program does in between. */
static void others(void)
{
	int other = eventfd(0, 0), found = 0;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, ready[4];

	epoll_ctl(ep, EPOLL_CTL_ADD, other, &event);
	(void)!write(other, "12345678", 8);
	SAY(control(EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT, 78));
	for (int i = 0; i < 1000 && !found; i++) {
		int n = epoll_wait(ep, ready, 4, -1);

		for (int k = 0; k < n; k++)
			found |= ready[k].data.u64 == 77;
		(void)getppid();
	}
	say("found %d\n", found);
	close(other);
}

/* All there is has come before it looks: the end, too, or a byte out of band. */
static void all_there(void)
{
	char c[4096];

	SAY(control(EPOLL_CTL_ADD, EPOLLIN | EPOLLET, 4));
	usleep(300000);
	SAY(wait_for(EPOLLIN, 1000));
	SAY(read(conn, c, 10));
	(void)getppid();
	SAY(read(conn, c, sizeof(c)) > 0);
	SAY(read(conn, c, sizeof(c)));
	SAY(read(conn, c, sizeof(c)));
}

static void faults(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec bad[2] = {{page, 2}, {page + 4096, 10}};

	munmap(page + 4096, 4096);
	SAY(read(conn, nowhere, 10));
	SAY(read(conn, GUARD, 10));
	SAY(read(conn, (void *)-1, 10));
	SAY(recv(conn, page + 4096, 10, MSG_PEEK));
	SAY(recv(conn, page + 4090, 6, MSG_PEEK));
	say("<%.6s>\n", page + 4090);
	SAY(readv(conn, bad, 1));
	SAY(readv(conn, (void *)(page + 4090), 2));
	SAY(write(conn, nowhere, 10));
	SAY(write(conn, GUARD, 10));
	SAY(send(conn, page + 4096, 10, 0));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, conn, NULL));
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, conn, GUARD));
	SAY(control(EPOLL_CTL_ADD, EPOLLIN, 3));
	SAY(epoll_wait(ep, (void *)(page + 4096), 1, 0));
	SAY(wait_for(-1, 0));
	SAY(setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, NULL, 4));
	SAY(ioctl(conn, FIONBIO, NULL));
	mprotect(page, 4096, PROT_READ);
	SAY(read(conn, page, 5));
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	SAY(read(conn, page, 5));
	say("<%.5s>\n", page);
}

static void show_file(const char *path, int flags)
{
	struct stat a, b, d;
	char c[64] = "";
	struct iovec in[3] = {{c, 3}, {c + 3, 0}, {c + 3, 4}};
	int fd = open(path, flags);

	memset(&a, 0, sizeof(a));
	SAY(syscall(SYS_fstat, fd, &a));
	SAY(syscall(SYS_newfstatat, fd, "", &b, AT_EMPTY_PATH));
	SAY(isatty(fd));
	SAY(read(fd, c, 5));
	say("<%.5s>\n", c);
	SAY(lseek(fd, 0, SEEK_CUR));
	SAY(pread(fd, c, 4, 7));
	say("<%.4s>\n", c);
	SAY(readv(fd, in, 3));
	say("<%.7s>\n", c);
	SAY(pread(fd, c, 4, 1 << 20));
	SAY(lseek(fd, -3, SEEK_END));
	SAY(read(fd, c, sizeof(c)));
	say("<%.3s>\n", c);
	SAY(read(fd, c, sizeof(c)));
	SAY(lseek(fd, 2, SEEK_SET));
	SAY(read(fd, c, 4));
	say("<%.4s>\n", c);
	SAY(fstat(fd, &d));
	/* that it is read ahead of time may show there */
	a.st_atim = b.st_atim = d.st_atim = (struct timespec){0, 0};
	say("%ld %o %d %d\n", (long)a.st_size, a.st_mode, memcmp(&a, &b, sizeof(a)),
	    memcmp(&a, &d, sizeof(a)));
	(void)syscall(SYS_getpgid, 0);
	SAY(read(fd, c, 4));
	say("<%.4s>\n", c);
	SAY(close(fd));
	SAY(close(fd));
	SAY(read(fd, c, 5));
}

static long odd_call(int which, int fd)
{
	struct stat st;
	char c[4];

	switch (which) {
	case 0:
		return syscall(SYS_newfstatat, fd, "no", &st, AT_EMPTY_PATH);
	case 1:
		return syscall(SYS_newfstatat, fd, "", &st, 0);
	case 2:
		return pread(fd, c, 4, minus_one);
	case 3:
		return read(fd, nowhere, 5);
	case 4:
		return read(fd, GUARD, 5);
	case 5:
		return read(fd, c, 0);
	case 6:
		return write(fd, c, 1);
	case 7:
		return lseek(fd, 1 << 20, SEEK_SET);
	case 8:
		return lseek(fd, minus_one, SEEK_SET);
	case 9:
		return lseek(fd, 1, SEEK_END);
	case 10:
		return lseek(fd, 0, SEEK_DATA);
	case 11:
		return lseek(fd, 4, 99);
	case 12:
		return syscall(SYS_fstat, fd, GUARD);
	case 13:
		return syscall(SYS_newfstatat, fd, nowhere, &st, AT_EMPTY_PATH) ? -1 : st.st_size;
	case 14:
		return readv(fd, nowhere, 3);
	case 15:
		return ftruncate(fd, 3);
	case 16:
		return flock(fd, LOCK_SH);
	case 17:
		return fcntl(fd, F_SETFL, O_DIRECT);
	default:
		return epoll_ctl(ep, EPOLL_CTL_ADD, fd, NULL);
	}
}

static void odd_calls(void)
{
	for (int i = 0; i < 19; i++) {
		int fd = open("text", O_RDONLY);
		char c[8] = "";

		SAY(read(fd, c, 3));
		said("odd", odd_call(i, fd));
		SAY(read(fd, c, 7));
		say("<%.7s>\n", c);
		SAY(lseek(fd, 0, SEEK_CUR));
		SAY(close(fd));
	}
}

static void files(void)
{
	char c[64] = "";
	int fd, twin, writer;

	show_file("text", O_RDONLY);
	odd_calls();
	/* each time the same number */
	for (int i = 0; i < 3; i++) {
		fd = open("text", O_RDONLY | O_CLOEXEC);
		SAY(fd);
		SAY(read(fd, c, 2));
		SAY(close(fd));
		twin = dup(conn);
		SAY(twin == fd);
		SAY(close(twin));
	}
	/* shared offsets */
	fd = open("text", O_RDONLY);
	SAY(read(fd, c, 2));
	twin = dup(fd);
	SAY(read(twin, c, 3));
	say("<%.3s>\n", c);
	SAY(close(fd));
	SAY(read(twin, c, 3));
	say("<%.3s>\n", c);
	close(twin);
	/* what is written is read */
	writer = open("scratch", O_RDWR | O_CREAT | O_TRUNC, 0600);
	SAY(write(writer, "before", 6));
	fd = open("scratch", O_RDONLY);
	SAY(pread(fd, c, 10, 0));
	SAY(pwrite(writer, "behind it", 9, 0));
	SAY(pread(fd, c, 10, 0));
	say("<%.9s>\n", c);
	SAY(ftruncate(writer, 3));
	SAY(read(fd, c, 10));
	close(fd);
	show_file("scratch", O_WRONLY);
	show_file("scratch", O_RDWR);
	show_file("/proc/version", O_RDONLY);
	show_file("/dev/zero", O_RDONLY);
	show_file(".", O_RDONLY);
	fd = open("long", O_RDONLY);
	SAY(read(fd, request, 5000));
	SAY(lseek(fd, 0, SEEK_CUR));
	SAY(close(fd));
	close(writer);
}

static void sendfiles(void)
{
	static const int counts[] = {5, 0, 100, 20000, 10, -1};
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	off_t *shown = (off_t *)(void *)page, at;

	mprotect(page + 4096, 4096, PROT_READ);
	flush();
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		int fd = open("text", O_RDONLY);

		at = (off_t)i * 3;
		SAY(sendfile(conn, fd, &at, (size_t)counts[i]));
		say("at %ld\n", (long)at);
		SAY(sendfile(conn, fd, &at, (size_t)counts[i]));
		say("at %ld\n", (long)at);
		SAY(sendfile(conn, fd, NULL, 4));
		SAY(lseek(fd, 0, SEEK_CUR));
		*shown = i ? 12 : minus_one;
		SAY(sendfile(conn, fd, shown, 4));
		say("at %ld\n", (long)*shown);
		SAY(sendfile(conn, fd, (off_t *)(void *)(page + 4096), 4));
		SAY(sendfile(conn, fd, (off_t *)(void *)nowhere, 4));
		SAY(sendfile(conn, fd, GUARD, 4));
		SAY(close(fd));
		flush();
	}
	munmap(page, 8192);
}

static void show_polled(struct pollfd *fds, int n, long rc)
{
	said("poll", rc);
	for (int i = 0; i < n; i++)
		say(" %x", (unsigned)fds[i].revents);
	say("\n");
}

/* Ready for reading and for writing, then only for the latter. */
static void polls(void)
{
	static const short wanted[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, POLLPRI, POLLRDHUP, 0,
				       POLLRDNORM, POLLWRNORM | POLLIN, POLLRDBAND};
	const struct timespec none = {0, 0}, bad = {0, -1}, some = {5, 0};
	sigset_t mask;

	sigemptyset(&mask);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
			struct pollfd fds[4] = {{conn, wanted[i], 1},
						{listener, wanted[i], 2},
						{-1, wanted[i], 3},
						{ep, 0, 4}};

			show_polled(fds, 3, poll(fds, 3, 0));
			show_polled(fds, 4, poll(fds, 4, 0));
			show_polled(fds, 3, ppoll(fds, 3, &none, &mask));
			show_polled(fds, 3, ppoll(fds, 3, &none, NULL));
			show_polled(fds, 1, poll(fds, 1, 10));
			show_polled(fds, 1, ppoll(fds, 1, &bad, NULL));
			fds[2].fd = 999;
			show_polled(fds, 3, ppoll(fds, 3, &some, &mask));
		}
		SAY(poll(NULL, 1, 0));
		SAY(poll(NULL, 0, 0));
		SAY(read(conn, request, sizeof(request)) > 0);
	}
}

static void show_selected(fd_set *set, int n, long rc)
{
	said("select", rc);
	for (int i = 0; i < n; i++)
		say("%d", FD_ISSET(i, set) != 0);
	say("\n");
}

static void selects(void)
{
	struct timeval none = {0, 0}, some = {0, 20000}, bad = {0, minus_one};
	const struct timespec none_too = {0, 0};
	fd_set in, out, except;

	for (int round = 0; round < 2; round++) {
		for (int kind = 0; kind < 8; kind++) {
			FD_ZERO(&in);
			FD_SET(listener, &in);
			FD_SET(60, &in); /* none, and beyond what is asked for */
			out = except = in;
			FD_SET(conn, &in);
			FD_SET(conn, &out);
			show_selected(&in, 64, select(conn + 1, kind & 1 ? &in : NULL,
						      kind & 2 ? &out : NULL,
						      kind & 4 ? &except : NULL,
						      round ? &some : &none));
			show_selected(&out, 64, 0);
			show_selected(&except, 64, 0);
		}
		FD_ZERO(&in);
		FD_SET(conn, &in);
		show_selected(&in, 64, pselect(FD_SETSIZE, &in, NULL, NULL, &none_too, NULL));
		FD_SET(40, &in);
		show_selected(&in, 64, select(64, &in, NULL, NULL, &none));
		FD_CLR(40, &in);
		show_selected(&in, 64, syscall(SYS_select, conn + 1, &in, NULL, NULL, &none));
		SAY(select(minus_one, &in, NULL, NULL, &none));
		SAY(select(10, &in, NULL, NULL, &bad));
		SAY(read(conn, request, sizeof(request)) > 0);
	}
}

static void show_message(struct msghdr *msg, long rc)
{
	said("message", rc);
	say("%x %d %ld %ld <%.10s>\n", (unsigned)msg->msg_flags, (int)msg->msg_namelen,
	    (long)msg->msg_controllen, (long)msg->msg_iovlen, request);
}

static void messages(void)
{
	char control[64];
	struct iovec iov[2] = {{request, 3}, {request + 3, 4}}, out[2] = {{"ab", 2}, {"c\n", 2}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2, .msg_flags = -1};
	static const int flags[] = {MSG_PEEK, 0, MSG_DONTWAIT, MSG_WAITALL, MSG_CMSG_CLOEXEC,
				    MSG_NOSIGNAL, MSG_TRUNC, MSG_OOB, MSG_ERRQUEUE};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		memset(request, 0, 16);
		show_message(&msg, recvmsg(conn, &msg, flags[i]));
	}
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	show_message(&msg, recvmsg(conn, &msg, 0));
	msg.msg_iovlen = 0;
	show_message(&msg, recvmsg(conn, &msg, 0));
	SAY(recvmsg(conn, nowhere, 0));
	SAY(recv(conn, request, 4, MSG_WAITALL));
	SAY(recv(conn, request, 4, MSG_NOSIGNAL | MSG_PEEK));
	flush();
	msg = (struct msghdr){.msg_iov = out, .msg_iovlen = 2};
	SAY(sendmsg(conn, &msg, 0));
	SAY(sendmsg(conn, &msg, MSG_NOSIGNAL | MSG_MORE));
	SAY(sendmsg(conn, &msg, MSG_DONTWAIT));
	SAY(send(conn, "more", 4, MSG_MORE));
	SAY(send(conn, "\n", 1, MSG_EOR));
	SAY(sendmsg(conn, nowhere, 0));
	SAY(sendto(conn, "x\n", 2, MSG_CONFIRM, NULL, 0));
}

/* Told once, then not before it is registered anew; also where the VMM hears of it in between. */
static void once(void)
{
	SAY(control(EPOLL_CTL_ADD, EPOLLIN | EPOLLONESHOT, 1));
	for (int i = 0; i < 5; i++) {
		SAY(wait_for(-1, 0));
		SAY(wait_for(-1, 0));
		if (i & 1)
			(void)syscall(SYS_getpgid, 0);
		SAY(wait_for(-1, 0));
		if (i == 3)
			SAY(read(conn, request, sizeof(request)) > 0);
		SAY(control(EPOLL_CTL_MOD, EPOLLIN | (i & 2 ? EPOLLOUT : 0) | EPOLLONESHOT, 2));
		if (i & 2)
			(void)syscall(SYS_getpgid, 0);
	}
	SAY(control(EPOLL_CTL_DEL, 0, 0));
	SAY(wait_for(-1, 0));
	SAY(control(EPOLL_CTL_ADD, EPOLLOUT | EPOLLONESHOT | EPOLLET, 3));
	SAY(wait_for(-1, 0));
	(void)syscall(SYS_getpgid, 0);
	SAY(wait_for(-1, 0));
	shutdown(conn, SHUT_RD);
	SAY(wait_for(-1, 50));
}

static void identity(void)
{
	SAY(getpid() == syscall(SYS_gettid));
	SAY(getppid());
	say("%d %d\n", getuid() == geteuid(), getgid() == getegid());
	SAY(sched_yield());
}

static void endings(void)
{
	char c[10];
	int twin;

	flush();
	twin = dup(conn);
	SAY(close(conn));
	SAY(read(conn, c, 10));
	SAY(write(twin, "twin\n", 5));
	SAY(shutdown(twin, 17));
	SAY(shutdown(twin, SHUT_WR));
	SAY(write(twin, "x", 1));
	SAY(send(twin, "x", 1, MSG_NOSIGNAL));
	SAY(close(twin));
	SAY(close(twin));
	SAY(write(twin, "x", 1));
	SAY(epoll_ctl(ep, EPOLL_CTL_DEL, twin, NULL));
	tell_stderr();
}

static void after_shutdown(void)
{
	char c[4096];

	flush();
	SAY(control(EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT, 9));
	SAY(send(conn, "body\n", 5, 0));
	SAY(shutdown(conn, SHUT_WR));
	SAY(send(conn, "x", 1, MSG_NOSIGNAL));
	SAY(wait_for(EPOLLIN | EPOLLOUT, 0));
	SAY(read(conn, c, sizeof(c)) > 0);
	SAY(close(conn));
	SAY(close(conn));
	tell_stderr();
}

static void long_answer(void)
{
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)('a' + i * 7 % 26);
	for (int i = 0; i < 16; i++) {
		memcpy(text, big + i * 65536, 65535);
		len = i % 2 ? 65535 : 1000;
		flush();
	}
}

static void upload(void)
{
	unsigned long sum = 0, total = 0;

	while (total < MIB) {
		ssize_t n = read(conn, request, 1 + total % sizeof(request));
		struct pollfd fd = {.fd = conn, .events = POLLIN};

		if (n < 0 && errno == EAGAIN)
			poll(&fd, 1, 5000);
		else if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			sum = sum * 31 + (unsigned char)request[i];
		total += n > 0 ? (unsigned long)n : 0;
	}
	say("%lu %lx\n", total, sum);
}

static void half_closed(void)
{
	char c[100];

	SAY(control(EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP | EPOLLET, 4));
	for (int i = 0; i < 100; i++) {
		ssize_t n = read(conn, c, sizeof(c));

		if (!n) {
			say("end\n");
			break;
		}
		if (n < 0)
			epoll_wait(ep, (struct epoll_event *)(void *)request, 4, 100);
	}
}

static void *write_slowly(void *arg)
{
	for (int i = 0; i < 10; i++) {
		(void)!write(conn, "tick\n", 5);
		usleep(3000);
	}
	return arg;
}

static void threads(void)
{
	pthread_t thread;

	flush();
	pthread_create(&thread, NULL, write_slowly, NULL);
	for (volatile int i = 0; i < 10000000; i++)
		;
	pthread_join(thread, NULL);
	SAY(read(conn, request, 4));
}

/* Output must not wait for a next call that does not come. */
static void busy(void)
{
	(void)!write(conn, "now\n", 4);
	for (volatile int go_on = 1; go_on;)
		;
}

static uint64_t seed;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Mostly what could be: that gets further. */
static void scribble(const char *which)
{
	volatile uint64_t *record = (volatile uint64_t *)(shared_pages + 0x1000);
	volatile uint32_t *count = (volatile uint32_t *)record;
	unsigned int n;

	seed = (uint64_t)atol(which) * 0x9e3779b97f4a7c15 + 1;
	for (int round = 0; round < 20; round++) {
		if (any() % 2)
			(void)open("text", O_RDONLY);
		n = any() % 8 ? any() % 6 : (unsigned int)any();
		for (unsigned int i = 0; i < 12; i++) {
			volatile uint64_t *entry = record + 1 + 10 + 3 * i;

			entry[0] = any() % 14 | any() % 500 << 32;
			entry[1] = any() % 4 ? any() % 100 : any();
			entry[2] = any() % 4 ? any() % 100 : any();
		}
		if (any() % 4 == 0)
			for (int i = 0; i < 7 * 512; i++)
				*(volatile uint64_t *)(shared_pages + 8 * (any() % 3584)) = any();
		*count = n;
		(void)syscall(any() % 2 ? SYS_getppid : SYS_epoll_wait, ep, request, 4, 0);
		(void)!read(conn, request, 10);
		(void)!write(conn, ".", 1);
	}
}

/* A file changes, and then another that is mapped: who sees that has to see the former. */
static void watch(void)
{
	int flag = open("flag", O_RDWR);
	volatile char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, flag, 0);

	flush();
	for (char round = 'a'; round <= 'z'; round++) {
		int fd = open("data", O_RDONLY);
		char now = 0;

		(void)!write(conn, "?", 1);
		while (*shared != round)
			;
		(void)!pread(fd, &now, 1, 0);
		say("%c%c ", round, now);
		close(fd);
	}
	munmap((void *)shared, 4096);
	close(flag);
}

static sigjmp_buf back;

static void on_fault(int signo)
{
	siglongjmp(back, signo);
}

/* What comes behind a record that cannot be is not done. */
static void refused(void)
{
	struct sigaction action = {.sa_handler = on_fault};
	int signo;

	sigaction(SIGSEGV, &action, NULL);
	signo = sigsetjmp(back, 1);
	if (!signo && shared_pages) {
		*(volatile uint32_t *)(shared_pages + 0x1000) = 1000;
		(void)mkdir("made", 0700);
	}
	say("signal %d, made %d\n", signo, access("made", F_OK) == 0);
}

/* What a call that was stopped had changed is put back, at any exit: here a page fault. */
static void undone(void)
{
	volatile uint64_t *shim = (volatile uint64_t *)shared_pages, word = 7;
	struct sigaction action = {.sa_handler = on_fault};

	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(back, 1) && shared_pages) {
		(void)getppid();
		shim[5] = *(volatile uint32_t *)(shared_pages + 0x1000) + 1;
		shim[24] = 5;
		shim[23] = (uint64_t)&word;
		*(volatile char *)nowhere = 1;
	}
	say("word %d\n", (int)word);
}

static const struct {
	const char *path;
	void (*fn)(void);
	int at_once; /* before anything was read */
} all[] = {
	{"small-reads", small_reads, 1},
	{"vectors", vectors, 1},
	{"names", names, 1},
	{"options", options, 1},
	{"events", events, 1},
	{"faults", faults, 1},
	{"others", others, 1},
	{"all-there", all_there, 1},
	{"urgent", all_there, 1},
	{"files", files, 1},
	{"sendfiles", sendfiles, 1},
	{"polls", polls, 1},
	{"selects", selects, 1},
	{"messages", messages, 1},
	{"once", once, 1},
	{"identity", identity, 1},
	{"endings", endings, 1},
	{"after-shutdown", after_shutdown, 1},
	{"long", long_answer, 0},
	{"upload", upload, 0},
	{"half-closed", half_closed, 0},
	{"threads", threads, 1},
	{"busy", busy, 1},
	{"watch", watch, 1},
	{"refused", refused, 1},
	{"undone", undone, 1},
};

static void serve(void)
{
	char peek[1024] = "", *end;
	struct pollfd fd = {.fd = conn, .events = POLLIN};

	poll(&fd, 1, 5000);
	recv(conn, peek, sizeof(peek) - 1, MSG_PEEK);
	end = strstr(peek, "\r\n\r\n");
	len = 0;
	say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		size_t n = strlen(all[i].path);
		char *path = strchr(peek, '/');

		if (!path || strncmp(path + 1, all[i].path, n) || path[1 + n] != ' ')
			continue;
		flush();
		if (!all[i].at_once)
			(void)!read(conn, request, end ? (size_t)(end + 4 - peek) : 1);
		all[i].fn();
	}
	flush();
	if (strstr(peek, "/scribble/") && shared_pages)
		scribble(strstr(peek, "/scribble/") + 10);
	/* What is not read would break the connection off. */
	while (read(conn, request, sizeof(request)) > 0)
		;
	close(conn);
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	struct epoll_event event = {.events = EPOLLIN}, ready[4];
	int on = 1;

	forget_files();
	signal(SIGPIPE, SIG_IGN);
	shared_pages = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) || listen(listener, 16))
		return 1;
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		epoll_wait(ep, ready, 4, -1);
		conn = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (conn >= 0)
			serve();
	}
}
