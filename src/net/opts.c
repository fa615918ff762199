/* SPDX-License-Identifier: MIT */
/*
 * setsockopt(2) and getsockopt(2): only the rows of net/sockopt.h reach the host. The host socket
 * holds the values, timeouts included (which never act there: it does not block).
 */
#include <asm/socket.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "net/opts.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

#define MAX_PRIORITY 6 /* beyond it CAP_NET_ADMIN is needed (socket(7)) */

enum opt_class { PLAIN, PRIORITY, PEERCRED, LOWAT, MULTICAST };

struct opt {
	int level, name;
	u16 size;
	bool set, get;
	enum opt_class class;
};

static const struct opt table[] = {
#define OPT(level, name, size, set, get, class) {level, name, size, set, get, class},
#include "net/sockopt.h"
};
_Static_assert(TK_ARRAY_SIZE(table) <= 128, "tk_sock.opts_set has a bit for each row");

static const struct opt *find(int level, int name)
{
	for (size_t i = 0; i < TK_ARRAY_SIZE(table); i++)
		if (table[i].level == level && table[i].name == name)
			return &table[i];
	return NULL;
}

/* Levels other than the socket's own: what the kernel says of a protocol that is not there. */
static bool level_fits(const struct tk_sock *sock, int level)
{
	switch (level) {
	case SOL_SOCKET:
		return true;
	case IPPROTO_TCP:
		return sock->family != AF_UNIX && sock->type == SOCK_STREAM;
	case IPPROTO_UDP:
		return sock->family != AF_UNIX && sock->type == SOCK_DGRAM;
	case IPPROTO_IP:
		return sock->family == AF_INET || sock->family == AF_INET6;
	case IPPROTO_IPV6:
		return sock->family == AF_INET6;
	case SOL_NETLINK:
		return sock->family == AF_NETLINK;
	default:
		return false;
	}
}

static int refuse(const struct tk_sock *sock, int level, bool get)
{
	if (sock->family == AF_UNIX && level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (get && !level_fits(sock, level))
		return -EOPNOTSUPP;
	return -ENOPROTOOPT;
}

int tk_opt_set_size(const struct tk_sock *sock, int level, int name)
{
	const struct opt *opt = find(level, name);

	if (!opt || !opt->set || !level_fits(sock, level))
		return refuse(sock, level, false);
	if (opt->class == MULTICAST && !tk_net_unrestricted(sock->policy, TK_NET_LISTEN))
		return -EACCES;
	return opt->size;
}

static int int_value(const void *value, socklen_t len)
{
	int n = 0;

	memcpy(&n, value, TK_MIN(len, (socklen_t)sizeof(n)));
	return n;
}

int tk_opt_set(struct tk_sock *sock, int level, int name, const void *value, socklen_t len)
{
	const struct opt *opt = find(level, name);
	size_t row = (size_t)(opt - table);
	int n = int_value(value, len);

	if (opt->class == PRIORITY && len >= sizeof(int) && (n < 0 || n > MAX_PRIORITY))
		return -EPERM;
	if (setsockopt(sock->file.hostfd, level, name, value, len))
		return -errno;
	if (opt->class == LOWAT)
		sock->rcvlowat = n < 0 ? INT32_MAX : n ? n : 1;
	sock->opts_set[row / 64] |= 1ull << (row % 64);
	return 0;
}

/* Peers inside the VMM are guests and have guest ids; process ids of others mean nothing here. */
static void show_peer(const struct tk_net_ids *ids, void *value, socklen_t len)
{
	struct ucred cred;

	if (len < sizeof(cred))
		return;
	memcpy(&cred, value, sizeof(cred));
	if (cred.pid == getpid())
		cred = (struct ucred){ids->pid, ids->euid, ids->egid};
	else
		cred.pid = 0;
	memcpy(value, &cred, sizeof(cred));
}

int tk_opt_get(struct tk_sock *sock, const struct tk_net_ids *ids, int level, int name, void *value,
	       socklen_t *len)
{
	const struct opt *opt = find(level, name);

	if (!opt || !opt->get || !level_fits(sock, level))
		return refuse(sock, level, true);
	if (opt->class == PEERCRED) {
		/* The whole of it is needed to tell whose it is. */
		struct ucred cred = {0};
		socklen_t full = sizeof(cred);

		if (getsockopt(sock->file.hostfd, level, name, &cred, &full))
			return -errno;
		show_peer(ids, &cred, full);
		*len = TK_MIN(*len, full);
		memcpy(value, &cred, *len);
		return 0;
	}
	*len = TK_MIN(*len, (socklen_t)opt->size);
	return getsockopt(sock->file.hostfd, level, name, value, len) ? -errno : 0;
}
