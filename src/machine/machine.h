/* SPDX-License-Identifier: MIT */
/*
 * Inside src/machine: a VM, an address space and a process, put together.
 *
 * One host thread runs a machine at a time. What other threads may touch is in @kick and
 * @signals, nothing else.
 */
#ifndef TK_MACHINE_MACHINE_H
#define TK_MACHINE_MACHINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/fork.h"
#include "guest/clock.h"
#include "kvm/kick.h"
#include "kvm/vcpu.h"
#include "machine/ahead.h"
#include "machine/fast.h"
#include "task/task.h"
#include "mm/image.h"
#include "tinykvm/image.h"
#include "tinykvm/machine.h"

#define TK_DEFAULT_MEMORY	 TK_MIB(8192)
#define TK_DEFAULT_ADDRESS_SPACE TK_MIB(122880)

/* How long what the fast path has on record may stay there. */
#define TK_FAST_NS (10 * 1000 * 1000)
/* How long one task may keep others waiting. */
#define TK_SLICE_NS (2 * 1000 * 1000)
/* How long it may do so at least: switching costs two exits and more. */
#define TK_TURN_NS (1 * 1000 * 1000)

struct tkvm_image {
	atomic_uint refs;
	struct tkvm_machine *master; /* what everything else than memory is copied from */
	struct tk_mm_image *mm;
	struct tk_frozen_files files;
	s64 frozen_ns, frozen_raw_ns; /* when: CLOCK_MONOTONIC and CLOCK_MONOTONIC_RAW */
};

/* What a fork has besides a machine. */
struct tk_fork {
	struct tkvm_image *image; /* a reference */
	struct tk_forked_files files;
	struct tk_memfd_copy *memfds; /* its own copies of the image's */
	unsigned int n_memfds;
	bool started;  /* it ran since it was made or reset */
	bool new_pids; /* each start gives the process another id */
	bool stale;    /* something is not as it should be: it cannot be reset */
	u64 resets, reset_ns, vcpu_ioctls;
};

struct tkvm_policy {
	struct tk_policy rules;
};

enum tk_phase {
	TK_PHASE_EMPTY,	 /* no program yet */
	TK_PHASE_LOADED, /* it can be run */
	TK_PHASE_OVER,	 /* it ended, or loading failed */
};

struct tkvm_machine {
	enum tk_phase phase;
	struct tk_kvm kvm;
	struct tk_vm *vm;
	struct tk_mm *mm;
	struct tk_proc proc;
	struct tk_policy rules; /* a copy, plus what every guest may read (rules.c) */
	struct tk_clock clock;	/* keeps the vDSO's data page */
	struct tk_fork *fork;	/* NULL: it is none */
	struct tk_ahead ahead;
	struct tkvm_remote *remote; /* where its remote calls go; NULL: nowhere */
	void *remote_caller;	    /* what it is to the embedder's statistics */
	struct tkvm_remote *serves; /* whose calls it answers; NULL: it is no storage machine */
	struct tk_fast fast;
	bool fast_path; /* calls may be answered inside the guest */
	bool randomize;
	bool storage;		   /* its program may wait for remote calls */
	bool have_kvm, have_files; /* what there is to undo */

	/* the run loop */
	int (*idle)(void *ctx); /* of this run's limits */
	void *idle_ctx;
	enum tkvm_outcome
		suspended; /* the run ends, the program does not: IDLE, INTERRUPTED; or 0 */
	s64 wall_deadline;
	s64 armed;		/* when the next kick comes, TK_FOREVER: none */
	s64 turn;		/* when @last became that */
	s64 slice_end;		/* of @last, when others are runnable too */
	struct tk_task *last;	/* the task that ran last */
	s64 vtime;		/* of the task farthest ahead, see sched.c */
	s64 last_poll;		/* when the blocked tasks' descriptors were last looked at */
	s64 poll_ns;		/* when to do so again while a task runs */
	bool look;		/* something may have become due: see tk_machine_look() */
	bool kicked;		/* a kick is known to be pending */
	struct pollfd *pollfds; /* of all blocked tasks, rebuilt for each wait */
	size_t pollfds_cap;

	/* the outcome, where proc does not say it */
	bool failed;
	int fault_signo; /* the last fault that became a signal, for the message; 0: none */
	u64 fault_rip, fault_addr;
	struct tk_buf report;

	/* other threads */
	_Atomic u64 signals;		/* sent from outside, not yet taken: TK_SIGBIT */
	atomic_bool interrupt;		/* wanted, not yet done */
	_Atomic(struct tk_kick *) kick; /* NULL: nobody runs it */
	atomic_int kickers;		/* threads that may be using @kick */
	struct tk_kick *own_kick;	/* of thread @kick_tid, kept between runs */
	pid_t kick_tid;
};

/* machine.c: what there is to answer calls inside the guest, if machine->fast_path says so. */
void tk_machine_fast_path(struct tkvm_machine *machine);

/* machine.c: memslots, as an address space asks its backend (the VM) for them. */
int tk_machine_slot_add(void *ctx, gpa_t gpa, u64 size, void *hva, unsigned int flags);

/* rules.c: @to is only to be destroyed if the call succeeds. 0 or -ENOMEM. */
int tk_rules_copy(struct tk_policy *to, const struct tk_policy *from) TK_MUST_CHECK;
/* The guest may read canonical @guest_path. */
int tk_rules_grant(struct tk_policy *rules, const char *guest_path) TK_MUST_CHECK;

/* cpu.c: vCPUs of tasks, made when a task first runs. */
int tk_cpu_attach(struct tk_task *task, const struct tk_uregs *regs, u64 fs_base) TK_MUST_CHECK;
void tk_cpu_detach(struct tk_task *task);
/* The vCPU of @task, made now if need be; NULL with a message in *@err. */
struct tk_vcpu *tk_cpu_get(struct tk_task *task, struct tkvm_error *err);
extern const struct tk_proc_ops tk_machine_proc_ops;

/*
 * Note all of what is in the vCPU of a task that waits in a system call; then, or later, let go of
 * the vCPU: the task is a template from then on. tk_cpu_capture(): 0 or -errno.
 */
int tk_cpu_capture(struct tk_task *task) TK_MUST_CHECK;
void tk_cpu_park(struct tk_task *task);

/* fork.c: it is about to be run. */
void tk_fork_start(struct tkvm_machine *machine);
/* Undo what makes a fork different, before it is destroyed as any machine. */
void tk_fork_end(struct tkvm_machine *machine);

/* fault.c: a processor exception becomes a signal, or the page is supplied. */
void tk_machine_fault(struct tkvm_machine *machine, struct tk_task *task,
		      const struct tk_exit *exit);
/* The program did what user code may not do: SIGSEGV as for a general protection fault. */
void tk_machine_forbidden(struct tk_task *task);
void tk_machine_no_memory(struct tkvm_machine *machine, struct tk_task *task,
			  const struct tk_exit *exit);

/*
 * run.c: run @machine, by the thread and with the kick of @host, which is in a system call, until
 * its run is suspended or the program ends. @deadline is its time limit.
 */
void tk_machine_run_within(struct tkvm_machine *machine, struct tkvm_machine *host, s64 deadline);

/* remote.c: remote calls, both ends. */
extern const struct tk_remote_ops tk_machine_remote_ops;
/* Before the address space of @machine goes. */
void tk_remote_disconnect(struct tkvm_machine *machine);
/* Memory behind the window is gone: have the program see other memory. False: there is none. */
bool tk_remote_blank(struct tkvm_machine *machine);

/* sched.c: taking turns. */
/* Who runs now: the last one, unless it yielded or its time slice is over; NULL: nobody can. */
struct tk_task *tk_sched_pick(struct tkvm_machine *machine);
/* It is @task's turn: what is due next is different now. */
void tk_sched_switch(struct tkvm_machine *machine, struct tk_task *task);
/* Let another runnable task have its turn if the last one is ahead of it by @lead or more. */
void tk_sched_compare(struct tkvm_machine *machine, s64 lead);

/* wait.c: time and descriptors. */
/* Everything that time or the outside world brings: signals, timers, deadlines, the time limit. */
void tk_machine_look(struct tkvm_machine *machine);
/* No task is runnable: wait until that may have changed. */
void tk_machine_wait(struct tkvm_machine *machine);

/* end.c: outcomes. */
void tk_machine_limit(struct tkvm_machine *machine, enum tkvm_limit limit);
void tk_machine_fail(struct tkvm_machine *machine, struct tk_vcpu *vcpu,
		     const struct tk_exit *exit);
void tk_machine_fail_text(struct tkvm_machine *machine, const char *text);
void tk_machine_result(struct tkvm_machine *machine, struct tkvm_result *result);

#endif
