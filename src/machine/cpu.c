/* SPDX-License-Identifier: MIT */
/*
 * The processor behind a task. Until the first task runs there is no vCPU, only what it will start
 * with; afterwards the vCPU has it all. Both look the same to the system calls (tk_cpu_ops). A new
 * thread gets its vCPU at once, while clone(2) can still say that the host has no more to give.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"
#include "mm/mm.h"
#include "task/xstate.h"

struct cpu {
	struct tk_task *task;
	struct tk_vcpu *vcpu; /* NULL: never ran */
	struct tk_uregs regs; /* until then */
	u64 fs_base, gs_base;
	void *xsave;		  /* NULL: @frozen_xsave */
	const void *frozen_xsave; /* of the task that this is a copy of; NULL: initial state */
	bool ran;		  /* the vCPU may be anywhere: it was run since it was put right */
};

static struct tkvm_machine *machine_of(const struct tk_task *task)
{
	return task->proc->machine;
}

static int get_segbase(void *arg, int which, u64 *base)
{
	struct cpu *cpu = arg;

	if (cpu->vcpu)
		return tk_vcpu_get_segbase(cpu->vcpu, which, base);
	*base = which == TK_FS_BASE ? cpu->fs_base : cpu->gs_base;
	return 0;
}

static int set_segbase(void *arg, int which, u64 base)
{
	struct cpu *cpu = arg;

	cpu->ran = true;
	if (cpu->vcpu)
		return tk_vcpu_set_segbase(cpu->vcpu, which, base);
	*(which == TK_FS_BASE ? &cpu->fs_base : &cpu->gs_base) = base;
	return 0;
}

static int get_xsave(void *arg, void *area, size_t size)
{
	struct cpu *cpu = arg;

	if (cpu->vcpu)
		return tk_vcpu_get_xsave(cpu->vcpu, area, size);
	if (cpu->xsave || cpu->frozen_xsave)
		memcpy(area, cpu->xsave ? cpu->xsave : cpu->frozen_xsave, size);
	else
		tk_xstate_init(area, size);
	return 0;
}

static int set_xsave(void *arg, const void *area, size_t size)
{
	struct cpu *cpu = arg;

	cpu->ran = true;
	if (cpu->vcpu)
		return tk_vcpu_set_xsave(cpu->vcpu, area, size);
	if (!cpu->xsave)
		cpu->xsave = malloc(size);
	if (!cpu->xsave)
		return -ENOMEM;
	memcpy(cpu->xsave, area, size);
	return 0;
}

static void resume_full(void *arg)
{
	struct cpu *cpu = arg;

	if (cpu->vcpu)
		tk_vcpu_resume_full(cpu->vcpu);
}

static const struct tk_cpu_ops cpu_ops = {
	.get_segbase = get_segbase,
	.set_segbase = set_segbase,
	.get_xsave = get_xsave,
	.set_xsave = set_xsave,
	.resume_full = resume_full,
};

int tk_cpu_attach(struct tk_task *task, const struct tk_uregs *regs, u64 fs_base)
{
	struct cpu *cpu = calloc(1, sizeof(*cpu));

	if (!cpu)
		return -ENOMEM;
	cpu->task = task;
	cpu->regs = *regs;
	cpu->fs_base = fs_base;
	task->cpu = cpu;
	task->cpu_ops = &cpu_ops;
	task->regs = &cpu->regs;
	task->xsave_size = machine_of(task)->kvm.xsave_size;
	return 0;
}

void tk_cpu_detach(struct tk_task *task)
{
	struct cpu *cpu = task->cpu;

	if (!cpu)
		return;
	if (cpu->vcpu)
		tk_vcpu_destroy(cpu->vcpu);
	free(cpu->xsave);
	free(cpu);
	task->cpu = NULL;
	task->regs = NULL;
}

/* Put the rest of the starting state into a vCPU that is new, or was another task's before. */
static int load_state(struct cpu *cpu, struct tk_vcpu *vcpu)
{
	const void *xsave = cpu->xsave ? cpu->xsave : cpu->frozen_xsave;
	size_t size = cpu->task->xsave_size;
	int rc = 0;

	if (cpu->gs_base)
		rc = tk_vcpu_set_segbase(vcpu, TK_GS_BASE, cpu->gs_base);
	if (!rc && xsave)
		rc = tk_vcpu_set_xsave(vcpu, xsave, size);
	return rc;
}

struct tk_vcpu *tk_cpu_get(struct tk_task *task, struct tkvm_error *err)
{
	struct tkvm_machine *machine = machine_of(task);
	struct cpu *cpu = task->cpu;
	struct tk_vcpu *vcpu;
	int rc;

	cpu->ran = true;
	if (cpu->vcpu)
		return cpu->vcpu;
	if (tk_vcpu_create(&vcpu, machine->vm, tk_mm_cr3(machine->mm), &cpu->regs, cpu->fs_base,
			   err))
		return NULL;
	rc = load_state(cpu, vcpu);
	if (rc) {
		tk_vcpu_destroy(vcpu);
		tk_fail_errno(err, -rc, "thread %d: load its state", task->tid);
		return NULL;
	}
	free(cpu->xsave);
	cpu->xsave = NULL;
	cpu->vcpu = vcpu;
	task->regs = tk_vcpu_regs(vcpu);
	return vcpu;
}

static int copy_xsave(struct cpu *to, struct tk_task *from)
{
	to->xsave = malloc(from->xsave_size);
	if (!to->xsave)
		return -ENOMEM;
	return from->cpu_ops->get_xsave(from->cpu, to->xsave, from->xsave_size);
}

static int cpu_clone(struct tk_task *child, struct tk_task *parent, u64 fs_base)
{
	struct tkvm_error err = {0};
	struct cpu *cpu;
	int rc = tk_cpu_attach(child, parent->regs, fs_base);

	if (rc)
		return rc;
	cpu = child->cpu;
	rc = parent->cpu_ops->get_segbase(parent->cpu, TK_GS_BASE, &cpu->gs_base);
	if (!rc)
		rc = copy_xsave(cpu, parent);
	if (!rc && !tk_cpu_get(child, &err))
		rc = -EAGAIN;
	return rc;
}

int tk_cpu_capture(struct tk_task *task)
{
	struct cpu *cpu = task->cpu;
	void *xsave;
	int rc;

	xsave = malloc(task->xsave_size);
	if (!xsave)
		return -ENOMEM;
	rc = get_xsave(cpu, xsave, task->xsave_size);
	if (!rc)
		rc = get_segbase(cpu, TK_FS_BASE, &cpu->fs_base);
	if (!rc)
		rc = get_segbase(cpu, TK_GS_BASE, &cpu->gs_base);
	if (rc) {
		free(xsave);
		return rc;
	}
	free(cpu->xsave);
	cpu->xsave = xsave;
	return 0;
}

void tk_cpu_park(struct tk_task *task)
{
	struct cpu *cpu = task->cpu;

	if (cpu->vcpu) {
		cpu->regs = *task->regs;
		tk_vcpu_destroy(cpu->vcpu);
	}
	cpu->vcpu = NULL;
	task->regs = &cpu->regs;
	/* It is in a system call: SYSCALL has left these two there, and returning from it does. */
	cpu->regs.rcx = cpu->regs.rip;
	cpu->regs.r11 = cpu->regs.rflags;
}

/* A vCPU that cannot be put right goes; the task gets another one when it runs. */
static void restore_vcpu(struct cpu *cpu, const struct cpu *from)
{
	struct tk_vcpu *vcpu = cpu->vcpu;
	int rc;

	if (!cpu->ran) {
		*cpu->task->regs = from->regs;
		return;
	}
	rc = tk_vcpu_restore(vcpu, &from->regs, from->fs_base, from->gs_base, from->xsave);
	if (rc >= 0) {
		machine_of(cpu->task)->fork->vcpu_ioctls += (unsigned int)rc;
		return;
	}
	tk_vcpu_destroy(vcpu);
	cpu->vcpu = NULL;
	cpu->task->regs = &cpu->regs;
}

static int cpu_restore(struct tk_task *task, const struct tk_task *tmpl)
{
	const struct cpu *from = tmpl->cpu;
	struct cpu *cpu;

	if (!task->cpu && tk_cpu_attach(task, &from->regs, from->fs_base))
		return -ENOMEM;
	cpu = task->cpu;
	if (cpu->vcpu)
		restore_vcpu(cpu, from);
	if (!cpu->vcpu)
		cpu->regs = from->regs;
	cpu->fs_base = from->fs_base;
	cpu->gs_base = from->gs_base;
	free(cpu->xsave);
	cpu->xsave = NULL;
	cpu->frozen_xsave = from->xsave;
	cpu->ran = false;
	return 0;
}

const struct tk_proc_ops tk_machine_proc_ops = {
	.cpu_clone = cpu_clone,
	.cpu_destroy = tk_cpu_detach,
	.cpu_restore = cpu_restore,
	.remote = &tk_machine_remote_ops,
};
