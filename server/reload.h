/* SPDX-License-Identifier: MIT */
/* SIGHUP: another master is booted in the background, and takes the place of the one there is. */
#ifndef KVMSERVER_RELOAD_H
#define KVMSERVER_RELOAD_H

#include <pthread.h>

#include "master.h"
#include "worker.h"

struct ks_reload {
	pthread_t thread;
	bool started; /* and not yet finished with */
	atomic_bool done, cancel;
	int status;
	struct ks_master master;
	const struct ks_master *old;
};

/* Begin, unless one is under way. */
void ks_reload_begin(struct ks_reload *reload, const struct ks_master *old);
/* If one is ready: forks are made of it from now on, and *@master is it. True then. */
bool ks_reload_finish(struct ks_reload *reload, struct ks_master *master, struct ks_pool *pool);
/* Give it up. */
void ks_reload_cancel(struct ks_reload *reload);

#endif
