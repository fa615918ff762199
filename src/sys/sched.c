/* SPDX-License-Identifier: MIT */
/*
 * Scheduling attributes. The guest has one CPU; its threads take turns on it. Policies and
 * priorities are kept for whoever asks and change nothing: the host schedules the VMM.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "sys/identity.h"
#include "sys/sys.h"

#define RESET_ON_FORK 0x40000000

/* The kernel copies masks in longs and this is all a guest needs: one CPU. */
#define MASK_SIZE sizeof(u64)

/* struct sched_attr of version 0 and 1 (linux/sched/types.h). */
#define ATTR_SIZE_0 48
struct attr_abi {
	u32 size, policy;
	u64 flags;
	int nice;
	u32 priority;
	u64 runtime, deadline, period;
	u32 util_min, util_max;
};

long tk_sys_sched_yield(struct tk_task *task, const u64 a[6])
{
	task->proc->yielded = true;
	return 0;
}

static struct tk_task *find(struct tk_task *task, int tid)
{
	return tid ? tk_task_by_tid(task->proc, tid) : task;
}

static bool realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool known(int policy)
{
	return realtime(policy) || policy == SCHED_OTHER || policy == SCHED_BATCH ||
	       policy == SCHED_IDLE;
}

/* The kernel's rules of __sched_setscheduler() for what is not a deadline policy. */
static long set(struct tk_task *task, struct tk_task *of, int policy, int priority, bool reset)
{
	u64 limit = task->proc->rlimits[RLIMIT_RTPRIO].rlim_cur;

	if (!known(policy) || priority < 0 || priority > 99 || realtime(policy) != (priority != 0))
		return -EINVAL;
	if (realtime(policy) && !tk_capable(task->proc, CAP_SYS_NICE) && (u64)priority > limit)
		return -EPERM;
	of->attrs.policy = policy;
	of->attrs.rt_priority = priority;
	of->attrs.reset_on_fork = reset;
	return 0;
}

static long set_from_user(struct tk_task *task, int tid, int policy, gva_t param)
{
	struct tk_task *of;
	int priority;

	if (!param || tid < 0)
		return -EINVAL;
	if (tk_copy_in(task->proc->mm, &priority, param, sizeof(priority)))
		return -EFAULT;
	of = find(task, tid);
	if (!of)
		return -ESRCH;
	if (policy < 0)
		return set(task, of, of->attrs.policy, priority, of->attrs.reset_on_fork);
	return set(task, of, policy & ~RESET_ON_FORK, priority, policy & RESET_ON_FORK);
}

long tk_sys_sched_setscheduler(struct tk_task *task, const u64 a[6])
{
	if ((int)a[1] < 0)
		return -EINVAL;
	return set_from_user(task, (int)a[0], (int)a[1], a[2]);
}

long tk_sys_sched_setparam(struct tk_task *task, const u64 a[6])
{
	return set_from_user(task, (int)a[0], -1, a[1]);
}

long tk_sys_sched_getscheduler(struct tk_task *task, const u64 a[6])
{
	struct tk_task *of = find(task, (int)a[0]);

	if ((int)a[0] < 0)
		return -EINVAL;
	if (!of)
		return -ESRCH;
	return of->attrs.policy | (of->attrs.reset_on_fork ? RESET_ON_FORK : 0);
}

long tk_sys_sched_getparam(struct tk_task *task, const u64 a[6])
{
	struct tk_task *of = find(task, (int)a[0]);

	if (!a[1] || (int)a[0] < 0)
		return -EINVAL;
	if (!of)
		return -ESRCH;
	return tk_copy_out(task->proc->mm, a[1], &of->attrs.rt_priority, sizeof(int));
}

static long priority_bound(int policy, int bound)
{
	if (realtime(policy))
		return bound;
	return known(policy) || policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

long tk_sys_sched_get_priority_max(struct tk_task *task, const u64 a[6])
{
	return priority_bound((int)a[0], 99);
}

long tk_sys_sched_get_priority_min(struct tk_task *task, const u64 a[6])
{
	return priority_bound((int)a[0], 1);
}

long tk_sys_sched_rr_get_interval(struct tk_task *task, const u64 a[6])
{
	struct tk_task *of = find(task, (int)a[0]);
	struct timespec slice = {0};

	if ((int)a[0] < 0)
		return -EINVAL;
	if (!of)
		return -ESRCH;
	if (of->attrs.policy == SCHED_RR)
		slice.tv_nsec = 100000000;
	else if (of->attrs.policy != SCHED_FIFO)
		slice.tv_nsec = 4000000;
	return tk_copy_out(task->proc->mm, a[1], &slice, sizeof(slice));
}

long tk_sys_sched_setaffinity(struct tk_task *task, const u64 a[6])
{
	u64 mask = 0;

	if (tk_copy_in(task->proc->mm, &mask, a[2], TK_MIN((size_t)(u32)a[1], MASK_SIZE)))
		return -EFAULT;
	if ((int)a[0] < 0 || !find(task, (int)a[0]))
		return -ESRCH;
	return mask & 1 ? 0 : -EINVAL;
}

long tk_sys_sched_getaffinity(struct tk_task *task, const u64 a[6])
{
	u64 mask = 1;
	u32 len = (u32)a[1];

	if (len < MASK_SIZE || len % MASK_SIZE)
		return -EINVAL;
	if ((int)a[0] < 0 || !find(task, (int)a[0]))
		return -ESRCH;
	return tk_copy_out(task->proc->mm, a[2], &mask, sizeof(mask)) ? -EFAULT : (long)MASK_SIZE;
}

long tk_sys_sched_getattr(struct tk_task *task, const u64 a[6])
{
	struct tk_task *of = find(task, (int)a[0]);
	u32 size = (u32)a[2];
	struct attr_abi attr = {.size = TK_MIN(size, (u32)sizeof(attr))};

	if (!a[1] || (int)a[0] < 0 || size < ATTR_SIZE_0 || size > TK_PAGE_SIZE || (u32)a[3])
		return -EINVAL;
	if (!of)
		return -ESRCH;
	attr.policy = (u32)of->attrs.policy;
	attr.flags = of->attrs.reset_on_fork;
	attr.priority = (u32)of->attrs.rt_priority;
	if (!realtime(of->attrs.policy))
		attr.nice = of->attrs.nice;
	if (tk_zero_out(task->proc->mm, a[1], size))
		return -EFAULT;
	return tk_copy_out(task->proc->mm, a[1], &attr, attr.size);
}

/* Bytes behind the part we know have to be zero: copy_struct_from_user(). */
static int get_attr(struct tk_task *task, gva_t addr, struct attr_abi *attr)
{
	u8 buf[TK_PAGE_SIZE] = {0};
	u32 size;

	if (tk_copy_in(task->proc->mm, &size, addr, sizeof(size)))
		return -EFAULT;
	size = size ? size : ATTR_SIZE_0;
	if (size < ATTR_SIZE_0 || size > sizeof(buf))
		return -E2BIG;
	if (tk_copy_in(task->proc->mm, buf, addr, size))
		return -EFAULT;
	for (size_t i = sizeof(*attr); i < size; i++)
		if (buf[i])
			return -E2BIG;
	memcpy(attr, buf, sizeof(*attr));
	return 0;
}

long tk_sys_sched_setattr(struct tk_task *task, const u64 a[6])
{
	struct tk_task *of = find(task, (int)a[0]);
	struct attr_abi attr;
	long rc;

	if (!a[1] || (int)a[0] < 0 || (u32)a[2])
		return -EINVAL;
	rc = get_attr(task, a[1], &attr);
	if (rc)
		return rc;
	if ((int)attr.policy < 0 || attr.flags & ~1ull)
		return -EINVAL;
	if (!of)
		return -ESRCH;
	rc = set(task, of, (int)attr.policy, (int)attr.priority, attr.flags & 1);
	if (!rc && !realtime(of->attrs.policy))
		of->attrs.nice = TK_MAX(TK_MIN(attr.nice, 19), -20);
	return rc;
}
