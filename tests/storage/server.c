/* SPDX-License-Identifier: MIT */
/*
 * A server on the given port of 127.0.0.1, one request per connection. "GET /WHAT/NUMBER" makes a
 * call with that, and is answered with "OWN RESULT ERROR NUMBER TEXT": how many requests it has
 * had, what came back, errno, and what is in the buffer then.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kvmserverguest.h"
#include "message.h"

static int own;

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
