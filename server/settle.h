/* SPDX-License-Identifier: MIT */
/* When to freeze a program that has timers. */
#ifndef KVMSERVER_SETTLE_H
#define KVMSERVER_SETTLE_H

#include <stdbool.h>

#include "tinykvm/tinykvm.h"

struct ks_settle {
	uint64_t limit;	       /* wait for so long at most, ns */
	uint64_t start;	       /* from then on */
	uint64_t waited, rest; /* ns: until now, and what the program has to go */
};

/* To be asked whenever @machine is idle, and once the limit is over: may it be frozen now? */
bool ks_settled(struct ks_settle *settle, struct tkvm_machine *machine);

#endif
