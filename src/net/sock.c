/* SPDX-License-Identifier: MIT */
/*
 * The socket object: which kinds exist, plain reads and writes, ioctls, the end.
 *
 * Internet, unix and, read-only, NETLINK_ROUTE sockets; nothing raw, whatever the VMM may do.
 * Addresses are net/addr.c's, unix paths net/unix.c's, control messages net/control.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "fs/anon.h"
#include "net/follow.h"
#include "net/fork.h"
#include "net/gate.h"
#include "net/ifreq.h"
#include "net/netlink.h"
#include "net/rights.h"
#include "net/sock.h"

static int check_inet(int type, int protocol)
{
	if (type == SOCK_RAW)
		return protocol ? -EPERM : -EPROTONOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol < 0 || protocol >= IPPROTO_MAX)
		return -EINVAL;
	if (!protocol || protocol == (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP))
		return 0;
	return -EPROTONOSUPPORT;
}

static int check_unix(int type, int protocol)
{
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET && type != SOCK_RAW)
		return -ESOCKTNOSUPPORT;
	return 0;
}

/* Interfaces and routes of the host can be read by guests that have any network at all. */
static int check_netlink(const struct tk_policy *policy, int type, int protocol)
{
	if (!policy->n_nets)
		return -EAFNOSUPPORT;
	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	return protocol == NETLINK_ROUTE ? 0 : -EPROTONOSUPPORT;
}

int tk_sock_check(const struct tk_policy *policy, int family, int type, int protocol)
{
	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type > SOCK_PACKET)
		return -EINVAL;
	switch (family) {
	case AF_INET:
	case AF_INET6:
		return check_inet(type, protocol);
	case AF_UNIX:
		return check_unix(type, protocol);
	case AF_NETLINK:
		return check_netlink(policy, type, protocol);
	default:
		return -EAFNOSUPPORT;
	}
}

void tk_sock_inherit(struct tk_sock *conn, const struct tk_sock *listener)
{
	conn->accepted = true;
	conn->local = listener->local;
	conn->rcvlowat = listener->family == AF_UNIX ? 1 : listener->rcvlowat;
}

int tk_sock_shutdown(struct tk_sock *sock, int how)
{
	if (shutdown(sock->file.hostfd, how))
		return -errno;
	tk_sock_was_shut(sock, how);
	return 0;
}

void tk_sock_was_shut(struct tk_sock *sock, int how)
{
	sock->shut |= how != SHUT_RD;
	if (sock->follow.ops)
		tk_follow_shut(sock, how);
}

bool tk_sock_is_stream(const struct tk_sock *sock)
{
	return sock->type == SOCK_STREAM;
}

ssize_t tk_sock_send(struct tk_sock *sock, const struct msghdr *msg, int flags)
{
	ssize_t rc;

	if (sock->family == AF_NETLINK)
		return tk_netlink_send(sock, msg, flags);
	rc = sendmsg(tk_sock_host(sock), msg, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	if (rc < 0)
		return -errno;
	if (rc > 0 && sock->follow.ops)
		tk_follow_sent(sock, msg, (size_t)rc, 0);
	return rc;
}

void tk_sock_sent(struct tk_sock *sock, void *data, size_t len, unsigned int how)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	const struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (sock->follow.ops)
		tk_follow_sent(sock, &msg, len, how);
}

ssize_t tk_sock_recv(struct tk_sock *sock, struct msghdr *msg, int flags)
{
	ssize_t rc;

	flags |= MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
	if (sock->follow.ops)
		return tk_follow_recv(sock, msg, flags);
	rc = recvmsg(tk_sock_host(sock), msg, flags);
	return rc < 0 ? -errno : rc;
}

s64 tk_sock_timeout(const struct tk_sock *sock, int opt)
{
	struct timeval tv = {0};
	socklen_t len = sizeof(tv);

	if (getsockopt(tk_sock_host(sock), SOL_SOCKET, opt, &tv, &len) ||
	    (!tv.tv_sec && !tv.tv_usec) || tv.tv_sec >= TK_FOREVER / TK_NSEC_PER_SEC)
		return TK_FOREVER;
	return tv.tv_sec * TK_NSEC_PER_SEC + tv.tv_usec * 1000;
}

/* read(2) on a socket without control buffer: descriptors in the message are dropped by the host.
 */
static ssize_t sock_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};

	if (pos)
		return -ESPIPE;
	/* Where recv(2) would look whether there is something. */
	return !iov->iov_len && n == 1 ? 0 : tk_sock_recv(tk_sock_of(file), &msg, 0);
}

static ssize_t sock_writev(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};

	return pos ? -ESPIPE : tk_sock_send(tk_sock_of(file), &msg, 0);
}

static long sock_ioctl(struct tk_file *file, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	return tk_sock_ioctl(tk_sock_of(file), mm, cmd, arg);
}

/*
 * With SO_LINGER the host's close(2) waits for the peer, O_NONBLOCK or not, as long as the guest
 * says. The data goes out all the same without; only the wait is left out.
 */
static void end_lingering(struct tk_sock *sock)
{
	struct linger linger = {0};
	socklen_t len = sizeof(linger);

	if (sock->family == AF_UNIX || !tk_sock_is_stream(sock) ||
	    getsockopt(sock->file.hostfd, SOL_SOCKET, SO_LINGER, &linger, &len) ||
	    !linger.l_onoff || !linger.l_linger)
		return;
	linger = (struct linger){0};
	setsockopt(sock->file.hostfd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Closing may drop messages with files in them: see which flights that ended. */
static void sock_release(struct tk_file *file)
{
	struct tk_sock *sock = tk_sock_of(file);

	if (sock->follow.ops) {
		tk_follow_end(sock);
	} else {
		if (!sock->gate)
			end_lingering(sock);
		close(file->hostfd);
		file->hostfd = -1;
	}
	if (sock->gate)
		tk_gate_free(sock);
	if (sock->bind_dir >= 0) {
		close(sock->bind_dir);
		tk_budget_give(sock->net->host_fds, 1);
	}
	tk_list_del(&sock->bound);
	free(sock->frozen);
	tk_budget_give(sock->net->host_memory, sock->held);
	if (sock->family == AF_UNIX)
		tk_rights_sweep(sock->net);
}

static int sock_stat(struct tk_file *file, struct stat *st)
{
	return fstat(tk_sock_host(tk_sock_of(file)), st) ? -errno : 0;
}

/* Connections mostly go without anybody having asked. */
static char *sock_name(struct tk_file *file)
{
	struct stat st;
	char name[40];

	if (sock_stat(file, &st))
		return NULL;
	snprintf(name, sizeof(name), "socket:[%lu]", (unsigned long)st.st_ino);
	return strdup(name);
}

static const struct tk_file_ops sock_ops = {
	.kind = "socket",
	.name = sock_name,
	.stat = sock_stat,
	.readv = sock_readv,
	.writev = sock_writev,
	.ioctl = sock_ioctl,
	.release = sock_release,
	.freeze = tk_sock_freeze,
	.fork = tk_sock_fork,
	.reset = tk_sock_reset,
};

/*
 * What it can hold before its reader comes: of a unix socket, what it sent; of a UDP socket, what
 * came. TCP connections are the host's to balance (tcp_mem).
 */
static u64 buffer_size(int hostfd, int family, int type)
{
	int size = 0, opt = family == AF_UNIX ? SO_SNDBUF : SO_RCVBUF;
	socklen_t len = sizeof(size);

	if (family != AF_UNIX && type == SOCK_STREAM)
		return 0;
	return getsockopt(hostfd, SOL_SOCKET, opt, &size, &len) || size < 0 ? 0 : (u64)size;
}

bool tk_sock_fits(const struct tk_sock *sock, int hostfd)
{
	return tk_budget_fits(sock->net->host_memory,
			      buffer_size(hostfd, sock->family, sock->type));
}

int tk_sock_new(struct tk_file **ret, struct tk_net *net, const struct tk_policy *policy,
		int hostfd, int family, int type, int protocol, int flags)
{
	struct tk_sock *sock;
	u64 held = buffer_size(hostfd, family, type);

	if (!tk_budget_fits(net->host_memory, held)) {
		close(hostfd);
		return -ENOBUFS;
	}
	sock = tk_anon_new(sizeof(*sock), &sock_ops, hostfd, O_RDWR | flags, NULL);
	if (!sock)
		return -ENOMEM;
	sock->net = net;
	sock->held = held;
	tk_budget_charge(net->host_memory, held);
	sock->policy = policy;
	sock->family = family;
	/* unix(7): SOCK_RAW is taken for SOCK_DGRAM. */
	sock->type = family == AF_UNIX && type == SOCK_RAW ? SOCK_DGRAM : type;
	sock->protocol = protocol;
	sock->rcvlowat = 1;
	sock->bind_dir = -1;
	tk_list_init(&sock->bound);
	*ret = &sock->file;
	return 0;
}

void tk_sock_rename(struct tk_file *file, const char *name)
{
	char *copy = name ? strdup(name) : NULL;

	if (!copy)
		return;
	free(file->path);
	file->path = copy;
}

int tk_sock_host(const struct tk_sock *sock)
{
	return sock->gate ? tk_gate_real(sock->gate) : sock->file.hostfd;
}

struct tk_sock *tk_sock_of(struct tk_file *file)
{
	return file->ops == &sock_ops ? tk_container_of(file, struct tk_sock, file) : NULL;
}
