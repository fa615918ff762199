/* SPDX-License-Identifier: MIT */
/*
 * What the library counts of a fork, since it was made, added to the counters of its worker. By the
 * worker's thread, while the fork does not run.
 */
#ifndef KVMSERVER_TALLY_H
#define KVMSERVER_TALLY_H

#include "calls.h"
#include "metrics.h"

/* A fork's numbers when they were last looked at. */
struct ks_tally {
	uint64_t exits, syscalls, faults;
	struct ks_calls_seen calls;
	struct tkvm_fork_stats last;
	uint64_t unmeasured; /* requests of the worker's forks: memory is measured now and then */
};

/* The worker has another fork, or none. */
void ks_tally_begin(struct ks_tally *tally);

/* It ran. */
void ks_tally_run(struct ks_tally *tally, struct tkvm_machine *fork, struct ks_counters *counters);
/* It was reset. */
void ks_tally_reset(struct ks_tally *tally, struct tkvm_machine *fork,
		    struct ks_counters *counters);
/* A request is over, and nobody waits for the fork: now and then that takes a walk over its memory.
 */
void ks_tally_memory(struct ks_tally *tally, struct tkvm_machine *fork,
		     struct ks_counters *counters);

#endif
