/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets of forks, see gate.h. An offer is a connection that the caller of the library
 * accepted; it is handed back if the gate goes, or is reset, before the program accepts it.
 *
 * Invariant: there are as many bytes in the pipe as offers in the queue, until the gate is shut.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "fs/epoll.h"
#include "net/follow.h"
#include "net/gate.h"

struct offer {
	struct tk_list link;
	int fd;
	const struct tkvm_connection_ops *ops;
	void *ctx;
};

struct tk_gate {
	int real;   /* the host's listening socket */
	bool owned; /* it is not borrowed from an image */
	int bell;   /* write end of the pipe; -1: shut down */
	int own;    /* socket that keeps the options set here; -1: none was */
	u64 set[2]; /* rows of the option table that it has */
	struct tk_list offers;
};

int tk_gate_real(const struct tk_gate *gate)
{
	return gate->real;
}

static struct tk_gate *gate_alloc(int real, int bell)
{
	struct tk_gate *gate = calloc(1, sizeof(*gate));

	if (!gate)
		return NULL;
	gate->real = real;
	gate->bell = bell;
	gate->own = -1;
	tk_list_init(&gate->offers);
	return gate;
}

/* Everything a listening socket is to its program, but for the host's socket. */
static void copy_sock(struct tk_sock *sock, const struct tk_sock *tmpl)
{
	sock->listening = true;
	sock->backlog = tmpl->backlog;
	sock->rcvlowat = tmpl->rcvlowat;
	sock->opts_set[0] = tmpl->opts_set[0];
	sock->opts_set[1] = tmpl->opts_set[1];
	sock->local = tmpl->local;
	sock->host_local = tmpl->host_local;
	sock->bind_dev = tmpl->bind_dev;
	sock->bind_ino = tmpl->bind_ino;
	if (!tk_list_empty(&tmpl->bound))
		tk_list_add_tail(&sock->net->bound, &sock->bound);
}

int tk_gate_new(struct tk_file **ret, const struct tk_sock *tmpl, struct tk_net *net,
		const struct tk_policy *policy)
{
	struct tk_sock *sock;
	struct tk_gate *gate;
	struct tk_file *file;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	gate = gate_alloc(tk_sock_host(tmpl), fds[1]);
	if (!gate) {
		close(fds[0]);
		close(fds[1]);
		return -ENOMEM;
	}
	rc = tk_sock_new(&file, net, policy, fds[0], tmpl->family, tmpl->type, tmpl->protocol,
			 tmpl->file.flags & O_NONBLOCK);
	if (rc) {
		close(fds[1]);
		free(gate);
		return rc;
	}
	tk_sock_rename(file, tmpl->file.path);
	file->flags = tmpl->file.flags;
	sock = tk_sock_of(file);
	sock->gate = gate;
	net->n_gates++;
	copy_sock(sock, tmpl);
	*ret = file;
	return 0;
}

bool tk_gate_is_own(const struct tk_gate *gate)
{
	return gate->owned;
}

/* @sock, without a gate so far, becomes one of @real, which is taken over if that succeeds. */
static int become_gate(struct tk_sock *sock, int real)
{
	struct tk_gate *gate;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	gate = gate_alloc(real, fds[1]);
	rc = gate ? tk_epoll_move(&sock->file, fds[0]) : -ENOMEM;
	if (rc) {
		close(fds[0]);
		close(fds[1]);
		free(gate);
		return rc;
	}
	gate->owned = true;
	sock->file.hostfd = fds[0];
	sock->gate = gate;
	sock->net->n_gates++;
	return 0;
}

int tk_gate_make(struct tk_sock *sock)
{
	return become_gate(sock, sock->file.hostfd);
}

/* Of two abstract ones the length is a part. A path is compared as a file. */
static bool same_name(const struct tkvm_listener *l, const struct sockaddr_un *b, socklen_t len)
{
	return len > offsetof(struct sockaddr_un, sun_path) && !b->sun_path[0] &&
	       len == l->addr_len && !memcmp(&l->addr, b, len);
}

static bool same_address(const struct tkvm_listener *l, const struct sockaddr_storage *b,
			 socklen_t len)
{
	const struct sockaddr_storage *a = &l->addr;
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_UNIX)
		return same_name(l, (const void *)b, len);
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a->ss_family == AF_INET6 && a6->sin6_port == b6->sin6_port &&
	       !memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

static int adopt(struct tk_sock *sock, const struct tkvm_listener *listener)
{
	int old = sock->file.hostfd, real = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0), rc;

	if (real < 0)
		return -errno;
	rc = become_gate(sock, real);
	close(rc ? real : old);
	return rc ? rc : 1;
}

int tk_gate_adopt(struct tk_sock *sock, const struct sockaddr_storage *addr, socklen_t len)
{
	const struct tk_net *net = sock->net;

	if (sock->gate || !tk_sock_is_stream(sock))
		return 0;
	for (unsigned int i = 0; i < net->n_adopt; i++)
		if (same_address(&net->adopt[i], addr, len))
			return adopt(sock, &net->adopt[i]);
	return 0;
}

int tk_gate_adopt_file(struct tk_sock *sock, u64 dev, u64 ino)
{
	const struct tk_net *net = sock->net;

	for (unsigned int i = 0; i < net->n_adopt; i++)
		if (net->adopt[i].ino && net->adopt[i].ino == ino && net->adopt[i].dev == dev)
			return adopt(sock, &net->adopt[i]);
	return 0;
}

static void drop_offers(struct tk_gate *gate)
{
	while (!tk_list_empty(&gate->offers)) {
		struct offer *offer = tk_list_entry(gate->offers.next, struct offer, link);

		tk_list_del(&offer->link);
		if (offer->ops->released)
			offer->ops->released(offer->ctx, offer->fd, TKVM_REFUSED);
		free(offer);
	}
}

static void drop_options(struct tk_gate *gate)
{
	if (gate->own >= 0)
		close(gate->own);
	gate->own = -1;
	gate->set[0] = gate->set[1] = 0;
}

static void silence(const struct tk_sock *sock)
{
	char bytes[64];

	while (read(sock->file.hostfd, bytes, sizeof(bytes)) > 0)
		;
}

int tk_gate_reset(struct tk_sock *sock)
{
	struct tk_gate *gate = sock->gate;

	if (gate->bell < 0)
		return -ESTALE;
	if (!tk_list_empty(&gate->offers)) {
		drop_offers(gate);
		silence(sock);
	}
	drop_options(gate);
	return 0;
}

int tk_gate_offer(struct tk_sock *sock, int fd, const struct tkvm_connection_ops *ops, void *ctx)
{
	struct tk_gate *gate = sock->gate;
	struct offer *offer;

	if (gate->bell < 0)
		return -ENOENT;
	offer = malloc(sizeof(*offer));
	if (!offer)
		return -ENOMEM;
	if (write(gate->bell, "", 1) != 1) {
		free(offer);
		return -ENOMEM;
	}
	*offer = (struct offer){.fd = fd, .ops = ops, .ctx = ctx};
	tk_list_add_tail(&gate->offers, &offer->link);
	sock->file.used = true; /* a reset has to look at it */
	return 0;
}

bool tk_gate_is_shut(const struct tk_sock *sock)
{
	return sock->gate->bell < 0;
}

unsigned int tk_gate_first(const struct tk_sock *sock, struct tk_follow *follow, int *fd)
{
	const struct tk_list *offers = &sock->gate->offers;
	const struct offer *offer;

	if (tk_list_empty(offers))
		return 0;
	offer = tk_list_entry(offers->next, struct offer, link);
	*follow = (struct tk_follow){.ops = offer->ops, .ctx = offer->ctx};
	*fd = offer->fd;
	return offers->next == offers->prev ? 1 : 2;
}

int tk_gate_accept(struct tk_sock *sock, int flags, struct tk_file **ret)
{
	struct tk_gate *gate = sock->gate;
	struct offer offer, *first;
	char byte;
	int rc;

	if (gate->bell < 0)
		return -EINVAL;
	if (tk_list_empty(&gate->offers))
		return -EAGAIN;
	first = tk_list_entry(gate->offers.next, struct offer, link);
	tk_list_del(&first->link);
	offer = *first;
	free(first);
	/* The byte is there: see the invariant. */
	if (read(sock->file.hostfd, &byte, 1) != 1)
		return -EAGAIN;
	rc = tk_sock_new(ret, sock->net, sock->policy, offer.fd, sock->family, sock->type,
			 sock->protocol, flags);
	if (rc) {
		if (offer.ops->released)
			offer.ops->released(offer.ctx, -1, TKVM_CLOSED);
		return rc;
	}
	tk_sock_inherit(tk_sock_of(*ret), sock);
	tk_follow_begin(tk_sock_of(*ret), offer.ops, offer.ctx, gate->real);
	return 0;
}

void tk_gate_shut(struct tk_sock *sock)
{
	struct tk_gate *gate = sock->gate;

	drop_offers(gate);
	silence(sock);
	if (gate->bell >= 0)
		close(gate->bell);
	gate->bell = -1;
}

int tk_gate_option_set(struct tk_sock *sock, unsigned int row)
{
	struct tk_gate *gate = sock->gate;

	if (gate->owned)
		return gate->real;
	if (gate->own < 0)
		gate->own = socket(sock->family, sock->type | SOCK_NONBLOCK | SOCK_CLOEXEC,
				   sock->protocol);
	if (gate->own < 0)
		return -errno;
	gate->set[row / 64] |= 1ull << (row % 64);
	return gate->own;
}

int tk_gate_option_get(const struct tk_sock *sock, unsigned int row)
{
	const struct tk_gate *gate = sock->gate;

	return gate->set[row / 64] >> (row % 64) & 1 ? gate->own : gate->real;
}

void tk_gate_free(struct tk_sock *sock)
{
	struct tk_gate *gate = sock->gate;

	drop_offers(gate);
	drop_options(gate);
	if (gate->bell >= 0)
		close(gate->bell);
	if (gate->owned)
		close(gate->real);
	free(gate);
	sock->gate = NULL;
	sock->net->n_gates--;
}
