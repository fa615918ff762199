/* SPDX-License-Identifier: MIT */
/*
 * What a frozen machine's sockets are in its forks:
 *
 *	listening	a gate (net/gate.h), or the host's socket itself
 *	one of a pair	one of a new pair, with what had been sent
 *	connected	closed by the other end: a connection cannot be in two machines
 *	others		a new socket with the same options; datagram sockets are connected again
 *
 * A new socket has no address before it is used: what was bound for datagrams, but not connected,
 * gets none in a fork.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/fork.h"
#include "net/fork.h"
#include "net/gate.h"
#include "net/opts.h"

static const struct tk_sock *of(const struct tk_file *file)
{
	return tk_container_of(file, struct tk_sock, file);
}

static bool is_connected(const struct tk_sock *sock)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	return !getpeername(sock->file.hostfd, (struct sockaddr *)&addr, &len);
}

/* A stream that is connected, was, or is on its way to be. */
static bool is_connection(const struct tk_sock *sock)
{
	socklen_t len = sizeof(struct tcp_info);
	struct tcp_info info = {.tcpi_state = TCP_CLOSE};

	if (sock->type == SOCK_DGRAM || sock->family == AF_NETLINK)
		return false;
	if (sock->accepted || is_connected(sock))
		return true;
	/* It may be connecting, or reset by its peer. */
	return sock->family != AF_UNIX &&
	       !getsockopt(sock->file.hostfd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state != TCP_CLOSE;
}

/* What the other end has sent, left where it is. */
static int note_received(struct tk_sock *sock)
{
	int n = 0;

	if (ioctl(sock->file.hostfd, FIONREAD, &n))
		return -errno;
	free(sock->frozen);
	sock->frozen = NULL;
	sock->n_frozen = 0;
	if (n <= 0)
		return 0;
	if (sock->type != SOCK_STREAM)
		return -ENOTSUP; /* messages have boundaries */
	sock->frozen = malloc((size_t)n);
	if (!sock->frozen)
		return -ENOMEM;
	if (recv(sock->file.hostfd, sock->frozen, (size_t)n, MSG_PEEK | MSG_DONTWAIT) != n)
		return -ENOTSUP;
	sock->n_frozen = (size_t)n;
	return 0;
}

int tk_sock_freeze(struct tk_file *file)
{
	struct tk_sock *sock = tk_sock_of(file);

	if (!tk_file_name(file))
		return -ENOMEM;
	sock->dead = !sock->pair && !sock->listening && is_connection(sock);
	return sock->pair ? note_received(sock) : 0;
}

static void copy_common(struct tk_file *file, const struct tk_sock *tmpl)
{
	struct tk_sock *sock = tk_sock_of(file);

	tk_sock_rename(file, tmpl->file.path);
	sock->pair = tmpl->pair;
	sock->listening = tmpl->listening;
	sock->accepted = tmpl->accepted;
	sock->dead = tmpl->dead;
	sock->backlog = tmpl->backlog;
	sock->rcvlowat = tmpl->rcvlowat;
	memcpy(sock->opts_set, tmpl->opts_set, sizeof(sock->opts_set));
	sock->local = tmpl->local;
	sock->peer = tmpl->peer;
}

static int wrap(int hostfd, const struct tk_sock *tmpl, const struct tk_fork_ctx *ctx,
		struct tk_file **ret)
{
	int rc = tk_sock_new(ret, ctx->net, ctx->policy, hostfd, tmpl->family, tmpl->type,
			     tmpl->protocol, 0);

	if (!rc)
		copy_common(*ret, tmpl);
	return rc;
}

static int fork_listening(const struct tk_sock *tmpl, const struct tk_fork_ctx *ctx,
			  struct tk_file **ret)
{
	struct tk_sock *sock;
	int rc, fd;

	if (!ctx->share_listeners)
		return tk_gate_new(ret, tmpl, ctx->net, ctx->policy);
	fd = tk_fork_dup(&tmpl->file);
	if (fd < 0)
		return fd;
	rc = wrap(fd, tmpl, ctx, ret);
	if (rc)
		return rc;
	sock = tk_sock_of(*ret);
	sock->host_local = tmpl->host_local;
	sock->bind_dev = tmpl->bind_dev;
	sock->bind_ino = tmpl->bind_ino;
	if (!tk_list_empty(&tmpl->bound))
		tk_list_add_tail(&ctx->net->bound, &sock->bound);
	return 0;
}

/* @tmpl's end of a pair that is not shared with @other: close(2) of that is what it will see. */
static int fork_alone(const struct tk_sock *tmpl, int fds[2], const struct tk_fork_ctx *ctx,
		      struct tk_file **ret)
{
	size_t n = tmpl->n_frozen;
	int rc = n && write(fds[1], tmpl->frozen, n) != (ssize_t)n ? -EIO : 0;

	close(fds[1]);
	if (!rc)
		return wrap(fds[0], tmpl, ctx, ret);
	close(fds[0]);
	return rc;
}

static int send_frozen(int fd, const struct tk_sock *reader)
{
	size_t n = reader->n_frozen;

	return n && send(fd, reader->frozen, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n ? -EIO
											   : 0;
}

static int fork_both(const struct tk_sock *tmpl, const struct tk_sock *mate, int fds[2],
		     const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int rc;

	tk_opts_copy(fds[0], tmpl);
	tk_opts_copy(fds[1], mate);
	rc = send_frozen(fds[1], tmpl);
	if (!rc)
		rc = send_frozen(fds[0], mate);
	if (rc) {
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	rc = wrap(fds[0], tmpl, ctx, &ret[0]);
	if (rc) {
		close(fds[1]);
		return rc;
	}
	rc = wrap(fds[1], mate, ctx, &ret[1]);
	if (rc)
		tk_file_put(ret[0]);
	else
		tk_file_join(ret[0], ret[1]);
	return rc;
}

static int fork_pair(const struct tk_sock *tmpl, const struct tk_file *mate,
		     const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	int type = tmpl->dead ? SOCK_STREAM : tmpl->type, fds[2];

	if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		return -errno;
	if (!mate)
		return fork_alone(tmpl, fds, ctx, ret);
	return fork_both(tmpl, of(mate), fds, ctx, ret);
}

static int fork_fresh(const struct tk_sock *tmpl, const struct tk_fork_ctx *ctx,
		      struct tk_file **ret)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd = socket(tmpl->family, tmpl->type | SOCK_NONBLOCK | SOCK_CLOEXEC, tmpl->protocol);

	if (fd < 0)
		return -errno;
	tk_opts_copy(fd, tmpl);
	if (tmpl->type == SOCK_DGRAM &&
	    !getpeername(tmpl->file.hostfd, (struct sockaddr *)&addr, &len))
		(void)!connect(fd, (struct sockaddr *)&addr, len); /* or it is gone */
	return wrap(fd, tmpl, ctx, ret);
}

int tk_sock_fork(const struct tk_file *file, const struct tk_file *mate,
		 const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	const struct tk_sock *tmpl = of(file);

	if (tmpl->listening)
		return fork_listening(tmpl, ctx, ret);
	if (tmpl->pair || tmpl->dead)
		return fork_pair(tmpl, mate, ctx, ret);
	return fork_fresh(tmpl, ctx, ret);
}

/* What happened to other sockets is not looked into: they are made anew. */
int tk_sock_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	struct tk_sock *sock = tk_sock_of(file);
	int rc;

	if (!sock->gate)
		return -ESTALE;
	rc = tk_gate_reset(sock);
	if (rc)
		return rc;
	sock->backlog = of(tmpl)->backlog;
	sock->rcvlowat = of(tmpl)->rcvlowat;
	memcpy(sock->opts_set, of(tmpl)->opts_set, sizeof(sock->opts_set));
	return 0;
}
