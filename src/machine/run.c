/* SPDX-License-Identifier: MIT */
/*
 * The run loop: pick a thread of the program, run it until it leaves, answer that, deliver
 * signals, again. One host thread does all of it, so nothing here is locked.
 *
 * Nothing of time is looked at while the program makes system calls and nothing is due: a kick
 * (kvm/kick.h) interrupts the vCPU when something is, and stays pending if it comes in between.
 */
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/machine.h"
#include "sys/sys.h"

static void set_result(struct tk_task *task, long rc)
{
	task->in_call = rc == TK_BLOCKED;
	if (rc == TK_BLOCKED || rc == TK_NO_RESULT)
		return;
	if (rc == -TK_ERESTARTSYS || rc == -TK_ERESTARTNOHAND) {
		task->interrupted = (int)-rc;
		return;
	}
	task->regs->rax = (u64)rc;
	if (rc != -EINTR)
		tk_sigmask_restore(task);
}

/* What a fork's task waits to receive from, in the call that it was frozen in. */
static struct tk_file *receives_from(const struct tk_task *task)
{
	const struct tk_fdtable *files = &task->proc->files;
	bool receives = task->nr == SYS_read || task->nr == SYS_readv || task->nr == SYS_recvfrom ||
			task->nr == SYS_recvmsg;

	if (!task->origin || task->moved || !task->in_call || !receives)
		return NULL;
	return (u32)task->args[0] < files->size ? files->fds[(u32)task->args[0]].file : NULL;
}

/*
 * If it still waits, nothing has happened to the file, and a reset need not look at it. Otherwise
 * it might make that anew, for which the task would have to enter its call again, and so on.
 */
static long enter(struct tk_task *task)
{
	struct tk_file *file = receives_from(task);
	bool used = file && file->used;
	long rc = tk_syscall(task);

	if (file && rc == TK_BLOCKED && task->wait.progress == task->origin->wait.progress)
		file->used = used;
	return rc;
}

/* Enter a system call, for the first time or again. */
static void call(struct tkvm_machine *machine, struct tk_task *task)
{
	long rc = enter(task);

	task->moved |= rc != TK_BLOCKED;
	set_result(task, rc);
	tk_ahead_note(&machine->ahead, task, rc);
	tk_fast_note(&machine->fast, task, rc);
	machine->look |= task->in_call;
	/* What it passed was in order, but there is no memory left to put behind it. */
	if (rc == -EFAULT && tk_mm_over_limit(machine->mm))
		tk_machine_limit(machine, TKVM_LIMIT_MEMORY);
}

static void begin_call(struct tkvm_machine *machine, struct tk_task *task)
{
	const struct tk_uregs *regs = task->regs;

	task->nr = regs->rax;
	task->args[0] = regs->rdi;
	task->args[1] = regs->rsi;
	task->args[2] = regs->rdx;
	task->args[3] = regs->r10;
	task->args[4] = regs->r8;
	task->args[5] = regs->r9;
	call(machine, task);
}

static void answer(struct tkvm_machine *machine, struct tk_task *task, struct tk_vcpu *vcpu,
		   const struct tk_exit *exit)
{
	switch (exit->kind) {
	case TK_EXIT_SYSCALL:
		begin_call(machine, task);
		break;
	case TK_EXIT_FAULT:
		tk_machine_fault(machine, task, exit);
		break;
	case TK_EXIT_INTERRUPTED:
		machine->look = machine->kicked = true;
		break;
	case TK_EXIT_NO_MEMORY_BEHIND:
		tk_machine_no_memory(machine, task, exit);
		break;
	case TK_EXIT_RING_FULL:
		if (tk_mm_ring_full(machine->mm))
			tk_machine_fail(machine, vcpu, exit);
		break;
	case TK_EXIT_ALIEN:
		tk_machine_forbidden(task);
		break;
	case TK_EXIT_SHUTDOWN:
	case TK_EXIT_FAILED:
		tk_machine_fail(machine, vcpu, exit);
		break;
	}
}

static bool must_deliver(const struct tk_task *task)
{
	return task->interrupted || task->fault.pending || task->sig.restore_saved ||
	       (tk_signal_pending_set(task) & ~task->sig.blocked);
}

/*
 * What the program did in the fast path. False: the machine ends, or the call that left is not
 * made, as what it was to come behind cannot have been.
 */
static bool settle(struct tkvm_machine *machine, struct tk_task *task, const struct tk_exit *exit)
{
	int rc = tk_fast_settle(&machine->fast, &machine->proc);

	if (rc == -EPROTO)
		tk_machine_forbidden(task);
	else if (rc)
		tk_machine_fail_text(machine,
				     "the host could not do what the program was promised");
	return !machine->proc.exiting && !(rc && exit->kind == TK_EXIT_SYSCALL);
}

static void run_task(struct tkvm_machine *machine, struct tk_task *task)
{
	struct tkvm_error err = {0};
	struct tk_vcpu *vcpu = tk_cpu_get(task, &err);
	struct tk_exit exit;

	if (!vcpu) {
		tk_machine_fail_text(machine, err.message);
		return;
	}
	/* Inside entry code the program's own state is not in the registers: that exit is first. */
	if (must_deliver(task) && !tk_vcpu_in_entry(vcpu)) {
		tk_signal_deliver(task);
		if (machine->proc.exiting || machine->proc.stopped)
			return;
	}
	if (!tk_vcpu_in_entry(vcpu)) {
		/* Files after messages: who was sent one finds what was written before it. */
		tk_fast_give(&machine->fast, task, &machine->clock);
		tk_ahead_give(&machine->ahead, &machine->proc, &machine->clock);
	}
	tk_clock_update(&machine->clock);
	tk_vcpu_run(vcpu, &exit);
	task->regs = tk_vcpu_regs(vcpu);
	machine->proc.stats.exits++;
	tk_ahead_settle(&machine->ahead, &machine->proc, exit.kind == TK_EXIT_INTERRUPTED);
	if (settle(machine, task, &exit))
		answer(machine, task, vcpu, &exit);
}

/* Threads that ended. The leader stays, a zombie, as long as the process lives. */
static void bury(struct tkvm_machine *machine, struct tk_task *task)
{
	if (task->state != TK_TASK_DEAD || task == machine->proc.leader)
		return;
	if (machine->proc.current == task)
		tk_proc_account(&machine->proc, NULL);
	if (machine->last == task)
		machine->last = NULL;
	tk_task_free(task);
}

static void step(struct tkvm_machine *machine)
{
	struct tk_task *task = tk_sched_pick(machine);

	if (!task) {
		tk_machine_wait(machine);
		return;
	}
	if (machine->proc.current != task) {
		tk_sched_switch(machine, task);
		return;
	}
	if (task->in_call)
		call(machine, task);
	else
		run_task(machine, task);
	bury(machine, task);
}

static void loop(struct tkvm_machine *machine)
{
	while (!machine->proc.exiting && !machine->suspended) {
		if (machine->look || machine->proc.attention)
			tk_machine_look(machine);
		else
			step(machine);
	}
}

/* Making one takes several system calls, and most machines are always run by the same thread. */
static int get_kick(struct tkvm_machine *machine, struct tkvm_error *err)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	int rc;

	if (machine->own_kick && machine->kick_tid == tid)
		return 0;
	tk_kick_destroy(machine->own_kick);
	machine->own_kick = NULL;
	machine->armed = TK_FOREVER;
	rc = tk_kick_create(&machine->own_kick, err);
	machine->kick_tid = tid;
	return rc;
}

static void set_deadline(struct tkvm_machine *machine, const struct tkvm_run_limits *limits)
{
	machine->wall_deadline = TK_FOREVER;
	if (limits && limits->wall_ns &&
	    (limits->wall_ns > INT64_MAX ||
	     __builtin_add_overflow(tk_now_ns(), (s64)limits->wall_ns, &machine->wall_deadline)))
		machine->wall_deadline = TK_FOREVER;
}

/* From here on tkvm_machine_signal() may interrupt the calling thread. */
static int begin(struct tkvm_machine *machine, const struct tkvm_run_limits *limits,
		 struct tkvm_error *err)
{
	int rc = get_kick(machine, err);

	if (rc)
		return rc;
	set_deadline(machine, limits);
	if (machine->fork)
		tk_fork_start(machine);
	machine->idle = limits ? limits->idle : NULL;
	machine->idle_ctx = limits ? limits->idle_ctx : NULL;
	machine->suspended = 0;
	machine->slice_end = 0;
	machine->look = true;
	atomic_store(&machine->kick, machine->own_kick);
	return 0;
}

static void end(struct tkvm_machine *machine)
{
	atomic_store(&machine->kick, NULL);
	while (atomic_load(&machine->kickers))
		sched_yield(); /* they hold it for one system call */
	/* The timer stays: the next run needs it later still, and a kick too many does no harm. */
	tk_proc_account(&machine->proc, NULL);
	if (machine->proc.exiting)
		machine->phase = TK_PHASE_OVER;
}

int tkvm_machine_run(struct tkvm_machine *machine, const struct tkvm_run_limits *limits,
		     struct tkvm_result *result, struct tkvm_error *err)
{
	int rc;

	if (limits && limits->size != sizeof(*limits))
		return tk_fail(err, EINVAL, "run: limits->size is not that of this library");
	if (machine->phase != TK_PHASE_LOADED)
		return tk_fail(err, EINVAL, "run: %s",
			       machine->phase == TK_PHASE_EMPTY ? "no program is loaded"
								: "the program has ended");
	rc = begin(machine, limits, err);
	if (rc)
		return rc;
	loop(machine);
	end(machine);
	tk_machine_result(machine, result);
	return 0;
}

void tk_machine_run_within(struct tkvm_machine *machine, struct tkvm_machine *host, s64 deadline)
{
	struct tk_task *caller = host->proc.current;
	s64 armed = machine->armed; /* of its own timer, which is another thread's */

	tk_proc_account(&host->proc, NULL);
	if (machine->fork)
		tk_fork_start(machine);
	machine->idle = NULL;
	machine->suspended = 0;
	machine->wall_deadline = deadline;
	machine->slice_end = 0;
	machine->armed = host->armed;
	machine->look = true;
	atomic_store(&machine->kick, atomic_load(&host->kick));
	loop(machine);
	atomic_store(&machine->kick, NULL);
	while (atomic_load(&machine->kickers))
		sched_yield();
	tk_proc_account(&machine->proc, NULL);
	if (machine->proc.exiting)
		machine->phase = TK_PHASE_OVER;
	/* What was meant for the host may have been taken for ours. */
	host->look |= host->armed != machine->armed || atomic_load(&host->interrupt) ||
		      atomic_load(&host->signals);
	host->armed = machine->armed;
	machine->armed = armed;
	tk_proc_account(&host->proc, caller);
}

static void kick(struct tkvm_machine *machine)
{
	struct tk_kick *kick;

	atomic_fetch_add(&machine->kickers, 1);
	kick = atomic_load(&machine->kick);
	if (kick)
		tk_kick_send(kick);
	atomic_fetch_sub(&machine->kickers, 1);
}

int tkvm_machine_signal(struct tkvm_machine *machine, int signo)
{
	if (signo < 1 || signo > TK_NSIG)
		return -EINVAL;
	atomic_fetch_or(&machine->signals, TK_SIGBIT(signo));
	kick(machine);
	return 0;
}

void tkvm_machine_interrupt(struct tkvm_machine *machine)
{
	atomic_store(&machine->interrupt, true);
	kick(machine);
}
