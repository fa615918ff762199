/* SPDX-License-Identifier: MIT */
/* Pipes: two files over a host pipe. */
#ifndef TK_FS_PIPE_H
#define TK_FS_PIPE_H

#include "base/budget.h"
#include "fs/file.h"

/*
 * A pipe's two ends, each with one reference. @flags: O_NONBLOCK and O_DIRECT of pipe2(2) (the
 * ends' flags as F_GETFL shows them; O_DIRECT is packet mode). @memory: what its buffer is taken
 * from. 0 or -errno; -ENFILE: not enough left of it.
 */
int tk_pipe_new(struct tk_file *ends[2], int flags, struct tk_budget *memory) TK_MUST_CHECK;

bool tk_is_pipe(const struct tk_file *file);

/*
 * writev(2) to a host descriptor that may be a pipe, without a SIGPIPE to the VMM. Returns a count
 * or -errno.
 */
ssize_t tk_writev_nosignal(int fd, const struct iovec *iov, int n);
/* The same without waiting, whatever the descriptor's flags; -EOPNOTSUPP: the host cannot. */
ssize_t tk_writev_nowait(int fd, const struct iovec *iov, int n);

#endif
