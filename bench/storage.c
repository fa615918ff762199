/* SPDX-License-Identifier: MIT */
/*
 * What bench/storage.py measures, in one program:
 *
 *	storage PORT         answers calls; those that ask for it, after an INCR over one connection
 *	call N | ask N PORT  N calls of the first, of the second kind
 *	fresh N PORT         N times: connect to Redis, INCR, close
 *	reused N PORT        N times INCR over one connection
 *
 * The last three print the time of each in ns, a line each, and "begin" and "end" around them.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kvmserverguest.h"

static int connect_to(const char *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in))) {
		perror("redis");
		exit(1);
	}
	return fd;
}

static long incr(int fd)
{
	static const char request[] = "INCR bench\r\n";
	char answer[64];
	ssize_t n;

	if (write(fd, request, sizeof(request) - 1) != sizeof(request) - 1)
		return -1;
	n = read(fd, answer, sizeof(answer) - 1);
	return n > 0 ? atol(answer + 1) : -1;
}

static int storage(const char *port)
{
	int fd = connect_to(port);
	ssize_t answer = 0;
	void *buf;

	while (kvmserverguest_storage_wait_paused(&buf, answer) > 0)
		answer = *(char *)buf == 'a' ? incr(fd) : 1;
	return 1;
}

static long one(const char *what, const char *port, int fd)
{
	static char buf[4096];
	long answer;

	if (!strcmp(what, "reused"))
		return incr(fd);
	if (!strcmp(what, "fresh")) {
		fd = connect_to(port);
		answer = incr(fd);
		close(fd);
		return answer;
	}
	buf[0] = what[0];
	return kvmserverguest_remote_resume(buf, sizeof(buf));
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	const char *what = argv[1], *port = argv[argc - 1];
	int fd = -1;
	long n, *ns;

	if (!strcmp(what, "storage"))
		return storage(port);
	n = atol(argv[2]);
	ns = calloc((size_t)n, sizeof(*ns));
	if (!strcmp(what, "reused"))
		fd = connect_to(port);
	for (long i = -100; i < n; i++) {
		long start = now();

		if (!i) {
			puts("begin");
			fflush(stdout);
			start = now();
		}
		if (one(what, port, fd) <= 0) {
			puts("failed");
			return 1;
		}
		if (i >= 0)
			ns[i] = now() - start;
	}
	puts("end");
	fflush(stdout);
	sleep(1); /* to be looked at */
	for (long i = 0; i < n; i++)
		printf("%ld\n", ns[i]);
	return 0;
}
