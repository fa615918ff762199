/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the fast path's code share. It runs in the guest at CPL 3 with the program's
 * own rights, on a stack of its own, general registers only (entry.S saves those of the program).
 * See guest/fast.h.
 *
 * Rules: nothing that a program or the VMM can see changes, but memory that the program passed for
 * that and the next state and entry of the record, before entry.S stores the new count. So a fault
 * at the program's pointers, or being stopped, simply ends in the VMM making the call (kvm/shim.c).
 * That has to find the same then: what is both read and written is written only as it is, or so
 * that it makes no difference.
 *
 * Whatever is not certain is PASSed: it leaves, as if this were not here.
 */
#ifndef TK_GUEST_FAST_CALL_H
#define TK_GUEST_FAST_CALL_H

#include "guest/ahead.h"
#include "guest/fast.h"

#define SHIM   ((struct tk_shim_page *)TK_SHIM_VA)
#define GIVEN  ((const struct tk_given *)TK_GIVEN_VA)
#define RECORD ((struct tk_record *)(TK_SHIM_VA + TK_RECORD_AT))

#define PASS (-4096L) /* no result of any call */

/* Linux's numbers, without its headers, which are not for freestanding code. */
#define EAGAIN	     11
#define ENOTTY	     25
#define NONBLOCK     04000
#define CLOEXEC	     02000000
#define MSG_PEEK     2
#define MSG_DONTWAIT 0x40
#define POLL_IN	     0x41u   /* EPOLLIN, EPOLLRDNORM */
#define POLL_OUT     0x104u  /* EPOLLOUT, EPOLLWRNORM */
#define POLL_WRBAND  0x200u  /* of unix sockets that have room */
#define POLL_ANY     0x27dfu /* all that can be asked for, but the flags */
#define POLL_PRI     2u
#define POLL_RDHUP   0x2000u
#define POLL_ONESHOT (1u << 30)
#define POLL_ET	     (1u << 31)

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

#define PIECES_MOST 16

static inline void copy(void *to, const void *from, u64 n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static inline void *at(u64 addr)
{
	return (void *)addr; // NOLINT
}

/* Not above what programs have: there, Linux says EFAULT, and so does the VMM. */
static inline bool is_user(u64 addr, u64 len)
{
	return addr < TK_USER_TOP && len <= TK_USER_TOP - addr;
}

/* Copies of what the program points at; false: PASS. */
static inline bool fetch(void *to, u64 addr, u64 len)
{
	if (!is_user(addr, len))
		return false;
	copy(to, at(addr), len);
	return true;
}

static inline bool store(u64 addr, const void *from, u64 len)
{
	if (!is_user(addr, len))
		return false;
	copy(at(addr), from, len);
	return true;
}

/*
 * Store the word at @addr, which was @old, as the last of a call. What is volatile stays in order:
 * until the call has happened, the VMM puts the word back.
 */
static inline bool change(u64 addr, u64 old, u64 value)
{
	volatile struct tk_shim_page *shim = SHIM;

	if (!is_user(addr, sizeof(value)))
		return false;
	shim->old = old;
	shim->undo = addr;
	*(volatile u64 *)at(addr) = value;
	return true;
}

static inline enum tk_fast_class class_of(const struct call *c, u64 fd)
{
	return (u32)fd < TK_FAST_FDS ? c->given->class[(u32)fd] : TK_FAST_OTHER;
}

static inline bool is_conn(const struct call *c, u64 fd)
{
	return c->state->conn == TK_CONN_OPEN && (u32)fd == c->given->conn_fd;
}

/* The file that was opened last. */
static inline bool is_file(const struct call *c, u64 fd)
{
	return c->state->file && (u32)fd == c->given->file_fd;
}

/* What was given of it is that young. */
static inline bool is_fresh(const struct call *c)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return ((u64)high << 32 | low) < c->given->deadline;
}

/* All that the file holds is there. */
static inline bool is_content(const struct call *c)
{
	return c->given->file_whole && is_fresh(c);
}

static inline long did(struct call *c, enum tk_fast_deed deed, u64 a, u64 b, long result)
{
	c->entry->deed = deed;
	c->entry->a = a;
	c->entry->b = b;
	return result;
}

/* It changes nothing. */
static inline long answered(struct call *c, long result)
{
	return did(c, TK_DID_NOTHING, 0, 0, result);
}

/* All of the program's; *@total is the sum. */
static inline bool are_user(const struct piece *pieces, u32 n, u64 *total)
{
	*total = 0;
	for (u32 i = 0; i < n; i++) {
		if (!is_user(pieces[i].base, pieces[i].len))
			return false;
		*total += pieces[i].len;
	}
	return true;
}

static inline bool fetch_pieces(struct piece *pieces, u64 addr, u64 n)
{
	return n && n <= PIECES_MOST && fetch(pieces, addr, n * sizeof(*pieces));
}

/* Each answers system call @nr, or PASSes. */
long about_data(struct call *c, u32 nr);   /* of the connection: what comes and goes */
long about_events(struct call *c, u32 nr); /* epoll(7), poll(2), select(2) */
long about_file(struct call *c, u32 nr);   /* the file that was opened last */

#endif
