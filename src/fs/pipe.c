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

#include "fs/fork.h"
#include "fs/pipe.h"
#include "mm/access.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* Linux 6.18 */
#endif

/* Kernels without RWF_NOSIGNAL: hold SIGPIPE back and take our own one away again. */
static ssize_t writev_masked(int fd, const struct iovec *iov, int n, int rwf)
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
	rc = rwf ? pwritev2(fd, iov, n, -1, rwf) : writev(fd, iov, n);
	if (rc < 0)
		rc = -errno;
	if (rc == -EPIPE && !was_pending)
		while (sigtimedwait(&pipe_only, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static ssize_t writev_quietly(int fd, const struct iovec *iov, int n, int rwf)
{
	ssize_t rc = pwritev2(fd, iov, n, -1, RWF_NOSIGNAL | rwf);

	if (rc >= 0)
		return rc;
	if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)
		return writev_masked(fd, iov, n, rwf);
	return -errno;
}

ssize_t tk_writev_nosignal(int fd, const struct iovec *iov, int n)
{
	return writev_quietly(fd, iov, n, 0);
}

ssize_t tk_writev_nowait(int fd, const struct iovec *iov, int n)
{
	ssize_t rc = writev_quietly(fd, iov, n, RWF_NOWAIT);

	return rc == -EINVAL || rc == -ENOSYS ? -EOPNOTSUPP : rc;
}

#define END_BYTES 32768 /* half of what a new pipe holds */

struct pipe_end {
	struct tk_file file;	  /* first member */
	struct tk_budget *memory; /* has END_BYTES to get back */
	/* of a frozen read end */
	u8 *bytes;
	size_t n_bytes;
	int size;
};

static struct pipe_end *of(const struct tk_file *file)
{
	return tk_container_of(file, struct pipe_end, file);
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

/* Copy what is in the pipe by way of another one. */
static int peek(struct pipe_end *end, int fd, int tmp[2])
{
	ssize_t n;

	fcntl(tmp[1], F_SETPIPE_SZ, end->size);
	n = tee(fd, tmp[1], (size_t)end->size, SPLICE_F_NONBLOCK);
	if (n != (ssize_t)end->n_bytes)
		return n < 0 ? -errno : -ENOTSUP;
	return read(tmp[0], end->bytes, end->n_bytes) == n ? 0 : -EIO;
}

static int pipe_freeze(struct tk_file *file)
{
	struct pipe_end *end = of(file);
	int tmp[2], n = 0, rc;

	end->size = fcntl(file->hostfd, F_GETPIPE_SZ);
	if (!tk_file_may_read(file) || ioctl(file->hostfd, FIONREAD, &n) || n <= 0)
		return 0;
	if (file->flags & O_DIRECT)
		return -ENOTSUP; /* where do packets begin? */
	free(end->bytes);
	end->n_bytes = (size_t)n;
	end->bytes = malloc(end->n_bytes);
	if (!end->bytes)
		return -ENOMEM;
	if (pipe2(tmp, O_NONBLOCK | O_CLOEXEC))
		return -errno;
	rc = peek(end, file->hostfd, tmp);
	close(tmp[0]);
	close(tmp[1]);
	return rc;
}

static int fill(int fd, const struct pipe_end *frozen)
{
	if (!frozen->n_bytes)
		return 0;
	return write(fd, frozen->bytes, frozen->n_bytes) == (ssize_t)frozen->n_bytes ? 0 : -EIO;
}

/* @ends[0] to be read from. @read_end: the frozen one, NULL if it was closed. */
static int set_up_pair(struct tk_file *ends[2], const struct tk_file *tmpl,
		       const struct tk_file *read_end)
{
	int size = fcntl(ends[0]->hostfd, F_GETPIPE_SZ);

	if (size != of(tmpl)->size && fcntl(ends[0]->hostfd, F_SETPIPE_SZ, of(tmpl)->size) < 0)
		return -errno;
	return read_end ? fill(ends[1]->hostfd, of(read_end)) : 0;
}

static int pipe_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		     const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int mine = tk_file_may_read(tmpl) ? 0 : 1, flags = tmpl->flags, rc;
	struct tk_file *ends[2];

	if (mate)
		flags |= mate->flags;
	rc = tk_pipe_new(ends, flags & O_DIRECT, ctx->host_memory);
	if (rc)
		return rc;
	rc = set_up_pair(ends, tmpl, mine == 0 ? tmpl : mate);
	if (!mate || rc)
		tk_file_put(ends[!mine]);
	if (rc)
		tk_file_put(ends[mine]);
	ret[0] = ends[mine];
	ret[1] = mate ? ends[!mine] : NULL;
	return rc;
}

static int drain(int fd)
{
	char bytes[4096];
	ssize_t n;

	for (int i = 0; i < 1024; i++) {
		n = read(fd, bytes, sizeof(bytes));
		if (n == 0 || (n < 0 && errno == EAGAIN))
			return 0;
		if (n < 0)
			break;
	}
	return -ESTALE;
}

/* The read end puts the bytes right for both. */
static int pipe_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	const struct pipe_end *frozen = of(tmpl);
	int rc = 0;

	if ((file->flags ^ tmpl->flags) & O_DIRECT)
		return -ESTALE;
	if (!tk_file_may_read(tmpl))
		return 0;
	rc = drain(file->hostfd);
	if (!rc && frozen->n_bytes)
		rc = file->mate ? fill(file->mate->hostfd, frozen) : -ESTALE;
	return rc ? -ESTALE : 1;
}

static void pipe_release(struct tk_file *file)
{
	free(of(file)->bytes);
	tk_budget_give(of(file)->memory, END_BYTES);
}

static const struct tk_file_ops pipe_ops = {
	.kind = "pipe",
	.readv = pipe_readv,
	.writev = pipe_writev,
	.ioctl = pipe_ioctl,
	.set_flags = pipe_set_flags,
	.release = pipe_release,
	.freeze = pipe_freeze,
	.fork = pipe_fork,
	.reset = pipe_reset,
};

static struct tk_file *pipe_end(int hostfd, int flags, struct tk_budget *memory)
{
	struct pipe_end *end = calloc(1, sizeof(*end));
	struct tk_file *file;
	char name[32];
	struct stat st;

	if (!end || fstat(hostfd, &st)) {
		free(end);
		close(hostfd);
		return NULL;
	}
	end->memory = memory;
	tk_budget_charge(memory, END_BYTES);
	file = &end->file;
	snprintf(name, sizeof(name), "pipe:[%lu]", (unsigned long)st.st_ino);
	tk_file_init(file, &pipe_ops, hostfd, flags, name);
	file->pollable = true;
	return file;
}

int tk_pipe_new(struct tk_file *ends[2], int flags, struct tk_budget *memory)
{
	int fds[2];

	flags &= O_NONBLOCK | O_DIRECT;
	if (!tk_budget_fits(memory, 2 * END_BYTES))
		return -ENFILE;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC | (flags & O_DIRECT)))
		return -errno;
	ends[0] = pipe_end(fds[0], O_RDONLY | flags, memory);
	ends[1] = pipe_end(fds[1], O_WRONLY | flags, memory);
	if (ends[0] && ends[1]) {
		tk_file_join(ends[0], ends[1]);
		return 0;
	}
	for (int i = 0; i < 2; i++)
		if (ends[i])
			tk_file_put(ends[i]);
	return -ENOMEM;
}

bool tk_is_pipe(const struct tk_file *file)
{
	return file->ops == &pipe_ops;
}
