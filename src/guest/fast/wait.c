/* SPDX-License-Identifier: MIT */
/*
 * The fast path: what the connection and the listening sockets are ready for, by epoll(7), poll(2)
 * and select(2). epoll_wait may tell a part of what is ready; the others tell all that is asked
 * for, or leave.
 */
#include <asm/unistd_64.h>

#include "call.h"

#define CTL_ADD	    1
#define CTL_DEL	    2
#define CTL_MOD	    3
#define EVENTS_MOST (0x7fffffff / (int)sizeof(struct event))
#define POLLS_MOST  16
#define POLL_KNOWN  (POLL_IN | POLL_OUT | POLL_PRI | POLL_RDHUP)
#define FD_WORDS    (TK_FAST_FDS / 64)
#define PER_SEC_NS  1000000000
#define PER_SEC_US  1000000

struct polled {
	int fd;
	u16 events, revents;
};

/* struct timespec, struct timeval */
struct timeout {
	s64 sec, part;
};

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
	    !fetch(&event, c->a[3], sizeof(event)) ||
	    event.events & ~(POLL_ANY | POLL_ET | POLL_ONESHOT))
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
	    (state->events & (POLL_ET | POLL_ONESHOT) && !state->armed))
		return 0;
	if (state->in_pos < c->given->in_len)
		ready |= POLL_IN;
	if (c->given->budget > state->spent)
		ready |= POLL_OUT;
	return ready & state->events;
}

/*
 * False: whether there is more to receive, or room to send, is the host's to say. One event tells
 * all that a file is ready for.
 */
static bool is_known(const struct call *c, u32 asked)
{
	const struct tk_fast_state *state = c->state;
	const struct tk_given *given = c->given;

	return !(asked & POLL_WRBAND) &&
	       (!(asked & POLL_IN) || given->in_all || state->in_pos < given->in_len) &&
	       (!(asked & POLL_OUT) || given->budget > state->spent);
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
	if (state->registered && !is_known(c, state->events))
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
	return at_once && c->given->quiet ? answered(c, 0) : PASS;
}

/* The mask matters only to who waits; but it has to be there. */
static bool mask_is_good(const struct call *c)
{
	u64 mask;

	return !c->a[4] || (c->a[5] == sizeof(mask) && fetch(&mask, c->a[4], sizeof(mask)));
}

/* What is not used of the time is what was given: no time has passed. False: PASS. */
static bool fetch_timeout(u64 addr, s64 parts, bool *waits)
{
	struct timeout timeout = {1, 0};

	if (addr && !fetch(&timeout, addr, sizeof(timeout)))
		return false;
	*waits = timeout.sec || timeout.part;
	return timeout.sec >= 0 && timeout.part >= 0 && timeout.part < parts;
}

static long do_epoll_pwait2(struct call *c)
{
	bool waits;

	if (!mask_is_good(c) || !fetch_timeout(c->a[3], PER_SEC_NS, &waits))
		return PASS;
	return do_epoll_wait(c, !waits);
}

/* All that @fd is ready for, of @asked. False: that is not known. */
static bool readiness(const struct call *c, u64 fd, u32 asked, u32 *ready)
{
	const struct tk_fast_state *state = c->state;
	const struct tk_given *given = c->given;
	enum tk_fast_class class = class_of(c, fd);
	bool more = state->in_pos < given->in_len;

	if (class == TK_FAST_LISTENER || class == TK_FAST_IDLE) {
		bool offered = class == TK_FAST_LISTENER && state->conn == TK_CONN_OFFERED;

		*ready = offered ? asked & POLL_IN : 0;
		return true;
	}
	if (!is_conn(c, fd) || state->shut || (!given->in_all && asked & (POLL_PRI | POLL_RDHUP)) ||
	    !is_known(c, asked))
		return false;
	*ready = asked & ((more ? POLL_IN : 0) | POLL_OUT);
	return true;
}

static long poll_all(struct call *c, struct polled *all, u32 n)
{
	long found = 0;
	u32 ready;

	for (u32 i = 0; i < n; i++) {
		all[i].revents = 0;
		if (all[i].fd < 0)
			continue;
		if (all[i].events & ~POLL_KNOWN ||
		    !readiness(c, (u64)all[i].fd, all[i].events, &ready))
			return PASS;
		all[i].revents = (u16)ready;
		found += ready != 0;
	}
	return found;
}

/* @waits: for what is not known here, if nothing is found. */
static long do_poll(struct call *c, bool waits)
{
	struct polled all[POLLS_MOST];
	u32 n = (u32)c->a[1];
	long found;

	if (!n || n > POLLS_MOST || n > c->given->fd_limit ||
	    !fetch(all, c->a[0], n * sizeof(*all)))
		return PASS;
	found = poll_all(c, all, n);
	if (found == PASS || (!found && waits) || !store(c->a[0], all, n * sizeof(*all)))
		return PASS;
	return answered(c, found);
}

/* With a mask, signals may come that are blocked: if there is nothing else, that is looked at. */
static long do_ppoll(struct call *c)
{
	u64 mask;
	bool waits;

	if (!fetch_timeout(c->a[2], PER_SEC_NS, &waits) ||
	    (c->a[3] && (c->a[4] != sizeof(mask) || !fetch(&mask, c->a[3], sizeof(mask)))))
		return PASS;
	return do_poll(c, waits || c->a[3]);
}

/* What select(2) means by its sets, one after the other. */
static u32 asked_by(u32 set)
{
	return set == 0 ? POLL_IN : set == 1 ? POLL_OUT : POLL_PRI;
}

/* Of the first @n descriptors of a set those that are ready stay. Their number, or PASS. */
static long filter(const struct call *c, u64 *set, u32 n, u32 asked)
{
	long found = 0;
	u32 ready;

	for (u32 fd = 0; fd < (n + 63) / 64 * 64; fd++) {
		u64 bit = 1ull << (fd % 64);

		if (!(set[fd / 64] & bit))
			continue;
		ready = 0;
		if (fd < n && !readiness(c, fd, asked, &ready))
			return PASS;
		if (!ready)
			set[fd / 64] &= ~bit;
		found += ready != 0;
	}
	return found;
}

/* Descriptors beyond the table do not exist. */
static long do_select(struct call *c, bool waits)
{
	u32 n = (u32)c->a[0] < c->given->n_fds ? (u32)c->a[0] : c->given->n_fds;
	u64 sets[3][FD_WORDS], size = (n + 63) / 64 * 8;
	long found = 0, some;

	if ((int)c->a[0] < 0 || n > TK_FAST_FDS)
		return PASS;
	for (u32 k = 0; k < 3; k++) {
		if (!c->a[1 + k])
			continue;
		if (!fetch(sets[k], c->a[1 + k], size))
			return PASS;
		some = filter(c, sets[k], n, asked_by(k));
		if (some == PASS)
			return PASS;
		found += some;
	}
	if (!found && waits)
		return PASS;
	/* Made once more, the call finds what is ready in what is left, or nothing, in nothing. */
	for (u32 k = 0; k < 3; k++)
		if (c->a[1 + k] && !store(c->a[1 + k], sets[k], size))
			return PASS;
	return answered(c, found);
}

static long do_pselect(struct call *c)
{
	struct {
		u64 set, size;
	} mask = {0, 0};
	u64 set;
	bool waits;

	if (!fetch_timeout(c->a[4], PER_SEC_NS, &waits) ||
	    (c->a[5] && !fetch(&mask, c->a[5], sizeof(mask))) ||
	    (mask.set && (mask.size != sizeof(set) || !fetch(&set, mask.set, sizeof(set)))))
		return PASS;
	return do_select(c, waits || mask.set);
}

static long about_sets(struct call *c, u32 nr)
{
	bool waits;

	switch (nr) {
	case __NR_poll:
		return do_poll(c, (u32)c->a[2]);
	case __NR_ppoll:
		return do_ppoll(c);
	case __NR_select:
		return fetch_timeout(c->a[4], PER_SEC_US, &waits) ? do_select(c, waits) : PASS;
	case __NR_pselect6:
		return do_pselect(c);
	default:
		return PASS;
	}
}

long about_events(struct call *c, u32 nr)
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
	default:
		return about_sets(c, nr);
	}
}
