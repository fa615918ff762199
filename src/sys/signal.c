/* SPDX-License-Identifier: MIT */
/*
 * System calls about signals: dispositions, masks, the alternate stack, returning from handlers,
 * waiting. Sending is kill.c's part; the semantics are task/signal.c's and task/deliver.c's.
 */
#include <errno.h>
#include <signal.h>

#include "sys/sys.h"
#include "task/sigframe.h"

#define UNBLOCKABLE (TK_SIGBIT(SIGKILL) | TK_SIGBIT(SIGSTOP))

/* SA_* that the kernel knows on x86-64 (UAPI_SA_FLAGS): others read back as 0. */
#define KNOWN_FLAGS 0xdc000c07ull

static int get_set(struct tk_task *task, gva_t addr, u64 size, tk_sigset *set)
{
	if (size != sizeof(*set))
		return -EINVAL;
	return tk_copy_in(task->proc->mm, set, addr, sizeof(*set));
}

static void set_action(struct tk_proc *proc, int signo, const struct tk_sigaction *action)
{
	struct tk_sigaction *mine = &proc->sig.actions[signo];

	*mine = *action;
	mine->flags &= KNOWN_FLAGS;
	mine->mask &= ~UNBLOCKABLE;
	if (tk_signal_ignored(proc, signo))
		tk_signal_discard(proc, TK_SIGBIT(signo));
}

long tk_sys_rt_sigaction(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	struct tk_sigaction action, old;
	int signo = (int)a[0];

	if (a[3] != sizeof(tk_sigset))
		return -EINVAL;
	if (a[1] && tk_copy_in(proc->mm, &action, a[1], sizeof(action)))
		return -EFAULT;
	if (signo < 1 || signo > TK_NSIG || (a[1] && (TK_SIGBIT(signo) & UNBLOCKABLE)))
		return -EINVAL;
	old = proc->sig.actions[signo];
	if (a[1])
		set_action(proc, signo, &action);
	if (a[2] && tk_copy_out(proc->mm, a[2], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

static int apply_mask(struct tk_task *task, int how, tk_sigset set)
{
	tk_sigset blocked = task->sig.blocked;

	switch (how) {
	case SIG_BLOCK:
		tk_sigmask_set(task, blocked | set);
		return 0;
	case SIG_UNBLOCK:
		tk_sigmask_set(task, blocked & ~set);
		return 0;
	case SIG_SETMASK:
		tk_sigmask_set(task, set);
		return 0;
	default:
		return -EINVAL;
	}
}

long tk_sys_rt_sigprocmask(struct tk_task *task, const u64 a[6])
{
	tk_sigset old = task->sig.blocked, set;

	if (a[3] != sizeof(set))
		return -EINVAL;
	if (a[1]) {
		if (tk_copy_in(task->proc->mm, &set, a[1], sizeof(set)))
			return -EFAULT;
		if (apply_mask(task, (int)a[0], set))
			return -EINVAL;
	}
	if (a[2] && tk_copy_out(task->proc->mm, a[2], &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

long tk_sys_rt_sigpending(struct tk_task *task, const u64 a[6])
{
	tk_sigset set = tk_signal_pending_set(task) & task->sig.blocked;

	if (a[1] > sizeof(set))
		return -EINVAL;
	return tk_copy_out(task->proc->mm, a[0], &set, a[1]);
}

long tk_sys_rt_sigsuspend(struct tk_task *task, const u64 a[6])
{
	tk_sigset set;
	int rc;

	if (!task->wait.begun) {
		rc = get_set(task, a[0], a[1], &set);
		if (rc)
			return rc;
		tk_sigmask_temp_set(task, set);
	}
	tk_block_restart(task, TK_RESTART_NOHAND);
	return tk_block(task, TK_FOREVER);
}

long tk_sys_pause(struct tk_task *task, const u64 a[6])
{
	tk_block_restart(task, TK_RESTART_NOHAND);
	return tk_block(task, TK_FOREVER);
}

static void stop_awaiting(struct tk_task *task)
{
	task->sig.awaited = 0;
}

/* One of @set is pending, or the time is up, or a signal outside @set came, or not yet. */
static long take_or_wait(struct tk_task *task, tk_sigset set, s64 timeout, struct tk_siginfo *info)
{
	s64 deadline = tk_deadline(task, timeout);
	int signo = tk_signal_dequeue(task, set, info);

	if (signo)
		return signo;
	if (timeout == 0 || tk_timed_out(task))
		return -EAGAIN;
	task->sig.awaited = set;
	task->wait.cancel = stop_awaiting;
	tk_block_restart(task, TK_RESTART_NEVER);
	return tk_block(task, deadline);
}

long tk_sys_rt_sigtimedwait(struct tk_task *task, const u64 a[6])
{
	struct tk_siginfo info;
	tk_sigset set;
	s64 timeout;
	bool given;
	long rc;

	rc = get_set(task, a[0], a[3], &set);
	if (!rc)
		rc = tk_arg_timeout(task, a[2], &given, &timeout);
	if (rc)
		return rc;
	rc = take_or_wait(task, set & ~UNBLOCKABLE, timeout, &info);
	if (rc > 0 && a[1] && tk_copy_out(task->proc->mm, a[1], &info, sizeof(info)))
		return -EFAULT;
	return rc;
}

long tk_sys_rt_sigreturn(struct tk_task *task, const u64 a[6])
{
	if (tk_sigframe_pop(task))
		tk_signal_force(task, SIGSEGV);
	return TK_NO_RESULT;
}

/* The kernel's and glibc's stack_t. */
struct stack_abi {
	u64 sp;
	int flags, pad;
	u64 size;
};

long tk_sys_sigaltstack(struct tk_task *task, const u64 a[6])
{
	struct tk_task_signals *sig = &task->sig;
	bool on = tk_on_altstack(task, task->regs->rsp);
	struct stack_abi old = {.sp = sig->alt_sp, .size = sig->alt_size}, new;
	int rc = 0;

	old.flags = sig->alt_flags & ~(SS_DISABLE | SS_ONSTACK);
	old.flags |= !sig->alt_size ? SS_DISABLE : on ? SS_ONSTACK : 0;
	if (a[0]) {
		if (tk_copy_in(task->proc->mm, &new, a[0], sizeof(new)))
			return -EFAULT;
		rc = on ? -EPERM : tk_altstack_set(task, new.sp, new.flags, new.size);
	}
	if (!rc && a[1] && tk_copy_out(task->proc->mm, a[1], &old, sizeof(old)))
		return -EFAULT;
	return rc;
}
