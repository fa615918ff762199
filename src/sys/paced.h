/* SPDX-License-Identifier: MIT */
/*
 * Waits that no host descriptor ends: the operation would block although poll(2) calls the
 * descriptor ready (the peer's queue of an unconnected datagram socket, a full listen backlog),
 * or only events count that poll(2) cannot ask for alone. They are tried again at a slow pace.
 */
#ifndef TK_SYS_PACED_H
#define TK_SYS_PACED_H

#include "sys/sys.h"

/* Kept in task->wait.priv by calls that may pace. */
struct tk_paced {
	s64 deadline;  /* the call's own; task->wait.deadline is the next try */
	s64 batch_end; /* recvmmsg's timeout */
	u64 progress;  /* wait.progress when the call last blocked */
	int fruitless; /* how often since then it was woken for nothing */
};

/* task->wait.priv, made at first use; NULL: out of memory. */
struct tk_paced *tk_paced_state(struct tk_task *task);

/* When the blocked call of @task is over if nothing happens, whenever its next try may be. */
s64 tk_own_deadline(const struct tk_task *task);

/* tk_deadline() for calls that may pace. */
s64 tk_paced_deadline(struct tk_task *task, s64 rel_ns);

/* The call was entered before and @deadline has passed. */
bool tk_paced_expired(const struct tk_task *task, s64 deadline);

/* Block on @fds (may be none) and try again in a few milliseconds. As tk_block_fds(). */
long tk_block_paced(struct tk_task *task, const struct pollfd *fds, unsigned int n, s64 deadline);

/*
 * Block until @fd has @events; paced once it was called ready several times while the operation
 * would still block. As tk_block_fds().
 */
long tk_block_ready(struct tk_task *task, int fd, short events, s64 deadline);

#endif
