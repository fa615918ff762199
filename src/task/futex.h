/* SPDX-License-Identifier: MIT */
/* Waiting on a word of memory (futex(2)), and what a thread's end does to its locks. */
#ifndef TK_TASK_FUTEX_H
#define TK_TASK_FUTEX_H

#include "task/task.h"

#define TK_FUTEX_ANY 0xffffffffu /* FUTEX_BITSET_MATCH_ANY */

/*
 * FUTEX_WAIT and FUTEX_WAIT_BITSET, as a handler that can block: 0 once woken, -EAGAIN if the
 * word is not @expected, -ETIMEDOUT, -EFAULT, -EINVAL, or what tk_block() says.
 * @deadline: CLOCK_MONOTONIC ns or TK_FOREVER, the same at every entry.
 */
long tk_futex_wait(struct tk_task *task, gva_t addr, bool shared, u32 expected, u32 bitset,
		   s64 deadline);

/* Wake up to @max waiters whose bitset meets @bitset. Returns how many, or -EFAULT, -EINVAL. */
long tk_futex_wake(struct tk_proc *proc, gva_t addr, bool shared, int max, u32 bitset);

/* Wake @max, move up to @max_move others to wait on @to. Returns how many of both together. */
long tk_futex_requeue(struct tk_proc *proc, gva_t from, gva_t to, bool shared, int max,
		      int max_move);

/* Mark the robust futexes that @task holds as their owner's death, and wake one waiter each. */
void tk_robust_list_exit(struct tk_task *task);

#endif
