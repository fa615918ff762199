/* SPDX-License-Identifier: MIT */
/* What poll(2) and select(2) share: asking about many guest descriptors, and waiting for them. */
#ifndef TK_SYS_POLLSET_H
#define TK_SYS_POLLSET_H

#include "sys/sys.h"

struct tk_pollset {
	struct pollfd *host; /* parallel to what was asked: fd -1 where no host descriptor counts */
	short *known;	     /* events known without the host: POLLNVAL, files always ready */
	unsigned int n;
	bool stuck; /* ready in ways that do not count: waiting on the descriptor would spin */
};

int tk_pollset_init(struct tk_pollset *set, unsigned int n) TK_MUST_CHECK;
void tk_pollset_destroy(struct tk_pollset *set);

/* Ask about guest descriptor @fd, as entry @i. False: there is no such file (POLLNVAL). */
bool tk_pollset_add(struct tk_pollset *set, unsigned int i, struct tk_task *task, u64 fd,
		    short events);

/* Fill host[].revents for all entries, without waiting. 0 or -errno. */
int tk_pollset_query(struct tk_pollset *set);

/* Entry @i is ready, but not for what the guest asked: do not wait for it. */
void tk_pollset_skip(struct tk_pollset *set, unsigned int i);

/* Block on all entries: what tk_block_fds() returns. */
long tk_pollset_block(struct tk_pollset *set, struct tk_task *task, s64 deadline);

/* Nanoseconds from now to @deadline, not negative. */
s64 tk_time_left(s64 deadline);

#endif
