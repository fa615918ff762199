/* SPDX-License-Identifier: MIT */
/* ioctl(2) on sockets. */
#ifndef TK_NET_IFREQ_H
#define TK_NET_IFREQ_H

#include "mm/access.h"
#include "net/sock.h"

/* Queue lengths and, for guests with any network, questions about interfaces; else -ENOTTY. */
long tk_sock_ioctl(struct tk_sock *sock, struct tk_mm *mm, unsigned int cmd, u64 arg);

#endif
