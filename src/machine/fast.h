/* SPDX-License-Identifier: MIT */
/*
 * The fast path's side in the VMM (docs/internals/fastpath.md): saying how things are before the
 * guest runs, and doing afterwards what it has on record.
 */
#ifndef TK_MACHINE_FAST_H
#define TK_MACHINE_FAST_H

#include "fs/epoll.h"
#include "guest/ahead.h"
#include "guest/clock.h"
#include "guest/fast.h"
#include "kvm/vcpu.h"
#include "net/sock.h"
#include "task/task.h"

/* All zero: off. */
struct tk_fast {
	struct tk_given *given; /* NULL: off */
	struct tk_record *record;
	struct tk_shim_page *shim;
	u8 *in, *out;

	/* What was given; NULL between runs, or if there is none. Borrowed. */
	struct tk_sock *listener, *conn;
	struct tk_epoll *epoll;
	struct tk_file *file;

	bool opened; /* by the last call that left, with this result: */
	u32 opened_fd;
	const struct tk_sock *drained; /* all that had been received was taken; only compared */
	u32 in_there;		       /* bytes that had been received: @in may be less */
	u32 used;		       /* bytes of @in that were ever written */
	u32 file_used;		       /* the same of what a file holds */
	u64 served;		       /* calls answered in the guest */
};

/* Switch it on, if the VM can do it. */
void tk_fast_init(struct tk_fast *fast, struct tk_vm *vm);

/* @task's call has returned @result. */
void tk_fast_note(struct tk_fast *fast, const struct tk_task *task, long result);

/*
 * The very last before @task runs: nothing that the guest could notice may come behind it, but
 * reading ahead.
 */
void tk_fast_give(struct tk_fast *fast, struct tk_task *task, const struct tk_clock *clock);

/* Its part, behind what is given of the connection: the file that was opened. */
void tk_fast_give_file(struct tk_fast *fast, struct tk_proc *proc, const struct tk_clock *clock);

/*
 * The very first after it ran. 0; -EPROTO: what is on record cannot have happened, the guest wrote
 * it; another -errno: the host could not do what was promised.
 */
int tk_fast_settle(struct tk_fast *fast, struct tk_proc *proc) TK_MUST_CHECK;

/* As tk_ahead_reset(), which clears the pages that the guest writes. */
void tk_fast_reset(struct tk_fast *fast);

#endif
