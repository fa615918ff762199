/* SPDX-License-Identifier: MIT */
/* Copies of sockets: the operations of fs/file.h. */
#ifndef TK_NET_FORK_H
#define TK_NET_FORK_H

#include "net/sock.h"

int tk_sock_freeze(struct tk_file *file);
int tk_sock_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		 const struct tk_fork_ctx *ctx, struct tk_file *ret[2]);
int tk_sock_reset(struct tk_file *file, const struct tk_file *tmpl);

#endif
