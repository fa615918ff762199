/* SPDX-License-Identifier: MIT */
/*
 * Which thread runs. Each has a virtual time: the CPU time it used, plus what it was moved forward.
 * The one that is behind runs next, so busy threads get equal parts, and one that slept runs soon
 * after it wakes. Invariant: nobody is more than LAG behind the one that is farthest ahead, or a
 * thread could keep the others waiting for as long as it slept.
 *
 * Turns are taken when a thread blocks or yields, at the end of its time slice if another one is
 * behind it, and when one that time or a descriptor woke is clearly behind, but not before
 * TK_TURN_NS. (A slice is measured on the clock on the wall: on a busy host there may be little CPU
 * time in it.)
 */
#include "machine/machine.h"

#define LAG (2 * (s64)TK_SLICE_NS)

static s64 vtime(const struct tkvm_machine *machine, const struct tk_task *task)
{
	return TK_MAX(task->cpu_ns + task->vtime_shift, machine->vtime - LAG);
}

/* The runnable task that is farthest behind, in the order of the list behind the last one. */
static struct tk_task *next(struct tkvm_machine *machine)
{
	struct tk_proc *proc = &machine->proc;
	struct tk_list *from = machine->last ? &machine->last->link : &proc->tasks, *pos;
	struct tk_task *task, *best = NULL;

	for (pos = from->next; pos != from; pos = pos->next) {
		if (pos == &proc->tasks)
			continue;
		task = tk_list_entry(pos, struct tk_task, link);
		if (task->state == TK_TASK_RUNNABLE &&
		    (!best || vtime(machine, task) < vtime(machine, best)))
			best = task;
	}
	return best;
}

struct tk_task *tk_sched_pick(struct tkvm_machine *machine)
{
	struct tk_proc *proc = &machine->proc;
	struct tk_task *last = machine->last, *task;
	bool yielded = proc->yielded;

	proc->yielded = false;
	if (proc->stopped)
		return NULL;
	if (last && last->state != TK_TASK_RUNNABLE)
		last = NULL;
	if (last && !yielded)
		return last;
	task = next(machine);
	return task ? task : last;
}

/* Bring the virtual time up to date with the CPU time of the last task. */
static void advance(struct tkvm_machine *machine)
{
	if (machine->last)
		machine->vtime = TK_MAX(machine->vtime, vtime(machine, machine->last));
}

void tk_sched_switch(struct tkvm_machine *machine, struct tk_task *task)
{
	tk_proc_account(&machine->proc, task);
	if (machine->last == task)
		return;
	advance(machine);
	task->vtime_shift = vtime(machine, task) - task->cpu_ns;
	machine->last = task;
	machine->turn = tk_now_ns();
	machine->slice_end = machine->turn + TK_SLICE_NS;
	machine->look |= machine->proc.n_tasks > 1;
}

void tk_sched_compare(struct tkvm_machine *machine, s64 lead)
{
	struct tk_task *last = machine->last, *task = next(machine);

	if (!task || !last || last->state != TK_TASK_RUNNABLE)
		return;
	tk_proc_account(&machine->proc, machine->proc.current);
	advance(machine);
	if (vtime(machine, task) + lead <= vtime(machine, last))
		machine->proc.yielded = true;
}
