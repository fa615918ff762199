/* SPDX-License-Identifier: MIT */
/* What the fast path has on record, done to the real objects. */
#ifndef TK_MACHINE_REPLAY_H
#define TK_MACHINE_REPLAY_H

#include "machine/fast.h"

/*
 * @entries is the VMM's copy of what the guest has written, @count at most TK_FAST_CALLS; it is
 * checked against what was given. As tk_fast_settle().
 */
int tk_replay(struct tk_fast *fast, struct tk_proc *proc, const struct tk_fast_entry *entries,
	      u32 count) TK_MUST_CHECK;

#endif
