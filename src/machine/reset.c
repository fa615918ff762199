/* SPDX-License-Identifier: MIT */
/*
 * Putting a fork back into the frozen state: files, memory, then the process. Rule: a fork that
 * was reset cannot be told from a new one. Whoever adds state to a machine adds it to what is
 * restored, and to the dump (dump.c) by which tests compare the two.
 *
 * It is all or nothing: a fork that was left halfway is stale for good.
 */
#include <errno.h>
#include <string.h>

#include "machine/machine.h"
#include "mm/image.h"
#include "net/rights.h"
#include "task/fork.h"

/* Signals and interruptions that were meant for what it was running. */
static void forget_outside(struct tkvm_machine *machine)
{
	atomic_store(&machine->signals, 0);
	atomic_store(&machine->interrupt, false);
}

static void restore_loop(struct tkvm_machine *machine)
{
	machine->last = NULL;
	machine->vtime = machine->fork->image->master->vtime;
	machine->turn = machine->slice_end = machine->last_poll = 0;
	machine->fault_signo = 0;
	machine->fault_rip = machine->fault_addr = 0;
	machine->suspended = 0;
}

/* KVM has no way to give vCPUs back, and each costs some memory. */
#define SPARE_VCPUS 16

static int reset(struct tkvm_machine *machine)
{
	struct tk_fork *fork = machine->fork;
	struct tk_proc *proc = &machine->proc;
	const struct tk_proc *tmpl = &fork->image->master->proc;
	u64 renewed = fork->files.renewed;
	int rc;

	if (tk_vm_vcpus(machine->vm) > tmpl->n_tasks + SPARE_VCPUS)
		return -ESTALE;
	tk_rights_drop_all(&proc->net);
	rc = tk_files_reset(&fork->files);
	if (rc)
		return rc;
	proc->ns.umask = tmpl->ns.umask;
	rc = tk_mm_reset(machine->mm);
	if (rc)
		return rc;
	tk_ahead_reset(&machine->ahead, machine->vm);
	tk_fast_reset(&machine->fast);
	restore_loop(machine);
	return tk_proc_restore(proc, tmpl, fork->files.renewed != renewed);
}

int tkvm_machine_reset(struct tkvm_machine *machine, struct tkvm_error *err)
{
	struct tk_fork *fork = machine->fork;
	s64 start = tk_now_ns();

	if (!fork)
		return tk_fail(err, EINVAL, "reset: the machine is no fork");
	if (fork->stale || machine->phase != TK_PHASE_LOADED)
		return tk_fail(err, ESTALE, "reset: %s",
			       fork->stale ? "the fork cannot be reset" : "the program has ended");
	fork->stale = true;
	forget_outside(machine);
	if (reset(machine))
		return tk_fail(err, ESTALE, "reset: the program did what cannot be undone cheaply");
	fork->stale = fork->started = false;
	fork->resets++;
	fork->reset_ns += (u64)(tk_now_ns() - start);
	return 0;
}

int tkvm_fork_stats(struct tkvm_machine *machine, struct tkvm_fork_stats *stats)
{
	struct tkvm_fork_stats s = {.size = stats->size};
	const struct tk_fork *fork = machine->fork;
	struct tk_mm_fork_usage usage;

	if (!fork || stats->size < sizeof(stats->size) || stats->size > sizeof(s))
		return -EINVAL;
	tk_mm_fork_usage(machine->mm, &usage,
			 stats->size > offsetof(struct tkvm_fork_stats, private_bytes));
	s.resets = fork->resets;
	s.reset_ns = fork->reset_ns;
	s.copied_pages = usage.copied_pages;
	s.equal_pages = usage.equal_pages;
	s.hot_pages = usage.hot_pages;
	s.dirty_pages = usage.dirty_pages;
	s.reprotects = usage.reprotects;
	s.vcpu_ioctls = fork->vcpu_ioctls;
	s.restored_ranges = usage.restored_ranges;
	s.renewed_files = fork->files.renewed;
	s.private_bytes = usage.private_bytes;
	memcpy(stats, &s, stats->size);
	return 0;
}
