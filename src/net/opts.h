/* SPDX-License-Identifier: MIT */
/* Socket options: the table of net/sockopt.h at work. */
#ifndef TK_NET_OPTS_H
#define TK_NET_OPTS_H

#include "net/sock.h"

#define TK_OPT_MAX 512 /* no option's value is longer */

/* The most bytes of a value that setsockopt looks at, or -ENOPROTOOPT and its like. */
int tk_opt_set_size(const struct tk_sock *sock, int level, int name);
/* setsockopt with @len bytes, at most tk_opt_set_size(). 0 or -errno. */
int tk_opt_set(struct tk_sock *sock, int level, int name, const void *value, socklen_t len);

/*
 * getsockopt into @value (TK_OPT_MAX bytes), at most *@len of them; stores how many. 0 or -errno.
 * @ids: what SO_PEERCRED shows of peers in this VMM.
 */
int tk_opt_get(struct tk_sock *sock, const struct tk_net_ids *ids, int level, int name, void *value,
	       socklen_t *len);

/* Some may be set on @sock that make control data come with what is received. */
bool tk_opts_stamp(const struct tk_sock *sock);

/*
 * Set the options that the guest set on @sock to what they are on the host's socket @like. 0, or
 * -errno if that cannot be done for one of them.
 */
int tk_opts_restore(struct tk_sock *sock, int like);

/*
 * Give host socket @fd the options that were set on @from, as far as they can be read back.
 */
void tk_opts_copy(int fd, const struct tk_sock *from);

#endif
