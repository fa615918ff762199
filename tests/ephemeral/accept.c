/* SPDX-License-Identifier: MIT */
/*
 * A server that blocks in accept(2) and serves one connection at a time, on the given port of
 * 127.0.0.1: every request is answered with the number of requests that there were.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int fd)
{
	static unsigned long count;
	char buf[8192], body[32], head[128];
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		char *end;

		have += (size_t)n;
		buf[have] = '\0';
		while ((end = strstr(buf, "\r\n\r\n"))) {
			int last = strcasestr(buf, "connection: close") != NULL;
			int len = sprintf(body, "%lu\n", ++count);

			len = sprintf(head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len,
				      body);
			if (write(fd, head, (size_t)len) != len || last)
				return;
			have -= (size_t)(end + 4 - buf);
			memmove(buf, end + 4, have + 1);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
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
