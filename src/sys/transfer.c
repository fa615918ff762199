/* SPDX-License-Identifier: MIT */
/*
 * The one loop behind read, write and their variants. A regular file is transferred to the end of
 * the request or the file, in steps that keep a single host call short; a stream is read once, and
 * written until everything is out or the guest does not want to wait.
 *
 * A long one lets the run loop look, now and then, at the time and at other threads.
 *
 * Rule of all of them: an error after some bytes is not reported now; the bytes are.
 */
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/regular.h"
#include "sys/fsargs.h"
#include "sys/sock.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

#define STEP	    TK_MIB(16)
#define LONG_NS	    50000000
#define STEP_PIECES 64

/* Host pieces for [@done, @done + *@len) of @t into @step; returns their number, cuts *@len. */
static int slice(const struct tk_transfer *t, size_t done, size_t *len, struct iovec *step)
{
	size_t left = *len, skip = done;
	int n = 0;

	for (int i = 0; i < t->n && n < STEP_PIECES && left; i++) {
		size_t have = t->iov[i].iov_len;

		if (skip >= have) {
			skip -= have;
			continue;
		}
		have = TK_MIN(have - skip, left);
		step[n++] = (struct iovec){(char *)t->iov[i].iov_base + skip, have};
		left -= have;
		skip = 0;
	}
	*len -= left;
	return n;
}

static bool appends(const struct tk_transfer *t)
{
	if (t->rwf & RWF_APPEND)
		return true;
	return t->pos == &t->file->pos && t->file->flags & O_APPEND && !(t->rwf & RWF_NOAPPEND);
}

/* preadv2 and pwritev2 with flags, where the host's descriptor is all there is to the file. */
static ssize_t host_transfer(const struct tk_transfer *t, const struct iovec *iov, int n)
{
	struct tk_file *file = t->file;
	int flags = t->rwf & ~RWF_NOSIGNAL;
	ssize_t done;

	if (!t->write)
		return tk_host_result(preadv2(file->hostfd, iov, n, *t->pos, flags));
	if (!appends(t))
		return tk_host_result(pwritev2(file->hostfd, iov, n, *t->pos, flags));
	done = tk_host_result(pwritev2(file->hostfd, iov, n, -1, flags));
	if (done >= 0 && t->pos == &file->pos)
		file->pos = lseek(file->hostfd, 0, SEEK_CUR) - done;
	return done;
}

static ssize_t transfer_step(const struct tk_transfer *t, const struct iovec *iov, int n)
{
	if (t->rwf && tk_is_regular(t->file))
		return host_transfer(t, iov, n);
	if (t->write)
		return t->file->ops->writev(t->file, iov, n, t->pos);
	return t->file->ops->readv(t->file, iov, n, t->pos);
}

/* Would block: what becomes of the call. */
static long wait_for_it(struct tk_task *task, const struct tk_transfer *t, size_t done)
{
	short events = t->write ? POLLOUT : POLLIN;
	long rc;

	if (!t->file->pollable || t->file->flags & O_NONBLOCK || t->rwf & RWF_NOWAIT)
		return done ? (long)done : -EAGAIN;
	task->wait.progress = done;
	rc = tk_file_wait(task, t->file, events);
	return rc != TK_BLOCKED && done ? (long)done : rc;
}

static long failed(struct tk_task *task, const struct tk_transfer *t, size_t done, long rc)
{
	if (rc == -EAGAIN)
		return wait_for_it(task, t, done);
	/* A socket that took some of it does not raise the signal this time; a pipe does. */
	if (rc == -EPIPE && t->write && !(t->rwf & RWF_NOSIGNAL) && !(done && tk_sock_of(t->file)))
		tk_raise_sigpipe(task, t->file);
	return done ? (long)done : rc;
}

long tk_take_breath(struct tk_task *task, u64 done)
{
	long rc;

	task->wait.progress = done;
	rc = tk_block(task, tk_now_ns());
	return rc == TK_BLOCKED ? rc : (long)done;
}

/* Where an earlier entry of the call has come to. */
static size_t begin(struct tk_task *task, const struct tk_transfer *t)
{
	size_t done = TK_MIN((size_t)task->wait.progress, t->total);

	if (t->pos && t->pos != &t->file->pos)
		*t->pos += (s64)done;
	return done;
}

long tk_transfer(struct tk_task *task, const struct tk_transfer *t)
{
	struct tk_file *file = t->file;
	size_t done = begin(task, t), len, want;
	s64 start = tk_now_ns();
	struct iovec step[STEP_PIECES];
	bool whole = !file->seekable, clipped, more;
	ssize_t got;
	int n, rc;

	do {
		len = want = whole ? t->total - done : TK_MIN(t->total - done, (size_t)STEP);
		if (t->write && file->seekable) {
			rc = tk_size_clip(task, file, *t->pos, &len);
			if (rc)
				return done ? (long)done : rc;
		}
		clipped = len < want;
		n = whole && !done ? t->n : slice(t, done, &len, step);
		got = transfer_step(t, whole && !done ? t->iov : step, n);
		if (got < 0)
			return failed(task, t, done, got);
		done += (size_t)got;
		if (t->pos)
			*t->pos += got;
		more = file->seekable ? (size_t)got == len && !clipped : t->write;
		more = more && got && done < t->total;
		if (more && file->seekable && tk_now_ns() - start >= LONG_NS)
			return tk_take_breath(task, done);
	} while (more);
	return (long)done;
}
