/* SPDX-License-Identifier: MIT */
/* What the library counts of a fork. */
#include <string.h>

#include "tally.h"

#define MEASURE_EVERY 1024 /* requests */

void ks_tally_begin(struct ks_tally *tally)
{
	tally->exits = tally->syscalls = tally->faults = 0;
	tally->last = (struct tkvm_fork_stats){0};
	memset(&tally->calls, 0, sizeof(tally->calls));
}

void ks_tally_run(struct ks_tally *tally, struct tkvm_machine *fork, struct ks_counters *counters)
{
	/* As far as it is cheap. */
	struct tkvm_stats stats = {.size = offsetof(struct tkvm_stats, cpu_ns)};

	if (tkvm_machine_stats(fork, &stats))
		return;
	ks_count(&counters->exits, stats.exits - tally->exits);
	ks_count(&counters->syscalls, stats.syscalls - tally->syscalls);
	ks_count(&counters->faults, stats.faults - tally->faults);
	tally->exits = stats.exits;
	tally->syscalls = stats.syscalls;
	tally->faults = stats.faults;
	ks_calls_count(&counters->calls, &tally->calls, fork);
}

void ks_tally_reset(struct ks_tally *tally, struct tkvm_machine *fork, struct ks_counters *counters)
{
	struct tkvm_fork_stats now = {.size = offsetof(struct tkvm_fork_stats, private_bytes)};
	const struct tkvm_fork_stats *last = &tally->last;

	if (tkvm_fork_stats(fork, &now))
		return;
	ks_count(&counters->copied_pages, now.copied_pages - last->copied_pages);
	ks_count(&counters->equal_pages, now.equal_pages - last->equal_pages);
	ks_count(&counters->vcpu_ioctls, now.vcpu_ioctls - last->vcpu_ioctls);
	ks_count(&counters->restored_ranges, now.restored_ranges - last->restored_ranges);
	ks_count(&counters->renewed_files, now.renewed_files - last->renewed_files);
	ks_gauge(&counters->hot_pages, now.hot_pages);
	ks_gauge(&counters->dirty_pages, now.dirty_pages);
	tally->last = now;
}

void ks_tally_memory(struct ks_tally *tally, struct tkvm_machine *fork,
		     struct ks_counters *counters)
{
	struct tkvm_fork_stats now = {.size = sizeof(now)};

	if (tally->unmeasured++ % MEASURE_EVERY == 0 && !tkvm_fork_stats(fork, &now))
		ks_gauge(&counters->private_bytes, now.private_bytes);
}
