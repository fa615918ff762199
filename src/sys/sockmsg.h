/* SPDX-License-Identifier: MIT */
/* Messages of the send and receive families, as the guest describes them. */
#ifndef TK_SYS_SOCKMSG_H
#define TK_SYS_SOCKMSG_H

#include "sys/sock.h"

#define TK_MMSG_SIZE 64 /* struct mmsghdr: a struct msghdr and a count */

/* A struct msghdr, or the arguments of sendto and recvfrom in that form. */
struct tk_umsg {
	gva_t name;
	int name_len;
	bool single; /* one buffer, @data and @count bytes; else @count iovecs at @data */
	gva_t data;
	u64 count;
	gva_t control;
	u64 control_len;
};

struct tk_umsg tk_umsg_buffer(gva_t data, u64 len);

/* Copy and check the struct msghdr at @addr. 0, -EFAULT, -EINVAL, -EMSGSIZE. */
int tk_umsg_read(struct tk_task *task, gva_t addr, struct tk_umsg *msg);

/* The guest memory of a message, for the host. */
struct tk_pieces {
	struct iovec *iov;
	struct iovec few[40]; /* enough for the largest buffer at one piece a chunk */
	int n;
	size_t total; /* bytes that can be reached */
	u64 wanted;   /* bytes that were asked for; more than @total: a fault lies beyond */
};

/* 0 or -errno: -EFAULT (nothing can be reached), -EINVAL, -ENOMEM, -EMSGSIZE. */
int tk_pieces_map(struct tk_task *task, const struct tk_umsg *msg, enum tk_access access,
		  bool stream, struct tk_pieces *pieces);
void tk_pieces_unmap(struct tk_pieces *pieces);
/* The host wrote the first @len bytes. */
void tk_pieces_wrote(struct tk_task *task, const struct tk_umsg *msg,
		     const struct tk_pieces *pieces, size_t len);

/* Fill msg->msg_iov with all but the first @skip bytes; @cut keeps what tk_pieces_uncut() needs. */
struct tk_cut {
	int at;
	struct iovec old;
};
void tk_pieces_cut(struct tk_pieces *pieces, size_t skip, struct msghdr *msg, struct tk_cut *cut);
void tk_pieces_uncut(struct tk_pieces *pieces, const struct tk_cut *cut);

/* What receiving a message leaves in its header. */
struct tk_umsg_out {
	struct sockaddr_storage name;
	socklen_t name_len;
	u64 control_len;
	int flags;
};

/*
 * Send or receive one message. *@done: bytes of it that are through, kept by the caller over
 * restarts. Returns a count, -errno, TK_BLOCKED, or what a signal makes of waiting.
 */
long tk_send_one(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg, int flags,
		 u64 *done);
long tk_recv_one(struct tk_task *task, struct tk_sock *sock, const struct tk_umsg *msg, int flags,
		 u64 *done, struct tk_umsg_out *out);

struct tk_control_env;
struct tk_control_env *tk_control_env_of(struct tk_task *task, struct tk_control_env *env);

#endif
