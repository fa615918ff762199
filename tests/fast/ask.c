/* SPDX-License-Identifier: MIT */
/*
 * A client of hostile.c for where there is no Python: ask PORT NATIVE PATH... asks the server at PORT for each path,
 * and behind each for /good/0, whose answer must always be the same. What is honest (alarm, step, stacks) must give
 * what the one at NATIVE gives, which is no machine. Exit status 0: all that is so.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 65536

static int connect_to(int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int tries = 0; tries < 600; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (!connect(fd, (struct sockaddr *)&in, sizeof(in)))
			return fd;
		close(fd);
		usleep(100000);
	}
	fprintf(stderr, "nobody is at port %d\n", port);
	exit(1);
}

/* All that comes. */
static const char *ask(int port, const char *path, char *answer)
{
	struct timeval patience = {60, 0};
	int fd = connect_to(port);
	size_t len = 0;
	char text[200];
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	n = snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", path);
	(void)!send(fd, text, (size_t)n, MSG_NOSIGNAL);
	while (len < ROOM - 1 && (n = recv(fd, answer + len, ROOM - 1 - len, 0)) > 0)
		len += (size_t)n;
	close(fd);
	answer[len] = 0;
	return answer;
}

static int is_honest(const char *path)
{
	return strncmp(path, "leap", 4) && strncmp(path, "scribble", 8) && strncmp(path, "reload", 6);
}

int main(int argc, char **argv)
{
	static char good[ROOM], again[ROOM], right[ROOM], got[ROOM];
	int port = atoi(argv[1]), native = atoi(argv[2]), wrong = 0;

	ask(native, "good/0", right);
	if (strcmp(right, ask(port, "good/0", good)) || strlen(good) < 20) {
		printf("good/0: '%s', natively '%s'\n", good, right);
		return 1;
	}
	for (int i = 3; i < argc; i++) {
		ask(port, argv[i], got);
		if (is_honest(argv[i]) && strcmp(got, ask(native, argv[i], right))) {
			printf("%s: '%.500s', natively '%.500s'\n", argv[i], got, right);
			wrong = 1;
		}
		if (strcmp(good, ask(port, "good/0", again))) {
			printf("behind %s: '%s'\n", argv[i], again);
			return 1;
		}
	}
	return wrong;
}
