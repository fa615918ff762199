/* SPDX-License-Identifier: MIT */
/* Signal state of a process and of a task, and what other parts may do with it. */
#ifndef TK_TASK_SIGNAL_H
#define TK_TASK_SIGNAL_H

#include "base/list.h"
#include "base/types.h"

#define TK_NSIG 64

/* Bit n-1 is signal n, as in the kernel's sigset_t. */
typedef u64 tk_sigset;
#define TK_SIGBIT(sig) (1ull << ((sig)-1))

/* The kernel's struct sigaction on x86-64 (asm/signal.h), which is what guests pass. */
struct tk_sigaction {
	u64 handler;
	u64 flags;
	u64 restorer;
	tk_sigset mask;
};

/* The kernel's siginfo_t, 128 bytes; filled field by field from the guest ABI's offsets. */
struct tk_siginfo {
	int signo, err, code, pad;
	u8 fields[112];
};

struct tk_sigqueue {
	tk_sigset pending; /* which have at least one entry, or are pending without info */
	struct tk_list list;
	unsigned int n;
};

struct tk_proc_signals {
	struct tk_sigaction actions[TK_NSIG + 1];
	struct tk_sigqueue shared; /* sent to the process */
};

struct tk_task_signals {
	tk_sigset blocked;
	tk_sigset saved;      /* rt_sigsuspend, ppoll, ...: restored once the handler was set up */
	bool restore_saved;
	struct tk_sigqueue own; /* sent to this thread */
	gva_t alt_sp;
	u64 alt_size;
	int alt_flags;
};

struct tk_task;
struct tk_proc;

/* Queue a signal; wakes a task that can take it. Returns 0 or -EAGAIN (queue limit). */
int tk_signal_task(struct tk_task *task, const struct tk_siginfo *info);
int tk_signal_proc(struct tk_proc *proc, const struct tk_siginfo *info);

/* A fault of the running program: delivered before it runs on, even if blocked (then fatal). */
void tk_signal_fault(struct tk_task *task, int signo, int code, u64 addr, unsigned int vector,
		     u64 error_code, u64 cr2);

/* A deliverable signal is waiting for @task. */
bool tk_signal_pending(const struct tk_task *task);

#endif
