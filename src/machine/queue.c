/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is with a storage machine. Nobody waits as long as there is one who wants it: then
 * it is a mutex for a moment, and no call of the host's kernel. Otherwise it is handed from one to
 * the next, in the order in which they came.
 *
 * The thread that serves has no end of its own: it is interrupted when others wait, but not before
 * it could do something.
 */
#include <errno.h>
#include <time.h>

#include "machine/remote.h"

#define SERVING_NS (500 * 1000) /* what the thread that serves has at least */
#define LOOK_NS	   (1000 * 1000)

struct tk_waiter {
	struct tk_waiter *next;
	bool serves, granted;
	pthread_cond_t cond;
};

void tk_remote_queue_init(struct tkvm_remote *remote)
{
	pthread_mutex_init(&remote->lock, NULL);
	remote->last = &remote->first;
}

void tk_remote_queue_destroy(struct tkvm_remote *remote)
{
	pthread_mutex_destroy(&remote->lock);
}

/* Under the lock. */
static void own(struct tkvm_remote *remote, bool serves)
{
	remote->owned = true;
	remote->serving = serves;
	remote->since = serves ? tk_now_ns() : 0;
}

static void init_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static void take_out(struct tkvm_remote *remote, struct tk_waiter *waiter)
{
	struct tk_waiter **at = &remote->first;

	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	if (!*at)
		remote->last = at;
}

/* What ends the wait of @caller. */
static int impatience(const struct tkvm_machine *caller, s64 now)
{
	if (!caller)
		return 0;
	if (now >= caller->wall_deadline)
		return -ETIMEDOUT;
	return atomic_load(&caller->interrupt) ? -EINTR : 0;
}

static int wait_for_turn(struct tkvm_remote *remote, struct tk_waiter *waiter,
			 const struct tkvm_machine *caller)
{
	struct timespec ts;
	int rc = 0;
	s64 now;

	while (!waiter->granted && !rc) {
		now = tk_now_ns();
		rc = impatience(caller, now);
		if (!waiter->serves && remote->serving && remote->owned && remote->machine &&
		    now - remote->since >= SERVING_NS)
			tkvm_machine_interrupt(remote->machine);
		ts = tk_ns_timespec(now + LOOK_NS);
		if (!rc)
			pthread_cond_timedwait(&waiter->cond, &remote->lock, &ts);
	}
	return waiter->granted ? 0 : rc;
}

static int enter(struct tkvm_remote *remote, const struct tkvm_machine *caller, bool serves)
{
	struct tk_waiter waiter = {.serves = serves};
	int rc = 0;

	pthread_mutex_lock(&remote->lock);
	if (!remote->owned) {
		own(remote, serves);
	} else {
		init_cond(&waiter.cond);
		*remote->last = &waiter;
		remote->last = &waiter.next;
		rc = wait_for_turn(remote, &waiter, caller);
		if (rc)
			take_out(remote, &waiter);
		pthread_cond_destroy(&waiter.cond);
	}
	pthread_mutex_unlock(&remote->lock);
	return rc;
}

int tk_remote_enter(struct tkvm_remote *remote, struct tkvm_machine *caller)
{
	return enter(remote, caller, false);
}

void tk_remote_enter_serving(struct tkvm_remote *remote)
{
	(void)enter(remote, NULL, true);
}

void tk_remote_leave(struct tkvm_remote *remote)
{
	struct tk_waiter *next;

	pthread_mutex_lock(&remote->lock);
	next = remote->first;
	remote->owned = false;
	if (next) {
		take_out(remote, next);
		own(remote, next->serves);
		next->granted = true;
		pthread_cond_signal(&next->cond);
	}
	pthread_mutex_unlock(&remote->lock);
}
