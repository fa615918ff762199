/* SPDX-License-Identifier: MIT */
/* See reaper.h. The queue is short: forks hold memory, and must not pile up. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kvmserver.h"
#include "reaper.h"

#define QUEUE 8

struct job {
	struct tkvm_machine *fork;
	struct ks_exchange *exchange;
};

struct ks_reaper {
	struct ks_lobby *lobby;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct job jobs[QUEUE];
	unsigned int first, n;
	bool stop;
};

static void bury(struct ks_reaper *reaper, const struct job *job)
{
	tkvm_machine_destroy(job->fork);
	if (job->exchange)
		ks_lobby_drop(reaper->lobby, job->exchange->conn);
	free(job->exchange);
}

static void *reap(void *arg)
{
	struct ks_reaper *reaper = arg;
	struct job job;

	pthread_mutex_lock(&reaper->lock);
	while (reaper->n || !reaper->stop) {
		if (!reaper->n) {
			pthread_cond_wait(&reaper->cond, &reaper->lock);
			continue;
		}
		job = reaper->jobs[reaper->first];
		reaper->first = (reaper->first + 1) % QUEUE;
		reaper->n--;
		pthread_mutex_unlock(&reaper->lock);
		bury(reaper, &job);
		pthread_mutex_lock(&reaper->lock);
	}
	pthread_mutex_unlock(&reaper->lock);
	return NULL;
}

struct ks_reaper *ks_reaper_start(struct ks_lobby *lobby)
{
	struct ks_reaper *reaper = calloc(1, sizeof(*reaper));
	int rc;

	if (!reaper) {
		ks_message("out of memory");
		return NULL;
	}
	reaper->lobby = lobby;
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_cond_init(&reaper->cond, NULL);
	rc = pthread_create(&reaper->thread, NULL, reap, reaper);
	if (!rc)
		return reaper;
	ks_message("cannot start a thread: %s", strerror(rc));
	free(reaper);
	return NULL;
}

void ks_reaper_stop(struct ks_reaper *reaper)
{
	if (!reaper)
		return;
	pthread_mutex_lock(&reaper->lock);
	reaper->stop = true;
	pthread_cond_signal(&reaper->cond);
	pthread_mutex_unlock(&reaper->lock);
	pthread_join(reaper->thread, NULL);
	pthread_cond_destroy(&reaper->cond);
	pthread_mutex_destroy(&reaper->lock);
	free(reaper);
}

bool ks_reaper_take(struct ks_reaper *reaper, struct tkvm_machine *fork,
		    struct ks_exchange *exchange)
{
	bool room;

	pthread_mutex_lock(&reaper->lock);
	room = reaper->n < QUEUE;
	if (room) {
		reaper->jobs[(reaper->first + reaper->n++) % QUEUE] = (struct job){fork, exchange};
		pthread_cond_signal(&reaper->cond);
	}
	pthread_mutex_unlock(&reaper->lock);
	return room;
}
