/* SPDX-License-Identifier: MIT */
/*
 * futex(2): decoding. Waiting and waking is task/futex.c's part. Priority-inheriting futexes answer
 * -ENOSYS, as kernels without them do.
 */
#include <errno.h>
#include <linux/futex.h>

#include "sys/sys.h"
#include "task/futex.h"

/* The kernel's timeouts: relative for FUTEX_WAIT, absolute on one of two clocks otherwise. */
static int get_deadline(struct tk_task *task, gva_t addr, int op, s64 *deadline)
{
	s64 ns, now;
	bool given;
	int rc = tk_arg_timeout(task, addr, &given, &ns);

	*deadline = TK_FOREVER;
	if (rc || !given)
		return rc;
	if ((op & FUTEX_CMD_MASK) == FUTEX_WAIT) {
		*deadline = tk_deadline(task, ns);
		return 0;
	}
	if (op & FUTEX_CLOCK_REALTIME) {
		now = tk_clock_ns(CLOCK_REALTIME);
		ns = ns == TK_FOREVER ? ns : TK_MAX(ns - now, 0);
		*deadline = tk_deadline(task, ns);
		return 0;
	}
	*deadline = tk_host_deadline(&task->proc->lag, ns);
	return 0;
}

static long wait(struct tk_task *task, const u64 a[6], bool shared)
{
	int op = (int)a[1];
	u32 bitset = (op & FUTEX_CMD_MASK) == FUTEX_WAIT ? TK_FUTEX_ANY : (u32)a[5];
	s64 deadline;
	int rc = get_deadline(task, a[3], op, &deadline);

	if (rc)
		return rc;
	if (!bitset)
		return -EINVAL;
	return tk_futex_wait(task, a[0], shared, (u32)a[2], bitset, deadline);
}

static long wake(struct tk_task *task, const u64 a[6], bool shared)
{
	u32 bitset = ((int)a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE ? TK_FUTEX_ANY : (u32)a[5];

	if (!bitset)
		return -EINVAL;
	return tk_futex_wake(task->proc, a[0], shared, (int)a[2], bitset);
}

static long requeue(struct tk_task *task, const u64 a[6], bool shared)
{
	int n = (int)a[2], n_move = (int)a[3];
	u32 word;

	if (n < 0 || n_move < 0 || a[0] % sizeof(word) || a[4] % sizeof(word))
		return -EINVAL;
	if (((int)a[1] & FUTEX_CMD_MASK) == FUTEX_CMP_REQUEUE) {
		if (tk_copy_in(task->proc->mm, &word, a[0], sizeof(word)))
			return -EFAULT;
		if (word != (u32)a[5])
			return -EAGAIN;
	}
	return tk_futex_requeue(task->proc, a[0], a[4], shared, n, n_move);
}

static int sign_extend_12(u32 x)
{
	return (int)(x << 20) >> 20;
}

static u32 apply(u32 op, u32 old, u32 arg)
{
	switch (op) {
	case FUTEX_OP_SET:
		return arg;
	case FUTEX_OP_ADD:
		return old + arg;
	case FUTEX_OP_OR:
		return old | arg;
	case FUTEX_OP_ANDN:
		return old & ~arg;
	default:
		return old ^ arg;
	}
}

static bool compare(u32 cmp, int old, int arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	default:
		return old > arg;
	}
}

/* FUTEX_WAKE_OP: change the second word, wake the first, and the second if its old value says so.
 */
static long wake_op(struct tk_task *task, const u64 a[6], bool shared)
{
	struct tk_proc *proc = task->proc;
	u32 code = (u32)a[5], op = code >> 28, cmp = code >> 24 & 15, old, new;
	int arg = sign_extend_12(code >> 12 & 0xfff), cmparg = sign_extend_12(code & 0xfff);
	long n, more;

	if (a[0] % sizeof(u32) || a[4] % sizeof(u32))
		return -EINVAL;
	if (op & FUTEX_OP_OPARG_SHIFT)
		arg = (int)(1u << (arg & 31));
	op &= 7;
	if (op > FUTEX_OP_XOR || cmp > FUTEX_OP_CMP_GT)
		return -ENOSYS;
	if (tk_copy_in(proc->mm, &old, a[4], sizeof(old)))
		return -EFAULT;
	new = apply(op, old, (u32)arg);
	if (tk_copy_out(proc->mm, a[4], &new, sizeof(new)))
		return -EFAULT;
	n = tk_futex_wake(proc, a[0], shared, (int)a[2], TK_FUTEX_ANY);
	if (n < 0 || !compare(cmp, (int)old, cmparg))
		return n;
	more = tk_futex_wake(proc, a[4], shared, (int)a[3], TK_FUTEX_ANY);
	return more < 0 ? more : n + more;
}

long tk_sys_futex(struct tk_task *task, const u64 a[6])
{
	int op = (int)a[1], cmd = op & FUTEX_CMD_MASK;
	bool shared = !(op & FUTEX_PRIVATE_FLAG);

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return wait(task, a, shared);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return wake(task, a, shared);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		return requeue(task, a, shared);
	case FUTEX_WAKE_OP:
		return wake_op(task, a, shared);
	default:
		return -ENOSYS;
	}
}
