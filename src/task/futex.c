/* SPDX-License-Identifier: MIT */
/*
 * Futexes. Waiters are in one list per process, oldest first; guests have few threads. Only one
 * guest thread runs at a time, so "check the word, then sleep" is atomic by itself. Waiters on
 * memory shared with other machines or host processes are woken by their own process only.
 */
#include <errno.h>
#include <linux/futex.h>

#include "task/futex.h"
#include "task/wait.h"

/* The kernel's bound on the length of a robust list. */
#define ROBUST_MAX 2048

static int get_key(struct tk_proc *proc, gva_t addr, bool shared, struct tk_futex_key *key)
{
	if (addr % sizeof(u32))
		return -EINVAL;
	return tk_mm_futex_key(proc->mm, addr, shared, key);
}

static bool same_key(const struct tk_futex_key *a, const struct tk_futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

static void unqueue(struct tk_task *task)
{
	tk_list_del(&task->futex.link);
	task->futex.queued = false;
}

long tk_futex_wait(struct tk_task *task, gva_t addr, bool shared, u32 expected, u32 bitset,
		   s64 deadline)
{
	struct tk_futex_wait *futex = &task->futex;
	u32 word;
	int rc;

	if (task->wait.begun) {
		if (!futex->queued)
			return 0;
		if (tk_timed_out(task))
			return -ETIMEDOUT;
		return tk_block(task, deadline);
	}
	rc = get_key(task->proc, addr, shared, &futex->key);
	if (rc)
		return rc;
	if (tk_copy_in(task->proc->mm, &word, addr, sizeof(word)))
		return -EFAULT;
	if (word != expected)
		return -EAGAIN;
	futex->bitset = bitset;
	futex->queued = true;
	task->wait.cancel = unqueue;
	tk_list_add_tail(&task->proc->futexes, &futex->link);
	return tk_block(task, deadline);
}

static void wake(struct tk_task *task)
{
	unqueue(task);
	tk_task_wake(task);
}

static long wake_key(struct tk_proc *proc, const struct tk_futex_key *key, int max, u32 bitset)
{
	struct tk_task *task, *tmp;
	int n = 0;

	tk_list_for_each_safe (task, tmp, &proc->futexes, futex.link) {
		if (!same_key(&task->futex.key, key) || !(task->futex.bitset & bitset))
			continue;
		wake(task);
		if (++n >= max)
			break;
	}
	return n;
}

long tk_futex_wake(struct tk_proc *proc, gva_t addr, bool shared, int max, u32 bitset)
{
	struct tk_futex_key key;
	int rc = get_key(proc, addr, shared, &key);

	return rc ? rc : wake_key(proc, &key, max, bitset);
}

long tk_futex_requeue(struct tk_proc *proc, gva_t from, gva_t to, bool shared, int max,
		      int max_move)
{
	struct tk_futex_key key, target;
	struct tk_task *task, *tmp;
	int rc, n = 0;

	rc = get_key(proc, from, shared, &key);
	if (!rc)
		rc = get_key(proc, to, shared, &target);
	if (rc)
		return rc;
	tk_list_for_each_safe (task, tmp, &proc->futexes, futex.link) {
		if (!same_key(&task->futex.key, &key))
			continue;
		if (n >= (s64)max + max_move)
			break;
		if (n++ < max)
			wake(task);
		else
			task->futex.key = target;
	}
	return n;
}

/* The kernel's handle_futex_death(). */
static void owner_died(struct tk_task *task, gva_t addr, bool pi)
{
	struct tk_proc *proc = task->proc;
	u32 word;

	if (addr % sizeof(word) || tk_copy_in(proc->mm, &word, addr, sizeof(word)))
		return;
	if ((word & FUTEX_TID_MASK) != (u32)task->tid)
		return;
	word = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	if (tk_copy_out(proc->mm, addr, &word, sizeof(word)))
		return;
	if (!pi && (word & FUTEX_WAITERS))
		(void)tk_futex_wake(proc, addr, true, 1, TK_FUTEX_ANY);
}

/* struct robust_list_head (linux/futex.h); bit 0 of a pointer says "priority inheriting". */
struct robust_head {
	u64 next, offset, pending;
};

void tk_robust_list_exit(struct tk_task *task)
{
	struct tk_mm *mm = task->proc->mm;
	struct robust_head head;
	gva_t list = task->robust_list;
	u64 entry, next;

	task->robust_list = 0;
	if (!list || tk_copy_in(mm, &head, list, sizeof(head)))
		return;
	entry = head.next;
	for (int i = 0; i < ROBUST_MAX && entry != list; i++) {
		bool last = tk_copy_in(mm, &next, entry & ~1ull, sizeof(next));

		if (entry != head.pending)
			owner_died(task, (entry & ~1ull) + head.offset, entry & 1);
		if (last)
			return;
		entry = next;
	}
	if (head.pending & ~1ull)
		owner_died(task, (head.pending & ~1ull) + head.offset, head.pending & 1);
}
