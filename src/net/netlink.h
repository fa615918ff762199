/* SPDX-License-Identifier: MIT */
/* NETLINK_ROUTE for guests: questions only. */
#ifndef TK_NET_NETLINK_H
#define TK_NET_NETLINK_H

#include "net/sock.h"

/* sendmsg(2) of requests that only read (RTM_GET*); others -EPERM. A count or -errno. */
ssize_t tk_netlink_send(struct tk_sock *sock, const struct msghdr *msg, int flags);

/* Check and complete an address for bind(2), connect(2) or sending. 0, -EINVAL, -EPERM. */
int tk_netlink_addr(struct sockaddr_storage *addr, socklen_t len);

#endif
