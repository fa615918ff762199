/* SPDX-License-Identifier: MIT */
/* System calls by number: which left the virtual machine, and which were answered inside. */
#ifndef KVMSERVER_CALLS_H
#define KVMSERVER_CALLS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tinykvm/tinykvm.h"

#define KS_CALLS 512

struct ks_counters;

/* Of a worker, over all of its forks. Changed by its thread, read by any. */
struct ks_calls {
	_Atomic uint64_t left[KS_CALLS], inside[KS_CALLS];
};

/* Of a fork, when it was last looked at; zero before. */
struct ks_calls_seen {
	uint64_t left[KS_CALLS], inside[KS_CALLS];
};

/* Add what @fork has done since *@seen. */
void ks_calls_count(struct ks_calls *calls, struct ks_calls_seen *seen,
		    const struct tkvm_machine *fork);

/* As Prometheus takes it. */
void ks_calls_write(FILE *out, struct ks_counters *const *counters, unsigned int n);
/* For people: means over @requests, the most frequent by name. */
void ks_calls_summary(FILE *out, struct ks_counters *const *counters, unsigned int n,
		      uint64_t requests);

/* One number among others, sorted by ks_calls_sort(): most frequent first. */
struct ks_call {
	unsigned int nr;
	uint64_t n;
};

void ks_calls_sort(struct ks_call *calls, size_t n);
void ks_calls_name(FILE *out, unsigned int nr);

#endif
