/* SPDX-License-Identifier: MIT */
/*
 * Waiting without keeping the host thread. The pattern of a handler that can block:
 *
 *	n = try it, without blocking;
 *	if (n != -EAGAIN || guest asked for O_NONBLOCK)
 *		return n;
 *	return tk_block_fd(task, file->hostfd, POLLIN, TK_FOREVER);
 *
 * The handler runs again, from its start, when the wait is over.
 *
 * If a signal is to be handled, tk_block*() does not block but returns -EINTR or one of the
 * TK_ERESTART* codes, chosen by tk_block_restart(). A handler passes that on, unless it has
 * something better to return (bytes done so far) or to clean up:
 *
 *	rc = tk_block_fd(...);
 *	return rc != TK_BLOCKED && done ? done : rc;
 */
#ifndef TK_TASK_WAIT_H
#define TK_TASK_WAIT_H

#include "task/task.h"

/*
 * Results (negated) that never reach the program: signal delivery turns them into -EINTR or into
 * a restart of the call, as the kernel does with its codes of the same numbers.
 */
#define TK_ERESTARTSYS	  512
#define TK_ERESTARTNOHAND 514

/*
 * The deadline of this call, @rel_ns from its *first* entry (negative or TK_FOREVER: never).
 * Returns the same number on every restart.
 */
s64 tk_deadline(struct tk_task *task, s64 rel_ns);

/* True if this is a restart and the deadline has passed: return the call's "timed out" value. */
bool tk_timed_out(const struct tk_task *task);

/* Each returns TK_BLOCKED, -ENOMEM, or what a signal makes of it. @deadline: CLOCK_MONOTONIC ns or
 * TK_FOREVER. */
long tk_block_fd(struct tk_task *task, int hostfd, short events, s64 deadline);
long tk_block_fds(struct tk_task *task, const struct pollfd *fds, unsigned int n, s64 deadline);
/* Wait for tk_task_wake() only (futex, sigsuspend, pause). */
long tk_block(struct tk_task *task, s64 deadline);

/* Default is TK_RESTART_SYS; call before returning tk_block*(). */
void tk_block_restart(struct tk_task *task, enum tk_restart restart);

/* End @task's wait: its handler is called again. Harmless if it does not wait. */
void tk_task_wake(struct tk_task *task);

/* The call is over (result known): frees what the wait holds. Called by the dispatcher. */
void tk_wait_end(struct tk_task *task);

#endif
