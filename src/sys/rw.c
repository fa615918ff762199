/* SPDX-License-Identifier: MIT */
/* read, write and their positional, vectored and flagged variants: see transfer.c. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "fs/pipe.h"
#include "fs/regular.h"
#include "fs/stream.h"
#include "guest/layout.h"
#include "sys/fsargs.h"
#include "sys/sock.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

#define MAX_RW_COUNT 0x7ffff000ull
#define MAX_PIECES   64

/* Messages must go out whole: a message with a piece that is not there is not sent. */
static bool is_bytewise(const struct tk_file *file)
{
	return file->seekable || tk_is_pipe(file) || tk_is_stream(file);
}

/* Read or write: may this file be used so at all? */
static int check_file(struct tk_task *task, u64 fd, bool write, struct tk_file **ret)
{
	struct tk_file *file;
	int rc = tk_arg_file(task, fd, &file);

	if (rc)
		return rc;
	if (!(write ? tk_file_may_write(file) : tk_file_may_read(file)))
		return -EBADF;
	if (!(write ? (void *)file->ops->writev : (void *)file->ops->readv))
		return -EINVAL;
	*ret = file;
	return 0;
}

/*
 * How many bytes of guest memory a read may have changed: also one that waits for more, or that
 * failed, since a host call may fail with EFAULT behind bytes that it did copy.
 */
static u64 bytes_read(const struct tk_task *task, const struct tk_transfer *t, long result)
{
	if (t->write || result == -EAGAIN)
		return 0;
	if (result == TK_BLOCKED)
		return task->wait.progress;
	return result >= 0 ? (u64)result : t->total;
}

/* A stream says first whether it is readable, writable, ended or broken. */
static bool looks_first(const struct tk_transfer *t)
{
	const struct tk_sock *sock = tk_sock_of(t->file);

	if (sock)
		return tk_sock_is_stream(sock);
	return !t->write && (tk_is_regular(t->file) || tk_is_pipe(t->file));
}

/*
 * A read into memory that is not there fails for that only if there is something to read, and a
 * write to a socket only if it takes something: which the host finds out when it is given no better
 * memory.
 */
static long transfer_nowhere(struct tk_task *task, struct tk_transfer *t, u64 len)
{
	void *const unmapped = (void *)8; /* in the page that nobody may map: mmap_min_addr */
	struct iovec iov = {unmapped, TK_MIN(len, (u64)TK_PAGE_SIZE)};

	t->iov = &iov;
	t->n = 1;
	t->total = iov.iov_len;
	return tk_transfer(task, t);
}

/* One buffer of guest memory. */
static long transfer_buffer(struct tk_task *task, struct tk_transfer *t, gva_t addr, u64 len)
{
	enum tk_access access = t->write ? TK_ACCESS_READ : TK_ACCESS_WRITE;
	struct iovec iov[MAX_PIECES] = {0};
	long result;

	if (addr > TK_ADDRESS_TOP || len > TK_ADDRESS_TOP - addr)
		return -EFAULT;
	t->iov = iov;
	t->n = tk_iov_map(task->proc->mm, addr, len, access, iov, MAX_PIECES, &t->total);
	if (t->n == -EFAULT && looks_first(t))
		return transfer_nowhere(task, t, len);
	if (t->n < 0)
		return t->n;
	if (t->write && t->total < TK_MIN(len, MAX_RW_COUNT) && !is_bytewise(t->file))
		return -EFAULT;
	t->n = TK_MAX(t->n, 1);
	result = tk_transfer(task, t);
	tk_mm_wrote(task->proc->mm, addr, bytes_read(task, t, result));
	return result;
}

static long transfer_vector(struct tk_task *task, struct tk_transfer *t, gva_t iov, u64 count)
{
	enum tk_access access = t->write ? TK_ACCESS_READ : TK_ACCESS_WRITE;
	long result;

	t->n = tk_iov_import(task->proc->mm, iov, count, access, &t->iov, &t->total);
	if (t->n < 0)
		return t->n;
	/* The file is not asked, which write(2) of nothing does. */
	result = t->total ? tk_transfer(task, t) : 0;
	tk_iov_wrote(task->proc->mm, t->iov, t->n, bytes_read(task, t, result));
	free(t->iov);
	return result;
}

static long sequential_buffer(struct tk_task *task, const u64 a[6], bool write)
{
	struct tk_transfer t = {.write = write};
	int rc = check_file(task, a[0], write, &t.file);

	if (rc)
		return rc;
	t.pos = t.file->seekable ? &t.file->pos : NULL;
	return transfer_buffer(task, &t, a[1], a[2]);
}

long tk_sys_read(struct tk_task *task, const u64 a[6])
{
	return sequential_buffer(task, a, false);
}

long tk_sys_write(struct tk_task *task, const u64 a[6])
{
	return sequential_buffer(task, a, true);
}

static long positional_buffer(struct tk_task *task, const u64 a[6], bool write)
{
	struct tk_transfer t = {.write = write};
	s64 pos = (s64)a[3];
	struct tk_file *file;
	int rc;

	if (pos < 0)
		return -EINVAL;
	rc = tk_arg_file(task, a[0], &file);
	if (!rc && !file->seekable && !(file->flags & O_PATH))
		rc = -ESPIPE;
	if (!rc)
		rc = check_file(task, a[0], write, &t.file);
	if (rc)
		return rc;
	t.pos = &pos;
	return transfer_buffer(task, &t, a[1], a[2]);
}

long tk_sys_pread64(struct tk_task *task, const u64 a[6])
{
	return positional_buffer(task, a, false);
}

long tk_sys_pwrite64(struct tk_task *task, const u64 a[6])
{
	return positional_buffer(task, a, true);
}

static long vector(struct tk_task *task, const u64 a[6], bool write, s64 *pos, int rwf)
{
	struct tk_transfer t = {.write = write, .rwf = rwf, .pos = pos};
	int rc = tk_arg_file(task, a[0], &t.file);

	if (!rc && pos && !t.file->seekable && !(t.file->flags & O_PATH))
		rc = -ESPIPE;
	if (!rc)
		rc = check_file(task, a[0], write, &t.file);
	if (rc)
		return rc;
	if (!pos && t.file->seekable)
		t.pos = &t.file->pos;
	return transfer_vector(task, &t, a[1], a[2]);
}

long tk_sys_readv(struct tk_task *task, const u64 a[6])
{
	return vector(task, a, false, NULL, 0);
}

long tk_sys_writev(struct tk_task *task, const u64 a[6])
{
	return vector(task, a, true, NULL, 0);
}

/* The position is the fourth argument; the fifth is its upper half on 32-bit machines only. */
static long positional_vector(struct tk_task *task, const u64 a[6], bool write)
{
	s64 pos = (s64)a[3];

	return pos < 0 ? -EINVAL : vector(task, a, write, &pos, 0);
}

long tk_sys_preadv(struct tk_task *task, const u64 a[6])
{
	return positional_vector(task, a, false);
}

long tk_sys_pwritev(struct tk_task *task, const u64 a[6])
{
	return positional_vector(task, a, true);
}

static int check_rwf(bool write, int rwf)
{
	const int known = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND |
			  RWF_NOAPPEND | RWF_NOSIGNAL;

	if (rwf & ~known)
		return -EOPNOTSUPP;
	if ((rwf & (RWF_APPEND | RWF_NOAPPEND)) == (RWF_APPEND | RWF_NOAPPEND))
		return -EINVAL;
	return !write && rwf & RWF_APPEND ? -EOPNOTSUPP : 0;
}

static long flagged_vector(struct tk_task *task, const u64 a[6], bool write)
{
	s64 pos = (s64)a[3];
	int rwf = (int)a[5], rc;

	if (pos < -1)
		return -EINVAL;
	rc = check_rwf(write, rwf);
	if (rc) {
		struct tk_file *file;

		return tk_arg_file(task, a[0], &file) ? -EBADF : rc;
	}
	return vector(task, a, write, pos == -1 ? NULL : &pos, rwf);
}

long tk_sys_preadv2(struct tk_task *task, const u64 a[6])
{
	return flagged_vector(task, a, false);
}

long tk_sys_pwritev2(struct tk_task *task, const u64 a[6])
{
	return flagged_vector(task, a, true);
}

/*
 * Pages are copied rather than given: the guest cannot tell, as long as it leaves them alone until
 * they are read, as vmsplice(2) asks it to.
 */
long tk_sys_vmsplice(struct tk_task *task, const u64 a[6])
{
	unsigned int flags = (unsigned int)a[3];
	struct tk_file *file;
	struct stat st;
	int rc = tk_arg_file(task, a[0], &file);

	if (flags & ~(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))
		return -EINVAL;
	if (rc)
		return rc;
	if (file->hostfd < 0 || fstat(file->hostfd, &st) || !S_ISFIFO(st.st_mode))
		return -EBADF;
	return vector(task, a, tk_file_may_write(file), NULL,
		      flags & SPLICE_F_NONBLOCK ? RWF_NOWAIT : 0);
}
