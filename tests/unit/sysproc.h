/* SPDX-License-Identifier: MIT */
/*
 * A process with everything but a virtual machine: real address space, descriptors, namespace and
 * policy; a fake CPU. For tests and fuzzing of system calls.
 */
#ifndef SYSPROC_H
#define SYSPROC_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "sys/procfs.h"
#include "sys/sys.h"

/* Guest memory that is there from the start. */
#define FAKE_MEM      0x100000ull
#define FAKE_MEM_SIZE 0x20000ull

struct fakeproc {
	struct tk_policy policy;
	struct tk_proc proc;
	struct tk_task *task;
	struct tk_uregs regs;
	u64 bases[2];
};

static inline int fake_get_segbase(void *cpu, int which, u64 *base)
{
	*base = ((struct fakeproc *)cpu)->bases[which];
	return 0;
}

static inline int fake_set_segbase(void *cpu, int which, u64 base)
{
	((struct fakeproc *)cpu)->bases[which] = base;
	return 0;
}

static inline int fake_get_xsave(void *cpu, void *area, size_t size)
{
	memset(area, 0, size);
	return 0;
}

static inline int fake_set_xsave(void *cpu, const void *area, size_t size)
{
	return 0;
}

static inline void fake_resume_full(void *cpu)
{
}

static const struct tk_cpu_ops fake_cpu_ops = {
	.get_segbase = fake_get_segbase,
	.set_segbase = fake_set_segbase,
	.get_xsave = fake_get_xsave,
	.set_xsave = fake_set_xsave,
	.resume_full = fake_resume_full,
};

static inline void fake_fail(const char *what)
{
	fprintf(stderr, "sysproc: %s\n", what);
	abort();
}

static inline void fake_map(struct fakeproc *fake, gva_t addr, u64 len, int prot)
{
	long rc = tk_mm_mmap(fake->proc.mm, addr, len, (u64)prot,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);

	if (rc != (long)addr)
		fake_fail("mmap");
}

/* The policy is fake->policy: add grants before, between tk_policy_init() and this. */
static inline void fake_start(struct fakeproc *fake, const char *cwd)
{
	const struct tk_mm_options opts = {
		.max_address_space = TK_GIB(1), .max_memory = TK_MIB(256), .max_vmas = 1000};
	struct tk_proc *proc = &fake->proc;
	struct tkvm_error err = {0};

	tk_proc_init(proc);
	if (tk_mm_create(&proc->mm, &opts, &err))
		fake_fail(err.message);
	tk_fdtable_init(&proc->files, 64);
	if (tk_ns_init(&proc->ns, &fake->policy, cwd, &err))
		fake_fail(err.message);
	tk_procfs_init(&proc->ns.synth, proc);
	proc->policy = &fake->policy;
	proc->max_tasks = 4;
	proc->total_memory = TK_MIB(512);
	proc->start_ns = tk_now_ns();
	proc->exe = strdup("/bin/fake");
	strcpy(proc->hostname, "fakehost");
	for (int i = 0; i < RLIM_NLIMITS; i++)
		proc->rlimits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	proc->rlimits[RLIMIT_NOFILE] = (struct rlimit){64, 64};
	proc->stats.calls = calloc(1, sizeof(*proc->stats.calls));
	fake->task = tk_task_new(proc);
	fake->task->regs = &fake->regs;
	fake->task->cpu_ops = &fake_cpu_ops;
	fake->task->cpu = fake;
	strcpy(fake->task->comm, "fake");
	fake_map(fake, FAKE_MEM, FAKE_MEM_SIZE, PROT_READ | PROT_WRITE);
	proc->current = fake->task;
}

static inline void fake_end(struct fakeproc *fake)
{
	tk_fdtable_destroy(&fake->proc.files);
	tk_ns_destroy(&fake->proc.ns);
	tk_proc_destroy(&fake->proc);
	tk_mm_destroy(fake->proc.mm);
	tk_policy_destroy(&fake->policy);
}

static inline long fake_call(struct fakeproc *fake, u64 nr, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4,
			     u64 a5)
{
	struct tk_task *task = fake->task;
	const u64 args[6] = {a0, a1, a2, a3, a4, a5};

	task->nr = nr;
	memcpy(task->args, args, sizeof(args));
	return tk_syscall(task);
}

#endif
