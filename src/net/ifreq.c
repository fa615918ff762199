/* SPDX-License-Identifier: MIT */
/*
 * ioctls of sockets (socket(7), netdevice(7)): only those that read. struct ifreq and ifconf are
 * copied, used and copied back; the host never sees a guest pointer.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "net/follow.h"
#include "net/ifreq.h"

#define MAX_IFCONF 65536

static long number(struct tk_sock *sock, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	int n = 0;

	if (ioctl(tk_sock_host(sock), cmd, &n))
		return -errno;
	if (cmd == SIOCINQ)
		n = tk_follow_unread(sock, n);
	return tk_copy_out(mm, arg, &n, sizeof(n));
}

static long interface(struct tk_sock *sock, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	struct ifreq req;

	if (tk_copy_in(mm, &req, arg, sizeof(req)))
		return -EFAULT;
	if (ioctl(tk_sock_host(sock), cmd, &req))
		return -errno;
	return tk_copy_out(mm, arg, &req, sizeof(req));
}

/* SIOCGIFCONF: with a NULL buffer the size that is needed, else as many as fit. */
static long interfaces(struct tk_sock *sock, struct tk_mm *mm, u64 arg)
{
	struct guest_ifconf {
		int len, pad;
		u64 buf;
	} guest;
	struct ifconf conf = {0};
	long rc = 0;

	if (tk_copy_in(mm, &guest, arg, sizeof(guest)))
		return -EFAULT;
	if (guest.buf) {
		if (guest.len < 0)
			return -EINVAL;
		conf.ifc_len = TK_MIN(guest.len, MAX_IFCONF);
		conf.ifc_buf = calloc(1, (size_t)conf.ifc_len + 1);
		if (!conf.ifc_buf)
			return -ENOMEM;
	}
	if (ioctl(tk_sock_host(sock), SIOCGIFCONF, &conf))
		rc = -errno;
	if (!rc && guest.buf)
		rc = tk_copy_out(mm, guest.buf, conf.ifc_buf, (size_t)conf.ifc_len);
	free(conf.ifc_buf);
	guest.len = conf.ifc_len;
	return rc ? rc : tk_copy_out(mm, arg, &guest, sizeof(guest));
}

long tk_sock_ioctl(struct tk_sock *sock, struct tk_mm *mm, unsigned int cmd, u64 arg)
{
	switch (cmd) {
	case SIOCINQ: /* FIONREAD */
	case SIOCOUTQ:
	case SIOCATMARK:
		return number(sock, mm, cmd, arg);
	case SIOCGIFCONF:
		return sock->policy->n_nets ? interfaces(sock, mm, arg) : -EPERM;
	case SIOCGIFNAME:
	case SIOCGIFINDEX:
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFTXQLEN:
		return sock->policy->n_nets ? interface(sock, mm, cmd, arg) : -EPERM;
	default:
		return -ENOTTY;
	}
}
