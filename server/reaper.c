/* SPDX-License-Identifier: MIT */
/* See reaper.h. The queue is short: forks hold memory, and must not pile up. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "kvmserver.h"
#include "reaper.h"

#define QUEUE	  8
#define MAX_FILES (1u << 20)
#define OWN_FILES 1024u /* the lobby's connections, the image, what does not count anywhere */
#define FEW_FILES 1024u /* what a fork should be allowed */

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
	unsigned int held, room; /* forks reserved for, waiting and being destroyed; at most */
	bool stop;
};

static void bury(struct ks_reaper *reaper, const struct job *job)
{
	tkvm_machine_destroy(job->fork);
	if (job->exchange)
		ks_lobby_drop(reaper->lobby, job->exchange->conn);
	free(job->exchange);
	ks_reaper_unreserve(reaper);
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

unsigned int ks_reaper_files(void)
{
	struct rlimit limit;
	rlim_t all;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	all = limit.rlim_cur < MAX_FILES ? limit.rlim_cur : MAX_FILES;
	return (unsigned int)(all - (all / 2 < OWN_FILES ? all / 2 : OWN_FILES));
}

/* One at least: where there are few descriptors, each fork gets fewer. */
static unsigned int room_beside(unsigned int n_workers)
{
	unsigned int forks = ks_reaper_files() / FEW_FILES, others = n_workers + 1;

	if (forks <= others)
		return 1;
	return forks - others < QUEUE ? forks - others : QUEUE;
}

unsigned int ks_reaper_room(const struct ks_reaper *reaper)
{
	return reaper->room;
}

bool ks_reaper_reserve(struct ks_reaper *reaper)
{
	bool room;

	pthread_mutex_lock(&reaper->lock);
	room = reaper->held < reaper->room;
	reaper->held += room;
	pthread_mutex_unlock(&reaper->lock);
	return room;
}

void ks_reaper_unreserve(struct ks_reaper *reaper)
{
	pthread_mutex_lock(&reaper->lock);
	reaper->held--;
	pthread_mutex_unlock(&reaper->lock);
}

struct ks_reaper *ks_reaper_start(struct ks_lobby *lobby, unsigned int n_workers)
{
	struct ks_reaper *reaper = calloc(1, sizeof(*reaper));
	int rc;

	if (!reaper) {
		ks_message("out of memory");
		return NULL;
	}
	reaper->lobby = lobby;
	reaper->room = room_beside(n_workers);
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

void ks_reaper_take(struct ks_reaper *reaper, struct tkvm_machine *fork,
		    struct ks_exchange *exchange)
{
	pthread_mutex_lock(&reaper->lock);
	reaper->jobs[(reaper->first + reaper->n++) % QUEUE] = (struct job){fork, exchange};
	pthread_cond_signal(&reaper->cond);
	pthread_mutex_unlock(&reaper->lock);
}
