/* SPDX-License-Identifier: MIT */
/*
 * Copies between descriptors: sendfile, copy_file_range, splice, tee.
 *
 * sendfile goes through a buffer of ours, so that its output may be of any kind (and raises no
 * SIGPIPE in the VMM); its input is a regular file, which can be read again from where a partial
 * write ended. The calls about pipes are the host's own, and so are only for files where the host's
 * does what ours would do: nothing that checks what is written, or whose host descriptor is only
 * a part of it, and nothing that is shared with others and so cannot be made not to wait.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/nosignal.h"
#include "fs/regular.h"
#include "fs/stream.h"
#include "sys/fsargs.h"
#include "sys/sock.h"

#define MAX_RW_COUNT 0x7ffff000ull
#define CHUNK	     TK_KIB(128)
#define RANGE_STEP   TK_MIB(64)
#define SEND_STEP    TK_MIB(16)

/* An offset argument: the guest's variable, or (null) the file's own offset. */
struct offset {
	gva_t addr;
	s64 value;
};

/* Where a file is: the host knows better than file->pos where the offset is shared. */
static s64 own_offset(struct tk_file *file)
{
	s64 pos = file->seekable && file->ops->seek ? file->ops->seek(file, 0, SEEK_CUR) : 0;

	return TK_MAX(pos, 0);
}

static int get_offset(struct tk_task *task, struct tk_file *file, gva_t addr, struct offset *off)
{
	*off = (struct offset){.addr = addr};
	if (!addr) {
		off->value = own_offset(file);
		return 0;
	}
	if (!file->seekable)
		return -ESPIPE;
	return tk_copy_in(task->proc->mm, &off->value, addr, sizeof(off->value));
}

static int put_offset(struct tk_task *task, struct tk_file *file, const struct offset *off)
{
	if (off->addr)
		return tk_copy_out(task->proc->mm, off->addr, &off->value, sizeof(off->value));
	if (file->seekable && file->ops->seek)
		file->ops->seek(file, off->value, SEEK_SET);
	return 0;
}

static int two_files(struct tk_task *task, u64 in_fd, u64 out_fd, struct tk_file **in,
		     struct tk_file **out)
{
	*in = tk_fd_get(&task->proc->files, in_fd);
	*out = tk_fd_get(&task->proc->files, out_fd);
	if (!*in || !*out || !tk_file_may_read(*in) || !tk_file_may_write(*out))
		return -EBADF;
	return 0;
}

/* Write @len bytes of ours to @out, sequentially. */
static ssize_t write_out(struct tk_file *out, void *data, size_t len)
{
	struct iovec iov = {data, len};
	ssize_t n = out->ops->writev(out, &iov, 1, out->seekable ? &out->pos : NULL);

	if (n > 0 && out->seekable)
		out->pos += n;
	return n;
}

/* One chunk: bytes written, 0 at the end of the input, or -errno. */
static ssize_t send_chunk(struct tk_task *task, struct tk_file *in, struct tk_file *out, s64 at,
			  size_t len, void *buf)
{
	struct iovec iov = {buf, TK_MIN(len, CHUNK)};
	size_t got;
	ssize_t n;
	int rc;

	n = in->ops->readv(in, &iov, 1, &at);
	if (n <= 0)
		return n;
	got = (size_t)n;
	rc = tk_size_clip(task, out, out->pos, &got);
	return rc ? rc : write_out(out, buf, got);
}

static long send_file(struct tk_task *task, struct tk_file *in, struct tk_file *out,
		      struct offset *off, u64 count)
{
	u64 done = task->wait.progress,
	    end = out->pollable ? count : TK_MIN(count, done + SEND_STEP);
	void *buf = malloc(CHUNK);
	ssize_t n = 1;

	if (!buf)
		return -ENOMEM;
	while (done < end && n > 0) {
		n = send_chunk(task, in, out, off->value + (s64)done, end - done, buf);
		done += n > 0 ? (u64)n : 0;
	}
	free(buf);
	if (n == -EPIPE && !(done && tk_sock_of(out)))
		tk_raise_sigpipe(task, out);
	if (n == -EAGAIN && out->pollable && !(out->flags & O_NONBLOCK)) {
		task->wait.progress = done;
		n = tk_file_wait(task, out, POLLOUT);
		if (n == TK_BLOCKED)
			return n;
	}
	if (n > 0 && done < count && tk_take_breath(task, done) == TK_BLOCKED)
		return TK_BLOCKED;
	if (!done)
		return n < 0 ? n : 0;
	off->value += (s64)done;
	return put_offset(task, in, off) ? -EFAULT : (long)done;
}

long tk_sys_sendfile(struct tk_task *task, const u64 a[6])
{
	u64 count = TK_MIN(a[3], MAX_RW_COUNT);
	struct tk_file *in, *out;
	struct offset off;
	struct stat st;
	int rc;

	rc = two_files(task, a[1], a[0], &in, &out);
	if (!rc)
		rc = get_offset(task, in, a[2], &off);
	if (rc)
		return rc;
	if ((s64)a[3] < 0 || off.value < 0 || !in->seekable || !in->ops->readv ||
	    !out->ops->writev || out->flags & O_APPEND)
		return -EINVAL;
	if (tk_file_stat(in, &st) || S_ISDIR(st.st_mode))
		return -EINVAL;
	return send_file(task, in, out, &off, count);
}

static int check_range_files(const struct tk_file *in, const struct tk_file *out)
{
	struct stat a, b;

	if (out->flags & O_APPEND)
		return -EBADF;
	if (in->hostfd < 0 || out->hostfd < 0)
		return -EINVAL;
	if (fstat(in->hostfd, &a) || fstat(out->hostfd, &b))
		return -errno;
	if (S_ISDIR(a.st_mode) || S_ISDIR(b.st_mode))
		return -EISDIR;
	return S_ISREG(a.st_mode) && S_ISREG(b.st_mode) ? 0 : -EINVAL;
}

long tk_sys_copy_file_range(struct tk_task *task, const u64 a[6])
{
	size_t len = TK_MIN(a[4], RANGE_STEP);
	struct offset from, to;
	struct tk_file *in, *out;
	ssize_t n;
	int rc;

	if ((u32)a[5])
		return -EINVAL;
	rc = two_files(task, a[0], a[2], &in, &out);
	if (!rc)
		rc = get_offset(task, in, a[1], &from);
	if (!rc)
		rc = get_offset(task, out, a[3], &to);
	if (!rc)
		rc = check_range_files(in, out);
	if (!rc)
		rc = tk_size_clip(task, out, to.value, &len);
	if (rc)
		return rc;
	n = copy_file_range(in->hostfd, &from.value, out->hostfd, &to.value, len, 0);
	if (n < 0)
		return -errno;
	if (put_offset(task, in, &from) || put_offset(task, out, &to))
		return -EFAULT;
	return n;
}

static bool is_fifo(const struct tk_file *file)
{
	struct stat st;

	return file->hostfd >= 0 && !fstat(file->hostfd, &st) && S_ISFIFO(st.st_mode);
}

/* Which side keeps the call waiting, and whether the guest wants to wait. */
static long wait_for_side(struct tk_task *task, struct tk_file *in, struct tk_file *out,
			  unsigned int flags)
{
	struct pollfd fd = {.fd = in->hostfd, .events = POLLIN};
	bool in_waits = in->pollable && poll(&fd, 1, 0) == 0;
	struct tk_file *side = in_waits ? in : out;

	if (flags & SPLICE_F_NONBLOCK || side->flags & O_NONBLOCK || !side->pollable)
		return -EAGAIN;
	return tk_file_wait(task, side, in_waits ? POLLIN : POLLOUT);
}

static long end_splice(struct tk_task *task, struct tk_file *in, struct tk_file *out,
		       unsigned int flags, ssize_t n)
{
	if (n == -EPIPE)
		tk_raise_sigpipe(task, out);
	return n == -EAGAIN ? wait_for_side(task, in, out, flags) : n;
}

/* May the host's splice(2) work on it? */
static bool is_hosts(struct tk_file *file)
{
	const struct tk_sock *sock = tk_sock_of(file);
	struct stat st;

	if (sock) /* what goes through a followed connection has to be seen */
		return sock->family != AF_NETLINK && !sock->follow.ops && !sock->gate;
	if (file->hostfd < 0 || fstat(file->hostfd, &st))
		return false;
	if (tk_is_stream(file))
		return S_ISFIFO(st.st_mode);
	return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode);
}

static int check_splice(struct tk_file *in, struct tk_file *out, gva_t off_in, gva_t off_out)
{
	if (!is_hosts(in) || !is_hosts(out))
		return -EINVAL;
	if ((is_fifo(in) && off_in) || (is_fifo(out) && off_out))
		return -ESPIPE;
	if (!is_fifo(in) && !is_fifo(out))
		return -EINVAL;
	return out->seekable && out->flags & O_APPEND ? -EINVAL : 0;
}

long tk_sys_splice(struct tk_task *task, const u64 a[6])
{
	const unsigned int known =
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
	unsigned int flags = (unsigned int)a[5];
	size_t len = TK_MIN(a[4], TK_MIB(1));
	struct offset from, to;
	struct tk_file *in, *out;
	ssize_t n;
	int rc;

	if (!a[4])
		return 0;
	if (flags & ~known)
		return -EINVAL;
	rc = two_files(task, a[0], a[2], &in, &out);
	if (!rc)
		rc = check_splice(in, out, a[1], a[3]);
	if (!rc)
		rc = get_offset(task, in, a[1], &from);
	if (!rc)
		rc = get_offset(task, out, a[3], &to);
	if (!rc && out->seekable)
		rc = tk_size_clip(task, out, to.value, &len);
	if (rc)
		return rc;
	n = tk_splice_nosignal(in->hostfd, in->seekable ? &from.value : NULL, out->hostfd,
			       out->seekable ? &to.value : NULL, len, flags | SPLICE_F_NONBLOCK);
	if (n <= 0)
		return end_splice(task, in, out, flags, n);
	if ((in->seekable && put_offset(task, in, &from)) ||
	    (out->seekable && put_offset(task, out, &to)))
		return -EFAULT;
	return n;
}

long tk_sys_tee(struct tk_task *task, const u64 a[6])
{
	unsigned int flags = (unsigned int)a[3];
	struct tk_file *in, *out;
	ssize_t n;
	int rc;

	if (flags & ~(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))
		return -EINVAL;
	if (!a[2])
		return 0;
	rc = two_files(task, a[0], a[1], &in, &out);
	if (rc)
		return rc;
	if (in->hostfd < 0 || out->hostfd < 0 || tk_sock_of(in) || tk_sock_of(out))
		return -EINVAL;
	n = tk_tee_nosignal(in->hostfd, out->hostfd, TK_MIN(a[2], TK_MIB(1)),
			    flags | SPLICE_F_NONBLOCK);
	return n > 0 ? n : end_splice(task, in, out, flags, n);
}
