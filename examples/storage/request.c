/* SPDX-License-Identifier: MIT */
/* The program that serves requests, and calls storage.c. Argument: the port to listen on. */
#include <arpa/inet.h>
#include <kvmserverguest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int own; /* in an ephemeral machine it is the same in every request */

static void serve(int fd)
{
	char buf[256] = "", request[2048], body[300], response[512];
	ssize_t n = read(fd, request, sizeof(request) - 1);

	request[n > 0 ? n : 0] = '\0';
	sscanf(request, "GET /%63[^ ]", buf);
	if (kvmserverguest_remote_resume(buf, sizeof(buf)) < 0)
		strcpy(buf, "storage is not there");
	n = snprintf(body, sizeof(body), "%s (own count %d)\n", buf, ++own);
	n = snprintf(response, sizeof(response),
		     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zd\r\n\r\n%s", n,
		     body);
	if (write(fd, response, (size_t)n) != n)
		perror("write");
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(argc > 1 ? atoi(argv[1]) : 8000),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) || listen(listener, 128)) {
		perror("listen");
		return 1;
	}
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return 1;
}
