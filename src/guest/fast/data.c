/* SPDX-License-Identifier: MIT */
/*
 * The fast path: what comes and goes over the connection. Bytes that were received are the VMM's,
 * read-only; what the program sends is kept in its own pages until the VMM sends it.
 */
#include <asm/unistd_64.h>

#include "call.h"

#define MSG_WAITALL	 0x100
#define MSG_NOSIGNAL	 0x4000
#define MSG_MORE	 0x8000
#define MSG_CMSG_CLOEXEC 0x40000000

_Static_assert(MSG_MORE == TK_FAST_MORE, "fast.h");

/* struct msghdr */
struct message {
	u64 name, name_len, pieces, n_pieces, control, control_len;
	u32 flags, unused;
};

typedef long transfer_fn(struct call *c, const struct piece *pieces, u32 n, u32 flags);

/* MSG_NOSIGNAL means nothing to who receives; with MSG_WAITALL all of it has to be there. */
static long receive(struct call *c, const struct piece *pieces, u32 n, u32 flags)
{
	const u32 known = MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;
	struct tk_fast_state *state = c->state;
	u32 left = c->given->in_len - state->in_pos, done = 0;
	u64 total;

	if (flags & ~known || !are_user(pieces, n, &total) || !total ||
	    (flags & MSG_WAITALL && total > left))
		return PASS;
	/* To who waits for edges less than was asked for means that there was no more. */
	if (total > left && c->given->in_len == TK_IN_SIZE - 1)
		return PASS;
	if (!left && c->given->in_all && (state->nonblock || flags & MSG_DONTWAIT))
		return answered(c, -EAGAIN);
	if (!left)
		return PASS;
	for (u32 i = 0; i < n && done < left; i++) {
		u32 part = pieces[i].len < left - done ? (u32)pieces[i].len : left - done;

		copy(at(pieces[i].base), at(TK_GIVEN_VA + TK_GIVEN_IN + state->in_pos + done),
		     part);
		done += part;
	}
	if (flags & MSG_PEEK)
		return answered(c, done);
	state->in_pos += done;
	return did(c, TK_DID_RECEIVE, done, 0, done);
}

/* Send @total bytes, wherever they are. */
static long put(struct call *c, const struct piece *pieces, u32 n, u64 total, u32 flags)
{
	const u32 known = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE;
	struct tk_fast_state *state = c->state;
	u64 done = 0;

	if (state->shut || flags & ~known || !total || total > TK_OUT_SIZE - state->out ||
	    state->spent > c->given->budget ||
	    total + TK_FAST_OVERHEAD > c->given->budget - state->spent)
		return PASS;
	for (u32 i = 0; i < n; i++) {
		copy(at(TK_SHIM_VA + TK_OUT_AT + state->out + done), at(pieces[i].base),
		     pieces[i].len);
		done += pieces[i].len;
	}
	did(c, TK_DID_SEND, (u64)(flags & MSG_MORE) << 32 | state->out, total, 0);
	state->out += (u32)total;
	state->spent += (u32)total + TK_FAST_OVERHEAD;
	return (long)total;
}

static long transmit(struct call *c, const struct piece *pieces, u32 n, u32 flags)
{
	u64 total;

	return are_user(pieces, n, &total) ? put(c, pieces, n, total, flags) : PASS;
}

/* From the file that was opened last, at an offset that the program keeps. */
static long do_sendfile(struct call *c)
{
	u64 pos, left, count = c->a[3];
	struct piece piece;
	long sent;

	if (!is_file(c, c->a[1]) || !c->a[2] || !fetch(&pos, c->a[2], sizeof(pos)) ||
	    (s64)pos < 0 || (s64)count <= 0 || !is_content(c))
		return PASS;
	left = pos < c->given->file_size ? c->given->file_size - pos : 0;
	if (!left)
		return answered(c, 0);
	piece.base = TK_GIVEN_VA + TK_GIVEN_FILE + pos;
	piece.len = count < left ? count : left;
	sent = put(c, &piece, 1, piece.len, 0);
	if (sent != PASS && !change(c->a[2], pos, pos + piece.len))
		return PASS;
	return sent;
}

static long one_piece(struct call *c, transfer_fn *fn, u32 flags)
{
	const struct piece piece = {c->a[1], c->a[2]};

	return fn(c, &piece, 1, flags);
}

static long named_piece(struct call *c, transfer_fn *fn)
{
	return c->a[4] ? PASS : one_piece(c, fn, (u32)c->a[3]);
}

static long many_pieces(struct call *c, transfer_fn *fn)
{
	struct piece pieces[PIECES_MOST];

	return fetch_pieces(pieces, c->a[1], c->a[2]) ? fn(c, pieces, (u32)c->a[2], 0) : PASS;
}

/* Without a name; with control data only if there is no room for it, on either side. */
static bool fetch_message(struct message *msg, struct piece *pieces, u64 addr)
{
	return fetch(msg, addr, sizeof(*msg)) && !msg->name && !msg->control_len &&
	       fetch_pieces(pieces, msg->pieces, msg->n_pieces);
}

static long do_sendmsg(struct call *c)
{
	struct piece pieces[PIECES_MOST];
	struct message msg;

	if (!fetch_message(&msg, pieces, c->a[1]))
		return PASS;
	return transmit(c, pieces, (u32)msg.n_pieces, (u32)c->a[2]);
}

/* Of the header only the flags change: there is no name and no control data, as before. */
static long do_recvmsg(struct call *c)
{
	u64 out = c->a[1] + __builtin_offsetof(struct message, flags);
	u32 flags = (u32)c->a[2], shown = flags & MSG_CMSG_CLOEXEC;
	struct piece pieces[PIECES_MOST];
	struct message msg;
	long result;

	if (!c->given->plain || !fetch_message(&msg, pieces, c->a[1]))
		return PASS;
	result = receive(c, pieces, (u32)msg.n_pieces, flags & ~(u32)MSG_CMSG_CLOEXEC);
	if (result >= 0 && !store(out, &shown, sizeof(shown)))
		return PASS;
	return result;
}

long about_data(struct call *c, u32 nr)
{
	if (!is_conn(c, c->a[0]))
		return PASS;
	switch (nr) {
	case __NR_read:
		return one_piece(c, receive, 0);
	case __NR_write:
		return one_piece(c, transmit, 0);
	case __NR_readv:
		return many_pieces(c, receive);
	case __NR_writev:
		return many_pieces(c, transmit);
	case __NR_recvfrom:
		return named_piece(c, receive);
	case __NR_sendto:
		return named_piece(c, transmit);
	case __NR_recvmsg:
		return do_recvmsg(c);
	case __NR_sendmsg:
		return do_sendmsg(c);
	case __NR_sendfile:
		return do_sendfile(c);
	default:
		return PASS;
	}
}
