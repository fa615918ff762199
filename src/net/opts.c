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

#include "net/gate.h"
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

enum opt_class { PLAIN, PRIORITY, PEERCRED, LOWAT, MULTICAST, BUFFER, PEEK_OFF };

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

/*
 * SO_SNDBUF and SO_RCVBUF, of which the kernel makes twice what is asked for and which never fail
 * for asking too much. A buffer larger than that of a new socket is paid for once.
 */
static int buffer_fit(struct tk_sock *sock, int name, int n)
{
	struct tk_budget *memory = sock->net->host_memory;
	bool *raised = &sock->raised[name == SO_RCVBUF];

	if (!memory || !memory->most || (u32)n <= TK_SOCK_BUFFER / 2)
		return n;
	if (!*raised) {
		if (!tk_budget_take(memory, TK_SOCK_BUFFER))
			return TK_SOCK_BUFFER / 2;
		*raised = true;
		sock->held += TK_SOCK_BUFFER;
	}
	return (int)TK_MIN((u32)n, (u32)TK_SOCK_BUFFER);
}

/*
 * With an offset recv(MSG_PEEK) shows what is behind the bytes that the program may have
 * (net/follow.h), to it and to the VMM. TCP knows it since Linux 6.9, and hands it on to who is
 * accepted.
 */
static bool peeks_from_the_start(const struct tk_sock *sock)
{
	return sock->gate || sock->follow.ops ||
	       (sock->family != AF_UNIX && tk_sock_is_stream(sock));
}

int tk_opt_set(struct tk_sock *sock, int level, int name, const void *value, socklen_t len)
{
	const struct opt *opt = find(level, name);
	size_t row = (size_t)(opt - table);
	int n = int_value(value, len), fd = sock->file.hostfd;

	if (opt->class == PRIORITY && len >= sizeof(int) && (n < 0 || n > MAX_PRIORITY))
		return -EPERM;
	if (opt->class == PEEK_OFF && len >= sizeof(int) && peeks_from_the_start(sock))
		return -EOPNOTSUPP;
	if (opt->class == BUFFER && len >= sizeof(int)) {
		n = buffer_fit(sock, name, n);
		value = &n;
		len = sizeof(n);
	}
	if (sock->gate)
		fd = tk_gate_option_set(sock, (unsigned int)row);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, level, name, value, len))
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

static int readable(const struct tk_sock *sock, const struct opt *opt)
{
	return sock->gate ? tk_gate_option_get(sock, (unsigned int)(opt - table))
			  : sock->file.hostfd;
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

		if (getsockopt(tk_sock_host(sock), level, name, &cred, &full))
			return -errno;
		show_peer(ids, &cred, full);
		*len = TK_MIN(*len, full);
		memcpy(value, &cred, *len);
		return 0;
	}
	*len = TK_MIN(*len, (socklen_t)opt->size);
	return getsockopt(readable(sock, opt), level, name, value, len) ? -errno : 0;
}

static bool stamps(const struct opt *opt)
{
	return opt->level == SOL_SOCKET &&
	       (opt->name == SO_TIMESTAMP_OLD || opt->name == SO_TIMESTAMPNS_OLD ||
		opt->name == SO_TIMESTAMP_NEW || opt->name == SO_TIMESTAMPNS_NEW);
}

bool tk_opts_stamp(const struct tk_sock *sock)
{
	for (size_t row = 0; row < TK_ARRAY_SIZE(table); row++)
		if (sock->opts_set[row / 64] >> (row % 64) & 1 && stamps(&table[row]))
			return true;
	return false;
}

/* Options whose value, once read, can be set again to the same effect. */
static bool is_restorable(const struct opt *opt)
{
	if (opt->level == SOL_SOCKET)
		return opt->name != SO_RCVBUF && opt->name != SO_SNDBUF && opt->name != SO_PEEK_OFF;
	if (opt->level == IPPROTO_TCP)
		return opt->name != TCP_MAXSEG && opt->name != TCP_WINDOW_CLAMP;
	return opt->level == IPPROTO_IP && (opt->name == IP_TOS || opt->name == IP_TTL);
}

static int restore(struct tk_sock *sock, const struct opt *opt, int like)
{
	u8 value[16];
	socklen_t len = opt->size;

	if (!is_restorable(opt) || len > sizeof(value) ||
	    getsockopt(like, opt->level, opt->name, value, &len))
		return -ENOTSUP;
	return setsockopt(sock->file.hostfd, opt->level, opt->name, value, len) ? -errno : 0;
}

int tk_opts_restore(struct tk_sock *sock, int like)
{
	int rc = 0;

	for (size_t word = 0; word < TK_ARRAY_SIZE(sock->opts_set); word++)
		for (u64 set = sock->opts_set[word]; set && !rc; set &= set - 1)
			rc = restore(sock, &table[64 * word + (size_t)__builtin_ctzll(set)], like);
	return rc;
}

/* The kernel tells twice what was asked for (socket(7)). */
static bool is_doubled(const struct opt *opt)
{
	return opt->level == SOL_SOCKET && (opt->name == SO_SNDBUF || opt->name == SO_RCVBUF);
}

void tk_opts_copy(int fd, const struct tk_sock *from)
{
	char value[TK_OPT_MAX];
	int n;

	for (size_t row = 0; row < TK_ARRAY_SIZE(table); row++) {
		const struct opt *opt = &table[row];
		socklen_t len = opt->size;

		if (!(from->opts_set[row / 64] >> (row % 64) & 1) || !opt->set || !opt->get ||
		    getsockopt(tk_sock_host(from), opt->level, opt->name, value, &len))
			continue;
		if (is_doubled(opt)) {
			n = int_value(value, len) / 2;
			memcpy(value, &n, sizeof(n));
		}
		(void)setsockopt(fd, opt->level, opt->name, value, len);
	}
}
