/* SPDX-License-Identifier: MIT */
/*
 * A server that puts work off until FIRST ms after its start, and then works every PERIOD ms (0:
 * never). It answers with how often it has worked, after it has looked at the clock as event loops
 * do. With a fourth argument it has a timerfd that expires every so many ms, and never looks at it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static long long next, period;
static int times;

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

static void work_if_due(void)
{
	if (!next || now_ms() < next)
		return;
	times++;
	next = period ? now_ms() + period : 0;
}

static void tick(int ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	struct itimerspec its = {ts, ts};

	if (timerfd_settime(timerfd_create(CLOCK_MONOTONIC, 0), 0, &its, NULL))
		abort();
}

static void answer(int conn)
{
	char text[4096], body[16];
	ssize_t n = read(conn, text, sizeof(text));

	work_if_due();
	snprintf(body, sizeof(body), "%d\n", times);
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
		     strlen(body), body);
	if (write(conn, text, (size_t)n) != n)
		abort();
	close(conn);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct pollfd fds = {.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};

	if (argc != 4 && argc != 5)
		return 2;
	if (argc == 5)
		tick(atoi(argv[4]));
	addr.sin_port = htons((unsigned short)atoi(argv[1]));
	next = now_ms() + atoi(argv[2]);
	period = atoi(argv[3]);
	if (bind(fds.fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fds.fd, 10))
		return 1;
	for (;;) {
		long long left = next ? next - now_ms() : -1;

		if (poll(&fds, 1, next && left < 0 ? 0 : (int)left) > 0)
			answer(accept(fds.fd, NULL, NULL));
		else
			work_if_due();
	}
}
