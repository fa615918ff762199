/* SPDX-License-Identifier: MIT */
/*
 * A server on the given port of 127.0.0.1, one request per connection. "GET /WHAT/NUMBER" makes a
 * call with that, and is answered with "OWN RESULT ERROR NUMBER TEXT": how many requests it has
 * had, what came back, errno, and what is in the buffer then. "GET /FLIP/N" has several pages of
 * the program's flipped, of the Nth kind of memory; RESULT is -99 if an earlier request's are
 * there.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kvmserverguest.h"
#include "message.h"

#define AREA (16 * 4096)

static int own;
static char data[AREA] = {[AREA - 1] = 1}, bss[AREA], *areas[4] = {data, bss}, was[4][AREA];

static void make_areas(void)
{
	for (int i = 2; i < 4; i++) {
		areas[i] = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
				(i == 2 ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS, -1, 0);
		memset(areas[i], 7, AREA / 2);
	}
	for (int i = 0; i < 4; i++)
		memcpy(was[i], areas[i], AREA);
}

/* But for the first of its pages nobody writes to the buffer but storage. */
static long flip(long number)
{
	struct message *m = (struct message *)(void *)(areas[number] + 4096);
	long len = 12 * 4096;

	if (memcmp(areas[number], was[number], AREA) != 0)
		return -99;
	m->what = FLIP;
	if (kvmserverguest_remote_resume(m, len) != len)
		return -98;
	return areas[number][13 * 4096 - 1] == ~was[number][13 * 4096 - 1] ? len : -97;
}

static void serve(int fd)
{
	struct message m = {.what = COUNT};
	char request[4096], body[200], head[300];
	ssize_t n = 0, got;
	long result;
	int len;

	do {
		got = read(fd, request + n, sizeof(request) - 1 - (size_t)n);
		n += got > 0 ? got : 0;
		request[n] = '\0';
	} while (got > 0 && !strstr(request, "\r\n\r\n"));
	if (got <= 0)
		return;
	sscanf(request, "GET /%ld/%ld", &m.what, &m.number);
	errno = 0;
	if (m.what == FLIP)
		result = flip(m.number & 3);
	else
		result = kvmserverguest_remote_resume(&m, sizeof(m));
	len = snprintf(body, sizeof(body), "%d %ld %d %ld %s\n", ++own, result,
		       result == -1 ? errno : 0, m.number, m.text);
	len = snprintf(head, sizeof(head),
		       "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len,
		       body);
	if (write(fd, head, (size_t)len) != len)
		perror("write");
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	make_areas();
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) || listen(listener, 128)) {
		perror(argv[1]);
		return 1;
	}
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return 1;
}
