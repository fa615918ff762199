/* SPDX-License-Identifier: MIT */
/* A worker: one thread with one fork, which serves one request at a time. */
#ifndef KVMSERVER_WORKER_H
#define KVMSERVER_WORKER_H

#include <pthread.h>

#include "master.h"
#include "metrics.h"

/* What all workers share. */
struct ks_pool {
	const struct ks_guest *guest;
	struct ks_lobby *lobby;
	struct ks_reaper *reaper;
	unsigned int n_workers; /* how many there are to be */
	bool spare;		/* the last of them serves only who waits for it (turns.h) */
	atomic_bool stopping;	/* no more requests than have come */
	atomic_bool hurry;	/* not even those */
	atomic_int alive;
	pthread_mutex_t lock;
	struct tkvm_image *image; /* what forks are made of; under the lock */
	atomic_uint generation;	  /* changes with the image */
};

struct ks_worker;

/* Start worker @index. NULL after a message. */
struct ks_worker *ks_worker_start(struct ks_pool *pool, unsigned int index);
/* Wait for its end (pool->stopping) and free it. */
void ks_worker_end(struct ks_worker *worker);

/* Its first fork is made: 1; it could not be: -1; 0: neither yet. */
int ks_worker_state(const struct ks_worker *worker);

/* End a request whose client has left, or whose program works on after its response. Housekeeping.
 */
void ks_worker_check(struct ks_worker *worker, uint64_t now);

struct ks_counters *ks_worker_counters(struct ks_worker *worker);

#endif
