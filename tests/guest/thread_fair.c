/* SPDX-License-Identifier: MIT */
/*
 * Threads that never wait share the processor: equal ones get equal parts, those that spin on a
 * flag do not keep the one away that will set it, and neither do they keep others from timers and
 * descriptors.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "check.h"

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* As if there were one processor. */
static void stay_here(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
}

static atomic_int stop;

struct worker {
	pthread_t thread;
	atomic_ulong count;
	double cpu;
};

static void *work(void *arg)
{
	struct worker *worker = arg;

	while (!stop)
		worker->count++;
	worker->cpu = now(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static bool is_fair(double mine, double other)
{
	double share = mine / (mine + other);

	if (share <= 0.45 || share >= 0.55)
		fprintf(stderr, "share %.3f\n", share);
	return share > 0.45 && share < 0.55;
}

static bool shares(void)
{
	struct timespec wait = {2, 0};
	struct worker w[2] = {0};

	stop = 0;
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&w[i].thread, NULL, work, &w[i]) == 0);
	nanosleep(&wait, NULL);
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(w[i].thread, NULL);
	return is_fair((double)w[0].cpu, (double)w[1].cpu) &&
	       is_fair((double)w[0].count, (double)w[1].count);
}

/* Each waits, without letting go of the processor, until it is its turn. */

#define TURNS 50

static atomic_int turn;

static void *alternate(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		while (turn % 2 != (intptr_t)arg)
			;
		turn++;
	}
	return NULL;
}

static void spinning(void)
{
	pthread_t t[2];

	for (intptr_t i = 0; i < 2; i++)
		CHECK(pthread_create(&t[i], NULL, alternate, (void *)i) == 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	CHECK(turn == 2 * TURNS);
}

/* Beside a busy thread a sleeper and the two ends of a pipe go on. */

static int ends[2];

static void *sleeper(void *arg)
{
	struct timespec ts = {0, 1000000};

	for (int i = 0; i < 20; i++)
		CHECK(nanosleep(&ts, NULL) == 0);
	return NULL;
}

static void *reader(void *arg)
{
	char c;

	while (read(ends[0], &c, 1) == 1)
		;
	return NULL;
}

static void *writer(void *arg)
{
	struct timespec ts = {0, 1000000};

	for (int i = 0; i < 20; i++) {
		CHECK(write(ends[1], "x", 1) == 1);
		nanosleep(&ts, NULL);
	}
	close(ends[1]);
	return NULL;
}

static void beside(void)
{
	void *(*fn[])(void *) = {sleeper, reader, writer};
	struct worker busy = {0};
	pthread_t t[3];
	double start = now(CLOCK_MONOTONIC);

	stop = 0;
	CHECK(pipe(ends) == 0);
	CHECK(pthread_create(&busy.thread, NULL, work, &busy) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t[i], NULL, fn[i], NULL) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	stop = 1;
	pthread_join(busy.thread, NULL);
	CHECK(now(CLOCK_MONOTONIC) - start < 10);
	close(ends[0]);
}

int main(void)
{
	bool fair = false;

	stay_here();
	/* A processor that is taken away for long counts as time of who was on it. */
	for (int i = 0; i < 5 && !fair; i++)
		fair = shares();
	CHECK(fair);
	spinning();
	beside();
	return check_done();
}
