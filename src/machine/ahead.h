/* SPDX-License-Identifier: MIT */
/*
 * Reading ahead: a program that reads a regular file from one end to the other is given what it
 * will ask for next, and the shim answers from that. docs/internals/readahead.md says why nobody
 * can tell.
 */
#ifndef TK_MACHINE_AHEAD_H
#define TK_MACHINE_AHEAD_H

#include "fs/file.h"
#include "guest/ahead.h"
#include "guest/clock.h"
#include "kvm/vcpu.h"
#include "task/task.h"

/* What was read serves as long as a published clock is valid (guest/clock.c). */
#define TK_AHEAD_NS (10 * 1000 * 1000)

/* All zero: off. */
struct tk_ahead {
	struct tk_ahead_page *page; /* NULL: off */
	struct tk_shim_page *shim;
	struct tk_ahead_pace pace;

	/* The last read, and where it ended. @file is only compared: it may be gone. */
	const struct tk_file *file;
	s64 end;
	u64 n;
	u32 fd;
	bool want; /* it was the second in a row: read ahead before the program runs on */

	struct tk_file *given; /* whose data the guest has; NULL between runs */
	u32 used;	       /* bytes of the guest's view that were ever written */
	u64 served;	       /* reads answered in the guest */
};

/* Switch it on, if the VM can do it. */
void tk_ahead_init(struct tk_ahead *ahead, struct tk_vm *vm);

/* @task's call of read(2) has returned @result. */
void tk_ahead_note(struct tk_ahead *ahead, const struct tk_task *task, long result);

/*
 * Somebody outside can write what the guest has in its memory, or see what it writes there: so it
 * can learn of something newer than what it was given, or tell of it, without a call.
 */
bool tk_ahead_in_contact(struct tk_proc *proc);

/* The very last before the guest runs: nothing may come in between that the guest could notice. */
void tk_ahead_give(struct tk_ahead *ahead, struct tk_proc *proc, const struct tk_clock *clock);

/* The very first after it ran. @early: it was made to stop, so what it took says little. */
void tk_ahead_settle(struct tk_ahead *ahead, struct tk_proc *proc, bool early);

/*
 * Forget everything, also what the guest may have left in its page and could still read of what it
 * was given: as after tk_ahead_init(). For whoever makes a used machine like new; also if it is
 * off.
 */
void tk_ahead_reset(struct tk_ahead *ahead, struct tk_vm *vm);

#endif
