/* SPDX-License-Identifier: MIT */
/*
 * The oldest ways to isolate a request: isolate PORT [PROGRAM ARGUMENT...]
 * A process is forked for each connection. It answers the request itself, counting as the other
 * servers do; or it executes PROGRAM, and answers with what that prints.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BODY (1 << 20)

static unsigned long count;

static int listen_on(const char *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons((unsigned short)atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 128)) {
		perror("isolate");
		exit(1);
	}
	return fd;
}

static int take_request(int fd)
{
	char buf[16384];
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		if (strstr(buf, "\r\n\r\n"))
			return 1;
	}
	return 0;
}

/* What the program prints. */
static size_t execute(char **argv, char *body)
{
	size_t have = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe(fds))
		return 0;
	pid = vfork();
	if (!pid) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execv(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	while ((n = read(fds[0], body + have, BODY - have)) > 0)
		have += (size_t)n;
	waitpid(pid, &status, 0);
	return status ? 0 : have;
}

static void serve(int fd, char **argv)
{
	static char body[BODY], head[128];
	size_t len;
	int n;

	if (!take_request(fd))
		return;
	count++;
	len = *argv ? execute(argv, body) : (size_t)sprintf(body, "%lu\n", count);
	n = sprintf(head, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		    len ? "200 OK" : "500 Failed", len);
	if (send(fd, head, (size_t)n, MSG_MORE) == n)
		send(fd, body, len, 0);
}

int main(int argc, char **argv)
{
	int listener = argc > 1 ? listen_on(argv[1]) : -1;

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pid_t pid = fd < 0 ? -1 : fork();

		if (!pid) {
			signal(SIGCHLD, SIG_DFL);
			serve(fd, argv + 2);
			_exit(0);
		}
		if (fd >= 0)
			close(fd);
		else if (listener < 0)
			return 2;
	}
}
