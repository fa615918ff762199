/* SPDX-License-Identifier: MIT */
/*
 * Which addresses a guest may use. The kernel reads some addresses in more than one way
 * (AF_UNSPEC is AF_INET for UDP sends, "disconnect" for connect); each reading is resolved here so
 * that what was checked is what happens.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "net/addr.h"
#include "net/netlink.h"

/* RFC 2133's sockaddr_in6 had no scope id; the kernel still takes that length. */
#define SIN6_LEN_MIN 24

static bool wildcard_v4(const struct sockaddr_storage *addr)
{
	return ((const struct sockaddr_in *)addr)->sin_addr.s_addr == INADDR_ANY;
}

/* AF_UNSPEC, by use. 0: go on with what @addr is now; 1: settled, nothing to check. */
static int resolve_unspec(const struct tk_sock *sock, enum tk_addr_use use,
			  struct sockaddr_storage *addr, socklen_t *len)
{
	if (use == TK_ADDR_CONNECT)
		return 1; /* dissolves the association (connect(2)) */
	if (sock->family == AF_INET6) {
		if (use == TK_ADDR_BIND)
			return -EAFNOSUPPORT;
		*len = 0; /* kernel: as if there were no address */
		return 1;
	}
	if (*len < sizeof(struct sockaddr_in))
		return -EINVAL;
	if (use == TK_ADDR_BIND && !wildcard_v4(addr))
		return -EAFNOSUPPORT;
	addr->ss_family = AF_INET;
	return 0;
}

static u16 port_of(const struct sockaddr_storage *addr)
{
	/* sin_port and sin6_port are at the same place. */
	return ntohs(((const struct sockaddr_in *)addr)->sin_port);
}

static int check_inet(const struct tk_sock *sock, enum tk_addr_use use,
		      const struct sockaddr_storage *addr, socklen_t len)
{
	bool v6 = addr->ss_family == AF_INET6;
	enum tk_net_use need = use == TK_ADDR_BIND ? TK_NET_LISTEN : TK_NET_CONNECT;
	socklen_t full = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	if (len < (v6 ? SIN6_LEN_MIN : sizeof(struct sockaddr_in)))
		return -EINVAL;
	/* A client that only wants a source address; listen(2) is checked for itself. */
	if (use == TK_ADDR_BIND && !port_of(addr))
		return 0;
	return tk_policy_may_net(sock->policy, need, (const struct sockaddr *)addr, full) ? 0
											  : -EACCES;
}

int tk_addr_check(const struct tk_sock *sock, enum tk_addr_use use, struct sockaddr_storage *addr,
		  socklen_t *len)
{
	int rc;

	if (*len < sizeof(addr->ss_family))
		return -EINVAL;
	if (sock->family == AF_NETLINK)
		return tk_netlink_addr(addr, *len);
	if (addr->ss_family == AF_UNSPEC) {
		rc = resolve_unspec(sock, use, addr, len);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	if (addr->ss_family == sock->family)
		return check_inet(sock, use, addr, *len);
	/* udpv6: IPv4 destinations are fine; the other combinations fail, with the length first. */
	if (sock->family == AF_INET6 && addr->ss_family == AF_INET && use != TK_ADDR_BIND &&
	    sock->type == SOCK_DGRAM)
		return check_inet(sock, use, addr, *len);
	if (*len < (sock->family == AF_INET6 ? SIN6_LEN_MIN : sizeof(struct sockaddr_in)))
		return -EINVAL;
	return sock->family == AF_INET6 && use == TK_ADDR_SEND ? -EINVAL : -EAFNOSUPPORT;
}

static bool may_listen(const struct tk_sock *sock, const struct sockaddr_storage *addr,
		       socklen_t len)
{
	return tk_policy_may_net(sock->policy, TK_NET_LISTEN, (const struct sockaddr *)addr, len);
}

/*
 * A connection that was dissolved (connect(2) with AF_UNSPEC) still tells its port, but has none:
 * listen(2) would take any. So what was checked is bound, unless any port will do.
 */
int tk_addr_check_listen(const struct tk_sock *sock)
{
	struct sockaddr_storage addr = {.ss_family = (sa_family_t)sock->family}, any;
	socklen_t len = sizeof(addr);
	int fd = tk_sock_host(sock);

	if (sock->family != AF_INET && sock->family != AF_INET6)
		return 0;
	getsockname(fd, (struct sockaddr *)&addr, &len);
	if (!may_listen(sock, &addr, len))
		return -EACCES;
	any = addr;
	((struct sockaddr_in *)&any)->sin_port = 0;
	if (may_listen(sock, &any, len))
		return 0;
	/* EINVAL: it is bound. */
	return bind(fd, (struct sockaddr *)&addr, len) && errno != EINVAL ? -errno : 0;
}
