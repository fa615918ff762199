/* SPDX-License-Identifier: MIT */
/*
 * The fast path's code, which runs in the guest at CPL 3 with the program's own rights, on a stack
 * of its own, general registers only (entry.S saves those of the program). See guest/fast.h.
 *
 * Rules: nothing that a program or the VMM can see changes, but memory that the program passed for
 * that and the next state and entry of the record, before entry.S stores the new count. So a fault
 * at the program's pointers, or being stopped, simply ends in the VMM making the call (kvm/shim.c).
 * Whatever is not certain is PASSed: it leaves, as if this were not here.
 */
#include <asm/unistd_64.h>

#include "guest/ahead.h"
#include "guest/fast.h"

_Static_assert(TK_KERNEL_VA + TK_AREA_FAST == 0x7fffc0008000, "fast.ld");
_Static_assert(TK_FAST_MAX == 0x4000, "fast.ld");
_Static_assert(__builtin_offsetof(struct tk_given, on) == TK_GIVEN_ON, "entry.S");
_Static_assert(__builtin_offsetof(struct tk_record, count) == TK_RECORD_COUNT, "entry.S");
_Static_assert(sizeof(struct tk_given) <= TK_GIVEN_IN, "layout.h");
_Static_assert(sizeof(struct tk_record) <= TK_PAGE_SIZE, "layout.h");

#define SHIM   ((struct tk_shim_page *)TK_SHIM_VA)
#define GIVEN  ((const struct tk_given *)TK_GIVEN_VA)
#define RECORD ((struct tk_record *)(TK_SHIM_VA + TK_RECORD_AT))

#define PASS (-4096L) /* no result of any call */

/* Linux's numbers, without its headers, which are not for freestanding code. */
#define EAGAIN	      11
#define NONBLOCK      04000
#define CLOEXEC	      02000000
#define O_RDWR	      2
#define FIONBIO	      0x5421
#define F_GETFL	      3
#define F_SETFL	      4
#define SOL_SOCKET    1
#define SO_KEEPALIVE  9
#define IPPROTO_TCP   6
#define TCP_NODELAY   1
#define TCP_KEEPIDLE  4
#define TCP_KEEPINTVL 5
#define TCP_KEEPCNT   6
#define MSG_PEEK      2
#define MSG_DONTWAIT  0x40
#define MSG_NOSIGNAL  0x4000
#define SHUT_WR	      1
#define CTL_ADD	      1
#define CTL_DEL	      2
#define CTL_MOD	      3
#define POLL_IN	      0x41u   /* EPOLLIN, EPOLLRDNORM */
#define POLL_OUT      0x104u  /* EPOLLOUT, EPOLLWRNORM */
#define POLL_ANY      0x27dfu /* all that can be asked for, but the flags */
#define POLL_ET	      (1u << 31)
#define EVENTS_MOST   (0x7fffffff / (int)sizeof(struct event))
#define IOV_MOST      16

struct call {
	u64 a[6];
	const struct tk_given *given;
	struct tk_fast_state *state; /* as it is after this call */
	struct tk_fast_entry *entry;
};

struct event {
	u32 events;
	u64 data;
} __attribute__((packed));

struct piece {
	u64 base, len;
};

static void copy(void *to, const void *from, u64 n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void *at(u64 addr)
{
	return (void *)addr; // NOLINT
}

/* Not above what programs have: there, Linux says EFAULT, and so does the VMM. */
static bool is_user(u64 addr, u64 len)
{
	return addr < TK_USER_TOP && len <= TK_USER_TOP - addr;
}

/* Copies of what the program points at; false: PASS. */
static bool fetch(void *to, u64 addr, u64 len)
{
	if (!is_user(addr, len))
		return false;
	copy(to, at(addr), len);
	return true;
}

static bool store(u64 addr, const void *from, u64 len)
{
	if (!is_user(addr, len))
		return false;
	copy(at(addr), from, len);
	return true;
}

static enum tk_fast_class class_of(const struct call *c, u64 fd)
{
	return (u32)fd < TK_FAST_FDS ? c->given->class[(u32)fd] : TK_FAST_OTHER;
}

static bool is_conn(const struct call *c, u64 fd)
{
	return c->state->conn == TK_CONN_OPEN && (u32)fd == c->given->conn_fd;
}

static long did(struct call *c, enum tk_fast_deed deed, u64 a, u64 b, long result)
{
	c->entry->deed = deed;
	c->entry->a = a;
	c->entry->b = b;
	return result;
}

/* As tk_addr_out(). */
static bool give_name(const u8 *name, u32 len, u64 addr, u64 lenp)
{
	int room;

	if (!len || !fetch(&room, lenp, sizeof(room)) || room < 0)
		return false;
	return store(addr, name, (u32)room < len ? (u32)room : len) &&
	       store(lenp, &len, sizeof(len));
}

static long do_accept(struct call *c, u64 flags)
{
	const struct tk_given *given = c->given;
	enum tk_fast_class class = class_of(c, c->a[0]);

	if ((u32)flags & ~(u32)(NONBLOCK | CLOEXEC))
		return PASS;
	if (class == TK_FAST_IDLE || (class == TK_FAST_LISTENER && !given->accept_waits &&
				      c->state->conn != TK_CONN_OFFERED))
		return did(c, TK_DID_NOTHING, 0, 0, -EAGAIN);
	if (class != TK_FAST_LISTENER || c->state->conn != TK_CONN_OFFERED)
		return PASS;
	if (c->a[1] && !give_name(given->peer, given->peer_len, c->a[1], c->a[2]))
		return PASS;
	c->state->conn = TK_CONN_OPEN;
	c->state->nonblock = (flags & NONBLOCK) != 0;
	return did(c, TK_DID_ACCEPT, (u32)flags, 0, (long)given->conn_fd);
}

static long do_name(struct call *c, const u8 *name, u32 len)
{
	if (!is_conn(c, c->a[0]) || !give_name(name, len, c->a[1], c->a[2]))
		return PASS;
	return did(c, TK_DID_NOTHING, 0, 0, 0);
}

/* Those that cannot fail. */
static bool is_plain_option(u32 level, u32 name, int value)
{
	if (level == SOL_SOCKET)
		return name == SO_KEEPALIVE;
	if (level != IPPROTO_TCP)
		return false;
	switch (name) {
	case TCP_NODELAY:
		return true;
	case TCP_KEEPIDLE:
	case TCP_KEEPINTVL:
		return value >= 1 && value <= 32767;
	case TCP_KEEPCNT:
		return value >= 1 && value <= 127;
	default:
		return false;
	}
}

static long do_setsockopt(struct call *c)
{
	u32 level = (u32)c->a[1], name = (u32)c->a[2];
	int value;

	if (!is_conn(c, c->a[0]) || !c->given->tcp || (u32)c->a[4] != sizeof(value) ||
	    !fetch(&value, c->a[3], sizeof(value)) || !is_plain_option(level, name, value))
		return PASS;
	return did(c, TK_DID_OPTION, (u64)name << 32 | level, (u64)(u32)value, 0);
}

static long set_nonblock(struct call *c, bool on)
{
	c->state->nonblock = on;
	return did(c, TK_DID_NONBLOCK, on, 0, 0);
}

static long do_ioctl(struct call *c)
{
	int value;

	if (!is_conn(c, c->a[0]) || (u32)c->a[1] != FIONBIO ||
	    !fetch(&value, c->a[2], sizeof(value)))
		return PASS;
	return set_nonblock(c, value != 0);
}

static long do_fcntl(struct call *c)
{
	u32 cmd = (u32)c->a[1];

	if (!is_conn(c, c->a[0]))
		return PASS;
	if (cmd == F_GETFL)
		return did(c, TK_DID_NOTHING, 0, 0, O_RDWR | (c->state->nonblock ? NONBLOCK : 0));
	if (cmd == F_SETFL && !(c->a[2] & ~(u64)(O_RDWR | NONBLOCK)))
		return set_nonblock(c, (c->a[2] & NONBLOCK) != 0);
	return PASS;
}

static long do_epoll_ctl(struct call *c)
{
	struct tk_fast_state *state = c->state;
	struct event event = {0};
	u32 op = (u32)c->a[1];

	if (class_of(c, c->a[0]) != TK_FAST_EPOLL || !is_conn(c, c->a[2]))
		return PASS;
	if (op == CTL_DEL && state->registered) {
		state->registered = 0;
		return did(c, TK_DID_REGISTER, op, 0, 0);
	}
	if (op != (state->registered ? CTL_MOD : CTL_ADD) ||
	    !fetch(&event, c->a[3], sizeof(event)) || event.events & ~(POLL_ANY | POLL_ET))
		return PASS;
	state->registered = state->known = state->armed = 1;
	state->events = event.events;
	state->data = event.data;
	return did(c, TK_DID_REGISTER, (u64)event.events << 32 | op, event.data, 0);
}

/* What the connection is ready for, of what is asked; it may be ready for more by now. */
static u32 ready_events(const struct call *c)
{
	const struct tk_fast_state *state = c->state;
	u32 ready = 0;

	if (state->conn != TK_CONN_OPEN || !state->registered ||
	    (state->events & POLL_ET && !state->armed))
		return 0;
	if (state->in_pos < c->given->in_len)
		ready |= POLL_IN;
	if (c->given->budget > state->spent)
		ready |= POLL_OUT;
	return ready & state->events;
}

/*
 * The connection's event, or none if nothing is to be waited for: a part of what is ready. Not
 * while the connection is in the queue: the listener would be a part of it.
 */
static long do_epoll_wait(struct call *c, bool at_once)
{
	struct tk_fast_state *state = c->state;
	int max = (int)c->a[2];
	struct event event;

	if (class_of(c, c->a[0]) != TK_FAST_EPOLL || state->conn == TK_CONN_OFFERED || max <= 0 ||
	    max > EVENTS_MOST || !is_user(c->a[1], (u64)(u32)max * sizeof(event)))
		return PASS;
	if (state->conn == TK_CONN_OPEN && state->registered &&
	    (state->shut || (state->events & POLL_ET && !state->known)))
		return PASS;
	/* How much more can be sent only the host knows then. */
	if (state->registered && state->events & POLL_OUT && c->given->budget <= state->spent)
		return PASS;
	event.events = ready_events(c);
	event.data = state->data;
	if (event.events && !c->given->may_tell)
		return PASS;
	if (event.events) {
		copy(at(c->a[1]), &event, sizeof(event));
		state->armed = 0;
		return did(c, TK_DID_TELL, 0, 0, 1);
	}
	return at_once && c->given->quiet ? did(c, TK_DID_NOTHING, 0, 0, 0) : PASS;
}

/* The mask matters only to who waits; but it has to be there. */
static bool mask_is_good(const struct call *c)
{
	u64 mask;

	return !c->a[4] || (c->a[5] == sizeof(mask) && fetch(&mask, c->a[4], sizeof(mask)));
}

static long do_epoll_pwait2(struct call *c)
{
	struct {
		s64 sec, nsec;
	} timeout = {1, 0};

	if (!mask_is_good(c) || (c->a[3] && !fetch(&timeout, c->a[3], sizeof(timeout))) ||
	    timeout.sec < 0 || timeout.nsec < 0 || timeout.nsec > 999999999)
		return PASS;
	return do_epoll_wait(c, !timeout.sec && !timeout.nsec);
}

/* The pieces' sum; 0: PASS. */
static u64 sum(const struct piece *pieces, u32 n)
{
	u64 total = 0;

	for (u32 i = 0; i < n; i++) {
		if (!is_user(pieces[i].base, pieces[i].len))
			return 0;
		total += pieces[i].len;
	}
	return total;
}

static long receive(struct call *c, const struct piece *pieces, u32 n, u32 flags)
{
	struct tk_fast_state *state = c->state;
	u32 left = c->given->in_len - state->in_pos, done = 0;
	u64 total = sum(pieces, n);

	if (!is_conn(c, c->a[0]) || flags & ~(u32)(MSG_PEEK | MSG_DONTWAIT) || !total)
		return PASS;
	/* To who waits for edges less than was asked for means that there was no more. */
	if (total > left && c->given->in_len == TK_IN_SIZE - 1)
		return PASS;
	if (!left && c->given->in_all && (state->nonblock || flags & MSG_DONTWAIT))
		return did(c, TK_DID_NOTHING, 0, 0, -EAGAIN);
	if (!left)
		return PASS;
	for (u32 i = 0; i < n && done < left; i++) {
		u32 part = pieces[i].len < left - done ? (u32)pieces[i].len : left - done;

		copy(at(pieces[i].base), at(TK_GIVEN_VA + TK_GIVEN_IN + state->in_pos + done),
		     part);
		done += part;
	}
	if (flags & MSG_PEEK)
		return did(c, TK_DID_NOTHING, 0, 0, done);
	state->in_pos += done;
	return did(c, TK_DID_RECEIVE, done, 0, done);
}

static long transmit(struct call *c, const struct piece *pieces, u32 n, u32 flags)
{
	struct tk_fast_state *state = c->state;
	u64 total = sum(pieces, n), cost = total + TK_FAST_OVERHEAD, done = 0;

	if (!is_conn(c, c->a[0]) || state->shut || flags & ~(u32)(MSG_NOSIGNAL | MSG_DONTWAIT) ||
	    !total || total > TK_OUT_SIZE - state->out || state->spent > c->given->budget ||
	    cost > c->given->budget - state->spent)
		return PASS;
	for (u32 i = 0; i < n; i++) {
		copy(at(TK_SHIM_VA + TK_OUT_AT + state->out + done), at(pieces[i].base),
		     pieces[i].len);
		done += pieces[i].len;
	}
	did(c, TK_DID_SEND, state->out, total, 0);
	state->out += (u32)total;
	state->spent += (u32)cost;
	return (long)total;
}

typedef long transfer_fn(struct call *c, const struct piece *pieces, u32 n, u32 flags);

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
	struct piece pieces[IOV_MOST];

	if (!c->a[2] || c->a[2] > IOV_MOST || !fetch(pieces, c->a[1], c->a[2] * sizeof(*pieces)))
		return PASS;
	return fn(c, pieces, (u32)c->a[2], 0);
}

static long do_shutdown(struct call *c)
{
	if (!is_conn(c, c->a[0]) || c->state->shut || (u32)c->a[1] != SHUT_WR)
		return PASS;
	c->state->shut = 1;
	return did(c, TK_DID_SHUTDOWN, 0, 0, 0);
}

static long do_close(struct call *c)
{
	if (!is_conn(c, c->a[0]) || !c->given->may_close)
		return PASS;
	c->state->conn = TK_CONN_NONE;
	c->state->registered = 0;
	return did(c, TK_DID_CLOSE, 0, 0, 0);
}

static long about_data(struct call *c, u32 nr)
{
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
	case __NR_shutdown:
		return do_shutdown(c);
	case __NR_close:
		return do_close(c);
	default:
		return PASS;
	}
}

static long answer(struct call *c, u32 nr)
{
	switch (nr) {
	case __NR_epoll_wait:
		return do_epoll_wait(c, !(u32)c->a[3]);
	case __NR_epoll_pwait:
		return mask_is_good(c) ? do_epoll_wait(c, !(u32)c->a[3]) : PASS;
	case __NR_epoll_pwait2:
		return do_epoll_pwait2(c);
	case __NR_epoll_ctl:
		return do_epoll_ctl(c);
	case __NR_accept:
		return do_accept(c, 0);
	case __NR_accept4:
		return do_accept(c, c->a[3]);
	case __NR_getpeername:
		return do_name(c, c->given->peer, c->given->peer_len);
	case __NR_getsockname:
		return do_name(c, c->given->local, c->given->local_len);
	case __NR_setsockopt:
		return do_setsockopt(c);
	case __NR_ioctl:
		return do_ioctl(c);
	case __NR_fcntl:
		return do_fcntl(c);
	default:
		return about_data(c, nr);
	}
}

/* In the order of struct kvm_regs. */
enum { RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP, R8, R9, R10 };

/* Called by entry.S. True: answered, with the result in regs[RAX] and the new count in next. */
__attribute__((section(".text.start"))) bool tk_fast_call(void);
bool tk_fast_call(void)
{
	const u64 *regs = SHIM->regs;
	struct tk_record *record = RECORD;
	u32 n = record->count;
	struct call c = {
		.a = {regs[RDI], regs[RSI], regs[RDX], regs[R10], regs[R8], regs[R9]},
		.given = GIVEN,
		.state = &record->state[(n + 1) % 2],
		.entry = &record->entries[n],
	};
	long result;

	if (n >= TK_FAST_CALLS)
		return false;
	*c.state = n ? record->state[n % 2] : c.given->state;
	result = answer(&c, (u32)regs[RAX]);
	if (result == PASS)
		return false;
	c.entry->nr = (u32)regs[RAX];
	SHIM->next = n + 1;
	SHIM->result = (u64)result;
	return true;
}
