/* SPDX-License-Identifier: MIT */
/*
 * An HTTP server that never closes a connection first, whatever it was asked for. Its argument is
 * the status that it answers with, behind an interim response.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int conn, const char *status)
{
	char buf[4096], text[256];
	size_t have = 0;
	ssize_t n;

	snprintf(text, sizeof(text),
		 "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 %s X\r\nContent-Length: 2\r\n\r\nok",
		 status);
	while (have < sizeof(buf) - 1 && (n = read(conn, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		if (!strstr(buf, "\r\n\r\n"))
			continue;
		have = 0;
		if (write(conn, text, strlen(text)) < 0)
			break;
	}
	close(conn);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0), conn;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (argc < 2 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 5))
		return 1;
	while ((conn = accept(fd, NULL, NULL)) >= 0)
		serve(conn, argv[1]);
	return 1;
}
