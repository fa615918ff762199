/* SPDX-License-Identifier: MIT */
/* A server that speaks first, on the given port of 127.0.0.1: "hello N", then an echo until the end. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd, count = 0;
	char buf[4096];
	ssize_t n;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) || listen(listener, 128))
		return 1;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		write(fd, buf, (size_t)sprintf(buf, "hello %d\n", ++count));
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			write(fd, buf, (size_t)n);
		close(fd);
	}
	return 1;
}
