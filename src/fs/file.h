/* SPDX-License-Identifier: MIT */
/*
 * Open file descriptions. A guest descriptor (fs/fdtable.h) points at one of these; dup shares it.
 *
 * Host descriptors behind a pollable file are non-blocking *on the host*, always, and the guest's
 * O_NONBLOCK is only a bit in @flags: an operation that would block returns -EAGAIN, and the
 * system-call layer decides between returning that and waiting. Descriptors that are shared with
 * the outside world (inherited stdio) are reopened or used with per-call flags instead, never
 * switched to O_NONBLOCK: that would change them for others.
 *
 * Offsets are ours (@pos, pread/pwrite underneath), so that a fork has its own.
 */
#ifndef TK_FS_FILE_H
#define TK_FS_FILE_H

#include <sys/stat.h>
#include <sys/uio.h>

#include "base/types.h"

struct tk_mm;
struct tk_file;
struct tk_backing;
struct tk_epoll_item;
struct tk_fork_ctx;

/*
 * All return a count or 0, or -errno; a NULL operation means the errno given. The iovecs may be
 * guest memory or the VMM's own.
 */
struct tk_file_ops {
	const char *kind; /* "regular", "pipe", ...: for --trace and reports */

	/*
	 * @pos: where; NULL for streams. Neither advances @file->pos; the caller does, by what is
	 * returned. @pos == &file->pos tells a sequential operation (read, not pread): what
	 * O_APPEND and shared host offsets need to know; they may set file->pos to where it began.
	 * NULL operation: -EINVAL
	 */
	ssize_t (*readv)(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos);
	ssize_t (*writev)(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos);
	/* New absolute offset; may set file->pos. NULL: -ESPIPE */
	s64 (*seek)(struct tk_file *file, s64 offset, int whence);
	/* What @path becomes when it is asked for and was not set, allocated. NULL: it stays NULL
	 */
	char *(*name)(struct tk_file *file);
	/* NULL: fstat of the host descriptor */
	int (*stat)(struct tk_file *file, struct stat *st);
	/* Linux getdents64 records into the VMM's buffer @buf; bytes, 0 at the end. NULL: -ENOTDIR
	 */
	ssize_t (*getdents)(struct tk_file *file, void *buf, size_t size);
	/* @arg as the guest passed it; guest memory through mm/access.h. NULL: -ENOTTY */
	long (*ioctl)(struct tk_file *file, struct tk_mm *mm, unsigned int cmd, u64 arg);
	/* fcntl(F_SETFL) changed file->flags; NULL: nothing to do */
	int (*set_flags)(struct tk_file *file, int flags);
	/* What a mapping keeps. NULL: -ENODEV */
	struct tk_backing *(*backing)(struct tk_file *file);
	/* POLL* events ready now, for files with hostfd < 0. NULL: always POLLIN | POLLOUT */
	short (*ready)(struct tk_file *file);
	/* The last reference went: free what is private. @hostfd is closed by the caller. */
	void (*release)(struct tk_file *file);

	/*
	 * The rest is for copies of machines: fs/fork.h says when each is called. What struct
	 * tk_file itself says (flags, position, rights) is copied by who calls fork and reset.
	 */
	/* Note what the host object holds, without changing it. NULL: nothing to note */
	int (*freeze)(struct tk_file *file);
	/*
	 * Make what frozen @tmpl is in a fork. @mate: its other end, made with it and stored in
	 * @ret[1], or NULL. NULL operation: -ENOTSUP
	 */
	int (*fork)(const struct tk_file *tmpl, const struct tk_file *mate,
		    const struct tk_fork_ctx *ctx, struct tk_file *ret[2]);
	/*
	 * Make @file, a copy of @tmpl that was used, like that again: 0, or 1 if that may look
	 * like an event to who watches it; -ESTALE: make another. Not called for what was @altered.
	 * NULL: -ESTALE
	 */
	int (*reset)(struct tk_file *file, const struct tk_file *tmpl);
};

struct tk_file {
	const struct tk_file_ops *ops;
	unsigned int refs;
	int hostfd;    /* owned; -1 if there is none */
	int flags;     /* O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH | ..., as F_GETFL shows them */
	bool seekable; /* @pos means something */
	bool pollable; /* may return -EAGAIN; hostfd can be waited for */
	bool muted; /* input that is there is not to be seen: poll(2) and epoll(7) leave it out */
	bool writable; /* the policy lets what it names be changed through it: content, attributes
			*/
	unsigned int may; /* enum tk_may bits of the policy on it and, for a directory, below it */
	s64 pos;
	struct tk_epoll_item *watches; /* registrations in epoll objects (fs/epoll.h) */
	struct tk_file *mate;  /* the other end of a pipe or pair of sockets, while it exists */
	struct tk_file **home; /* where a fork keeps this copy of a frozen file; NULL: it is none */
	unsigned int slot;     /* of a frozen file: its number in the image, from 1 */
	bool used;	       /* looked up by the guest since the last reset */
	bool memfd;	       /* frozen: a fork has content of its own */
	bool altered;	       /* changed in a way that only a new object undoes */
	/*
	 * Guest path at open, or "pipe:[7]", "socket:[8]": what /proc/self/fd shows. Of kinds that
	 * have ops->name NULL until tk_file_name().
	 */
	char *path;
};

/*
 * Initialise the common part of an object that embeds struct tk_file as its first member.
 * Takes ownership of @hostfd; copies @path (may be NULL). refs = 1.
 */
void tk_file_init(struct tk_file *file, const struct tk_file_ops *ops, int hostfd, int flags,
		  const char *path);
struct tk_file *tk_file_get(struct tk_file *file);
/* They are the two ends of one thing. */
void tk_file_join(struct tk_file *a, struct tk_file *b);

/* fstat(2) of any kind: ops->stat, or the host descriptor's. */
int tk_file_stat(struct tk_file *file, struct stat *st) TK_MUST_CHECK;
/* @path. Before anybody, or an image, sees it. */
const char *tk_file_name(struct tk_file *file);
void tk_file_put(struct tk_file *file); /* frees the object (with free()) when refs reach 0 */

/* As OPEN_FMODE() in the kernel: access mode 3 (for ioctl only) permits neither. */
static inline bool tk_file_may_read(const struct tk_file *file)
{
	return (file->flags & 1) == 0 && !(file->flags & 010000000 /* O_PATH */);
}

static inline bool tk_file_may_write(const struct tk_file *file)
{
	int acc = file->flags & 3;

	return (acc == 1 || acc == 2) && !(file->flags & 010000000 /* O_PATH */);
}

#endif
