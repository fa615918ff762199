/* SPDX-License-Identifier: MIT */
/* POSIX timers, interval timers, alarm and sleeping. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"

#define MS 1000000ll

static volatile int n_got;
static siginfo_t last;

static void on_timer(int sig, siginfo_t *info, void *uc)
{
	last = *info;
	n_got++;
}

static long long now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static struct timespec ts(long long ns)
{
	return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void on_alarm(int signo)
{
}

static void sleeping(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					   CLOCK_TAI};
	struct timespec t = ts(20 * MS), bad = {0, 1000000000}, rem;
	long long t0;

	for (unsigned int i = 0; i < 4; i++) {
		t0 = now(clocks[i]);
		CHECK(clock_nanosleep(clocks[i], 0, &t, NULL) == 0);
		CHECK(now(clocks[i]) - t0 >= 20 * MS);
		struct timespec until = ts(now(clocks[i]) + 10 * MS);

		CHECK(clock_nanosleep(clocks[i], TIMER_ABSTIME, &until, NULL) == 0);
		CHECK(now(clocks[i]) >= until.tv_sec * 1000000000ll + until.tv_nsec);
		CHECK(clock_nanosleep(clocks[i], TIMER_ABSTIME, &until, NULL) == 0); /* past */
	}
	CHECK_ERR(nanosleep(&bad, &rem), EINVAL);
	bad = (struct timespec){-1, 0};
	CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
	CHECK_ERR(nanosleep(BAD_POINTER, NULL), EFAULT);
	CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &t, NULL), EOPNOTSUPP);
	CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EOPNOTSUPP);
	CHECK_ERR(syscall(SYS_clock_nanosleep, 10, 0, &t, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_clock_nanosleep, -1, 0, &t, NULL), EINVAL);
	t0 = now(CLOCK_MONOTONIC);
	t = ts(0);
	CHECK(nanosleep(&t, NULL) == 0 && now(CLOCK_MONOTONIC) - t0 < 1000 * MS);
}

/* For ever, all but the time until a signal. */
static void interrupted(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					   CLOCK_PROCESS_CPUTIME_ID};
	const time_t end = INT64_MAX / 1000000000;
	const struct timespec never = {INT64_MAX, 0};
	struct sigaction sa = {.sa_handler = on_alarm};
	/* More than one, as the first may be before the sleep. */
	struct itimerval it = {.it_value.tv_usec = 10000, .it_interval.tv_usec = 10000};

	sigaction(SIGALRM, &sa, NULL);
	for (unsigned int i = 0; i < 4; i++) {
		struct timespec rem = {0, 0};

		CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
		CHECK(clock_nanosleep(clocks[i], 0, &never, &rem) == EINTR);
		CHECK(rem.tv_sec > end / 2 && rem.tv_sec <= end && rem.tv_nsec >= 0);
		CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
		CHECK(clock_nanosleep(clocks[i], TIMER_ABSTIME, &never, NULL) == EINTR);
	}
	it = (struct itimerval){0};
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	signal(SIGALRM, SIG_DFL);
}

static void periodic(clockid_t clock)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec it = {ts(5 * MS), ts(5 * MS)}, left;
	timer_t id;

	ev.sigev_value.sival_int = 4711;
	CHECK(timer_create(clock, &ev, &id) == 0);
	CHECK(timer_gettime(id, &left) == 0 && !left.it_value.tv_sec && !left.it_value.tv_nsec);
	n_got = 0;
	CHECK(timer_settime(id, 0, &it, NULL) == 0);
	CHECK(timer_gettime(id, &left) == 0 && left.it_value.tv_nsec <= 5 * MS &&
	      left.it_value.tv_nsec > 0 && left.it_interval.tv_nsec == 5 * MS);
	while (n_got < 3)
		;
	CHECK(last.si_code == SI_TIMER && last.si_value.sival_int == 4711);
	it = (struct itimerspec){0};
	CHECK(timer_settime(id, 0, &it, &left) == 0 && left.it_interval.tv_nsec == 5 * MS);
	CHECK(timer_delete(id) == 0);
	CHECK_ERR(timer_delete(id), EINVAL);
}

static void overruns(void)
{
	struct itimerspec it = {ts(2 * MS), ts(2 * MS)};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct timespec t = ts(31 * MS);
	sigset_t set, old;
	timer_t id;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	CHECK(timer_create(CLOCK_MONOTONIC, &ev, &id) == 0);
	CHECK(timer_settime(id, 0, &it, NULL) == 0);
	nanosleep(&t, NULL);
	n_got = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(n_got >= 1 && last.si_overrun >= 0);
	CHECK(timer_getoverrun(id) >= 0);
	CHECK(timer_delete(id) == 0);
}

/* A timer is deleted while its signal waits. */
static void deleted(void)
{
	struct itimerspec it = {{0}, ts(1 * MS)};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct timespec t = ts(5 * MS);
	sigset_t set, old;
	timer_t id;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	CHECK(timer_create(CLOCK_MONOTONIC, &ev, &id) == 0);
	CHECK(timer_settime(id, 0, &it, NULL) == 0);
	nanosleep(&t, NULL);
	CHECK(timer_delete(id) == 0);
	n_got = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(n_got <= 1); /* Linux 6.12 and before still deliver it */
}

static void silent(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_NONE};
	struct itimerspec it = {{0}, ts(2 * MS)}, left;
	struct timespec t = ts(5 * MS);
	timer_t id;

	CHECK(timer_create(CLOCK_REALTIME, &ev, &id) == 0);
	CHECK(timer_settime(id, 0, &it, NULL) == 0);
	nanosleep(&t, NULL);
	CHECK(timer_gettime(id, &left) == 0 && left.it_value.tv_nsec == 0);
	it.it_value = ts(now(CLOCK_REALTIME) + 10000 * MS);
	CHECK(timer_settime(id, TIMER_ABSTIME, &it, NULL) == 0);
	CHECK(timer_gettime(id, &left) == 0 && left.it_value.tv_sec == 9);
	CHECK(timer_delete(id) == 0);
}

static void errors(void)
{
	struct sigevent ev = {.sigev_notify = 77};
	struct itimerspec bad = {{0}, {0, -1}};
	timer_t id;

	CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
	ev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
	CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &id), EOPNOTSUPP);
	CHECK_ERR(syscall(SYS_timer_create, 12, NULL, &id), EINVAL);
	CHECK_ERR(syscall(SYS_timer_create, 1, NULL, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_timer_create, 1, BAD_POINTER, &id), EFAULT);
	CHECK_ERR(syscall(SYS_timer_settime, 12345, 0, &bad, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_timer_settime, 0, 0, NULL, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_timer_getoverrun, 12345), EINVAL);
}

static void interval_timers(void)
{
	struct itimerval it = {{0, 0}, {1000, 700000}}, old;

	CHECK(setitimer(ITIMER_REAL, &it, &old) == 0 && !old.it_value.tv_sec);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_sec == 1000);
	CHECK(alarm(5) == 1001); /* rounded up */
	CHECK(alarm(0) == 5);
	CHECK(alarm(0) == 0);
	CHECK_ERR(setitimer(3, &it, NULL), EINVAL);
	it.it_value.tv_usec = 1000000;
	CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_getitimer, 0, BAD_POINTER), EFAULT);
	n_got = 0;
	it = (struct itimerval){{0, 0}, {0, 10000}};
	CHECK(setitimer(ITIMER_PROF, &it, NULL) == 0);
	while (!n_got)
		;
	CHECK(last.si_signo == SIGPROF && last.si_code == SI_KERNEL);
	CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
	while (n_got < 2)
		;
	CHECK(last.si_signo == SIGVTALRM);
}

/* However often a timer expires, the program gets on with its work. */
static void storms(void)
{
	struct itimerval often = {{0, 1}, {0, 1}}, less = {{0, 100}, {0, 100}}, off = {0};
	volatile int work;
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (work = 0; work < 20000000; work++)
		;
	signal(SIGALRM, SIG_IGN);
	sigprocmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (work = 0; work < 20000000; work++)
		;
	setitimer(ITIMER_REAL, &less, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
	for (work = 0; work < 20000000; work++)
		;
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	CHECK(setitimer(ITIMER_PROF, &off, NULL) == 0);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
	sleeping();
	interrupted();
	periodic(CLOCK_MONOTONIC);
	periodic(CLOCK_REALTIME);
	periodic(CLOCK_PROCESS_CPUTIME_ID);
	periodic(CLOCK_THREAD_CPUTIME_ID);
	overruns();
	deleted();
	silent();
	errors();
	interval_timers();
	storms();
	puts("time passes");
	return check_done();
}
