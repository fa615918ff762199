/* SPDX-License-Identifier: MIT */
/*
 * Standard error. While clients are served nobody may wait for whoever reads it: what does not fit
 * at once is dropped, counted, and the count is said later. A pipe or a terminal is opened once
 * more for that, as others share the description that we were given and would notice O_NONBLOCK.
 *
 * The state belongs to the process, as the descriptor does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvmserver.h"

/* How to write without waiting. */
enum way {
	WAY_WAIT, /* no need not to */
	WAY_OWN,  /* our own description, which is non-blocking */
	WAY_ASK,  /* ask poll(2) first: a pipe that is ready takes PIPE_BUF bytes */
	WAY_SEND, /* a socket */
};

static struct {
	pthread_mutex_t lock;
	enum way way;
	int fd;
	unsigned long lost;
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

void ks_messages_hurry(void)
{
	struct stat st;
	int fd;

	if (out.way != WAY_WAIT || fstat(STDERR_FILENO, &st))
		return;
	if (S_ISSOCK(st.st_mode)) {
		out.way = WAY_SEND;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		out.way = fd < 0 ? WAY_ASK : WAY_OWN;
		out.fd = fd < 0 ? STDERR_FILENO : fd;
	}
}

/* False: there is no room for it. What cannot be written at all is gone, not late. */
static bool put(const char *text, size_t len)
{
	struct pollfd ready = {.fd = out.fd, .events = POLLOUT};
	ssize_t n;

	if (out.way == WAY_ASK && poll(&ready, 1, 0) <= 0)
		return false;
	if (out.way == WAY_SEND)
		n = send(out.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(out.fd, text, len);
	return n >= 0 || errno != EAGAIN;
}

static bool say_lost(void)
{
	char text[80];
	int len;

	if (!out.lost)
		return true;
	len = snprintf(text, sizeof(text),
		       "kvmserver: %lu messages lost: standard error was full\n", out.lost);
	if (!put(text, (size_t)len))
		return false;
	out.lost = 0;
	return true;
}

/* As many whole lines as a pipe takes at once; part of a line that is longer. */
static size_t portion(const char *text)
{
	size_t len = strlen(text), n = len < PIPE_BUF ? len : PIPE_BUF;
	const char *end = n < len ? memrchr(text, '\n', n) : NULL;

	return end ? (size_t)(end + 1 - text) : n;
}

void ks_text(const char *text)
{
	bool all;

	pthread_mutex_lock(&out.lock);
	all = say_lost();
	while (all && *text) {
		size_t n = portion(text);

		all = put(text, n);
		text += n;
	}
	out.lost += !all;
	pthread_mutex_unlock(&out.lock);
}

void ks_message(const char *fmt, ...)
{
	char text[2048] = "kvmserver: ";
	size_t begun = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + begun, sizeof(text) - 1 - begun, fmt, ap);
	va_end(ap);
	/* One write(2), so that lines of several processes do not mix. */
	strcat(text, "\n");
	ks_text(text);
}
