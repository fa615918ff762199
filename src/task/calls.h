/* SPDX-License-Identifier: MIT */
/* Counts of system calls by number, and of those among them that did not leave the guest. */
#ifndef TK_TASK_CALLS_H
#define TK_TASK_CALLS_H

#include "base/types.h"

#define TK_SYSCALL_MAX 512

struct tk_calls {
	u64 made[TK_SYSCALL_MAX], inside[TK_SYSCALL_MAX];
	u64 seen[TK_SYSCALL_MAX / 64]; /* a bit for each number that was made: a program uses few */
};

static inline void tk_calls_made(struct tk_calls *calls, u64 nr, u64 n)
{
	if (!calls || nr >= TK_SYSCALL_MAX || !n)
		return;
	calls->made[nr] += n;
	calls->seen[nr / 64] |= 1ull << nr % 64;
}

/* The same, by code in the guest. */
static inline void tk_calls_inside(struct tk_calls *calls, u64 nr, u64 n)
{
	tk_calls_made(calls, nr, n);
	if (calls && nr < TK_SYSCALL_MAX)
		calls->inside[nr] += n;
}

#endif
