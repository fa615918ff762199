/* SPDX-License-Identifier: MIT */
/* "calls": system calls about the connection and a file, which may be answered in the machine. */
#include "guest.h"

#include <poll.h>
#include <sys/select.h>
#include <sys/sendfile.h>

#include "../lib/forget_files.h"

static void tell_file(int conn)
{
	struct iovec iov[2] = {{"me", 2}, {"ssage\n", 6}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	int fd = open("append", O_RDONLY);
	char text[16] = "";
	off_t at = 3;
	struct stat st;

	must(!syscall(SYS_fstat, fd, &st) && st.st_size == 6, "fstat");
	must(read(fd, text, 3) == 3 && !memcmp(text, "sta", 3), "read");
	must(pread(fd, text, sizeof(text), 1) == 5 && !memcmp(text, "tart\n", 5), "pread");
	must(lseek(fd, 0, SEEK_CUR) == 3, "lseek");
	must(sendfile(conn, fd, &at, 100) == 3 && at == 6, "sendfile");
	must(sendmsg(conn, &msg, MSG_NOSIGNAL) == 8, "sendmsg");
	must(lseek(fd, -1, SEEK_END) == 5, "lseek");
	must(read(fd, text, sizeof(text)) == 1 && *text == '\n', "read");
	must(read(fd, text, sizeof(text)) == 0, "read");
	must(close(fd) == 0, "close");
	must(open("append", O_RDONLY) == fd && !close(fd), "open");
}

static void tell_ready(int conn)
{
	struct pollfd polled = {.fd = conn, .events = POLLOUT};
	struct timeval none = {0, 0};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(conn, &set);
	must(poll(&polled, 1, -1) == 1 && polled.revents == POLLOUT, "poll");
	must(syscall(SYS_select, conn + 1, NULL, &set, NULL, &none) == 1, "select");
	must(FD_ISSET(conn, &set), "select");
}

static void tell_once(int conn)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.u64 = 9};
	int ep = epoll_create1(0);

	must(!epoll_ctl(ep, EPOLL_CTL_ADD, conn, &event), "epoll_ctl");
	for (int i = 0; i < 3; i++) {
		must(epoll_wait(ep, &event, 1, -1) == 1 && event.data.u64 == 9, "epoll_wait");
		must(epoll_wait(ep, &event, 1, 0) == 0, "epoll_wait");
		event.events = EPOLLOUT | EPOLLONESHOT;
		must(!epoll_ctl(ep, EPOLL_CTL_MOD, conn, &event), "epoll_ctl");
	}
	close(ep);
}

void calls(int conn)
{
	forget_files();
	must(getpid() == syscall(SYS_gettid), "getpid");
	tell_ready(conn);
	tell_once(conn);
	tell_file(conn);
}
