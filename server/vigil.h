/* SPDX-License-Identifier: MIT */
/*
 * How long a worker stays awake for the next event before it sleeps. Falling asleep and being woken
 * takes longer than many a request does, on both sides: as long as events come soon after each
 * other it is worth while to look again a few times first, and else not at all.
 */
#ifndef KVMSERVER_VIGIL_H
#define KVMSERVER_VIGIL_H

#include <stdint.h>
#include <sys/epoll.h>

#define KS_VIGIL_MOST 100000 /* ns */

struct ks_vigil {
	uint64_t ns; /* the next one; 0 to begin with */
};

/* epoll_wait(2) for one event. */
int ks_vigil_wait(struct ks_vigil *vigil, int epoll, struct epoll_event *event, int timeout_ms);

/* An event that was not there at once came after @ns. */
void ks_vigil_learn(struct ks_vigil *vigil, uint64_t ns);

#endif
