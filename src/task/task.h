/* SPDX-License-Identifier: MIT */
/*
 * The guest's process and its threads, as system calls see them.
 *
 * All tasks of a process are run by one host thread, one at a time: no locks. A task that has to
 * wait does not keep the host thread: its handler describes what it waits for and returns
 * TK_BLOCKED, and the handler is *called again with the same arguments* when the condition holds,
 * the deadline has passed, or somebody woke it (task/wait.h).
 */
#ifndef TK_TASK_TASK_H
#define TK_TASK_TASK_H

#include <poll.h>
#include <limits.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/uregs.h"
#include "fs/fdtable.h"
#include "fs/path.h"
#include "mm/access.h"
#include "net/net.h"
#include "policy/policy.h"
#include "task/attrs.h"
#include "task/signal.h"

/*
 * The process id that a guest starts with; thread ids count up from it. A fork may have another
 * one (proc->pid); its first thread keeps this as its thread id.
 */
#define TK_GUEST_PID 2
#define TK_PID_LAST  4194303 /* PID_MAX_LIMIT - 1 (linux/threads.h) */

/* What a handler returns instead of a result. */
#define TK_BLOCKED   LONG_MIN	    /* task->wait says for what */
#define TK_NO_RESULT (LONG_MIN + 1) /* registers were set by the handler: leave RAX alone */

struct tk_calls;
struct tk_task;
struct tk_proc;

enum tk_task_state { TK_TASK_RUNNABLE, TK_TASK_BLOCKED, TK_TASK_DEAD };

/* Which internal restart code a signal turns a blocked call into (kernel: ERESTART*). */
enum tk_restart {
	TK_RESTART_SYS,	   /* restart if SA_RESTART or no handler runs, else -EINTR */
	TK_RESTART_NOHAND, /* restart only if no handler runs, else -EINTR */
	TK_RESTART_NEVER,  /* -EINTR whenever a handler runs or not stopped */
};

struct tk_wait {
	struct pollfd *fds; /* host descriptors, any of which ends the wait; inline_fds or malloc */
	unsigned int nfds;
	struct pollfd inline_fds[4];
	s64 deadline; /* CLOCK_MONOTONIC ns, TK_FOREVER */
	bool begun;   /* the call was entered before: this is a restart, deadline is fixed */
	bool woken;   /* tk_task_wake() ended the wait (futex, signal) */
	enum tk_restart restart;
	u64 progress; /* handler's own: bytes done so far, phase, ... 0 at first entry */
	void *priv;   /* handler's own: freed with free() when the call ends */
	/* Handler's own: called first when the call ends, however it ends (leave a queue, ...). */
	void (*cancel)(struct tk_task *task);
};

/* Access to the vCPU behind a task; fakes stand in for it in tests. */
struct tk_cpu_ops {
	int (*get_segbase)(void *cpu, int which /* enum tk_segbase */, u64 *base);
	int (*set_segbase)(void *cpu, int which, u64 base);
	int (*get_xsave)(void *cpu, void *area, size_t size);
	int (*set_xsave)(void *cpu, const void *area, size_t size);
	/* The next return to the program must load every register (rt_sigreturn, signals). */
	void (*resume_full)(void *cpu);
};

struct tk_task {
	struct tk_proc *proc;
	struct tk_list link; /* in proc->tasks */
	int tid;
	enum tk_task_state state;
	struct tk_uregs *regs; /* the program's registers since its last exit */
	const struct tk_cpu_ops *cpu_ops;
	void *cpu; /* struct tk_vcpu */
	size_t xsave_size;

	/* the system call being carried out */
	u64 nr;
	u64 args[6];
	struct tk_wait wait;
	bool in_call;	 /* it has no result yet: it is entered again instead of the program */
	int interrupted; /* TK_ERESTART* that it ended with; signal delivery decides, 0: none */
	struct tk_task_fault {
		bool pending;
		struct tk_siginfo info;
	} fault;
	struct tk_trap { /* of the last fault, as later signal frames show it too */
		u64 trapno, err, cr2;
	} trap;
	struct tk_futex_wait {
		struct tk_list link; /* in proc->futexes while queued */
		struct tk_futex_key key;
		u32 bitset;
		bool queued;
	} futex;

	char comm[16];
	gva_t clear_child_tid;
	gva_t robust_list;
	struct tk_task_signals sig;
	s64 cpu_ns;	 /* time spent in the guest and on its behalf, see tk_proc_account() */
	s64 vtime_shift; /* the scheduler's, see machine/sched.c */
	int exit_status;
	struct tk_task_attrs attrs;

	const struct tk_task *origin; /* of a fork: the frozen task that it is a copy of */
	bool moved; /* it went on from there: the call was answered, or its state changed */
};

/* Identity and limits that programs ask for; set when the machine is made. */
struct tk_cred {
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;
};

struct tk_proc {
	struct tk_mm *mm;
	struct tk_fdtable files;
	struct tk_ns ns;   /* root, cwd, umask, grants, synthetic files */
	struct tk_net net; /* what its sockets share */
	const struct tk_policy *policy;
	struct tk_cred cred;
	struct rlimit rlimits[RLIM_NLIMITS];

	int pid;
	struct tk_list tasks;
	struct tk_task *leader;
	unsigned int n_tasks, max_tasks;
	unsigned int
		most_tasks; /* of a fork, whatever it was told of max_tasks; 0: no other limit */
	int next_tid;
	struct tk_proc_signals sig;
	struct tk_list futexes;	  /* waiting tasks, oldest first */
	struct tk_list timers;	  /* struct tk_timer (task/timer.h) */
	struct tk_list signalfds; /* task/signalfd.h */
	struct tk_itimer {
		s64 expiry, interval; /* on the timer's own clock; expiry 0: disarmed */
	} itimers[3];
	struct tk_clock_lag
		lag;	  /* of a fork: how long its clocks stood still, see tk_proc_start() */
	s64 timers_pause; /* CLOCK_MONOTONIC: timers expire again from then on */
	int next_timer_id;
	unsigned int n_timers;
	bool attention;		 /* the run loop must look at deadlines and at who can run anew */
	bool yielded;		 /* sched_yield(2): let another one run */
	struct tk_task *current; /* the one whose CPU time is running, NULL between runs */
	s64 cpu_mark;		 /* the host thread's CPU clock when @current was accounted */
	s64 dead_cpu_ns;	 /* of tasks that are gone */
	u64 xcr0;		 /* extended states that guests have */
	size_t xstate_size;	 /* bytes of an XSAVE image with these, standard format */

	char *exe;			/* guest path of the program */
	struct tk_buf argv, envp, auxv; /* as put on the stack: /proc/self/{cmdline,environ,auxv} */
	s64 start_ns;			/* CLOCK_BOOTTIME at boot */
	u64 total_memory;		/* what /proc/meminfo and sysinfo call MemTotal */
	u64 max_memfds;			/* bytes that all memfds may hold; 0: any number */
	char hostname[65];
	s64 generation; /* sys/random.c; 0: not drawn yet, as after every reset */
	struct tk_proc_attrs attrs;

	/* outcome */
	bool exiting;
	bool stopped;	 /* SIGSTOP and its kin, until SIGCONT */
	int exit_status; /* exit_group(status & 0xff) */
	int term_signal; /* fatal signal, 0 if none */
	int limit_hit;	 /* enum tk_limit (machine/run.h), 0 if none */

	int trace_fd; /* strace-like lines go here; -1: off */
	struct tk_proc_stats {
		struct tk_calls *calls;
		u64 exits, faults, unknown_calls;
	} stats;
	void *machine; /* struct tk_machine, for the layer above */
	const struct tk_proc_ops *ops;
};

/* Remote calls (tinykvm/remote.h): handlers, as system calls have them. */
struct tk_remote_ops {
	long (*resume)(struct tk_task *task, gva_t buf, u64 len);
	long (*wait)(struct tk_task *task, gva_t buf, s64 result);
};

/* What only the layer above can do; NULL in tests that do not need it. */
struct tk_proc_ops {
	/*
	 * Give @child a vCPU of its own that starts with @parent's registers and FPU state, with
	 * child->regs valid at once for changes. 0, -EAGAIN, -ENOMEM.
	 */
	int (*cpu_clone)(struct tk_task *child, struct tk_task *parent, u64 fs_base);
	void (*cpu_destroy)(struct tk_task *task);
	/* Give @task the registers of frozen @tmpl, whether it has a vCPU or not. 0, -ENOMEM. */
	int (*cpu_restore)(struct tk_task *task, const struct tk_task *tmpl);
	const struct tk_remote_ops *remote;
};

/* Fill *@proc with the state of a process that has no task yet. */
void tk_proc_init(struct tk_proc *proc);
/* Frees tasks (with their vCPUs), timers, queued signals and strings; not mm, files, ns. */
void tk_proc_destroy(struct tk_proc *proc);
/* Is @pid the process, by the id that it has or the one that it started with? */
bool tk_proc_is(const struct tk_proc *proc, int pid);

/* A new task of @proc with the next thread id; NULL: out of memory or of max_tasks. */
struct tk_task *tk_task_new(struct tk_proc *proc);
/* The same with a thread id of the caller's choice, and whatever max_tasks says. */
struct tk_task *tk_task_new_as(struct tk_proc *proc, int tid);
/* Take the task out of the process and free it. It must not be proc->current. */
void tk_task_free(struct tk_task *task);
struct tk_task *tk_task_by_tid(struct tk_proc *proc, int tid); /* alive, or NULL */

/* End the process: exit_group(@status), or killed by @signo if that is not 0. First one wins. */
void tk_proc_exit(struct tk_proc *proc, int status, int signo);

/*
 * CPU time is that of the host thread, charged to proc->current. Bring its cpu_ns up to date
 * and make @next current (NULL: stop the clock). To read: tk_proc_account(p, p->current).
 */
void tk_proc_account(struct tk_proc *proc, struct tk_task *next);
s64 tk_proc_cpu_ns(struct tk_proc *proc);
s64 tk_task_cpu_ns(struct tk_task *task);

#endif
