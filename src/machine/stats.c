/* SPDX-License-Identifier: MIT */
/* Numbers about a machine. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "machine/machine.h"
#include "machine/version.h"
#include "mm/mm.h"
#include "sys/sys.h"
#include "tinykvm/tinykvm.h"

const char *tkvm_version(void)
{
	return TK_VERSION;
}

static void add_call(void *ctx, unsigned int nr, uint64_t calls, uint64_t inside)
{
	(void)nr;
	(void)inside;
	*(u64 *)ctx += calls;
}

static u64 count_calls(const struct tkvm_machine *machine)
{
	u64 sum = 0;

	tkvm_machine_calls(machine, add_call, &sum);
	return sum;
}

static u64 cpu_ns(struct tkvm_machine *machine)
{
	const struct tk_task *task;
	s64 sum = machine->proc.dead_cpu_ns;

	tk_list_for_each (task, &machine->proc.tasks, link)
		sum += task->cpu_ns;
	return (u64)sum;
}

int tkvm_machine_stats(struct tkvm_machine *machine, struct tkvm_stats *stats)
{
	const struct tk_proc *proc = &machine->proc;
	struct tkvm_stats s = {.size = stats->size};
	struct tk_mm_usage usage = {0};

	if (stats->size < sizeof(stats->size) || stats->size > sizeof(s))
		return -EINVAL;
	if (stats->size > offsetof(struct tkvm_stats, resident_bytes))
		tk_mm_usage(machine->mm, &usage);
	s.exits = proc->stats.exits;
	s.syscalls = count_calls(machine);
	s.unknown_syscalls = proc->stats.unknown_calls;
	s.faults = proc->stats.faults;
	s.cpu_ns = cpu_ns(machine);
	s.resident_bytes = usage.resident_bytes;
	s.virtual_bytes = usage.virtual_bytes;
	s.threads = proc->n_tasks;
	s.mappings = usage.vmas;
	s.inside = machine->ahead.served + machine->fast.served;
	memcpy(stats, &s, stats->size);
	return 0;
}

u64 tkvm_machine_syscall_count(const struct tkvm_machine *machine, unsigned int nr)
{
	return nr < TK_SYSCALL_MAX ? machine->proc.stats.calls->made[nr] : 0;
}

void tkvm_machine_calls(const struct tkvm_machine *machine,
			void (*fn)(void *ctx, unsigned int nr, uint64_t calls, uint64_t inside),
			void *ctx)
{
	const struct tk_calls *calls = machine->proc.stats.calls;

	for (unsigned int i = 0; i < TK_SYSCALL_MAX / 64; i++) {
		for (u64 left = calls->seen[i]; left; left &= left - 1) {
			unsigned int nr = 64 * i + (unsigned int)__builtin_ctzll(left);

			fn(ctx, nr, calls->made[nr], calls->inside[nr]);
		}
	}
}
