/* SPDX-License-Identifier: MIT */
/*
 * NETLINK_ROUTE sockets exist so that getifaddrs(3) and its like work. The VMM may have
 * privileges that its guests must not borrow, so what is sent is copied, every request in it is
 * checked to be one of the harmless RTM_GET kinds, and the copy is sent. Only the kernel is talked
 * to; multicast groups are refused.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/netlink.h"

#define MAX_REQUEST 16384

static bool harmless(u16 type)
{
	switch (type) {
	case NLMSG_NOOP:
	case NLMSG_DONE:
	case RTM_GETLINK:
	case RTM_GETADDR:
	case RTM_GETROUTE:
	case RTM_GETNEIGH:
	case RTM_GETRULE:
		return true;
	default:
		return false;
	}
}

/* Walks as the kernel's netlink_rcv_skb() does; a malformed rest is ignored there and cut here. */
static int check_requests(const u8 *data, size_t len, size_t *good)
{
	struct nlmsghdr head;
	size_t at = 0;

	while (len - at >= sizeof(head)) {
		memcpy(&head, data + at, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > len - at)
			break;
		if (!harmless(head.nlmsg_type))
			return -EPERM;
		at += TK_MIN((size_t)NLMSG_ALIGN(head.nlmsg_len), len - at);
	}
	*good = at;
	return 0;
}

/*
 * The pieces may be mappings of files that are being truncated: only the kernel can read them
 * without the risk of SIGBUS.
 */
static ssize_t gather(u8 *dst, const struct msghdr *msg)
{
	struct iovec local = {dst, MAX_REQUEST};
	ssize_t n = process_vm_readv(getpid(), &local, 1, msg->msg_iov, msg->msg_iovlen, 0);

	return n < 0 ? -errno : n;
}

static size_t total_of(const struct msghdr *msg)
{
	size_t sum = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		sum += msg->msg_iov[i].iov_len;
	return sum;
}

ssize_t tk_netlink_send(struct tk_sock *sock, const struct msghdr *msg, int flags)
{
	size_t total = total_of(msg), good;
	struct msghdr copy = *msg;
	struct iovec iov;
	ssize_t rc;
	u8 *data;

	if (total > MAX_REQUEST)
		return -EMSGSIZE;
	if (msg->msg_controllen)
		return -EINVAL;
	data = malloc(MAX_REQUEST);
	if (!data)
		return -ENOMEM;
	rc = gather(data, msg);
	if (rc >= 0)
		rc = check_requests(data, (size_t)rc, &good);
	if (!rc) {
		iov = (struct iovec){data, good};
		copy.msg_iov = &iov;
		copy.msg_iovlen = 1;
		rc = sendmsg(sock->file.hostfd, &copy, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
		rc = rc < 0 ? -errno : (ssize_t)total;
	}
	free(data);
	return rc;
}

int tk_netlink_addr(struct sockaddr_storage *addr, socklen_t len)
{
	struct sockaddr_nl *nl = (struct sockaddr_nl *)addr;

	if (len < sizeof(*nl) || nl->nl_family != AF_NETLINK)
		return -EINVAL;
	if (nl->nl_groups)
		return -EPERM;
	nl->nl_pid = 0; /* bind: the kernel chooses; else: the kernel itself */
	return 0;
}
