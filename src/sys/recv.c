/* SPDX-License-Identifier: MIT */
/*
 * recvfrom(2), recvmsg(2), recvmmsg(2). MSG_WAITALL, SO_RCVLOWAT and blocking are done here, over
 * host calls that never wait; task->wait.progress keeps how much of a stream was taken.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "net/control.h"
#include "net/rights.h"
#include "net/unix.h"
#include "sys/paced.h"
#include "sys/sockmsg.h"

#define PASSED_FLAGS (MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE)

/* Room for the host's messages: the guest's, and what credentials and a token may add. */
#define CONTROL_SLACK 256

struct incoming {
	struct msghdr host;
	u8 *control; /* the host's, NULL if the guest wants none */
	size_t control_size;
	size_t guest_size;
};

static int prepare(const struct tk_umsg *msg, struct incoming *in, struct tk_umsg_out *out)
{
	*in = (struct incoming){0};
	if (msg->name) {
		in->host.msg_name = &out->name;
		in->host.msg_namelen = sizeof(out->name);
	}
	if (!msg->control || !msg->control_len)
		return 0;
	in->guest_size = TK_MIN(msg->control_len, (u64)TK_CONTROL_MAX);
	in->control_size = in->guest_size + CONTROL_SLACK;
	in->control = malloc(in->control_size);
	if (!in->control)
		return -ENOMEM;
	in->host.msg_control = in->control;
	in->host.msg_controllen = in->control_size;
	return 0;
}

/* Translate what came along with a message and hand it out. */
static int deliver_control(struct tk_task *task, const struct tk_sock *sock,
			   const struct tk_umsg *msg, struct incoming *in, int flags,
			   struct tk_umsg_out *out)
{
	struct tk_control_env env;
	u8 *to;
	int rc;

	if (!in->control || !in->host.msg_controllen)
		return 0;
	to = calloc(1, in->guest_size);
	out->control_len = tk_control_recv(tk_control_env_of(task, &env), sock, in->control,
					   in->host.msg_controllen, to, to ? in->guest_size : 0,
					   flags & MSG_CMSG_CLOEXEC, &out->flags);
	rc = tk_copy_out(task->proc->mm, msg->control, to, out->control_len);
	free(to);
	return rc;
}

/* One host call for the part after @done bytes; fills *@out. */
static long recv_rest(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg,
		      int flags, u64 done, struct tk_pieces *pieces, struct tk_umsg_out *out)
{
	struct incoming in;
	struct tk_cut cut;
	long rc = prepare(msg, &in, out);

	if (rc)
		return rc;
	tk_pieces_cut(pieces, done, &in.host, &cut);
	rc = tk_sock_recv(sock, &in.host, flags & PASSED_FLAGS);
	tk_pieces_uncut(pieces, &cut);
	if (rc >= 0) {
		out->name_len = in.host.msg_namelen;
		out->flags = (in.host.msg_flags & ~MSG_CMSG_CLOEXEC) | (flags & MSG_CMSG_CLOEXEC);
		if (sock->family == AF_UNIX)
			tk_unix_translate(&task->proc->net, &out->name, &out->name_len);
		tk_pieces_wrote(task, msg, pieces, TK_MIN(done + (u64)rc, (u64)pieces->total));
		if (deliver_control(task, sock, msg, &in, flags, out))
			rc = -EFAULT;
	} else if (rc != -EAGAIN) { /* EFAULT may come behind bytes that were copied */
		tk_pieces_wrote(task, msg, pieces, pieces->total);
	}
	free(in.control);
	return rc;
}

/* How much a stream's call waits for (sock_rcvlowat()). */
static u64 target_of(const struct tk_sock *sock, int flags, const struct tk_pieces *pieces)
{
	u64 low = flags & MSG_WAITALL ? pieces->total : (u64)sock->rcvlowat;

	return TK_MIN(low, (u64)pieces->total);
}

static bool at_end(const struct tk_sock *sock)
{
	struct pollfd fd = {.fd = sock->file.hostfd, .events = POLLRDHUP};

	return poll(&fd, 1, 0) > 0;
}

/* A stream: take until there is enough. -EAGAIN asks to wait for more; *@done has what came. */
static long recv_stream(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg,
			int flags, u64 *done, struct tk_pieces *pieces, struct tk_umsg_out *out)
{
	u64 target = target_of(sock, flags, pieces);
	long rc;

	if (*done && *done >= target)
		return (long)*done;
	do {
		rc = recv_rest(task, sock, msg, flags, *done, pieces, out);
		if (rc < 0)
			return rc;
		if (flags & (MSG_PEEK | MSG_OOB))
			return (u64)rc >= target || at_end(sock) ? rc : -EAGAIN;
		*done += (u64)rc;
	} while (rc > 0 && *done < target && !out->control_len);
	return (long)*done;
}

static long recv_packet(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg,
			int flags, struct tk_pieces *pieces, struct tk_umsg_out *out)
{
	long rc = recv_rest(task, sock, msg, flags, 0, pieces, out);

	/* The rest of the packet would have gone where the guest cannot write. */
	if (rc >= 0 && pieces->wanted > pieces->total && (out->flags & MSG_TRUNC))
		return -EFAULT;
	return rc;
}

/* What is there now of a peek that waits for more (MSG_PEEK | MSG_WAITALL, timed out). */
static long peek_now(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg,
		     int flags, struct tk_umsg_out *out)
{
	struct tk_pieces pieces;
	long rc = tk_pieces_map(task, msg, TK_ACCESS_WRITE, true, &pieces);

	if (rc)
		return rc;
	rc = recv_rest(task, sock, msg, flags, 0, &pieces, out);
	tk_pieces_unmap(&pieces);
	return rc;
}

static bool waits(const struct tk_sock *sock, int flags)
{
	/* The error queue and urgent data are never waited for. */
	return !tk_sock_nonblocking(sock, flags) && !(flags & (MSG_ERRQUEUE | MSG_OOB));
}

long tk_recv_one(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg, int flags,
		 u64 *done, struct tk_umsg_out *out)
{
	struct tk_pieces pieces;
	long rc = tk_pieces_map(task, msg, TK_ACCESS_WRITE, tk_sock_is_stream(sock), &pieces);
	bool too_little;

	*out = (struct tk_umsg_out){.flags = flags & MSG_CMSG_CLOEXEC};
	if (rc)
		return *done ? (long)*done : rc;
	if (tk_sock_is_stream(sock) && !(flags & MSG_ERRQUEUE))
		rc = recv_stream(task, sock, msg, flags, done, &pieces, out);
	else
		rc = recv_packet(task, sock, msg, flags, &pieces, out);
	tk_pieces_unmap(&pieces);
	if (rc >= 0 && !tk_list_empty(&task->proc->net.flights))
		tk_rights_sweep(&task->proc->net);
	too_little = rc == -EAGAIN;
	if (too_little && waits(sock, flags))
		rc = tk_sock_wait(task, sock, POLLIN);
	if (rc >= 0 || rc == TK_BLOCKED)
		return rc;
	if (*done)
		return (long)*done;
	/* Not after an error of the socket's, which is told once. */
	if (too_little && (flags & MSG_PEEK) && tk_sock_is_stream(sock)) {
		long now = peek_now(task, sock, msg, flags, out);

		return now >= 0 ? now : rc;
	}
	return rc;
}

long tk_sys_recvfrom(struct tk_task *task, const u64 a[6])
{
	struct tk_umsg msg = tk_umsg_buffer(a[1], a[2]);
	struct tk_umsg_out out;
	struct tk_sock *sock;
	long rc = tk_arg_sock(task, a[0], &sock), fault;

	if (rc)
		return rc;
	msg.name = a[4];
	rc = tk_recv_one(task, sock, &msg, (int)a[3], &task->wait.progress, &out);
	if (rc < 0)
		return rc;
	fault = tk_addr_out(task, &out.name, out.name_len, a[4], a[5]);
	return fault ? fault : rc;
}

/* Store what recvmsg(2) returns in the header at @addr. */
static int store_header(struct tk_task *task, gva_t addr, const struct tk_umsg *msg,
			const struct tk_umsg_out *out)
{
	struct tk_mm *mm = task->proc->mm;
	size_t room = TK_MIN((size_t)msg->name_len, (size_t)out->name_len);

	if (msg->name) {
		room = TK_MIN(room, sizeof(out->name));
		if (tk_copy_out(mm, msg->name, &out->name, room) ||
		    tk_copy_out(mm, addr + offsetof(struct msghdr, msg_namelen), &out->name_len,
				sizeof(out->name_len)))
			return -EFAULT;
	}
	if (tk_copy_out(mm, addr + offsetof(struct msghdr, msg_flags), &out->flags,
			sizeof(out->flags)))
		return -EFAULT;
	return tk_copy_out(mm, addr + offsetof(struct msghdr, msg_controllen), &out->control_len,
			   sizeof(out->control_len));
}

static long recv_header(struct tk_task *task, struct tk_sock *sock, gva_t addr, int flags,
			u64 *done)
{
	struct tk_umsg_out out;
	struct tk_umsg msg;
	long rc = tk_umsg_read(task, addr, &msg);

	if (!rc)
		rc = tk_recv_one(task, sock, &msg, flags, done, &out);
	if (rc >= 0 && store_header(task, addr, &msg, &out))
		return -EFAULT;
	return rc;
}

long tk_sys_recvmsg(struct tk_task *task, const u64 a[6])
{
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	return rc ? rc : recv_header(task, sock, a[1], (int)a[2], &task->wait.progress);
}

static long recv_entry(struct tk_task *task, struct tk_sock *sock, gva_t entry, int flags,
		       u64 *done)
{
	long rc = recv_header(task, sock, entry, flags, done);
	u32 got = (u32)rc;

	if (rc >= 0 &&
	    tk_copy_out(task->proc->mm, entry + sizeof(struct msghdr), &got, sizeof(got)))
		return -EFAULT;
	return rc;
}

/* The vector's messages from progress on; progress as in sendmmsg. */
static long recv_vector(struct tk_task *task, struct tk_sock *sock, const u64 a[6], s64 end)
{
	u64 n = TK_MIN((u32)a[2], (u32)IOV_MAX), i = task->wait.progress >> 32;
	u64 done = (u32)task->wait.progress;
	int flags = (int)a[3];
	long rc = 0;

	while (i < n) {
		if (i && (flags & MSG_WAITFORONE))
			flags |= MSG_DONTWAIT;
		rc = recv_entry(task, sock, a[1] + i * TK_MMSG_SIZE, flags & ~MSG_WAITFORONE,
				&done);
		if (rc >= 0) {
			i++;
			done = 0;
		}
		task->wait.progress = i << 32 | done;
		if (rc == TK_BLOCKED)
			return rc;
		/* The timeout is looked at only between messages (recvmmsg(2), BUGS). */
		if (rc < 0 || tk_now_ns() >= end)
			break;
	}
	return i ? (long)i : rc;
}

/* When recvmmsg's timeout ends, fixed at the first entry. */
static int batch_end(struct tk_task *task, gva_t timeout, s64 *end)
{
	struct tk_paced *state;
	bool given;
	s64 rel;
	int rc = tk_arg_timeout(task, timeout, &given, &rel);

	*end = TK_FOREVER;
	if (rc || !given || rel == TK_FOREVER)
		return rc;
	state = tk_paced_state(task);
	if (!state)
		return -ENOMEM;
	if (state->batch_end == TK_FOREVER &&
	    __builtin_add_overflow(tk_now_ns(), rel, &state->batch_end))
		state->batch_end = TK_FOREVER;
	*end = state->batch_end;
	return 0;
}

long tk_sys_recvmmsg(struct tk_task *task, const u64 a[6])
{
	struct tk_sock *sock;
	struct timespec left;
	s64 end;
	long rc = batch_end(task, a[4], &end);

	if (!rc)
		rc = tk_arg_sock(task, a[0], &sock);
	if (!rc)
		rc = recv_vector(task, sock, a, end);
	if (rc <= 0 || end == TK_FOREVER)
		return rc;
	left = tk_ns_timespec(TK_MAX(end - tk_now_ns(), (s64)0));
	return tk_copy_out(task->proc->mm, a[4], &left, sizeof(left)) ? -EFAULT : rc;
}
