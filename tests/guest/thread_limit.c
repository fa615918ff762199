/* SPDX-License-Identifier: MIT */
/*
 * Very many threads at a time, and threads beside very many descriptors. How many there can be
 * differs; when there are no more, pthread_create() says EAGAIN, everything that is there still
 * works, and room that is made is used again.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/eventfd.h>

#include "check.h"

#define WANTED	 600
#define AT_LEAST 511 /* and the first thread */

static sem_t begun, go;
static pthread_t threads[WANTED];
static pthread_attr_t attr;

static void *wait_here(void *arg)
{
	sem_post(&begun);
	sem_wait(&go);
	return arg;
}

static int start_all(void)
{
	int n, rc = 0;

	for (n = 0; n < WANTED && !rc; n += !rc)
		rc = pthread_create(&threads[n], &attr, wait_here, (void *)(intptr_t)n);
	CHECK(rc == 0 || rc == EAGAIN);
	CHECK(n >= AT_LEAST);
	for (int i = 0; i < n; i++)
		sem_wait(&begun);
	return n;
}

static void end_some(int from, int to)
{
	void *ret;

	for (int i = from; i < to; i++)
		sem_post(&go);
	for (int i = from; i < to; i++)
		CHECK(pthread_join(threads[i], &ret) == 0 && ret == (void *)(intptr_t)i);
}

/* Whether descriptors and threads are limited together differs, too. */
static void beside_descriptors(void)
{
	int first = eventfd(0, 0), last = first, fd, rc;

	while ((fd = eventfd(0, 0)) >= 0)
		last = fd;
	CHECK(errno == EMFILE);
	rc = pthread_create(&threads[0], &attr, wait_here, NULL);
	CHECK(rc == 0 || rc == EAGAIN);
	if (!rc)
		end_some(0, 1);
	CHECK(close_range((unsigned int)first, (unsigned int)last, 0) == 0);
	CHECK(pthread_create(&threads[0], &attr, wait_here, NULL) == 0);
	end_some(0, 1);
}

int main(void)
{
	int n;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	for (int i = 0; i < 2; i++) {
		n = start_all();
		end_some(0, n);
	}
	beside_descriptors();
	return check_done();
}
