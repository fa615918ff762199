/* SPDX-License-Identifier: MIT */
/* Internet and netlink addresses from the guest: made unambiguous, then checked by the policy. */
#ifndef TK_NET_ADDR_H
#define TK_NET_ADDR_H

#include "net/sock.h"

enum tk_addr_use { TK_ADDR_BIND, TK_ADDR_CONNECT, TK_ADDR_SEND };

/*
 * Check @addr (the VMM's copy, zero beyond @len) for @use on @sock; may rewrite both so that the
 * kernel cannot read them differently: *@len 0 means that no address is to be passed. Not for
 * AF_UNIX. 0 or -errno: -EACCES denied, -EINVAL, -EAFNOSUPPORT.
 */
int tk_addr_check(const struct tk_sock *sock, enum tk_addr_use use, struct sockaddr_storage *addr,
		  socklen_t *len);

/*
 * listen(2) on a bound (or to be bound automatically) internet socket; may bind it, to what was
 * checked. 0 or -errno: -EACCES denied, or bind(2)'s.
 */
int tk_addr_check_listen(const struct tk_sock *sock);

#endif
