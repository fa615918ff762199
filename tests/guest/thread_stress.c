/* SPDX-License-Identifier: MIT */
/*
 * Threads under load: locks, conditions, barriers, semaphores, short lives, signals and timers.
 * thread_stress [CREATIONS [ROUNDS]]: how many threads each round starts and ends (300), how
 * often everything is done (1). Never more than PEAK threads at a time, the first one included.
 *
 * guest: flags -lrt
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>

#include "check.h"

#define WORKERS 8
#define CHURN	4 /* threads that start and join threads, with one child each */
#define PEAK	(WORKERS + 1)

static void start(pthread_t *t, int n, void *(*fn)(void *))
{
	for (intptr_t i = 0; i < n; i++)
		CHECK(pthread_create(&t[i], NULL, fn, (void *)i) == 0);
}

static void join(pthread_t *t, int n)
{
	for (int i = 0; i < n; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
}

static void everybody(void *(*fn)(void *))
{
	pthread_t t[WORKERS];

	start(t, WORKERS, fn);
	join(t, WORKERS);
}

/* Locks of all kinds around one counter; some let others run while they hold it. */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spinlock;
static long by_mutex, by_rwlock, by_spinlock;

static void *lock_them(void *arg)
{
	intptr_t me = (intptr_t)arg;

	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		by_mutex++;
		if (i % 16 == me)
			sched_yield();
		pthread_mutex_unlock(&mutex);
		pthread_rwlock_rdlock(&rwlock);
		CHECK(by_rwlock >= i);
		pthread_rwlock_unlock(&rwlock);
		pthread_rwlock_wrlock(&rwlock);
		by_rwlock++;
		if (i % 32 == me)
			sched_yield();
		pthread_rwlock_unlock(&rwlock);
		pthread_spin_lock(&spinlock);
		by_spinlock++;
		pthread_spin_unlock(&spinlock);
	}
	return NULL;
}

static void locks(void)
{
	by_mutex = by_rwlock = by_spinlock = 0;
	pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE);
	everybody(lock_them);
	CHECK(by_mutex == WORKERS * 500 && by_rwlock == WORKERS * 500);
	CHECK(by_spinlock == WORKERS * 500);
}

/* A bounded queue: half of the threads fill it, half empty it. */

#define ITEMS 400

static struct {
	pthread_mutex_t lock;
	pthread_cond_t not_full, not_empty;
	int slots[4], n;
	long sum;
} queue = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};

static void put(int item)
{
	pthread_mutex_lock(&queue.lock);
	while (queue.n == 4)
		pthread_cond_wait(&queue.not_full, &queue.lock);
	queue.slots[queue.n++] = item;
	pthread_cond_signal(&queue.not_empty);
	pthread_mutex_unlock(&queue.lock);
}

static void take(void)
{
	pthread_mutex_lock(&queue.lock);
	while (!queue.n)
		pthread_cond_wait(&queue.not_empty, &queue.lock);
	queue.sum += queue.slots[--queue.n];
	pthread_cond_signal(&queue.not_full);
	pthread_mutex_unlock(&queue.lock);
}

static void *queue_work(void *arg)
{
	for (int i = 1; i <= ITEMS; i++) {
		if ((intptr_t)arg % 2)
			put(i);
		else
			take();
	}
	return NULL;
}

static void conditions(void)
{
	queue.sum = 0;
	everybody(queue_work);
	CHECK(queue.n == 0 && queue.sum == (long)WORKERS / 2 * ITEMS * (ITEMS + 1) / 2);
}

/* All meet at every step: nobody is ever more than one ahead. */

static pthread_barrier_t barrier;
static atomic_int steps, serials;

static void *meet(void *arg)
{
	for (int i = 0; i < 60; i++) {
		CHECK(steps >= i * WORKERS && steps < (i + 1) * WORKERS);
		steps++;
		serials += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
		CHECK(steps >= (i + 1) * WORKERS);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void barriers(void)
{
	steps = serials = 0;
	pthread_barrier_init(&barrier, NULL, WORKERS);
	everybody(meet);
	CHECK(steps == 60 * WORKERS && serials == 60);
	CHECK(pthread_barrier_destroy(&barrier) == 0);
}

/* A ring of semaphores, and one of event descriptors: the token goes round. */

static sem_t ring[WORKERS];
static int events[WORKERS];

static void *pass_on(void *arg)
{
	intptr_t me = (intptr_t)arg, next = (me + 1) % WORKERS;
	uint64_t one;

	for (int i = 0; i < 60; i++) {
		CHECK(sem_wait(&ring[me]) == 0 && sem_post(&ring[next]) == 0);
		CHECK(read(events[me], &one, sizeof(one)) == sizeof(one) && one == 1);
		CHECK(write(events[next], &one, sizeof(one)) == sizeof(one));
	}
	return NULL;
}

static void rings(void)
{
	int value;

	for (int i = 0; i < WORKERS; i++) {
		sem_init(&ring[i], 0, i == 0);
		events[i] = eventfd(i == 0, 0);
		CHECK(events[i] >= 0);
	}
	everybody(pass_on);
	CHECK(sem_getvalue(&ring[0], &value) == 0 && value == 1);
	for (int i = 0; i < WORKERS; i++)
		close(events[i]);
}

/* Short lives: joined, detached, with a stack of their own, ended by cancellation. */

static int creations = 300;
static atomic_int born, unwound;
static __thread int local = 5;

static void unwind(void *arg)
{
	unwound++;
}

static void *live(void *arg)
{
	CHECK(local == 5);
	local = (int)(intptr_t)arg;
	born++;
	return arg;
}

static void *live_detached(void *arg)
{
	live(arg);
	sem_post(arg);
	return NULL;
}

static void *live_forever(void *arg)
{
	live(arg);
	pthread_cleanup_push(unwind, NULL);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static void churn_one(int i)
{
	pthread_attr_t attr;
	pthread_t t;
	void *ret;
	sem_t done;

	if (i % 16 == 0) {
		CHECK(pthread_create(&t, NULL, live_forever, NULL) == 0);
		CHECK(pthread_cancel(t) == 0);
		CHECK(pthread_join(t, &ret) == 0 && ret == PTHREAD_CANCELED);
	} else if (i % 16 == 1) {
		sem_init(&done, 0, 0);
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		CHECK(pthread_create(&t, &attr, live_detached, &done) == 0);
		sem_wait(&done);
	} else {
		CHECK(pthread_create(&t, NULL, live, (void *)(intptr_t)i) == 0);
		CHECK(pthread_join(t, &ret) == 0 && ret == (void *)(intptr_t)i);
	}
}

static void *churn_some(void *arg)
{
	for (int i = 0; i < creations / CHURN; i++)
		churn_one(i);
	return NULL;
}

static void churn(void)
{
	pthread_t t[CHURN];

	born = unwound = 0;
	start(t, CHURN, churn_some);
	join(t, CHURN);
	/* a thread that is cancelled at once may not get as far as to be born */
	CHECK(born <= creations && born >= creations - (creations + 15) / 16 - CHURN);
	CHECK(unwound <= (creations + 15) / 16 + CHURN);
}

/* Signals to each other: queued ones all arrive, at the thread they were sent to. */

#define ROUNDTRIPS 40

static pthread_t peers[WORKERS];
static pthread_barrier_t ready;
static __thread int me = -1, taken, sum;
static __thread volatile sig_atomic_t pokes;

static void on_queued(int sig, siginfo_t *info, void *context)
{
	CHECK(sig == SIGRTMIN && info->si_code == SI_QUEUE &&
	      info->si_value.sival_int / 1000 == me);
	sum += info->si_value.sival_int % 1000;
	taken++;
}

static void on_poke(int sig)
{
	pokes = pokes + 1;
}

static void send_to(int peer, int number)
{
	union sigval value = {.sival_int = peer * 1000 + number};

	while (pthread_sigqueue(peers[peer], SIGRTMIN, value))
		sched_yield(); /* RLIMIT_SIGPENDING */
	pthread_kill(peers[peer], SIGUSR2);
}

static void *exchange(void *arg)
{
	sigset_t set, old;

	me = (int)(intptr_t)arg;
	peers[me] = pthread_self();
	pthread_barrier_wait(&ready);
	for (int i = 0; i < ROUNDTRIPS; i++)
		send_to((me + 1 + i) % WORKERS, i);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	while (taken < ROUNDTRIPS)
		sigsuspend(&old);
	CHECK(taken == ROUNDTRIPS && pokes > 0);
	pthread_barrier_wait(&ready); /* nobody ends while others may send to it */
	return NULL;
}

static void signals(void)
{
	struct sigaction queued = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction poke = {.sa_handler = on_poke, .sa_flags = SA_RESTART};

	sigaction(SIGRTMIN, &queued, NULL);
	sigaction(SIGUSR2, &poke, NULL);
	pthread_barrier_init(&ready, NULL, WORKERS);
	everybody(exchange);
	pthread_barrier_destroy(&ready);
}

/* Timers: each thread has one of its own that interrupts it, a timerfd, and timed waits. */

static __thread volatile sig_atomic_t ticks;

static void on_tick(int sig)
{
	ticks = ticks + 1;
}

static void own_timer(timer_t *timer)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1};
	struct itimerspec every = {{0, 3000000}, {0, 1000000}};

	event._sigev_un._tid = gettid();
	CHECK(timer_create(CLOCK_MONOTONIC, &event, timer) == 0);
	CHECK(timer_settime(*timer, 0, &every, NULL) == 0);
}

static void timed_waits(void)
{
	pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	struct timespec now;
	sem_t nobody;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now.tv_sec += now.tv_nsec >= 998000000;
	now.tv_nsec = (now.tv_nsec + 2000000) % 1000000000;
	pthread_mutex_lock(&own_lock);
	CHECK(pthread_cond_clockwait(&never, &own_lock, CLOCK_MONOTONIC, &now) == ETIMEDOUT);
	pthread_mutex_unlock(&own_lock);
	sem_init(&nobody, 0, 0);
	while (sem_clockwait(&nobody, CLOCK_MONOTONIC, &now) && errno == EINTR)
		;
	CHECK(errno == ETIMEDOUT);
}

static void *tick(void *arg)
{
	struct itimerspec every = {{0, 2000000}, {0, 2000000}};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t n, expired = 0;
	timer_t timer;

	own_timer(&timer);
	CHECK(timerfd_settime(fd, 0, &every, NULL) == 0);
	while (expired < 5) {
		CHECK(read(fd, &n, sizeof(n)) == sizeof(n) && n > 0);
		expired += n;
	}
	while (ticks < 3)
		sched_yield();
	timed_waits();
	CHECK(timer_delete(timer) == 0 && close(fd) == 0);
	return NULL;
}

static void timers(void)
{
	struct sigaction sa = {.sa_handler = on_tick, .sa_flags = SA_RESTART};

	sigaction(SIGRTMIN + 1, &sa, NULL);
	everybody(tick);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 1;

	if (argc > 1)
		creations = atoi(argv[1]);
	for (int i = 0; i < rounds; i++) {
		locks();
		conditions();
		barriers();
		rings();
		churn();
		signals();
		timers();
	}
	return check_done();
}
