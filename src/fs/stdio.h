/* SPDX-License-Identifier: MIT */
/* The standard descriptors that a guest inherits from its embedder. */
#ifndef TK_FS_STDIO_H
#define TK_FS_STDIO_H

#include "base/error.h"
#include "fs/fdtable.h"

/*
 * Make guest descriptor @fd of what host descriptor @hostfd is: terminal, pipe, file, socket,
 * directory or device. @hostfd stays the caller's and is not changed in any way; -1, or a closed
 * one, leaves @fd closed; so does 0, 1 or 2 with FD_CLOEXEC, which nobody can have inherited. To
 * let a pipe's other end see the guest close its end, the caller has to close its own.
 */
int tk_stdio_install(struct tk_fdtable *files, unsigned int fd, int hostfd,
		     struct tkvm_error *err) TK_MUST_CHECK;

#endif
