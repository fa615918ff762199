/* SPDX-License-Identifier: MIT */
/* What the socket system calls share, and what write(2) needs of it. */
#ifndef TK_SYS_SOCK_H
#define TK_SYS_SOCK_H

#include "net/sock.h"
#include "sys/sys.h"

/* The socket behind @fd: 0, -EBADF, -ENOTSOCK. */
int tk_arg_sock(struct tk_task *task, u64 fd, struct tk_sock **sock);

/* A socket address from the guest, zero beyond @len. 0, -EINVAL, -EFAULT. */
int tk_addr_in(struct tk_task *task, gva_t addr, int len, struct sockaddr_storage *out);

/* Hand an address out as accept(2) does: cut to *@lenp, full length stored. @addr 0: not wanted. */
int tk_addr_out(struct tk_task *task, const struct sockaddr_storage *name, socklen_t len,
		gva_t addr, gva_t lenp);

/*
 * The operation on @sock gave -EAGAIN and the guest wants to wait: block until @events (POLLIN,
 * POLLOUT), within SO_RCVTIMEO or SO_SNDTIMEO. As tk_block_fd(), or -EAGAIN when time is up.
 */
long tk_sock_wait(struct tk_task *task, struct tk_sock *sock, short events);

/*
 * The same for any pollable file, for read(2) and write(2): honours a socket's timeouts, and does
 * not spin where poll(2) and the operation disagree (a large write to an eventfd).
 */
long tk_file_wait(struct tk_task *task, struct tk_file *file, short events);

/* @file's write gave -EPIPE: SIGPIPE, unless it is a socket for packets. */
void tk_raise_sigpipe(struct tk_task *task, struct tk_file *file);

/* The call must not wait. */
bool tk_sock_nonblocking(const struct tk_sock *sock, int flags);

struct tk_net_ids tk_net_ids_of(const struct tk_task *task);

#endif
