/* SPDX-License-Identifier: MIT */
/*
 * sendto(2), sendmsg(2), sendmmsg(2). A blocking send on a stream goes on until everything is
 * through, over as many waits as it takes; task->wait.progress keeps how far it is. A datagram
 * goes out whole or not at all.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "net/control.h"
#include "net/unix.h"
#include "sys/sockmsg.h"

#define PASSED_FLAGS (MSG_OOB | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM | MSG_MORE)

struct destination {
	struct sockaddr_storage addr;
	socklen_t len; /* 0: none */
	struct tk_unix_target target;
};

/* Unix streams refuse a destination without looking at it; packets ignore one. */
static int unix_destination(struct tk_task *task, const struct tk_sock *sock,
			    struct destination *dst)
{
	struct tk_proc *proc = task->proc;
	int rc;

	if (sock->type == SOCK_SEQPACKET)
		dst->len = 0;
	if (sock->type != SOCK_DGRAM)
		return 0;
	rc = tk_unix_lookup(&proc->ns, &proc->files, &dst->addr, dst->len, &dst->target);
	if (rc)
		return rc;
	dst->len = dst->target.len;
	memcpy(&dst->addr, &dst->target.addr, dst->len);
	return 0;
}

static int find_destination(struct tk_task *task, const struct tk_sock *sock,
			    const struct tk_umsg *msg, struct destination *dst)
{
	int rc;

	dst->target.fd = -1;
	dst->len = 0;
	if (!msg->name || !msg->name_len)
		return 0;
	rc = tk_addr_in(task, msg->name, msg->name_len, &dst->addr);
	if (rc)
		return rc;
	dst->len = (socklen_t)msg->name_len;
	if (sock->family == AF_UNIX)
		return unix_destination(task, sock, dst);
	/* TCP takes no notice of a destination (MSG_FASTOPEN is refused). */
	if (tk_sock_is_stream(sock))
		dst->len = 0;
	return dst->len ? tk_addr_check(sock, TK_ADDR_SEND, &dst->addr, &dst->len) : 0;
}

static int read_control(struct tk_task *task, const struct tk_sock *sock, const struct tk_umsg *msg,
			struct tk_control_out *out)
{
	struct tk_control_env env;
	u8 *data;
	int rc;

	*out = (struct tk_control_out){.token = -1};
	if (msg->control_len > TK_CONTROL_MAX)
		return -ENOBUFS;
	if (!msg->control || !msg->control_len)
		return 0;
	data = malloc(msg->control_len);
	if (!data)
		return -ENOBUFS;
	rc = tk_copy_in(task->proc->mm, data, msg->control, msg->control_len);
	if (!rc)
		rc = tk_control_send(tk_control_env_of(task, &env), sock, data, msg->control_len,
				     out);
	free(data);
	return rc;
}

/* One host call for what is left of the message after @done bytes. */
static long send_rest(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg,
		      int flags, u64 done, struct tk_pieces *pieces)
{
	struct tk_control_out control = {.token = -1};
	struct destination dst;
	struct msghdr host = {0};
	struct tk_cut cut;
	long rc = find_destination(task, sock, msg, &dst);

	/* Control messages go with the first byte. */
	if (!rc && !done)
		rc = read_control(task, sock, msg, &control);
	if (!rc) {
		host.msg_name = dst.len ? &dst.addr : NULL;
		host.msg_namelen = dst.len;
		host.msg_control = control.data;
		host.msg_controllen = control.len;
		tk_pieces_cut(pieces, done, &host, &cut);
		rc = tk_sock_send(sock, &host, flags & PASSED_FLAGS);
		tk_pieces_uncut(pieces, &cut);
		tk_control_done(&control);
	}
	tk_unix_done(&dst.target);
	return rc;
}

/* Send until all of a stream's message is through, or it would block. */
static long send_all(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg,
		     int flags, u64 *done, struct tk_pieces *pieces)
{
	bool stream = tk_sock_is_stream(sock);
	long rc;

	if (!stream && pieces->wanted > pieces->total)
		return -EFAULT;
	do {
		rc = send_rest(task, sock, msg, flags, *done, pieces);
		if (rc < 0)
			return rc;
		*done += (u64)rc;
	} while (stream && rc > 0 && *done < pieces->total);
	return (long)*done;
}

long tk_send_one(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg, int flags,
		 u64 *done)
{
	struct tk_pieces pieces;
	long rc;

	if (flags & MSG_FASTOPEN)
		return -EOPNOTSUPP; /* as with net.ipv4.tcp_fastopen off */
	rc = tk_pieces_map(task, msg, TK_ACCESS_READ, tk_sock_is_stream(sock), &pieces);
	if (rc)
		return *done ? (long)*done : rc;
	rc = send_all(task, sock, msg, flags, done, &pieces);
	tk_pieces_unmap(&pieces);
	if (rc == -EAGAIN && !tk_sock_nonblocking(sock, flags))
		rc = tk_sock_wait(task, sock, POLLOUT);
	if (rc >= 0 || rc == TK_BLOCKED)
		return rc;
	if (*done)
		return (long)*done;
	if (rc == -EPIPE && !(flags & MSG_NOSIGNAL))
		tk_raise_sigpipe(task, &sock->file);
	return rc;
}

long tk_sys_sendto(struct tk_task *task, const u64 a[6])
{
	struct tk_umsg msg = tk_umsg_buffer(a[1], a[2]);
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	if (rc)
		return rc;
	msg.name = a[4];
	msg.name_len = a[4] ? (int)a[5] : 0;
	return tk_send_one(task, sock, &msg, (int)a[3], &task->wait.progress);
}

long tk_sys_sendmsg(struct tk_task *task, const u64 a[6])
{
	struct tk_umsg msg;
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	if (!rc)
		rc = tk_umsg_read(task, a[1], &msg);
	return rc ? rc : tk_send_one(task, sock, &msg, (int)a[2], &task->wait.progress);
}

/* One struct mmsghdr: sent, and its length stored. */
static long send_entry(struct tk_task *task, struct tk_sock *sock, gva_t entry, int flags,
		       u64 *done)
{
	struct tk_umsg msg;
	u32 sent;
	long rc = tk_umsg_read(task, entry, &msg);

	if (!rc)
		rc = tk_send_one(task, sock, &msg, flags, done);
	if (rc < 0)
		return rc;
	sent = (u32)rc;
	if (tk_copy_out(task->proc->mm, entry + sizeof(struct msghdr), &sent, sizeof(sent)))
		return -EFAULT;
	return rc;
}

/* progress: messages sent in the upper half, bytes of the next one in the lower. */
long tk_sys_sendmmsg(struct tk_task *task, const u64 a[6])
{
	u64 n = TK_MIN((u32)a[2], (u32)IOV_MAX), i = task->wait.progress >> 32;
	u64 done = (u32)task->wait.progress;
	struct tk_sock *sock;
	long rc = tk_arg_sock(task, a[0], &sock);

	if (rc)
		return rc;
	for (; i < n; i++, done = 0) {
		rc = send_entry(task, sock, a[1] + i * TK_MMSG_SIZE, (int)a[3], &done);
		task->wait.progress = i << 32 | done;
		if (rc == TK_BLOCKED)
			return rc;
		if (rc < 0)
			break;
	}
	return i ? (long)i : rc < 0 ? rc : 0;
}
