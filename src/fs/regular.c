/* SPDX-License-Identifier: MIT */
/*
 * Regular files on host descriptors. Two kinds: those that the guest opened itself (our offset,
 * positional host calls) and those at an offset that others share (plain read and write). The
 * page cache, sparse files, seals and file-system errors are the host's; RLIMIT_FSIZE is checked
 * by the system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/fork.h"
#include "fs/regular.h"
#include "mm/access.h"
#include "mm/mm.h"

static ssize_t result(ssize_t n)
{
	return n < 0 ? -errno : n;
}

static ssize_t regular_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	return result(preadv(file->hostfd, iov, n, *pos));
}

/* O_APPEND: the kernel writes at the end and tells where that was only by the offset behind it. */
static ssize_t append(struct tk_file *file, const struct iovec *iov, int n)
{
	ssize_t done = result(writev(file->hostfd, iov, n));

	if (done >= 0)
		file->pos = lseek(file->hostfd, 0, SEEK_CUR) - done;
	return done;
}

static ssize_t regular_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	if (pos == &file->pos && file->flags & O_APPEND)
		return append(file, iov, n);
	return result(pwritev(file->hostfd, iov, n, *pos));
}

static s64 regular_seek(struct tk_file *file, s64 offset, int whence)
{
	s64 pos;

	if (whence == SEEK_CUR) {
		if (__builtin_add_overflow(file->pos, offset, &offset))
			return -EINVAL;
		whence = SEEK_SET;
	}
	pos = lseek(file->hostfd, offset, whence);
	if (pos < 0)
		return -errno;
	file->pos = pos;
	return pos;
}

static long readable_bytes(struct tk_file *file, struct tk_mm *mm, gva_t arg, s64 pos)
{
	struct stat st;
	s64 left;
	int n;

	if (fstat(file->hostfd, &st))
		return -errno;
	left = st.st_size - pos;
	n = (int)left;
	return tk_copy_out(mm, arg, &n, sizeof(n));
}

static long regular_ioctl(struct tk_file *file, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	if (cmd == FIONREAD)
		return readable_bytes(file, mm, arg, file->pos);
	return -ENOTTY;
}

static int regular_set_flags(struct tk_file *file, int flags)
{
	flags &= O_APPEND | O_DIRECT | O_NOATIME;
	return fcntl(file->hostfd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

static struct tk_backing *host_backing(struct tk_file *file)
{
	int fd = fcntl(file->hostfd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return NULL;
	return tk_backing_new(fd, tk_file_may_write(file), file->path ? file->path : "");
}

static int make(const struct tk_file_ops *ops, int hostfd, int flags, const char *path,
		struct tk_file **ret);

/*
 * Forks are to have descriptions of their own: of the file, or of a copy. (Where offset, flags and
 * flock(2) were one for all forks, they could tell each other by them.)
 */
static int regular_freeze(struct tk_file *file)
{
	int fd = tk_fork_reopenable(file);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -ENOTSUP : 0;
}

static int regular_fork(const struct tk_file *tmpl, const struct tk_file *mate,
			const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int fd = tk_fork_reopen(tmpl, ctx);

	return fd < 0 ? fd : make(tmpl->ops, fd, tmpl->flags, tmpl->path, &ret[0]);
}

static int regular_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	if (file->flags != tmpl->flags && regular_set_flags(file, tmpl->flags))
		return -ESTALE;
	return 0;
}

/* What others share stays shared; so does the offset. */
static int shared_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		       const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int fd = tk_fork_dup(tmpl);

	return fd < 0 ? fd : make(tmpl->ops, fd, tmpl->flags, tmpl->path, &ret[0]);
}

static const struct tk_file_ops regular_ops = {
	.kind = "regular",
	.readv = regular_readv,
	.writev = regular_writev,
	.seek = regular_seek,
	.ioctl = regular_ioctl,
	.set_flags = regular_set_flags,
	.backing = host_backing,
	.freeze = regular_freeze,
	.fork = regular_fork,
	.reset = regular_reset,
};

bool tk_is_regular(const struct tk_file *file)
{
	return file->ops == &regular_ops;
}

/* Keep @pos where the host's offset began, so that it is right once the caller adds @done. */
static ssize_t shared_done(struct tk_file *file, ssize_t done)
{
	s64 pos;

	if (done < 0)
		return -errno;
	pos = lseek(file->hostfd, 0, SEEK_CUR);
	file->pos = pos < done ? 0 : pos - done;
	return done;
}

static ssize_t shared_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	if (pos != &file->pos)
		return result(preadv(file->hostfd, iov, n, *pos));
	return shared_done(file, readv(file->hostfd, iov, n));
}

static ssize_t shared_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	if (pos != &file->pos)
		return result(pwritev(file->hostfd, iov, n, *pos));
	return shared_done(file, writev(file->hostfd, iov, n));
}

static s64 shared_seek(struct tk_file *file, s64 offset, int whence)
{
	s64 pos = lseek(file->hostfd, offset, whence);

	if (pos < 0)
		return -errno;
	file->pos = pos;
	return pos;
}

static long shared_ioctl(struct tk_file *file, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	struct stat st;

	if (cmd != FIONREAD || fstat(file->hostfd, &st) || !S_ISREG(st.st_mode))
		return -ENOTTY;
	return readable_bytes(file, mm, arg, lseek(file->hostfd, 0, SEEK_CUR));
}

/* A change would be everybody's: only what the description has already can be asked for. */
static int shared_set_flags(struct tk_file *file, int flags)
{
	int have = fcntl(file->hostfd, F_GETFL);

	return (flags ^ have) & (O_APPEND | O_DIRECT) ? -EPERM : 0;
}

static struct tk_backing *shared_backing(struct tk_file *file)
{
	struct stat st;

	/* Of the devices only /dev/zero can be mapped. */
	if (fstat(file->hostfd, &st) || (!S_ISREG(st.st_mode) && st.st_rdev != makedev(1, 5)))
		return NULL;
	return host_backing(file);
}

static const struct tk_file_ops shared_ops = {
	.kind = "shared",
	.readv = shared_readv,
	.writev = shared_writev,
	.seek = shared_seek,
	.ioctl = shared_ioctl,
	.set_flags = shared_set_flags,
	.backing = shared_backing,
	.fork = shared_fork,
	.reset = tk_fork_reset_plain,
};

/* What it names can be opened through it: of a nameless file, the fork's copy. */
static int opath_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		      const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int fd = tmpl->memfd ? tk_fork_reopen(tmpl, ctx) : tk_fork_dup(tmpl);

	return fd < 0 ? fd : make(tmpl->ops, fd, tmpl->flags, tmpl->path, &ret[0]);
}

static int opath_freeze(struct tk_file *file)
{
	return file->memfd ? regular_freeze(file) : 0;
}

static const struct tk_file_ops opath_ops = {
	.kind = "path",
	.freeze = opath_freeze,
	.fork = opath_fork,
	.reset = tk_fork_reset_plain,
};

bool tk_is_opath(const struct tk_file *file)
{
	return file->ops == &opath_ops;
}

static int make(const struct tk_file_ops *ops, int hostfd, int flags, const char *path,
		struct tk_file **ret)
{
	struct tk_file *file = calloc(1, sizeof(*file));

	if (!file) {
		close(hostfd);
		return -ENOMEM;
	}
	tk_file_init(file, ops, hostfd, flags, path);
	if (path && !file->path) {
		tk_file_put(file);
		return -ENOMEM;
	}
	file->seekable = ops != &opath_ops;
	*ret = file;
	return 0;
}

int tk_regular_new(int hostfd, int flags, const char *path, struct tk_file **ret)
{
	return make(&regular_ops, hostfd, flags, path, ret);
}

int tk_shared_new(int hostfd, int flags, const char *path, struct tk_file **ret)
{
	return make(&shared_ops, hostfd, flags, path, ret);
}

int tk_opath_new(int hostfd, int flags, const char *path, struct tk_file **ret)
{
	return make(&opath_ops, hostfd, flags, path, ret);
}
