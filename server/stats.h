/* SPDX-License-Identifier: MIT */
/* --stats: what the program did, counted. */
#ifndef KVMSERVER_STATS_H
#define KVMSERVER_STATS_H

#include <time.h>

struct tkvm_machine;

/* Write counts and times since @start (CLOCK_MONOTONIC) to standard error. */
void ks_stats_print(struct tkvm_machine *machine, const struct timespec *start);

#endif
