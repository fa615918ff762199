/* SPDX-License-Identifier: MIT */
/*
 * Connections that the caller of the library follows (struct tkvm_connection_ops): it hears of
 * what the program takes and sends, may hold input back, and gets the socket when the program is
 * done with it.
 */
#ifndef TK_NET_FOLLOW_H
#define TK_NET_FOLLOW_H

#include "net/sock.h"
#include "tinykvm/server.h"

/* @sock was accepted from a listening socket of the host, @listener, whose options it inherited. */
void tk_follow_begin(struct tk_sock *sock, const struct tkvm_connection_ops *ops, void *ctx,
		     int listener);

/* recvmsg(2) on a followed socket, as tk_sock_recv(). */
ssize_t tk_follow_recv(struct tk_sock *sock, struct msghdr *msg, int flags);
/* Of @n bytes that lie in it, followed or not, so many are for the program's eyes. */
int tk_follow_unread(struct tk_sock *sock, int n);
/* @how: enum tkvm_sent */
void tk_follow_sent(struct tk_sock *sock, const struct msghdr *msg, size_t len, unsigned int how);
void tk_follow_shut(struct tk_sock *sock, int how);

/* The last reference went: hand the host's socket back. */
void tk_follow_end(struct tk_sock *sock);

#endif
