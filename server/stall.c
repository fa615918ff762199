/* SPDX-License-Identifier: MIT */
/*
 * See stall.h. A wait ends when the program takes or sends something, or with the next look. What
 * its thread computed in between (for a timer of its own, say) is not the client's fault.
 */
#include "stall.h"
#include "clock.h"

#define NS_A_BYTE (KS_S / KS_STALL_RATE)

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * KS_S + (uint64_t)ts.tv_nsec;
}

void ks_stall_begin(struct ks_stall *stall)
{
	stall->since = stall->waited = 0;
	atomic_store_explicit(&stall->due, 0, memory_order_relaxed);
}

static void add_wait(struct ks_stall *stall, uint64_t now)
{
	uint64_t used = cpu_now() - stall->cpu, passed = now - stall->since;

	stall->waited += passed > used ? passed - used : 0;
	stall->since = 0;
}

void ks_stall_end_wait(struct ks_stall *stall)
{
	if (stall->since)
		add_wait(stall, ks_now());
	atomic_store_explicit(&stall->due, 0, memory_order_relaxed);
}

/* What is queued in a unix socket counts with its overhead: the bytes may be fewer than before. */
static void take_off(struct ks_stall *stall, int64_t moved)
{
	uint64_t bytes = moved > stall->moved ? (uint64_t)(moved - stall->moved) : 0;

	if (bytes > stall->waited / NS_A_BYTE)
		stall->waited = 0;
	else
		stall->waited -= bytes * NS_A_BYTE;
	if (bytes || !stall->waited)
		stall->moved = moved;
}

bool ks_stall_look(struct ks_stall *stall, bool waits, int64_t moved, uint64_t now, uint64_t limit)
{
	uint64_t due = now + limit;

	if (stall->since)
		add_wait(stall, now);
	take_off(stall, moved);
	if (waits && stall->waited >= limit)
		return true;
	if (waits) {
		stall->since = now;
		stall->cpu = cpu_now();
		due -= stall->waited;
	}
	atomic_store_explicit(&stall->due, due, memory_order_relaxed);
	return false;
}

bool ks_stall_is_due(struct ks_stall *stall, uint64_t now)
{
	uint64_t due = atomic_load_explicit(&stall->due, memory_order_relaxed);

	return due && due <= now;
}
