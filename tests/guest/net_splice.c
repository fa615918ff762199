/* SPDX-License-Identifier: MIT */
/* sendfile and splice with sockets: time limits of the socket, SIGPIPE, what cannot be spliced. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "fs_try.h"

static char data[4096];
static volatile int pipe_signals;

static void count(int signo)
{
	pipe_signals++;
}

static void pair(int type, int s[2])
{
	const struct timeval soon = {.tv_usec = 20000};

	CHECK(!socketpair(AF_UNIX, type, 0, s));
	CHECK(!setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)));
	CHECK(!setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)));
}

static void fill_socket(int fd)
{
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
}

static void time_limits(int in)
{
	int s[2], p[2];

	pair(SOCK_STREAM, s);
	CHECK(!pipe(p));
	TRY(splice(s[0], NULL, p[1], NULL, 100, 0));
	fill_socket(s[0]);
	TRY(sendfile(s[0], in, NULL, 100));
	TRY(write(p[1], data, 100));
	TRY(splice(p[0], NULL, s[0], NULL, 100, 0));
	TRY(splice(p[0], NULL, s[0], NULL, 100, SPLICE_F_NONBLOCK));
}

static void broken(int in, int type)
{
	int s[2], p[2];

	pipe_signals = 0;
	pair(type, s);
	CHECK(!pipe(p));
	close(s[1]);
	TRY(write(p[1], data, 100));
	TRY(splice(p[0], NULL, s[0], NULL, 100, 0));
	TRY(pipe_signals);
	TRY(sendfile(s[0], in, NULL, 100));
	TRY(pipe_signals);
	close(p[0]);
	TRY(splice(in, NULL, p[1], NULL, 100, 0));
	TRY(pipe_signals);
}

static void unfit(void)
{
	int p[2], dir = open(".", O_RDONLY), epoll = epoll_create1(0);

	CHECK(!pipe(p) && dir >= 0 && epoll >= 0 && write(p[1], data, 100) == 100);
	TRY(splice(dir, NULL, p[1], NULL, 100, 0));
	TRY(splice(p[0], NULL, epoll, NULL, 100, 0));
	TRY(splice(p[0], NULL, p[1], NULL, 100, 0));
	TRY(splice(epoll, NULL, dir, NULL, 100, 0));
	TRY(splice(p[0], NULL, open("/dev/null", O_WRONLY), NULL, 100, 0));
}

int main(void)
{
	int in = open(".", O_TMPFILE | O_RDWR, 0600);

	CHECK(in >= 0 && !ftruncate(in, 4096));
	CHECK(signal(SIGPIPE, count) != SIG_ERR);
	time_limits(in);
	broken(in, SOCK_STREAM);
	broken(in, SOCK_SEQPACKET);
	unfit();
	return check_done();
}
