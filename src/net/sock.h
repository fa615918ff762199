/* SPDX-License-Identifier: MIT */
/*
 * Sockets: open files over host sockets that are always non-blocking. What a copy of a machine
 * needs to make one anew is here or in the host socket itself: options can be read from the host
 * (@opts_set names those that were set, by row of net/sockopt.h), addresses too.
 */
#ifndef TK_NET_SOCK_H
#define TK_NET_SOCK_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/list.h"
#include "fs/file.h"
#include "net/net.h"

struct tk_unix_name {
	socklen_t len; /* 0: none */
	struct sockaddr_un addr;
};

struct tk_gate;

/*
 * What may be asked for with SO_SNDBUF and SO_RCVBUF where memory of the host is counted: Linux's
 * own limit until 6.15 (/proc/sys/net/core/wmem_max), of which the kernel makes twice as much.
 */
#define TK_SOCK_BUFFER 212992

/* Whom to tell of a connection's life (net/follow.h). */
struct tk_follow {
	const struct tkvm_connection_ops *ops; /* NULL: nobody */
	void *ctx;
	int listener; /* the host's socket that it was accepted from; borrowed */
};

struct tk_sock {
	struct tk_file file;
	struct tk_net *net;
	const struct tk_policy *policy;
	int family, type, protocol;
	bool pair; /* made by socketpair(2) */
	bool listening;
	int backlog;	 /* of the last listen(2) */
	int rcvlowat;	 /* SO_RCVLOWAT as set; 1 */
	u64 opts_set[2]; /* bit n: row n of the option table was set */
	u64 held;	 /* of net->host_memory: what its buffers hold at most */
	bool raised[2];	 /* SO_SNDBUF, SO_RCVBUF: TK_SOCK_BUFFER more than that */

	struct tk_gate *gate; /* a fork's listening socket (net/gate.h); NULL: not that */
	struct tk_follow follow;
	bool accepted; /* by accept(2) */
	bool shut;     /* for sending, by shutdown(2) */
	bool marked;   /* an urgent byte was asked for: where it was reading may stop */

	/* frozen: a connection, which forks find closed; and what one of a pair had to read */
	bool dead;
	u8 *frozen;
	size_t n_frozen;

	/* AF_UNIX: addresses as the guest wrote them, and the host's for the same (net/unix.h) */
	struct tk_unix_name local, peer, host_local;
	int bind_dir;		/* directory that host_local goes through; keeps its number taken */
	u64 bind_dev, bind_ino; /* the file that was made there */
	struct tk_list bound;	/* in net->bound while bound to a path */
};

/*
 * May the guest have such a socket? @type without flags. 0, -EAFNOSUPPORT, -ESOCKTNOSUPPORT,
 * -EPROTONOSUPPORT, -EINVAL, -EPERM (raw).
 */
int tk_sock_check(const struct tk_policy *policy, int family, int type, int protocol);

/* Wrap a non-blocking host socket, which is consumed in every case. @flags: O_NONBLOCK or 0. */
int tk_sock_new(struct tk_file **ret, struct tk_net *net, const struct tk_policy *policy,
		int hostfd, int family, int type, int protocol, int flags) TK_MUST_CHECK;

/* There is host memory for another socket of @sock's kind, @hostfd. */
bool tk_sock_fits(const struct tk_sock *sock, int hostfd);

/* /proc/self/fd and stat(2) show it as @name, "socket:[8]"; @name may be NULL. */
void tk_sock_rename(struct tk_file *file, const char *name);

/* The host's socket: file.hostfd, but for a gate. */
int tk_sock_host(const struct tk_sock *sock);

struct tk_sock *tk_sock_of(struct tk_file *file); /* NULL: -ENOTSOCK */

/* @conn was accepted from @listener: what it has of it. */
void tk_sock_inherit(struct tk_sock *conn, const struct tk_sock *listener);

/* shutdown(2), of what is no gate. 0 or -errno. */
int tk_sock_shutdown(struct tk_sock *sock, int how);
/* The VMM has done it for the program. */
void tk_sock_was_shut(struct tk_sock *sock, int how);

/* Byte streams, where messages have no boundaries, and EPIPE comes with SIGPIPE. */
bool tk_sock_is_stream(const struct tk_sock *sock);

/* One host call, never waiting, never raising SIGPIPE. A count or -errno. */
ssize_t tk_sock_send(struct tk_sock *sock, const struct msghdr *msg, int flags);
ssize_t tk_sock_recv(struct tk_sock *sock, struct msghdr *msg, int flags);

/* The VMM has sent @data for the program. @how: enum tkvm_sent, for who follows the connection. */
void tk_sock_sent(struct tk_sock *sock, void *data, size_t len, unsigned int how);

/* SO_RCVTIMEO or SO_SNDTIMEO in ns, TK_FOREVER if not set. */
s64 tk_sock_timeout(const struct tk_sock *sock, int opt);

#endif
