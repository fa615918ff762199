/* SPDX-License-Identifier: MIT */
/*
 * prctl(2), arch_prctl(2), personality(2): switches of a process and a thread. Most only remember
 * what was set. What this kernel does not have (transparent details of other architectures,
 * checkpoint/restore, shadow stacks) is -EINVAL, as from a kernel built without it.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>

#include "sys/identity.h"
#include "sys/sys.h"

#define DEFAULT_TIMER_SLACK_NS 50000

static long put_int(struct tk_task *task, gva_t to, int value)
{
	return tk_copy_out(task->proc->mm, to, &value, sizeof(value));
}

static long set_name(struct tk_task *task, gva_t from)
{
	char name[sizeof(task->comm)];
	const size_t most = sizeof(name) - 1;
	ssize_t len = tk_copy_str(task->proc->mm, name, from, most);

	/* A longer name is cut, and the byte behind the cut never looked at. */
	if (len == -ENAMETOOLONG && !tk_copy_in(task->proc->mm, name, from, most))
		len = (ssize_t)most;
	if (len < 0)
		return -EFAULT;
	memset(task->comm, 0, sizeof(task->comm));
	memcpy(task->comm, name, (size_t)len);
	return 0;
}

static long set_pdeathsig(struct tk_proc *proc, u64 sig)
{
	if (sig > TK_NSIG)
		return -EINVAL;
	proc->attrs.pdeathsig = (int)sig;
	return 0;
}

static long set_dumpable(struct tk_proc *proc, u64 value)
{
	if (value > 1)
		return -EINVAL;
	proc->attrs.undumpable = !value;
	return 0;
}

static long drop_bounding(struct tk_proc *proc, u64 cap)
{
	if (!tk_capable(proc, CAP_SETPCAP))
		return -EPERM;
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	proc->attrs.priv.cap_dropped |= 1ull << cap;
	return 0;
}

static long read_bounding(struct tk_proc *proc, u64 cap)
{
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	return !(tk_privileges(proc)->cap_dropped >> cap & 1);
}

static long set_keepcaps(struct tk_proc *proc, u64 value)
{
	if (value > 1)
		return -EINVAL;
	tk_privileges(proc)->keepcaps = value;
	return 0;
}

static long set_no_new_privs(struct tk_proc *proc, const u64 a[6])
{
	if (a[1] != 1 || a[2] || a[3] || a[4])
		return -EINVAL;
	proc->attrs.no_new_privs = true;
	return 0;
}

/* Ambient capabilities: PR_CAP_AMBIENT_*. There are none, and none can be raised. */
static long ambient(struct tk_proc *proc, const u64 a[6])
{
	if (a[1] == PR_CAP_AMBIENT_CLEAR_ALL)
		return a[2] || a[3] || a[4] ? -EINVAL : 0;
	if (a[2] > CAP_LAST_CAP || a[3] || a[4])
		return -EINVAL;
	switch (a[1]) {
	case PR_CAP_AMBIENT_IS_SET:
	case PR_CAP_AMBIENT_LOWER:
		return 0;
	case PR_CAP_AMBIENT_RAISE:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static long set_timer_slack(struct tk_task *task, u64 ns)
{
	/* 0 and less means the default: prctl(2). */
	task->attrs.timer_slack_ns = (s64)ns <= 0 ? 0 : ns;
	return 0;
}

static long timer_slack(const struct tk_task *task)
{
	u64 ns = task->attrs.timer_slack_ns;

	return ns ? (long)TK_MIN(ns, (u64)LONG_MAX) : DEFAULT_TIMER_SLACK_NS;
}

static long set_thp_disable(struct tk_proc *proc, const u64 a[6])
{
	if (a[2] || a[3] || a[4])
		return -EINVAL;
	proc->attrs.thp_disabled = a[1];
	return 0;
}

/* Calls whose unused arguments must be zero: prctl(2). */
static bool rest_is_zero(const u64 a[6])
{
	return !a[1] && !a[2] && !a[3] && !a[4];
}

/* The options that only report. */
static long report(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;

	switch ((int)a[0]) {
	case PR_GET_PDEATHSIG:
		return put_int(task, a[1], proc->attrs.pdeathsig);
	case PR_GET_DUMPABLE:
		return !proc->attrs.undumpable;
	case PR_GET_KEEPCAPS:
		return tk_privileges(proc)->keepcaps;
	case PR_GET_NAME:
		return tk_copy_out(proc->mm, a[1], task->comm, sizeof(task->comm));
	case PR_CAPBSET_READ:
		return read_bounding(proc, a[1]);
	case PR_GET_TSC:
		return put_int(task, a[1], PR_TSC_ENABLE);
	case PR_GET_TIMERSLACK:
		return timer_slack(task);
	case PR_MCE_KILL_GET:
		return rest_is_zero(a) ? PR_MCE_KILL_DEFAULT : -EINVAL;
	case PR_GET_CHILD_SUBREAPER:
		return put_int(task, a[1], proc->attrs.child_subreaper);
	case PR_GET_NO_NEW_PRIVS:
		return rest_is_zero(a) ? proc->attrs.no_new_privs : -EINVAL;
	case PR_GET_THP_DISABLE:
		return rest_is_zero(a) ? proc->attrs.thp_disabled : -EINVAL;
	case PR_GET_TIMING: /* PR_TIMING_STATISTICAL */
	case PR_GET_SECCOMP:
	case PR_GET_SECUREBITS:
		return 0;
	default:
		return -EINVAL;
	}
}

long tk_sys_prctl(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;

	switch ((int)a[0]) {
	case PR_SET_NAME:
		return set_name(task, a[1]);
	case PR_SET_PDEATHSIG:
		return set_pdeathsig(proc, a[1]);
	case PR_SET_DUMPABLE:
		return set_dumpable(proc, a[1]);
	case PR_SET_KEEPCAPS:
		return set_keepcaps(proc, a[1]);
	case PR_SET_TIMING:
		return a[1] == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_CAPBSET_DROP:
		return drop_bounding(proc, a[1]);
	case PR_SET_SECUREBITS:
		return a[1] ? -EPERM : 0;
	case PR_SET_TSC:
		return a[1] == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_SET_TIMERSLACK:
		return set_timer_slack(task, a[1]);
	case PR_TASK_PERF_EVENTS_DISABLE:
	case PR_TASK_PERF_EVENTS_ENABLE:
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		proc->attrs.child_subreaper = a[1];
		return 0;
	case PR_SET_NO_NEW_PRIVS:
		return set_no_new_privs(proc, a);
	case PR_SET_THP_DISABLE:
		return set_thp_disable(proc, a);
	case PR_CAP_AMBIENT:
		return ambient(proc, a);
	default:
		return report(task, a);
	}
}

static long set_segbase(struct tk_task *task, enum tk_segbase which, u64 base)
{
	/* The kernel's TASK_SIZE_MAX: bases above are not for programs. */
	if (base >= 0x7ffffffff000)
		return -EPERM;
	return task->cpu_ops->set_segbase(task->cpu, which, base);
}

static long get_segbase(struct tk_task *task, enum tk_segbase which, gva_t to)
{
	u64 base;
	int rc = task->cpu_ops->get_segbase(task->cpu, which, &base);

	return rc ? rc : tk_copy_out(task->proc->mm, to, &base, sizeof(base));
}

long tk_sys_arch_prctl(struct tk_task *task, const u64 a[6])
{
	switch ((int)a[0]) {
	case ARCH_SET_FS:
		return set_segbase(task, TK_FS_BASE, a[1]);
	case ARCH_SET_GS:
		return set_segbase(task, TK_GS_BASE, a[1]);
	case ARCH_GET_FS:
		return get_segbase(task, TK_FS_BASE, a[1]);
	case ARCH_GET_GS:
		return get_segbase(task, TK_GS_BASE, a[1]);
	case ARCH_GET_CPUID: /* CPUID does not fault */
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;
	default:
		return -EINVAL;
	}
}

long tk_sys_personality(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	u32 old = proc->attrs.personality;

	if ((u32)a[0] != 0xffffffff)
		proc->attrs.personality = (u32)a[0];
	return old;
}
