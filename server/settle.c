/* SPDX-License-Identifier: MIT */
/*
 * What a timer had to go at the freezing it has to go in each request (decision 0015), and a
 * request that takes longer does what it is for. So kvmserver waits while one is due soon, and what
 * "soon" is becomes less and less: from half of the limit at the beginning to nothing at its end.
 * As that goes down more slowly than the time to a deadline does, no deadline becomes good enough
 * by being waited for: it is let pass. And of a periodic timer, which leaves no more time than its
 * period, it is the moment behind an expiry that is found. An expiry need not wake the program (a
 * timerfd that is not waited for), so the limit does not depend on that.
 *
 * The limit is short because a program that has just been warmed up is a better one to freeze than
 * one that has rested: its threads are awake, and need not be woken by each request.
 */
#include "clock.h"
#include "settle.h"

bool ks_settled(struct ks_settle *settle, struct tkvm_machine *machine)
{
	uint64_t now = ks_now();

	settle->waited = now - settle->start;
	settle->rest = tkvm_machine_rest(machine);
	return settle->waited >= settle->limit ||
	       settle->rest >= (settle->limit - settle->waited) / 2;
}
