/* SPDX-License-Identifier: MIT */
/* The process of a frozen machine, and those of its forks. */
#ifndef TK_TASK_FORK_H
#define TK_TASK_FORK_H

#include "base/error.h"
#include "task/task.h"

/*
 * Can @proc be frozen as it is: does every task wait in a system call that may be entered again
 * elsewhere, and nothing make it leave that? -EBUSY if not, -ENOTSUP if never (both with a
 * message).
 */
int tk_proc_freezable(struct tk_proc *proc, struct tkvm_error *err) TK_MUST_CHECK;

/*
 * Make @proc what frozen @tmpl is, tasks included: a process that has none yet, or one that was
 * made so before and has run since. Its descriptors, namespace and address space are the caller's,
 * and have to be right already. 0 or -ENOMEM, -EAGAIN: only to be destroyed then.
 * @files_renewed: host descriptors are different ones now; blocked calls have to look for theirs.
 */
int tk_proc_restore(struct tk_proc *proc, const struct tk_proc *tmpl,
		    bool files_renewed) TK_MUST_CHECK;

/*
 * A fork is about to run for the first time since it was made or put back. For it no time has
 * passed since the freezing: its monotonic clocks are @lag behind the host's, and deadlines that
 * much later. Timers that follow the time of day are not.
 */
void tk_proc_start(struct tk_proc *proc, const struct tk_clock_lag *lag);

#endif
