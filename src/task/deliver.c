/* SPDX-License-Identifier: MIT */
/*
 * Acting on pending signals: ignore, stop, die, or run a handler; and what becomes of the system
 * call that a signal interrupted (signal(7), "Interruption of system calls").
 *
 * The kernel restarts a call by winding the program back over its two-byte SYSCALL instruction;
 * so does this, so that handlers see the same register values.
 */
#include <errno.h>
#include <signal.h>

#include "task/sigframe.h"
#include "task/siginfo.h"
#include "task/wait.h"

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif
#define SYSCALL_INSN_SIZE 2
#define RFLAGS_TF	  0x100ull
#define RFLAGS_DF	  0x400ull
#define RFLAGS_RF	  0x10000ull

/* The kernel's force_sig(): what cannot be delivered to a handler kills. */
static void force(struct tk_task *task, const struct tk_siginfo *info, bool to_handler)
{
	struct tk_sigaction *action = &task->proc->sig.actions[info->signo];
	tk_sigset bit = TK_SIGBIT(info->signo);

	if (!to_handler || (task->sig.blocked & bit) || action->handler == (u64)SIG_IGN)
		action->handler = (u64)SIG_DFL;
	task->sig.blocked &= ~bit;
	task->fault.info = *info;
	task->fault.pending = true;
}

void tk_signal_fault(struct tk_task *task, int signo, int code, u64 addr, unsigned int vector,
		     u64 error_code, u64 cr2)
{
	struct tk_siginfo info = {.signo = signo, .code = code};

	tk_siginfo_put(&info, TK_SI_ADDR, &addr, sizeof(addr));
	task->trap = (struct tk_trap){.trapno = vector, .err = error_code, .cr2 = cr2};
	force(task, &info, true);
}

void tk_signal_force(struct tk_task *task, int signo)
{
	struct tk_siginfo info = tk_siginfo_kernel(signo);

	force(task, &info, true);
}

static bool has_handler(const struct tk_proc *proc, int signo)
{
	return proc->sig.actions[signo].handler > (u64)SIG_IGN && signo != SIGKILL &&
	       signo != SIGSTOP;
}

static void act_by_default(struct tk_task *task, int signo)
{
	if (tk_signal_ignored(task->proc, signo))
		return;
	if (tk_signal_stops(task->proc, signo))
		task->proc->stopped = true;
	else
		tk_proc_exit(task->proc, 0, signo);
}

void tk_signal_settle(struct tk_task *task)
{
	tk_sigset set = tk_signal_pending_set(task) & ~task->sig.blocked;
	struct tk_siginfo info;
	int signo;

	for (; set && !task->proc->exiting; set &= set - 1) {
		signo = __builtin_ctzll(set) + 1;
		if (has_handler(task->proc, signo))
			continue;
		if (tk_signal_dequeue(task, TK_SIGBIT(signo), &info))
			act_by_default(task, signo);
	}
}

/* The next signal that has a handler, the others having been acted on; 0: none, or the end. */
static int next_handled(struct tk_task *task, struct tk_siginfo *info)
{
	struct tk_proc *proc = task->proc;
	int signo;

	while (!proc->exiting) {
		if (task->fault.pending) {
			task->fault.pending = false;
			*info = task->fault.info;
			signo = info->signo;
		} else {
			signo = tk_signal_dequeue(task, ~task->sig.blocked, info);
		}
		if (!signo || has_handler(proc, signo))
			return signo;
		act_by_default(task, signo);
	}
	return 0;
}

static void rewind_call(struct tk_task *task)
{
	task->regs->rax = task->nr;
	task->regs->rip -= SYSCALL_INSN_SIZE;
	task->interrupted = 0;
}

/* A handler will run: the interrupted call fails, or starts over when the handler returns. */
static void settle_call(struct tk_task *task, const struct tk_sigaction *action)
{
	if (!task->interrupted)
		return;
	if (task->interrupted == TK_ERESTARTSYS && (action->flags & SA_RESTART)) {
		rewind_call(task);
		return;
	}
	task->regs->rax = (u64)-EINTR;
	task->interrupted = 0;
}

static void enter_handler(struct tk_task *task, int signo, const struct tk_sigaction *action,
			  gva_t frame)
{
	struct tk_uregs *regs = task->regs;
	tk_sigset mask = action->mask;

	regs->rdi = (u64)signo;
	regs->rax = 0;
	regs->rsi = frame + TK_FRAME_INFO;
	regs->rdx = frame + TK_FRAME_UC;
	regs->rsp = frame;
	regs->rip = action->handler;
	regs->rflags &= ~(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
	task->cpu_ops->resume_full(task->cpu);
	if (!(action->flags & SA_NODEFER))
		mask |= TK_SIGBIT(signo);
	task->sig.restore_saved = false;
	tk_sigmask_set(task, task->sig.blocked | mask);
}

static void handle(struct tk_task *task, int signo, const struct tk_siginfo *info)
{
	struct tk_sigaction action = task->proc->sig.actions[signo];
	struct tk_siginfo failed = tk_siginfo_kernel(SIGSEGV);
	gva_t frame;

	if (action.flags & SA_RESETHAND)
		task->proc->sig.actions[signo].handler = (u64)SIG_DFL;
	settle_call(task, &action);
	if (!(action.flags & SA_RESTORER) || tk_sigframe_push(task, signo, &action, info, &frame)) {
		force(task, &failed, signo != SIGSEGV);
		return;
	}
	enter_handler(task, signo, &action, frame);
}

void tk_signal_deliver(struct tk_task *task)
{
	struct tk_siginfo info;
	int signo;

	while ((signo = next_handled(task, &info)))
		handle(task, signo, &info);
	if (task->interrupted && !task->proc->exiting) {
		rewind_call(task);
		task->cpu_ops->resume_full(task->cpu);
	}
	tk_sigmask_restore(task);
}
