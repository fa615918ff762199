/* SPDX-License-Identifier: MIT */
/*
 * How long an idle program has waited for its client. That adds up, and each KS_STALL_RATE bytes
 * that the client moves take a second off: who does nothing, or next to nothing, is ended when it
 * comes to the limit, and nobody can save up for that.
 */
#ifndef KVMSERVER_STALL_H
#define KVMSERVER_STALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Bytes a second that are fast enough. */
#define KS_STALL_RATE 16384

struct ks_stall {
	uint64_t since;	      /* it waits since then; 0: it does not */
	uint64_t cpu;	      /* what its thread had used by then */
	uint64_t waited;      /* ns that have added up */
	int64_t moved;	      /* bytes, when last looked at */
	_Atomic uint64_t due; /* when to look again; 0: it is not idle */
};

void ks_stall_begin(struct ks_stall *stall);

/* The program goes on. By its thread, as the next one. */
void ks_stall_end_wait(struct ks_stall *stall);
/*
 * It is idle at @now. @waits: for its client, which has moved so many bytes by now, in both
 * directions. True: it has waited for @limit ns.
 */
bool ks_stall_look(struct ks_stall *stall, bool waits, int64_t moved, uint64_t now, uint64_t limit);

/* Another look is worth while, which the caller sees to. Any thread. */
bool ks_stall_is_due(struct ks_stall *stall, uint64_t now);

#endif
