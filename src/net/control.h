/* SPDX-License-Identifier: MIT */
/*
 * Control messages (cmsg(3)) in both directions, between buffers of the VMM. Nothing in them is
 * passed on that this does not know.
 */
#ifndef TK_NET_CONTROL_H
#define TK_NET_CONTROL_H

#include "fs/fdtable.h"
#include "net/sock.h"

#define TK_CONTROL_MAX 65536 /* beyond it -ENOBUFS, as beyond net.core.optmem_max */

/* Everything the translation needs to know of the process. */
struct tk_control_env {
	struct tk_net *net;
	struct tk_fdtable *files;
	struct tk_net_ids ids;
	unsigned int limit; /* of files in flight */
};

/* What goes to the host. End with tk_control_done(), sent or not. */
struct tk_control_out {
	u8 *data; /* NULL: none */
	size_t len;
	int token; /* of files on their way, -1: none */
};

/*
 * Translate what the guest wants to send. 0 or -errno: -EINVAL (malformed or unknown), -EBADF,
 * -EPERM (credentials of others), -ETOOMANYREFS, -ENOMEM.
 */
int tk_control_send(const struct tk_control_env *env, const struct tk_sock *sock, const u8 *data,
		    size_t len, struct tk_control_out *out) TK_MUST_CHECK;
void tk_control_done(struct tk_control_out *out);

/*
 * Translate what the host delivered (@from, @from_len) into @to of @size bytes: installs files
 * in the guest's table, closes every host descriptor. Returns the bytes used; sets MSG_CTRUNC in
 * *@flags if something did not fit.
 */
size_t tk_control_recv(const struct tk_control_env *env, const struct tk_sock *sock, u8 *from,
		       size_t from_len, u8 *to, size_t size, bool cloexec, int *flags);

#endif
