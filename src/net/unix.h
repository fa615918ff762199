/* SPDX-License-Identifier: MIT */
/* Addresses of unix(7) sockets: from guest paths to host sockets and back. */
#ifndef TK_NET_UNIX_H
#define TK_NET_UNIX_H

#include "fs/path.h"
#include "net/sock.h"

/* Where to connect or send. @fd keeps the object that @addr leads to; end with tk_unix_done(). */
struct tk_unix_target {
	struct sockaddr_un addr;
	socklen_t len;
	int fd; /* -1: an abstract name */
};

/*
 * Resolve guest address @name of @len bytes (the VMM's copy, zero beyond). 0 or -errno: -EINVAL
 * (malformed), -EACCES (abstract names are for unrestricted guests), or what path resolution says.
 */
int tk_unix_lookup(struct tk_ns *ns, const struct tk_fdtable *files,
		   const struct sockaddr_storage *name, socklen_t len,
		   struct tk_unix_target *out) TK_MUST_CHECK;
void tk_unix_done(struct tk_unix_target *target);

/* bind(2) of a unix socket. */
int tk_unix_bind(struct tk_sock *sock, struct tk_ns *ns, const struct tk_fdtable *files,
		 const struct sockaddr_storage *name, socklen_t len) TK_MUST_CHECK;

/*
 * Put the guest's name in place of a host address that the kernel returned, if it is that of one
 * of the guest's own sockets; tells whether it is.
 */
bool tk_unix_translate(const struct tk_net *net, struct sockaddr_storage *name, socklen_t *len);

#endif
