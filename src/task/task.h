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
#include "policy/policy.h"
#include "task/signal.h"

/* The process id that every guest sees as its own; thread ids count up from it. */
#define TK_GUEST_PID 2

/* What a handler returns instead of a result. */
#define TK_BLOCKED   LONG_MIN	     /* task->wait says for what */
#define TK_NO_RESULT (LONG_MIN + 1)  /* registers were set by the handler: leave RAX alone */

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
	s64 deadline;	 /* CLOCK_MONOTONIC ns, TK_FOREVER */
	bool begun;	 /* the call was entered before: this is a restart, deadline is fixed */
	bool woken;	 /* tk_task_wake() ended the wait (futex, signal) */
	enum tk_restart restart;
	u64 progress;	 /* handler's own: bytes done so far, phase, ... 0 at first entry */
	void *priv;	 /* handler's own: freed with free() when the call ends */
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

struct tk_proc;

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

	char comm[16];
	gva_t clear_child_tid;
	gva_t robust_list;
	struct tk_task_signals sig;
	s64 cpu_ns; /* time spent in the guest and on its behalf */
};

/* Identity and limits that programs ask for; set when the machine is made. */
struct tk_cred {
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;
};

struct tk_proc {
	struct tk_mm *mm;
	struct tk_fdtable files;
	struct tk_ns ns; /* root, cwd, umask, grants, synthetic files */
	const struct tk_policy *policy;
	struct tk_cred cred;
	struct rlimit rlimits[RLIM_NLIMITS];

	struct tk_list tasks;
	struct tk_task *leader;
	unsigned int n_tasks, max_tasks;
	int next_tid;
	struct tk_proc_signals sig;

	char *exe;	    /* guest path of the program */
	struct tk_buf argv, envp, auxv; /* as put on the stack: /proc/self/{cmdline,environ,auxv} */
	s64 start_ns;	    /* CLOCK_MONOTONIC at boot */
	u64 total_memory;   /* what /proc/meminfo and sysinfo call MemTotal */
	char hostname[65];

	/* outcome */
	bool exiting;
	int exit_status; /* exit_group(status & 0xff) */
	int term_signal; /* fatal signal, 0 if none */
	int limit_hit;	 /* enum tk_limit (machine/run.h), 0 if none */

	int trace_fd; /* strace-like lines go here; -1: off */
	struct tk_proc_stats {
		u64 *calls; /* by system-call number, TK_SYSCALL_MAX entries */
		u64 exits, faults, unknown_calls;
	} stats;
	void *machine; /* struct tk_machine, for the layer above */
};

#endif
