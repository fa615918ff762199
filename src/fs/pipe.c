/* SPDX-License-Identifier: MIT */
/*
 * Pipes, host-backed: buffering, PIPE_BUF atomicity, packet mode and hang-up are the host kernel's.
 * The host descriptors are always non-blocking; whether the guest waits is decided by the system
 * call. A write without readers answers -EPIPE; the guest's SIGPIPE is the caller's business.
 *
 * A copy of a machine needs the bytes in the pipe: they can be read without consuming them with
 * tee(2) on the read end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/pipe.h"
#include "mm/access.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* Linux 6.18 */
#endif

/* Kernels without RWF_NOSIGNAL: hold SIGPIPE back and take our own one away again. */
static ssize_t writev_masked(int fd, const struct iovec *iov, int n)
{
	static const struct timespec now = {0};
	sigset_t pipe_only, old, pending;
	bool was_pending;
	ssize_t rc;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &old);
	rc = writev(fd, iov, n);
	if (rc < 0)
		rc = -errno;
	if (rc == -EPIPE && !was_pending)
		while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

ssize_t tk_writev_nosignal(int fd, const struct iovec *iov, int n)
{
	ssize_t rc = pwritev2(fd, iov, n, -1, RWF_NOSIGNAL);

	if (rc >= 0)
		return rc;
	if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)
		return writev_masked(fd, iov, n);
	return -errno;
}

static ssize_t pipe_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	ssize_t rc;

	if (pos)
		return -ESPIPE;
	rc = readv(file->hostfd, iov, n);
	return rc < 0 ? -errno : rc;
}

static ssize_t pipe_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	return pos ? -ESPIPE : tk_writev_nosignal(file->hostfd, iov, n);
}

static long pipe_ioctl(struct tk_file *file, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (ioctl(file->hostfd, FIONREAD, &n))
		return -errno;
	return tk_copy_out(mm, arg, &n, sizeof(n));
}

/* Packet mode belongs to the host's pipe; everything else stays with us. */
static int pipe_set_flags(struct tk_file *file, int flags)
{
	return fcntl(file->hostfd, F_SETFL, O_NONBLOCK | (flags & O_DIRECT)) ? -errno : 0;
}

static const struct tk_file_ops pipe_ops = {
	.kind = "pipe",
	.readv = pipe_readv,
	.writev = pipe_writev,
	.ioctl = pipe_ioctl,
	.set_flags = pipe_set_flags,
};

static struct tk_file *pipe_end(int hostfd, int flags)
{
	struct tk_file *file = calloc(1, sizeof(*file));
	char name[32];
	struct stat st;

	if (!file || fstat(hostfd, &st)) {
		free(file);
		close(hostfd);
		return NULL;
	}
	snprintf(name, sizeof(name), "pipe:[%lu]", (unsigned long)st.st_ino);
	tk_file_init(file, &pipe_ops, hostfd, flags, name);
	file->pollable = true;
	return file;
}

int tk_pipe_new(struct tk_file *ends[2], int flags)
{
	int fds[2];

	flags &= O_NONBLOCK | O_DIRECT;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC | (flags & O_DIRECT)))
		return -errno;
	ends[0] = pipe_end(fds[0], O_RDONLY | flags);
	ends[1] = pipe_end(fds[1], O_WRONLY | flags);
	if (ends[0] && ends[1])
		return 0;
	for (int i = 0; i < 2; i++)
		if (ends[i])
			tk_file_put(ends[i]);
	return -ENOMEM;
}

bool tk_is_pipe(const struct tk_file *file)
{
	return file->ops == &pipe_ops;
}
