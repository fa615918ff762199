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

struct tk_timer;

/* One queued signal. Those of POSIX timers belong to the timer and are queued once at most. */
struct tk_sigentry {
	struct tk_list link;
	struct tk_siginfo info;
	struct tk_timer *timer; /* NULL: allocated for this signal, freed when it is taken */
};

struct tk_proc_signals {
	struct tk_sigaction actions[TK_NSIG + 1];
	struct tk_sigqueue shared; /* sent to the process */
	unsigned int queued;	   /* entries in all queues, against RLIMIT_SIGPENDING */
};

struct tk_task_signals {
	tk_sigset blocked;
	tk_sigset saved; /* rt_sigsuspend, ppoll, ...: restored once the handler was set up */
	bool restore_saved;
	tk_sigset awaited;	/* rt_sigtimedwait: these end the wait though they are blocked */
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

/*
 * A signal that must interrupt what @task does is waiting: unblocked, and not just ignored.
 * SIGKILL and fatal defaults count.
 */
bool tk_signal_pending(const struct tk_task *task);

/*
 * Take the next pending signal of @set for @task, its own before the process's. Returns its
 * number and fills *@info, or 0.
 */
int tk_signal_dequeue(struct tk_task *task, tk_sigset set, struct tk_siginfo *info);

/* Is the signal dropped when it is sent unblocked: SIG_IGN, or default and harmless? */
bool tk_signal_ignored(const struct tk_proc *proc, int signo);

/* Its action is to stop the process. */
bool tk_signal_stops(const struct tk_proc *proc, int signo);

/* Forget everything pending in @set, for the process and its tasks. */
void tk_signal_discard(struct tk_proc *proc, tk_sigset set);

/*
 * Put @entry, which is in no queue, into @target's (NULL: the process's). False if there was
 * nothing to queue (ignored; a stop signal that took effect): @entry remains the caller's.
 */
bool tk_signal_enqueue(struct tk_proc *proc, struct tk_task *target, struct tk_sigentry *entry);

/* All pending signals that @task could see: its own and the process's. */
tk_sigset tk_signal_pending_set(const struct tk_task *task);

/* Block exactly @set (SIGKILL and SIGSTOP excepted); wakes others that may take what it leaves. */
void tk_sigmask_set(struct tk_task *task, tk_sigset set);

/*
 * The mask argument of ppoll, pselect6, epoll_pwait: install it for the length of this call.
 * @mask 0: nothing to do. The run loop puts the old one back. Harmless on restarts of the call.
 * Returns 0, -EINVAL (@size is not 8), -EFAULT.
 */
int tk_sigmask_temp(struct tk_task *task, gva_t mask, u64 size) TK_MUST_CHECK;

/* The same with the mask at hand (rt_sigsuspend). */
void tk_sigmask_temp_set(struct tk_task *task, tk_sigset set);

/* After a system call that no signal interrupted: put back the mask of before it. */
void tk_sigmask_restore(struct tk_task *task);

/*
 * Before @task returns to the program: act on everything pending, build frames, decide about an
 * interrupted system call. Afterwards the program may run, unless proc->exiting or ->stopped.
 */
void tk_signal_deliver(struct tk_task *task);

/* Carry out pending signals that need no handler (ignore, stop, die); see tk_block*(). */
void tk_signal_settle(struct tk_task *task);

/* sigaltstack(2) without the check for being on the stack. 0, -EINVAL (flags), -ENOMEM (size). */
int tk_altstack_set(struct tk_task *task, gva_t sp, int flags, u64 size);

/* siginfo of kill(2) and of signals from outside (pid 0). */
struct tk_siginfo tk_siginfo_user(int signo, int code, int pid, uid_t uid);
struct tk_siginfo tk_siginfo_kernel(int signo);

void tk_proc_signals_init(struct tk_proc_signals *sig);
void tk_task_signals_init(struct tk_task_signals *sig);
/* Forget all of @queue, one of @proc's. */
void tk_sigqueue_flush(struct tk_proc *proc, struct tk_sigqueue *queue);

/* "SIGSEGV", "SIGRTMIN+3"; for people. @buf of at least 16 bytes is used where needed. */
const char *tk_signal_name(int signo, char *buf, size_t size);

#endif
