/* SPDX-License-Identifier: MIT */
/*
 * Following connections, see follow.h. What is held back is hidden from poll(2) and epoll(7) as
 * well (tk_file.muted), or a program that waits for something else would spin.
 */
#include <errno.h>

#include "fs/epoll.h"
#include "net/follow.h"
#include "net/opts.h"

void tk_follow_begin(struct tk_sock *sock, const struct tkvm_connection_ops *ops, void *ctx,
		     int listener)
{
	sock->follow = (struct tk_follow){.ops = ops, .ctx = ctx, .listener = listener};
	if (ops->accepted)
		ops->accepted(ctx);
}

static void mute(struct tk_sock *sock, bool muted)
{
	if (sock->file.muted == muted)
		return;
	sock->file.muted = muted;
	tk_epoll_refresh(&sock->file);
}

static size_t total(const struct msghdr *msg)
{
	size_t sum = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		sum += msg->msg_iov[i].iov_len;
	return sum;
}

/* recvmsg(2) of at most @max bytes, which are less than @msg has room for. */
static ssize_t recv_some(int fd, struct msghdr *msg, int flags, size_t max)
{
	size_t n = msg->msg_iovlen, i = 0, cut;
	ssize_t rc;

	while (max > msg->msg_iov[i].iov_len)
		max -= msg->msg_iov[i++].iov_len;
	cut = msg->msg_iov[i].iov_len;
	msg->msg_iov[i].iov_len = max;
	msg->msg_iovlen = i + 1;
	rc = recvmsg(fd, msg, flags);
	msg->msg_iov[i].iov_len = cut;
	msg->msg_iovlen = n;
	return rc < 0 ? -errno : rc;
}

/*
 * How many bytes the program may take now. None: 0, and in *@rc what the call returns: what the
 * host says if there is nothing to hold back, so that the end and errors are seen. What arrives
 * between the two looks is asked about, too.
 */
static size_t allowance(struct tk_sock *sock, size_t wanted, ssize_t *rc)
{
	const struct tk_follow *follow = &sock->follow;
	int fd = sock->file.hostfd;
	size_t may = 0;
	char byte;

	for (int looks = 0; looks < 2 && !may; looks++) {
		may = follow->ops->input(follow->ctx, fd, wanted);
		if (may)
			break;
		*rc = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (*rc <= 0) {
			*rc = *rc ? -errno : 0;
			return 0;
		}
	}
	mute(sock, !may);
	*rc = -EAGAIN;
	return may;
}

ssize_t tk_follow_recv(struct tk_sock *sock, struct msghdr *msg, int flags)
{
	const struct tk_follow *follow = &sock->follow;
	/* Not what the stream carries; unix sockets have no such queue, and ignore the flag. */
	bool errors = flags & MSG_ERRQUEUE && sock->family != AF_UNIX;
	size_t wanted = total(msg), may = SIZE_MAX;
	int fd = sock->file.hostfd;
	ssize_t rc;

	sock->marked |= (flags & MSG_OOB) != 0;
	if (follow->ops->input && wanted && !errors)
		may = allowance(sock, wanted, &rc);
	if (!may)
		return rc;
	if (may < wanted) {
		rc = recv_some(fd, msg, flags, may);
	} else {
		rc = recvmsg(fd, msg, flags);
		rc = rc < 0 ? -errno : rc;
	}
	if (rc > 0 && !errors && !(flags & MSG_PEEK) && follow->ops->took)
		follow->ops->took(follow->ctx, (size_t)rc);
	return rc;
}

int tk_follow_unread(struct tk_sock *sock, int n)
{
	const struct tk_follow *follow = &sock->follow;
	size_t may = SIZE_MAX;

	if (n > 0 && follow->ops && follow->ops->input)
		may = follow->ops->input(follow->ctx, sock->file.hostfd, (size_t)n);
	return n > 0 && may < (size_t)n ? (int)may : n;
}

void tk_follow_sent(struct tk_sock *sock, const struct msghdr *msg, size_t len, unsigned int how)
{
	const struct tk_follow *follow = &sock->follow;

	if (follow->ops->sent)
		follow->ops->sent(follow->ctx, msg->msg_iov, (int)msg->msg_iovlen, len, how);
	/* The answer may have opened the way for more input (101 Switching Protocols). */
	if (sock->file.muted && follow->ops->input)
		mute(sock, !follow->ops->input(follow->ctx, sock->file.hostfd, 1));
}

void tk_follow_shut(struct tk_sock *sock, int how)
{
	if (sock->follow.ops->shut)
		sock->follow.ops->shut(sock->follow.ctx, how);
}

void tk_follow_end(struct tk_sock *sock)
{
	struct tk_follow follow = sock->follow;
	int fd = sock->file.hostfd;
	enum tkvm_release how =
		tk_opts_restore(sock, follow.listener) ? TKVM_CLOSED : TKVM_UNCHANGED;

	sock->follow.ops = NULL;
	sock->file.hostfd = -1;
	if (follow.ops->released)
		follow.ops->released(follow.ctx, fd, how);
}
