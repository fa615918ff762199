/* SPDX-License-Identifier: MIT */
/*
 * Streams of the host: FIFOs and terminals that the guest opened, and whatever stream it inherited.
 * No operation blocks. Where the description is shared with others it is not switched to
 * O_NONBLOCK (they would notice), so that poll(2) has to say first whether a small transfer is
 * possible; a competing reader could still make that one call wait, until data or a signal come.
 * Writing does not wait where the host can be told so; where not, machines of this process take
 * turns at asking and writing, and only another process could come in between.
 *
 * Of a terminal the guest gets what programs ask to format their output or to read keys; nothing
 * that injects input, changes the controlling terminal, or waits for output to drain.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs/fork.h"
#include "fs/pipe.h"
#include "fs/stream.h"
#include "mm/access.h"

struct tk_stream {
	struct tk_file file; /* first member */
	enum tk_stream_kind kind;
};

static enum tk_stream_kind kind_of(const struct tk_file *file)
{
	return tk_container_of(file, struct tk_stream, file)->kind;
}

static bool is_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0;
}

static ssize_t stream_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	ssize_t done;

	if (pos)
		return -ESPIPE;
	if (kind_of(file) == TK_STREAM_SOCKET)
		done = recvmsg(file->hostfd, &msg, MSG_DONTWAIT);
	else if (kind_of(file) == TK_STREAM_SHARED && !is_ready(file->hostfd, POLLIN))
		return -EAGAIN;
	else
		done = readv(file->hostfd, iov, n);
	return done < 0 ? -errno : done;
}

/* The description is shared by all the machines of the process, and so has to be its lock. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* No more than what a ready pipe takes at once. */
static ssize_t write_little(int fd, const struct iovec *iov, int n)
{
	struct iovec one = {0};
	ssize_t done;

	for (int i = 0; i < n && !one.iov_len; i++)
		one = iov[i];
	one.iov_len = TK_MIN(one.iov_len, (size_t)PIPE_BUF);
	done = tk_writev_nowait(fd, &one, 1);
	if (done != -EOPNOTSUPP)
		return done;
	pthread_mutex_lock(&turn);
	done = is_ready(fd, POLLOUT) ? tk_writev_nosignal(fd, &one, 1) : -EAGAIN;
	pthread_mutex_unlock(&turn);
	return done;
}

static ssize_t stream_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	ssize_t done;

	if (pos)
		return -ESPIPE;
	switch (kind_of(file)) {
	case TK_STREAM_SOCKET:
		done = sendmsg(file->hostfd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		return done < 0 ? -errno : done;
	case TK_STREAM_SHARED:
		return write_little(file->hostfd, iov, n);
	default:
		return tk_writev_nosignal(file->hostfd, iov, n);
	}
}

/* Terminal requests that only fill or take a structure of this size. */
static const struct {
	unsigned int cmd;
	unsigned int host_cmd; /* TCSETSW waits for the output to drain: not in the VMM */
	unsigned short in, out;
} tty_table[] = {
	{TCGETS, TCGETS, 0, sizeof(struct termios)},
	{TCGETS2, TCGETS2, 0, sizeof(struct termios2)},
	{TCGETA, TCGETA, 0, 18},
	{TCSETS, TCSETS, sizeof(struct termios), 0},
	{TCSETSW, TCSETS, sizeof(struct termios), 0},
	{TCSETSF, TCSETS, sizeof(struct termios), 0},
	{TCSETS2, TCSETS2, sizeof(struct termios2), 0},
	{TCSETSW2, TCSETS2, sizeof(struct termios2), 0},
	{TCSETSF2, TCSETS2, sizeof(struct termios2), 0},
	{TIOCGWINSZ, TIOCGWINSZ, 0, sizeof(struct winsize)},
	{TIOCSWINSZ, TIOCSWINSZ, sizeof(struct winsize), 0},
	{TIOCOUTQ, TIOCOUTQ, 0, sizeof(int)},
	{TIOCGPGRP, TIOCGPGRP, 0, sizeof(int)},
	{TIOCGSID, TIOCGSID, 0, sizeof(int)},
	{TIOCGPTN, TIOCGPTN, 0, sizeof(int)},
	{TIOCGETD, TIOCGETD, 0, sizeof(int)},
	{FIONREAD, FIONREAD, 0, sizeof(int)},
};

static long stream_ioctl(struct tk_file *file, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	char data[64] = {0};
	int rc = 0;

	_Static_assert(sizeof(struct termios2) <= sizeof(data), "room for the largest");
	if (cmd == TCFLSH)
		return ioctl(file->hostfd, TCFLSH, (int)arg) ? -errno : 0;
	for (size_t i = 0; i < TK_ARRAY_SIZE(tty_table); i++) {
		if (tty_table[i].cmd != cmd)
			continue;
		if (tty_table[i].in)
			rc = tk_copy_in(mm, data, arg, tty_table[i].in);
		if (rc)
			return rc;
		if (cmd == TCSETSF || cmd == TCSETSF2)
			ioctl(file->hostfd, TCFLSH, TCIFLUSH);
		if (ioctl(file->hostfd, tty_table[i].host_cmd, data))
			return -errno;
		return tty_table[i].out ? tk_copy_out(mm, arg, data, tty_table[i].out) : 0;
	}
	return -ENOTTY;
}

/* The same stream of the host: what goes through it leaves the machine for good. */
static int stream_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		       const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int fd = tk_fork_dup(tmpl);

	return fd < 0 ? fd : tk_stream_new(fd, tmpl->flags, tmpl->path, kind_of(tmpl), &ret[0]);
}

static const struct tk_file_ops stream_ops = {
	.kind = "stream",
	.readv = stream_readv,
	.writev = stream_writev,
	.ioctl = stream_ioctl,
	.fork = stream_fork,
	.reset = tk_fork_reset_plain,
};

bool tk_is_stream(const struct tk_file *file)
{
	return file->ops == &stream_ops;
}

int tk_stream_new(int hostfd, int flags, const char *path, enum tk_stream_kind kind,
		  struct tk_file **ret)
{
	struct tk_stream *stream = calloc(1, sizeof(*stream));

	if (!stream) {
		close(hostfd);
		return -ENOMEM;
	}
	tk_file_init(&stream->file, &stream_ops, hostfd, flags, path);
	stream->kind = kind;
	stream->file.pollable = true;
	*ret = &stream->file;
	return 0;
}
