/* SPDX-License-Identifier: MIT */
/*
 * New threads: clone(2) and clone3(2) with what pthread_create() asks for. New processes and
 * anything shared less than completely answer -ENOSYS.
 */
#include <errno.h>
#include <linux/sched.h>
#include <string.h>

#include "guest/layout.h"
#include "sys/sys.h"

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define ALLOWED                                                                                    \
	(THREAD_FLAGS | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |                       \
	 CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED | CLONE_UNTRACED |             \
	 CLONE_PTRACE)
#define CSIGNAL_MASK 0xffull
#define ARGS_SIZE_0  64

/* clone(2)'s arguments and the first version of clone3(2)'s (struct clone_args). */
struct request {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	u64 set_tid, set_tid_size, cgroup;
};

/* copy_process(): combinations that make no sense. */
static int check(const struct request *r)
{
	u64 flags = r->flags;

	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return -EINVAL;
	if ((flags & CLONE_NEWNS) && (flags & CLONE_FS))
		return -EINVAL;
	if ((flags & THREAD_FLAGS) != THREAD_FLAGS || (flags & ~(u64)ALLOWED))
		return -ENOSYS;
	if ((flags & CLONE_SETTLS) && r->tls >= TK_USER_TOP)
		return -EPERM;
	return 0;
}

static void inherit(struct tk_task *child, const struct tk_task *parent)
{
	child->attrs = parent->attrs;
	if (child->attrs.reset_on_fork) {
		child->attrs.policy = child->attrs.rt_priority = 0;
		child->attrs.nice = TK_MAX(child->attrs.nice, 0);
		child->attrs.reset_on_fork = false;
	}
	child->sig.blocked = parent->sig.blocked;
	memcpy(child->comm, parent->comm, sizeof(child->comm));
}

static int start(struct tk_task *child, struct tk_task *parent, const struct request *r)
{
	u64 fs_base = r->tls;
	int rc = 0;

	if (!(r->flags & CLONE_SETTLS))
		rc = parent->cpu_ops->get_segbase(parent->cpu, TK_FS_BASE, &fs_base);
	if (!rc)
		rc = child->proc->ops->cpu_clone(child, parent, fs_base);
	if (rc)
		return -EAGAIN;
	/* As SYSCALL leaves them: the child, too, returns from one. */
	child->regs->rcx = child->regs->rip;
	child->regs->r11 = child->regs->rflags;
	child->regs->rax = 0;
	if (r->stack)
		child->regs->rsp = r->stack + r->stack_size;
	return 0;
}

static long make_thread(struct tk_task *task, const struct request *r)
{
	struct tk_proc *proc = task->proc;
	struct tk_task *child;
	int rc = check(r);

	if (rc)
		return rc;
	child = proc->ops ? tk_task_new(proc) : NULL;
	if (!child)
		return -EAGAIN;
	inherit(child, task);
	rc = start(child, task, r);
	if (rc) {
		tk_task_free(child);
		return rc;
	}
	/* The kernel does not look whether these can be written. */
	if ((r->flags & CLONE_PARENT_SETTID) &&
	    tk_copy_out(proc->mm, r->parent_tid, &child->tid, sizeof(child->tid)))
		rc = 0;
	if ((r->flags & CLONE_CHILD_SETTID) &&
	    tk_copy_out(proc->mm, r->child_tid, &child->tid, sizeof(child->tid)))
		rc = 0;
	if (r->flags & CLONE_CHILD_CLEARTID)
		child->clear_child_tid = r->child_tid;
	return child->tid;
}

long tk_sys_clone(struct tk_task *task, const u64 a[6])
{
	struct request r = {
		.flags = (u32)a[0] & ~CSIGNAL_MASK,
		.stack = a[1],
		.parent_tid = a[2],
		.child_tid = a[3],
		.tls = a[4],
	};

	return make_thread(task, &r);
}

static int get_request(struct tk_task *task, gva_t addr, u64 size, struct request *r)
{
	u8 buf[TK_PAGE_SIZE] = {0};

	if (size > sizeof(buf))
		return -E2BIG;
	if (size < ARGS_SIZE_0)
		return -EINVAL;
	if (tk_copy_in(task->proc->mm, buf, addr, size))
		return -EFAULT;
	for (size_t i = sizeof(*r); i < size; i++)
		if (buf[i])
			return -E2BIG;
	memcpy(r, buf, sizeof(*r));
	return 0;
}

long tk_sys_clone3(struct tk_task *task, const u64 a[6])
{
	struct request r;
	int rc = get_request(task, a[0], a[1], &r);

	if (rc)
		return rc;
	if (r.set_tid || r.set_tid_size || (r.exit_signal & ~CSIGNAL_MASK) ||
	    r.exit_signal > TK_NSIG || (r.flags & (CLONE_DETACHED | CSIGNAL_MASK)))
		return -EINVAL;
	if (!r.stack != !r.stack_size)
		return -EINVAL;
	if ((r.flags & CLONE_THREAD) && r.exit_signal)
		return -EINVAL;
	return make_thread(task, &r);
}
