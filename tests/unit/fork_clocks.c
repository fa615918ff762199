/* SPDX-License-Identifier: MIT */
/* Clocks and timers of a program that is frozen for longer than its timers have to go. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

#include "fork_clocks.h"

#define MS     1000000ll
#define SECOND (1000 * MS)
#define SHORT  (20 * MS)

static const struct {
	clockid_t id;
	int stands; /* still */
} clocks[] = {
	{CLOCK_MONOTONIC, 1}, {CLOCK_MONOTONIC_COARSE, 1}, {CLOCK_MONOTONIC_RAW, 1},
	{CLOCK_REALTIME, 0},  {CLOCK_REALTIME_COARSE, 0},  {CLOCK_BOOTTIME, 0},
};
#define N_CLOCKS (sizeof(clocks) / sizeof(clocks[0]))

static int64_t noted[N_CLOCKS];
static clock_t noted_ticks;
static int timerfds[4]; /* relative; absolute; set in the request; as far away as can be */
static timer_t timers[2];
static char text[100];

static int64_t ns_of(const struct timespec *ts)
{
	return ts->tv_sec * SECOND + ts->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / SECOND, .tv_nsec = ns % SECOND};
}

/* By the vDSO, and by the system call. */
static int64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ns_of(&ts);
}

static int64_t asked(clockid_t id)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, id, &ts);
	return ns_of(&ts);
}

static struct itimerspec at(int64_t ns)
{
	return (struct itimerspec){.it_value = timespec_of(ns)};
}

static void must(int good)
{
	if (!good)
		abort();
}

void clocks_arm_timerfd(int64_t seconds)
{
	struct itimerspec its = {.it_value.tv_sec = seconds};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	must(fd >= 0 && !timerfd_settime(fd, 0, &its, NULL));
}

void clocks_note(void)
{
	struct itimerspec relative = at(SECOND), absolute = at(now(CLOCK_MONOTONIC) + SECOND);
	struct itimerspec never = {.it_value.tv_sec = INT64_MAX};
	struct itimerval alarm = {.it_value.tv_sec = 1};
	struct sigevent none = {.sigev_notify = SIGEV_NONE};

	for (int i = 0; i < 4; i++)
		must((timerfds[i] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) >= 0);
	must(!timerfd_settime(timerfds[0], 0, &relative, NULL));
	must(!timerfd_settime(timerfds[1], TFD_TIMER_ABSTIME, &absolute, NULL));
	must(!timerfd_settime(timerfds[3], 0, &never, NULL));
	for (int i = 0; i < 2; i++)
		must(!timer_create(CLOCK_MONOTONIC, &none, &timers[i]));
	must(!timer_settime(timers[0], 0, &relative, NULL));
	must(!timer_settime(timers[1], TIMER_ABSTIME, &absolute, NULL));
	must(!setitimer(ITIMER_REAL, &alarm, NULL)); /* which would end it */
	noted_ticks = times(NULL);
	for (size_t i = 0; i < N_CLOCKS; i++)
		noted[i] = now(clocks[i].id);
}

static const char *judge_clocks(void)
{
	for (size_t i = 0; i < N_CLOCKS; i++) {
		int64_t gone = now(clocks[i].id) - noted[i];
		int64_t gone_asked = asked(clocks[i].id) - noted[i];

		if (gone_asked < gone || gone < 0 ||
		    (clocks[i].stands ? gone_asked >= SECOND : gone < SECOND)) {
			snprintf(text, sizeof(text), "clock %d: %lld, asked %lld", clocks[i].id,
				 (long long)gone, (long long)gone_asked);
			return text;
		}
	}
	return times(NULL) - noted_ticks < 100 ? NULL : "times";
}

static const char *judge_timers(void)
{
	struct itimerspec left;
	struct itimerval alarm;
	uint64_t ticks;

	for (int i = 0; i < 2; i++) {
		if (read(timerfds[i], &ticks, sizeof(ticks)) != -1 || errno != EAGAIN)
			return i ? "absolute timerfd" : "timerfd";
		if (timerfd_gettime(timerfds[i], &left) || ns_of(&left.it_value) > SECOND)
			return "left of a timerfd";
		if (timer_gettime(timers[i], &left) || ns_of(&left.it_value) > SECOND ||
		    ns_of(&left.it_value) <= 0)
			return i ? "absolute timer" : "timer";
	}
	if (read(timerfds[3], &ticks, sizeof(ticks)) != -1 || errno != EAGAIN ||
	    timerfd_gettime(timerfds[3], &left) || left.it_value.tv_sec < INT64_MAX / SECOND / 2)
		return "timerfd that is set to never";
	if (getitimer(ITIMER_REAL, &alarm) || (!alarm.it_value.tv_sec && !alarm.it_value.tv_usec))
		return "interval timer";
	return NULL;
}

/* Did it come at @end or soon after? */
static int in_time(int64_t end)
{
	int64_t late = now(CLOCK_MONOTONIC) - end;

	return late >= 0 && late < SECOND;
}

static const char *judge_deadlines(void)
{
	int64_t end = now(CLOCK_MONOTONIC) + SHORT;
	struct timespec ts = timespec_of(end);
	struct itimerspec its;
	uint32_t word = 0;
	uint64_t ticks;

	if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) || !in_time(end))
		return "clock_nanosleep";
	ts = timespec_of(end += SHORT);
	if (syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &ts, NULL, FUTEX_BITSET_MATCH_ANY) !=
		    -1 ||
	    errno != ETIMEDOUT || !in_time(end))
		return "futex";
	its = at(end += SHORT);
	must(!timerfd_settime(timerfds[2], TFD_TIMER_ABSTIME, &its, NULL));
	while (read(timerfds[2], &ticks, sizeof(ticks)) < 0)
		if (errno != EAGAIN || usleep(1000))
			return "timerfd";
	return in_time(end) ? NULL : "timerfd set in the request";
}

const char *clocks_judge(void)
{
	const char *wrong = judge_clocks();

	if (!wrong)
		wrong = judge_timers();
	if (!wrong)
		wrong = judge_deadlines();
	return wrong ? wrong : "ok";
}
