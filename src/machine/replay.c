/* SPDX-License-Identifier: MIT */
/*
 * Replaying a record: each entry in order, by what the system call itself would have used. The
 * program cannot have had any other effect meanwhile, so every object is as the call would have
 * found it, but for what came from outside. The registration with the epoll object alone is done
 * once, at the end, as it is then: nobody can have looked at it in between, and most are gone.
 *
 * Nothing in a record is believed. What was answered must have been possible, entry after entry,
 * from what was given; if it was, doing it is no more than the program could have asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "machine/early.h"
#include "machine/replay.h"
#include "net/gate.h"
#include "net/opts.h"
#include "sys/sys.h"

#define ACCEPT_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)
#define IN_EVENTS    ((u32)(EPOLLIN | EPOLLRDNORM))
#define OUT_EVENTS   ((u32)(EPOLLOUT | EPOLLWRNORM))

struct replay {
	struct tk_fast *fast;
	struct tk_proc *proc;
	const struct tk_given *given;
	struct tk_fast_state state; /* as it is after the entries so far */
	struct tk_sock *conn;
	struct tk_file *file;
	bool touched;	       /* the registration */
	struct tk_early early; /* what is left of it */
};

static bool is_open(const struct replay *r)
{
	return r->state.conn == TK_CONN_OPEN;
}

static int do_accept(struct replay *r, u64 flags)
{
	struct tk_file *file;
	int rc;

	if (r->state.conn != TK_CONN_OFFERED || flags & ~(u64)ACCEPT_FLAGS ||
	    r->state.file != r->given->state.file)
		return -EPROTO;
	rc = tk_gate_accept(r->fast->listener, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0, &file);
	if (rc)
		return rc;
	rc = tk_fd_install_or_put(&r->proc->files, file, (flags & SOCK_CLOEXEC) != 0);
	if (rc < 0)
		return rc;
	if ((u32)rc != r->given->conn_fd)
		return -EIO;
	r->state.conn = TK_CONN_OPEN;
	r->conn = tk_sock_of(file);
	r->conn->file.used = true;
	return 0;
}

/* They are there, or the connection has broken meanwhile: then the program had them just before. */
static int do_receive(struct replay *r, u64 n)
{
	u8 bytes[4096];
	struct iovec iov = {.iov_base = bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (!is_open(r) || !n || n > r->given->in_len - r->state.in_pos)
		return -EPROTO;
	r->state.in_pos += (u32)n;
	while (n) {
		ssize_t got;

		iov.iov_len = TK_MIN(n, sizeof(bytes));
		got = tk_sock_recv(r->conn, &msg, 0);
		if (got <= 0)
			break;
		n -= (u64)got;
	}
	return 0;
}

/* True: it is out, by now or since before the first entry. */
static bool send_out(struct replay *r, const u8 *data, size_t len, int flags)
{
	int hostfd = r->conn->file.hostfd;

	if (r->early.sends) {
		r->early.sends--;
		return true;
	}
	return !r->early.broken && !tk_early_broken(hostfd) &&
	       tk_early_send_one(hostfd, data, len, flags);
}

/*
 * If the other end has broken the connection off, that came behind this: the program hears of it by
 * its next call. If the host takes less than it has room for, it has no memory: the connection
 * breaks.
 */
static int do_send(struct replay *r, const struct tk_fast_entry *entry)
{
	u32 flags = (u32)(entry->a >> 32);
	u8 *data = r->fast->out + r->state.out;
	unsigned int how = TKVM_SENT_STABLE;

	if (flags & ~(u32)TK_FAST_MORE || !tk_early_may_send(r->given, &r->state, entry))
		return -EPROTO;
	if (!send_out(r, data, entry->b, (int)flags))
		return 0;
	if (r->early.ended && !r->early.sends)
		how |= TKVM_SENT_ENDED;
	tk_sock_sent(r->conn, data, entry->b, how);
	return 0;
}

static int do_register(struct replay *r, u64 a, u64 data)
{
	struct tk_fast_state *state = &r->state;
	u32 events = (u32)(a >> 32);

	if (!is_open(r) || !r->fast->epoll || events & EPOLLEXCLUSIVE)
		return -EPROTO;
	switch ((u32)a) {
	case EPOLL_CTL_DEL:
		if (!state->registered)
			return -EPROTO;
		state->registered = 0;
		break;
	case EPOLL_CTL_ADD:
	case EPOLL_CTL_MOD:
		if (state->registered != ((u32)a == EPOLL_CTL_MOD))
			return -EPROTO;
		state->registered = state->armed = 1;
		state->events = events;
		state->data = data;
		break;
	default:
		return -EPROTO;
	}
	r->touched = true;
	return 0;
}

static int do_tell(struct replay *r)
{
	if (!is_open(r) || !r->state.registered || !r->given->may_tell)
		return -EPROTO;
	r->state.armed = 0;
	r->fast->epoll->file.used = r->fast->epoll->partly = true;
	return 0;
}

/* Anything but those that the program may set anyway is refused by what refuses them there. */
static int do_option(struct replay *r, u64 which, u64 value)
{
	int level = (int)(u32)which, name = (int)(which >> 32), n = (int)(u32)value;

	if (!is_open(r) || tk_opt_set_size(r->conn, level, name) < (int)sizeof(n))
		return -EPROTO;
	(void)tk_opt_set(r->conn, level, name, &n, sizeof(n));
	return 0;
}

static int do_nonblock(struct replay *r, u64 on)
{
	if (!is_open(r) || on > 1)
		return -EPROTO;
	r->conn->file.flags = (r->conn->file.flags & ~O_NONBLOCK) | (on ? O_NONBLOCK : 0);
	return 0;
}

/*
 * If it is shut since before the first entry, the client may have closed it meanwhile, and a second
 * shutdown(2) would fail. If it is broken, that came behind this, as above.
 */
static int do_shutdown(struct replay *r)
{
	if (!is_open(r) || r->state.shut)
		return -EPROTO;
	r->state.shut = 1;
	if (r->early.ended || tk_sock_shutdown(r->conn, SHUT_WR))
		tk_sock_was_shut(r->conn, SHUT_WR);
	return 0;
}

static int do_close(struct replay *r)
{
	if (!is_open(r) || !r->given->may_close)
		return -EPROTO;
	r->state.conn = TK_CONN_NONE;
	r->conn = NULL;
	return tk_fd_close(&r->proc->files, r->given->conn_fd);
}

static int do_position(struct replay *r, u64 pos)
{
	if (!r->state.file || pos > r->given->file_size)
		return -EPROTO;
	r->file->pos = (s64)pos;
	r->file->used = true;
	return 0;
}

static int do_close_file(struct replay *r)
{
	if (!r->state.file)
		return -EPROTO;
	r->state.file = 0;
	r->file = NULL;
	r->fast->opened = false;
	return tk_fd_close(&r->proc->files, r->given->file_fd);
}

static int about_file(struct replay *r, const struct tk_fast_entry *entry)
{
	switch (entry->deed) {
	case TK_DID_POSITION:
		return do_position(r, entry->a);
	case TK_DID_CLOSE_FILE:
		return do_close_file(r);
	default:
		return -EPROTO;
	}
}

static int do_entry(struct replay *r, const struct tk_fast_entry *entry)
{
	switch (entry->deed) {
	case TK_DID_NOTHING:
		return 0;
	case TK_DID_ACCEPT:
		return do_accept(r, entry->a);
	case TK_DID_RECEIVE:
		return do_receive(r, entry->a);
	case TK_DID_SEND:
		return do_send(r, entry);
	case TK_DID_REGISTER:
		return do_register(r, entry->a, entry->b);
	case TK_DID_TELL:
		return do_tell(r);
	case TK_DID_OPTION:
		return do_option(r, entry->a, entry->b);
	case TK_DID_NONBLOCK:
		return do_nonblock(r, entry->a);
	case TK_DID_SHUTDOWN:
		return do_shutdown(r);
	case TK_DID_CLOSE:
		return do_close(r);
	default:
		return about_file(r, entry);
	}
}

/*
 * Behind what was there when the run began: bytes, the end, or something urgent. Of the latter two
 * there was none then, or nothing would have been told; FIONREAD says neither.
 */
static bool more_has_come(const struct replay *r, u32 unread)
{
	struct pollfd other = {.fd = r->conn->file.hostfd, .events = POLLRDHUP | POLLPRI};
	int now = 0;

	return poll(&other, 1, 0) != 0 ||
	       (unread && (ioctl(other.fd, FIONREAD, &now) || (u32)now > unread));
}

/* Each piece that is taken out of a unix socket is news of room. All of what was sent is. */
static bool has_been_taken(const struct replay *r)
{
	int left = 0;

	return r->conn->family == AF_UNIX && r->state.out &&
	       !ioctl(r->conn->file.hostfd, SIOCOUTQ, &left) && !left;
}

/*
 * The program was told of an edge, and the host's epoll is to have told it. Input that is there now
 * may be that edge, or have come since the run began, and be the next one. What comes between the
 * two looks here is an edge to the host by itself.
 */
static void settle_edge(struct replay *r)
{
	struct tk_file *file = &r->conn->file;
	bool given = r->state.in_pos < r->given->in_len;
	u32 unread = given ? r->fast->in_there - r->state.in_pos : 0;

	tk_epoll_told(r->fast->epoll, file, unread ? OUT_EVENTS | IN_EVENTS : OUT_EVENTS);
	if (more_has_come(r, unread) || has_been_taken(r))
		tk_epoll_refresh(file);
}

/* What became of the registration. */
static int settle_registration(struct replay *r)
{
	const struct tk_fast_state *state = &r->state;
	struct epoll_event event = {.events = state->events, .data.u64 = state->data};
	struct tk_epoll *epoll = r->fast->epoll;
	struct tk_file *file = &r->conn->file;
	bool was = r->given->state.registered;
	int rc = 0;

	if (r->touched && (was || state->registered)) {
		epoll->file.used = true;
		rc = tk_epoll_ctl(epoll,
				  !state->registered ? EPOLL_CTL_DEL
				  : was		     ? EPOLL_CTL_MOD
						     : EPOLL_CTL_ADD,
				  r->given->conn_fd, file, &event);
	}
	if (rc || !state->registered || state->armed)
		return rc;
	if (state->events & EPOLLONESHOT) {
		if (r->touched || r->given->state.armed)
			tk_epoll_spend(epoll, r->given->conn_fd, file);
		return 0;
	}
	if (r->touched && state->events & EPOLLET)
		settle_edge(r);
	return 0;
}

static void count(struct replay *r, u32 nr)
{
	r->fast->served++;
	tk_calls_inside(r->proc->stats.calls, nr, 1);
}

static void tell_sent(struct replay *r, const struct tk_fast_entry *entry)
{
	struct iovec iov = {r->fast->out + (u32)entry->a, entry->b};
	unsigned int how = TKVM_SENT_STABLE;
	struct tk_follow follow;
	int fd;

	if (r->early.ended && !r->early.sends)
		how |= TKVM_SENT_ENDED;
	if (r->conn)
		tk_sock_sent(r->conn, iov.iov_base, iov.iov_len, how);
	else if (tk_gate_first(r->fast->listener, &follow, &fd) && follow.ops->sent)
		follow.ops->sent(follow.ctx, &iov, 1, iov.iov_len, how);
}

/*
 * From @entry on nothing is done, but of what was sent some may be out already: who follows the
 * connection has to know, or takes it for one of which all was seen.
 */
static void own_up(struct replay *r, const struct tk_fast_entry *entry,
		   const struct tk_fast_entry *end)
{
	for (; entry != end && r->early.sends; entry++) {
		if (entry->deed != TK_DID_SEND)
			continue;
		r->early.sends--;
		tell_sent(r, entry);
	}
}

int tk_replay(struct tk_fast *fast, struct tk_proc *proc, const struct tk_fast_entry *entries,
	      u32 n)
{
	struct replay r = {
		.fast = fast,
		.proc = proc,
		.given = fast->given,
		.state = fast->given->state,
		.conn = fast->conn,
		.file = fast->file,
		.early = tk_early_send(fast, entries, n),
	};

	for (u32 i = 0; i < n; i++) {
		int rc = do_entry(&r, &entries[i]);

		if (rc) {
			own_up(&r, &entries[i], entries + n);
			return rc;
		}
		count(&r, entries[i].nr);
	}
	fast->drained = r.conn && r.state.in_pos == fast->given->in_len && fast->given->in_len
				? r.conn
				: NULL;
	return r.conn ? settle_registration(&r) : 0;
}
