/* SPDX-License-Identifier: MIT */
/* The x86-64 rt_sigframe on the program's stack: exactly what Linux puts there. */
#ifndef TK_TASK_SIGFRAME_H
#define TK_TASK_SIGFRAME_H

#include "task/task.h"

/* Offsets in the frame: return address, ucontext, siginfo. */
#define TK_FRAME_UC   8
#define TK_FRAME_INFO 312

/*
 * Put a frame for @signo on the stack that @action asks for and reset the FPU for the handler.
 * Registers are the caller's part. 0 and *@frame, or -EFAULT: the stack has no room.
 */
int tk_sigframe_push(struct tk_task *task, int signo, const struct tk_sigaction *action,
		     const struct tk_siginfo *info, gva_t *frame) TK_MUST_CHECK;

/*
 * rt_sigreturn: load the context at the program's RSP - 8, every value made harmless.
 * -EFAULT: it is not a context, SIGSEGV.
 */
int tk_sigframe_pop(struct tk_task *task) TK_MUST_CHECK;

/* Is @sp on the alternate stack, as sigaltstack(2) understands it? */
bool tk_on_altstack(const struct tk_task *task, gva_t sp);

/* Queue SIGSEGV (SI_KERNEL) and the like for @task; blocked or ignored ones kill. */
void tk_signal_force(struct tk_task *task, int signo);

#endif
