/* SPDX-License-Identifier: MIT */
#include "vigil.h"
#include "clock.h"

#define LEAST 10000 /* ns */

void ks_vigil_learn(struct ks_vigil *vigil, uint64_t ns)
{
	if (ns > KS_VIGIL_MOST)
		vigil->ns = 0;
	else if (ns > vigil->ns)
		vigil->ns = 2 * vigil->ns < LEAST ? LEAST : 2 * vigil->ns;
	if (vigil->ns > KS_VIGIL_MOST)
		vigil->ns = KS_VIGIL_MOST;
}

int ks_vigil_wait(struct ks_vigil *vigil, int epoll, struct epoll_event *event, int timeout_ms)
{
	int n = epoll_wait(epoll, event, 1, 0);
	uint64_t start;

	if (n || !timeout_ms)
		return n;
	start = ks_now();
	while (!n && ks_now() - start < vigil->ns)
		n = epoll_wait(epoll, event, 1, 0);
	if (!n)
		n = epoll_wait(epoll, event, 1, timeout_ms);
	ks_vigil_learn(vigil, ks_now() - start);
	return n;
}
