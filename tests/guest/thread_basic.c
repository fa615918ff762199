/* SPDX-License-Identifier: MIT */
/* Threads: start, end, locks, conditions, preemption, signals to one of them, robust locks. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter;
static int turn;

static void *count(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void locks(void)
{
	pthread_t t[8];
	void *ret;

	for (intptr_t i = 0; i < 8; i++)
		CHECK(pthread_create(&t[i], NULL, count, (void *)i) == 0);
	for (intptr_t i = 0; i < 8; i++)
		CHECK(pthread_join(t[i], &ret) == 0 && ret == (void *)i);
	CHECK(counter == 160000);
}

static void *ping(void *arg)
{
	int mine = *(int *)arg;

	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&lock);
		while (turn != mine)
			pthread_cond_wait(&changed, &lock);
		turn = !mine;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void conditions(void)
{
	int sides[2] = {0, 1};
	struct timespec past;
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, ping, &sides[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	clock_gettime(CLOCK_REALTIME, &past);
	past.tv_nsec += 5000000;
	if (past.tv_nsec >= 1000000000) {
		past.tv_sec++;
		past.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	CHECK(pthread_cond_timedwait(&changed, &lock, &past) == ETIMEDOUT);
	pthread_mutex_unlock(&lock);
}

static volatile int stop_spinning;

static void *spin(void *arg)
{
	while (!stop_spinning)
		;
	return NULL;
}

/* Threads that never leave do not keep others from running. */
static void preemption(void)
{
	struct timespec ts = {0, 5000000};
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, spin, NULL);
	for (int i = 0; i < 5; i++)
		nanosleep(&ts, NULL);
	stop_spinning = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

static volatile pid_t handled_by;
static sem_t go;

static void on_signal(int sig)
{
	handled_by = gettid();
}

static void *sleeper(void *arg)
{
	sigset_t usr1, none;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	*(pid_t *)arg = gettid();
	sem_post(&go);
	CHECK_ERR(sigsuspend(&none), EINTR);
	return NULL;
}

static void signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t t;
	pid_t tid;

	sem_init(&go, 0, 0);
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, sleeper, &tid);
	sem_wait(&go);
	CHECK(pthread_kill(t, SIGUSR1) == 0);
	pthread_join(t, NULL);
	CHECK(handled_by == tid && tid != getpid());
}

static __thread int local = 7;

static void *own_state(void *arg)
{
	stack_t st;
	sigset_t mask;

	CHECK(local == 7);
	local = 8;
	CHECK(sigaltstack(NULL, &st) == 0 && st.ss_flags == SS_DISABLE);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CHECK(sigismember(&mask, SIGUSR2));
	CHECK(getpid() != gettid());
	return NULL;
}

static void inheritance(void)
{
	static char stack[16384];
	stack_t st = {.ss_sp = stack, .ss_size = sizeof(stack)}, off = {.ss_flags = SS_DISABLE};
	sigset_t set, old;
	pthread_t t;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	sigaltstack(&st, NULL);
	pthread_create(&t, NULL, own_state, NULL);
	pthread_join(t, NULL);
	sigaltstack(&off, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	CHECK(local == 7);
}

static void *die_with_lock(void *arg)
{
	pthread_mutex_lock(arg);
	return NULL;
}

static void robust(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&m, &attr);
	pthread_create(&t, NULL, die_with_lock, &m);
	pthread_join(t, NULL);
	CHECK(pthread_mutex_lock(&m) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(&m) == 0 && pthread_mutex_unlock(&m) == 0);
}

static void *nothing(void *arg)
{
	return NULL;
}

static void many(void)
{
	for (int i = 0; i < 200; i++) {
		pthread_t t;

		CHECK(pthread_create(&t, NULL, nothing, NULL) == 0);
		CHECK(pthread_join(t, NULL) == 0);
	}
}

static void *exits(void *arg)
{
	puts("threads take turns");
	fflush(stdout);
	exit(check_done());
}

int main(void)
{
	pthread_t t;

	locks();
	conditions();
	preemption();
	signals();
	inheritance();
	robust();
	many();
	/* the process outlives its first thread */
	pthread_create(&t, NULL, exits, NULL);
	pthread_exit(NULL);
}
