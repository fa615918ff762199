/* SPDX-License-Identifier: MIT */
/*
 * Resource limits, usage and priorities of this one process. RLIMIT_NOFILE acts on the descriptor
 * table, RLIMIT_AS, DATA, STACK and MEMLOCK on the address space; the others are kept for whoever
 * asks. Priorities are kept too, and change nothing: the host schedules the VMM.
 */
#include <errno.h>
#include <linux/ioprio.h>
#include <string.h>
#include <sys/times.h>

#include "sys/identity.h"
#include "sys/sys.h"
#include "sys/usage.h"

/* What /proc/sys/fs/nr_open says, and no limit on descriptors may exceed. */
#define NR_OPEN 1048576

static void apply(struct tk_proc *proc, unsigned int resource, u64 soft)
{
	struct tk_mm_rlimits *mm = tk_mm_rlimits(proc->mm);

	switch (resource) {
	case RLIMIT_NOFILE:
		proc->files.limit = (unsigned int)soft;
		break;
	case RLIMIT_AS:
		mm->as = soft;
		break;
	case RLIMIT_DATA:
		mm->data = soft;
		break;
	case RLIMIT_STACK:
		mm->stack = soft;
		break;
	case RLIMIT_MEMLOCK:
		mm->memlock = soft;
		break;
	}
}

static long change(struct tk_proc *proc, unsigned int resource, const struct rlimit *new)
{
	struct rlimit *limit = &proc->rlimits[resource];

	if (new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && new->rlim_max > NR_OPEN)
		return -EPERM;
	if (new->rlim_max > limit->rlim_max && !tk_capable(proc, CAP_SYS_RESOURCE))
		return -EPERM;
	*limit = *new;
	apply(proc, resource, new->rlim_cur);
	return 0;
}

long tk_sys_getrlimit(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	unsigned int resource = (unsigned int)a[0];

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	return tk_copy_out(proc->mm, a[1], &proc->rlimits[resource], sizeof(struct rlimit));
}

long tk_sys_setrlimit(struct tk_task *task, const u64 a[6])
{
	unsigned int resource = (unsigned int)a[0];
	struct rlimit new;

	if (tk_copy_in(task->proc->mm, &new, a[1], sizeof(new)))
		return -EFAULT;
	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	return change(task->proc, resource, &new);
}

long tk_sys_prlimit64(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	unsigned int resource = (unsigned int)a[1];
	struct rlimit new, old;
	long rc;

	if (a[2] && tk_copy_in(proc->mm, &new, a[2], sizeof(new)))
		return -EFAULT;
	if (!tk_is_own_pid(proc, (int)a[0]))
		return (int)a[0] == 1 ? -EPERM : -ESRCH;
	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	old = proc->rlimits[resource];
	if (a[2] && (rc = change(proc, resource, &new)))
		return rc;
	return a[3] ? tk_copy_out(proc->mm, a[3], &old, sizeof(old)) : 0;
}

u64 tk_resident_bytes(struct tk_proc *proc)
{
	struct tk_proc_attrs *attrs = &proc->attrs;
	s64 now = tk_now_ns();
	struct tk_mm_usage usage;

	if (attrs->measured_ns && now - attrs->measured_ns < 10 * 1000 * 1000)
		return attrs->resident;
	tk_mm_usage(proc->mm, &usage);
	attrs->measured_ns = now;
	attrs->resident = usage.resident_bytes;
	attrs->peak_resident = TK_MAX(attrs->peak_resident, attrs->resident);
	return attrs->resident;
}

long tk_sys_getrusage(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	struct rusage ru = {0};
	s64 ns = 0;

	switch ((int)a[0]) {
	case RUSAGE_SELF:
		ns = tk_proc_cpu_ns(proc);
		break;
	case RUSAGE_THREAD:
		ns = tk_task_cpu_ns(task);
		break;
	case RUSAGE_CHILDREN:
		break;
	default:
		return -EINVAL;
	}
	if ((int)a[0] != RUSAGE_CHILDREN) {
		tk_resident_bytes(proc);
		ru.ru_maxrss = (long)(proc->attrs.peak_resident / 1024);
		ru.ru_minflt = (long)proc->stats.faults;
	}
	ru.ru_utime = (struct timeval){ns / TK_NSEC_PER_SEC, ns % TK_NSEC_PER_SEC / 1000};
	return tk_copy_out(proc->mm, a[1], &ru, sizeof(ru));
}

/* Clock ticks are 1/100 s for every program: sysconf(_SC_CLK_TCK). */
#define NS_PER_TICK (TK_NSEC_PER_SEC / 100)

long tk_sys_times(struct tk_task *task, const u64 a[6])
{
	struct tms tms = {.tms_utime = tk_proc_cpu_ns(task->proc) / NS_PER_TICK};

	if (a[0] && tk_copy_out(task->proc->mm, a[0], &tms, sizeof(tms)))
		return -EFAULT;
	return (tk_now_ns() - task->proc->lag.mono) / NS_PER_TICK;
}

/* Does the (which, who) of the priority calls mean this process? 0, -EINVAL, -ESRCH. */
static long find_target(struct tk_task *task, int which, int who)
{
	struct tk_proc *proc = task->proc;
	bool found;

	switch (which) {
	case PRIO_PROCESS:
		found = tk_is_own_pid(proc, who);
		break;
	case PRIO_PGRP:
		found = !who || who == tk_sys_getpgrp(task, NULL);
		break;
	case PRIO_USER:
		found = !who || (uid_t)who == proc->cred.uid;
		break;
	default:
		return -EINVAL;
	}
	return found ? 0 : -ESRCH;
}

/* A thread named by its id is meant alone; everything else means the caller here. */
static struct tk_task *named_task(struct tk_task *task, bool by_process, int who)
{
	struct tk_task *named = by_process && who ? tk_task_by_tid(task->proc, who) : NULL;

	return named ? named : task;
}

long tk_sys_getpriority(struct tk_task *task, const u64 a[6])
{
	int which = (int)a[0], who = (int)a[1];
	long rc = find_target(task, which, who);

	/* 40..1 stands for -20..19, so that no result looks like an error: getpriority(2). */
	return rc ? rc : 20 - named_task(task, which == PRIO_PROCESS, who)->attrs.nice;
}

long tk_sys_setpriority(struct tk_task *task, const u64 a[6])
{
	int which = (int)a[0], who = (int)a[1], nice = (int)a[2];
	long rc = find_target(task, which, who);
	struct tk_task *target;

	if (rc)
		return rc;
	nice = TK_MIN(nice, 19);
	nice = TK_MAX(nice, -20);
	target = named_task(task, which == PRIO_PROCESS, who);
	if (nice < target->attrs.nice && !tk_capable(task->proc, CAP_SYS_NICE) &&
	    (rlim_t)(20 - nice) > task->proc->rlimits[RLIMIT_NICE].rlim_cur)
		return -EACCES;
	target->attrs.nice = nice;
	return 0;
}

/* ioprio_set(2)'s targets are numbered one higher than setpriority(2)'s. */
static long find_io_target(struct tk_task *task, int which, int who)
{
	return which < IOPRIO_WHO_PROCESS ? -EINVAL : find_target(task, which - 1, who);
}

long tk_sys_ioprio_get(struct tk_task *task, const u64 a[6])
{
	int which = (int)a[0], who = (int)a[1];
	long rc = find_io_target(task, which, who);

	return rc ? rc : named_task(task, which == IOPRIO_WHO_PROCESS, who)->attrs.ioprio;
}

static long check_ioprio(struct tk_proc *proc, int ioprio)
{
	int class = ioprio >> IOPRIO_CLASS_SHIFT, level = ioprio & 7;

	switch (class) {
	case IOPRIO_CLASS_RT:
		return tk_capable(proc, CAP_SYS_ADMIN) || tk_capable(proc, CAP_SYS_NICE) ? 0
											 : -EPERM;
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE:
		return 0;
	case IOPRIO_CLASS_NONE:
		return level ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

long tk_sys_ioprio_set(struct tk_task *task, const u64 a[6])
{
	int which = (int)a[0], who = (int)a[1], ioprio = (int)a[2];
	long rc = check_ioprio(task->proc, ioprio);

	if (!rc)
		rc = find_io_target(task, which, who);
	if (!rc)
		named_task(task, which == IOPRIO_WHO_PROCESS, who)->attrs.ioprio = ioprio;
	return rc;
}
