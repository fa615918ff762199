/* SPDX-License-Identifier: MIT */
/*
 * Reloading. The new master has the old one's listening sockets, so that no client is turned away;
 * it serves nobody before the swap, and if it cannot be booted the old one serves on. Workers
 * change to forks of the new one after the request that they are at.
 */
#include <string.h>

#include "kvmserver.h"
#include "reload.h"

static void *boot(void *arg)
{
	struct ks_reload *reload = arg;
	struct ks_master *master = &reload->master;
	int status = ks_master_boot(master, reload->old->guest, reload->old, &reload->cancel);

	if (!status && !master->ended)
		status = ks_master_freeze(master);
	reload->status = master->ended ? -1 : status;
	atomic_store(&reload->done, true);
	return NULL;
}

void ks_reload_begin(struct ks_reload *reload, const struct ks_master *old)
{
	int rc;

	if (reload->started) {
		ks_message("a reload is under way");
		return;
	}
	reload->old = old;
	atomic_store(&reload->done, false);
	rc = pthread_create(&reload->thread, NULL, boot, reload);
	if (rc)
		ks_message("cannot reload: %s", strerror(rc));
	else
		reload->started = true;
}

/* Returns what is to be given back: the master that serves nobody. */
static struct ks_master swap(struct ks_reload *reload, struct ks_master *master,
			     struct ks_pool *pool)
{
	struct ks_master old = *master;

	if (ks_lobby_listen(pool->lobby, reload->master.listeners, reload->master.n_listeners,
			    atomic_load(&pool->generation) + 1)) {
		ks_message("cannot reload: out of memory or descriptors");
		return reload->master;
	}
	*master = reload->master;
	master->replaces = NULL;
	pthread_mutex_lock(&pool->lock);
	pool->image = master->image;
	atomic_fetch_add(&pool->generation, 1);
	pthread_mutex_unlock(&pool->lock);
	return old;
}

bool ks_reload_finish(struct ks_reload *reload, struct ks_master *master, struct ks_pool *pool)
{
	struct ks_master rest;
	bool swapped;

	if (!reload->started || !atomic_load(&reload->done))
		return false;
	pthread_join(reload->thread, NULL);
	reload->started = false;
	swapped = !reload->status;
	rest = swapped ? swap(reload, master, pool) : reload->master;
	if (!swapped)
		ks_message("%s: not reloaded, serving on as before", master->guest->name);
	ks_master_destroy(&rest);
	return swapped;
}

void ks_reload_cancel(struct ks_reload *reload)
{
	if (!reload->started)
		return;
	atomic_store(&reload->cancel, true);
	pthread_join(reload->thread, NULL);
	ks_master_destroy(&reload->master);
	reload->started = false;
}
