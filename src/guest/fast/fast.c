/* SPDX-License-Identifier: MIT */
/*
 * The fast path's code: what entry.S calls, which call is whose, and the calls about the connection
 * as such: its begin, its end, its names and options. See call.h for the rules.
 */
#include <asm/unistd_64.h>

#include "call.h"

_Static_assert(TK_KERNEL_VA + TK_AREA_FAST == 0x7fffc0008000, "fast.ld");
_Static_assert(TK_FAST_MAX == 0x4000, "fast.ld");
_Static_assert(__builtin_offsetof(struct tk_given, on) == TK_GIVEN_ON, "entry.S");
_Static_assert(__builtin_offsetof(struct tk_record, count) == TK_RECORD_COUNT, "entry.S");
_Static_assert(sizeof(struct tk_given) <= TK_GIVEN_IN, "layout.h");
_Static_assert(sizeof(struct tk_record) <= TK_PAGE_SIZE, "layout.h");

#define O_RDWR	      2
#define FIONBIO	      0x5421
#define F_GETFL	      3
#define F_SETFL	      4
#define SOL_SOCKET    1
#define SO_KEEPALIVE  9
#define IPPROTO_TCP   6
#define TCP_NODELAY   1
#define TCP_CORK      3
#define TCP_KEEPIDLE  4
#define TCP_KEEPINTVL 5
#define TCP_KEEPCNT   6
#define SHUT_WR	      1

/*
 * As tk_addr_out(), if there is room for all of it: of a name that was cut, the length that is
 * stored would be taken for the room if the call were made once more.
 */
static bool give_name(const u8 *name, u32 len, u64 addr, u64 lenp)
{
	int room;

	return len && fetch(&room, lenp, sizeof(room)) && room >= (int)len &&
	       store(addr, name, len) && store(lenp, &len, sizeof(len));
}

static long do_accept(struct call *c, u64 flags)
{
	const struct tk_given *given = c->given;
	enum tk_fast_class class = class_of(c, c->a[0]);

	if ((u32)flags & ~(u32)(NONBLOCK | CLOEXEC))
		return PASS;
	if (class == TK_FAST_IDLE || (class == TK_FAST_LISTENER && !given->accept_waits &&
				      c->state->conn != TK_CONN_OFFERED))
		return answered(c, -EAGAIN);
	/* Its number is the lowest that was free when this was given. */
	if (class != TK_FAST_LISTENER || c->state->conn != TK_CONN_OFFERED ||
	    c->state->file != given->state.file)
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
	return answered(c, 0);
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
	case TCP_CORK:
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
		return answered(c, O_RDWR | (c->state->nonblock ? NONBLOCK : 0));
	if (cmd == F_SETFL && !(c->a[2] & ~(u64)(O_RDWR | NONBLOCK)))
		return set_nonblock(c, (c->a[2] & NONBLOCK) != 0);
	return PASS;
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

/* What a program is: nothing changes that but calls that leave. */
static long about_program(struct call *c, u32 nr)
{
	const u32 *ids = c->given->ids;

	switch (nr) {
	case __NR_getpid:
		return answered(c, ids[TK_FAST_PID]);
	case __NR_gettid:
		return answered(c, ids[TK_FAST_TID]);
	case __NR_getppid:
		return answered(c, ids[TK_FAST_PPID]);
	case __NR_getuid:
		return answered(c, ids[TK_FAST_UID]);
	case __NR_geteuid:
		return answered(c, ids[TK_FAST_EUID]);
	case __NR_getgid:
		return answered(c, ids[TK_FAST_GID]);
	case __NR_getegid:
		return answered(c, ids[TK_FAST_EGID]);
	case __NR_sched_yield:
		return c->given->alone ? answered(c, 0) : PASS;
	default:
		return PASS;
	}
}

static long about_conn(struct call *c, u32 nr)
{
	switch (nr) {
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
	case __NR_shutdown:
		return do_shutdown(c);
	case __NR_close:
		return do_close(c);
	default:
		return about_data(c, nr);
	}
}

/* The kinds have no call in common, but those about a descriptor. */
static long answer(struct call *c, u32 nr)
{
	long result = is_file(c, c->a[0]) ? about_file(c, nr) : PASS;

	if (result == PASS)
		result = about_conn(c, nr);
	if (result == PASS)
		result = about_events(c, nr);
	return result == PASS ? about_program(c, nr) : result;
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
	SHIM->undo = 0;
	__asm__ volatile("" : : : "memory");
	SHIM->next = n + 1;
	*c.state = n ? record->state[n % 2] : c.given->state;
	result = answer(&c, (u32)regs[RAX]);
	if (result == PASS)
		return false;
	c.entry->nr = (u32)regs[RAX];
	SHIM->result = (u64)result;
	return true;
}
