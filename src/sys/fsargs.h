/* SPDX-License-Identifier: MIT */
/* What the file and directory system calls share: paths, rights, transfers. */
#ifndef TK_SYS_FSARGS_H
#define TK_SYS_FSARGS_H

#include <errno.h>

#include "sys/sys.h"

/* Copy a path from the guest. 0, -EFAULT, -ENAMETOOLONG. */
int tk_arg_path(struct tk_task *task, gva_t addr, char path[PATH_MAX]) TK_MUST_CHECK;

/* Copy and resolve; see tk_path_resolve(), also for how it ends. */
int tk_arg_resolve(struct tk_task *task, u64 dirfd, gva_t addr, unsigned int flags,
		   unsigned int may, struct tk_path *path) TK_MUST_CHECK;

/*
 * The same, down to a host descriptor (O_PATH) of the object, which the caller closes. -EPERM:
 * synthetic, there is nothing to change.
 */
int tk_arg_object(struct tk_task *task, u64 dirfd, gva_t addr, unsigned int flags,
		  unsigned int may) TK_MUST_CHECK;

/* AT_* flags of a call that takes @allowed ones, as TK_WALK_*; -EINVAL for others. */
int tk_arg_at_flags(u64 flags, int allowed, unsigned int *walk) TK_MUST_CHECK;

/* An open file whose object is to be changed (fchmod, fsetxattr). 0, -EBADF, -EROFS, -EACCES. */
int tk_arg_changeable(struct tk_task *task, u64 fd, struct tk_file **file) TK_MUST_CHECK;

/* What a host call that returned @rc means to the guest. */
static inline long tk_host_result(long rc)
{
	return rc < 0 ? -errno : rc;
}

/* One read or write of any kind. */
struct tk_transfer {
	struct tk_file *file;
	bool write;
	int rwf;	   /* RWF_* of preadv2 */
	s64 *pos;	   /* NULL: a stream; &file->pos: sequential */
	struct iovec *iov; /* guest memory */
	int n;
	size_t total;
};

/*
 * Carry it out as far as it goes. Counts what is done in task->wait.progress, so that a call that
 * blocks half-way goes on there. Result of the system call, TK_BLOCKED included.
 */
long tk_transfer(struct tk_task *task, const struct tk_transfer *t);

/*
 * The call has done much, @done in all, and is not at its end: let the run loop look at what is
 * due, then enter it again. TK_BLOCKED; or @done, if a signal came. Not for calls that also wait.
 */
long tk_take_breath(struct tk_task *task, u64 done);

/* The guest's SIGPIPE, SIGXFSZ: sent to the calling thread. */
void tk_raise(struct tk_task *task, int signo);

/*
 * A write of *@len bytes at @pos: RLIMIT_FSIZE cuts *@len. 0; -EFBIG with SIGXFSZ raised; -ENOSPC
 * if a memfd would outgrow the memory limit. Files that are not regular have no limits.
 */
int tk_size_clip(struct tk_task *task, const struct tk_file *file, s64 pos,
		 size_t *len) TK_MUST_CHECK;

/* The same for a new size of the file behind @hostfd (truncate, fallocate). */
int tk_size_check(struct tk_task *task, int hostfd, s64 size) TK_MUST_CHECK;

/* Of these only the memory limit: storage behind the end of a file counts, too. */
int tk_memory_check(struct tk_task *task, int hostfd, s64 size) TK_MUST_CHECK;

#endif
