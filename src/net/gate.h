/* SPDX-License-Identifier: MIT */
/*
 * The listening socket of a fork. Forks share the host's listening socket with each other, so a
 * program must neither take from its queue nor change it: it accepts what it is *offered*, and
 * options that it sets go to a socket of its own.
 *
 * tk_file.hostfd is the read end of a pipe with a byte for each offer: poll(2) and epoll(7) work on
 * it, edges included, and unlike an eventfd it is never ready for writing. The host's socket is
 * behind tk_sock_host().
 */
#ifndef TK_NET_GATE_H
#define TK_NET_GATE_H

#include "net/sock.h"
#include "tinykvm/server.h"

/*
 * The gate that stands for the listening socket @tmpl. The host's socket is only borrowed: @tmpl
 * must outlive it. 0 or -errno.
 */
int tk_gate_new(struct tk_file **ret, const struct tk_sock *tmpl, struct tk_net *net,
		const struct tk_policy *policy) TK_MUST_CHECK;

/*
 * Make a gate of @sock, which listens: no connection comes to it but by offers from then on. Its
 * host's socket stays the one it has. 0 or -errno.
 */
int tk_gate_make(struct tk_sock *sock) TK_MUST_CHECK;

/*
 * If one of net->adopt has address @addr (internet, or abstract), make @sock a gate of it: 1. 0:
 * there is none, or @sock is a gate already, or none of streams; -errno.
 */
int tk_gate_adopt(struct tk_sock *sock, const struct sockaddr_storage *addr,
		  socklen_t len) TK_MUST_CHECK;
/* The same for the unix socket that was bound to this file. */
int tk_gate_adopt_file(struct tk_sock *sock, u64 dev, u64 ino) TK_MUST_CHECK;

/* As new: no offers, no options set. 0, or -ESTALE: make a new one. */
int tk_gate_reset(struct tk_sock *sock) TK_MUST_CHECK;

/* Queue connection @fd, to be followed with @ops. 0 or -errno, @fd is still the caller's then. */
int tk_gate_offer(struct tk_sock *sock, int fd, const struct tkvm_connection_ops *ops, void *ctx);

/*
 * Take the oldest offer, wrapped as a socket with O_NONBLOCK or 0 in @flags.
 * 0, -EAGAIN, -EINVAL (shut down), -ENOMEM, -EMFILE.
 */
int tk_gate_accept(struct tk_sock *sock, int flags, struct tk_file **ret);

/* The oldest offer; returns how many there are: 0, 1, or 2 for more. */
unsigned int tk_gate_first(const struct tk_sock *sock, struct tk_follow *follow, int *fd);
bool tk_gate_is_shut(const struct tk_sock *sock);

/* shutdown(2) on it: nothing is accepted any more, here. */
void tk_gate_shut(struct tk_sock *sock);

/* It is the machine's own: what is done to it is done to the host's socket. */
bool tk_gate_is_own(const struct tk_gate *gate);

/* The socket that an option of row @row is set on; -errno. */
int tk_gate_option_set(struct tk_sock *sock, unsigned int row);
/* The socket that it is read from. */
int tk_gate_option_get(const struct tk_sock *sock, unsigned int row);

/* The host's listening socket. */
int tk_gate_real(const struct tk_gate *gate);

/* The socket goes: called by its release. */
void tk_gate_free(struct tk_sock *sock);

#endif
