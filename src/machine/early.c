/* SPDX-License-Identifier: MIT */
/*
 * The client waits for what the program sent, and nobody waits for the rest of a record: reading
 * what was received (it has been given already), the gate's byte, who follows the connection. So
 * sends go out first. Their order among each other is kept, and so is that towards options; what
 * else is on record the client cannot see.
 *
 * Output and the end of the connection behind it, or more output, make one segment (MSG_MORE):
 * another one would cost its way through the network stack once more, and wake the client twice.
 *
 * An entry before or behind it may still turn out to be nonsense. Then the program has sent what it
 * may send at any time, and who follows the connection is told (replay.c).
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "machine/early.h"
#include "net/gate.h"

/* What an entry means for those behind it. */
enum meaning { UNSEEN, ACCEPTED, SENT, SHUT, CLOSED, SEEN };

struct run {
	const struct tk_fast *fast;
	const struct tk_fast_entry *end;
	struct tk_fast_state state; /* after the entries so far */
	int fd;			    /* the connection */
	struct tk_early early;
};

static bool is_unseen_option(u64 which)
{
	int level = (int)(u32)which, name = (int)(which >> 32);

	return (level == IPPROTO_TCP && name == TCP_NODELAY) ||
	       (level == SOL_SOCKET && name == SO_KEEPALIVE);
}

static enum meaning meaning_of(const struct tk_fast_entry *entry)
{
	switch (entry->deed) {
	case TK_DID_NOTHING:
	case TK_DID_RECEIVE:
	case TK_DID_REGISTER:
	case TK_DID_TELL:
	case TK_DID_NONBLOCK:
	case TK_DID_POSITION:
	case TK_DID_CLOSE_FILE: /* without locks: see fast_file.c */
		return UNSEEN;
	case TK_DID_OPTION:
		return is_unseen_option(entry->a) ? UNSEEN : SEEN;
	case TK_DID_ACCEPT:
		return ACCEPTED;
	case TK_DID_SEND: /* flags: more is to come, but when? */
		return entry->a >> 32 ? SEEN : SENT;
	case TK_DID_SHUTDOWN:
		return SHUT;
	case TK_DID_CLOSE:
		return CLOSED;
	default:
		return SEEN;
	}
}

static enum meaning next_meaning(const struct tk_fast_entry *entry, const struct tk_fast_entry *end)
{
	while (entry != end && meaning_of(entry) == UNSEEN)
		entry++;
	return entry == end ? SEEN : meaning_of(entry);
}

static int host_socket(const struct tk_fast *fast)
{
	struct tk_follow follow;
	int fd = -1;

	if (fast->conn)
		return fast->conn->file.hostfd;
	tk_gate_first(fast->listener, &follow, &fd);
	return fd;
}

bool tk_early_broken(int hostfd)
{
	struct pollfd fd = {.fd = hostfd};

	return poll(&fd, 1, 0) > 0 && fd.revents & (POLLERR | POLLHUP);
}

bool tk_early_send_one(int hostfd, const u8 *data, size_t len, int flags)
{
	if (send(hostfd, data, len, flags | MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len)
		return true;
	shutdown(hostfd, SHUT_RDWR);
	return false;
}

bool tk_early_may_send(const struct tk_given *given, struct tk_fast_state *state,
		       const struct tk_fast_entry *entry)
{
	u64 n = entry->b;

	if (state->conn != TK_CONN_OPEN || state->shut || (u32)entry->a != state->out || !n ||
	    n > TK_OUT_SIZE - state->out || n + TK_FAST_OVERHEAD > given->budget - state->spent)
		return false;
	state->out += (u32)n;
	state->spent += (u32)n + TK_FAST_OVERHEAD;
	return true;
}

/*
 * True: on with the next entry. A broken connection's error is the program's, unless it closes:
 * send(2) would take it.
 */
static bool send_entry(struct run *run, const struct tk_fast_entry *entry)
{
	enum meaning next = next_meaning(entry + 1, run->end);
	int flags = next == SENT || next == SHUT || next == CLOSED ? MSG_MORE : 0;
	const u8 *data = run->fast->out + run->state.out;

	if (!tk_early_may_send(run->fast->given, &run->state, entry))
		return false;
	run->early.broken = (next != CLOSED && tk_early_broken(run->fd)) ||
			    !tk_early_send_one(run->fd, data, entry->b, flags);
	run->early.sends += !run->early.broken;
	return !run->early.broken;
}

static void end(struct run *run, const struct tk_fast_entry *entry)
{
	if (run->early.sends && (entry->deed == TK_DID_SHUTDOWN || run->fast->given->may_close))
		run->early.ended = !shutdown(run->fd, SHUT_WR);
}

static bool step(struct run *run, const struct tk_fast_entry *entry)
{
	bool offered = run->state.conn == TK_CONN_OFFERED;

	switch (meaning_of(entry)) {
	case UNSEEN:
		return true;
	case ACCEPTED:
		run->state.conn = TK_CONN_OPEN;
		return offered;
	case SENT:
		return send_entry(run, entry);
	case SHUT:
	case CLOSED:
		end(run, entry);
		return false;
	default:
		return false;
	}
}

struct tk_early tk_early_send(const struct tk_fast *fast, const struct tk_fast_entry *entries,
			      u32 n)
{
	struct run run = {
		.fast = fast,
		.end = entries + n,
		.state = fast->given->state,
		.fd = host_socket(fast),
	};

	while (entries != run.end && step(&run, entries))
		entries++;
	return run.early;
}
