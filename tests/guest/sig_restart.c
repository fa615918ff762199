/* SPDX-License-Identifier: MIT */
/* Blocked calls that a signal interrupts: EINTR or restarted, as signal(7) has it. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"

static volatile int n_alarms;
static int pipe_fds[2];
static int write_at; /* which alarm puts a byte into the pipe */

static void on_alarm(int sig)
{
	if (++n_alarms == write_at)
		CHECK(write(pipe_fds[1], "x", 1) == 1);
}

/* An alarm every 5 ms. */
static void start(int flags, int when)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = flags};
	struct itimerval it = {{0, 5000}, {0, 5000}};

	n_alarms = 0;
	write_at = when;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
}

static void stop(void)
{
	struct itimerval off = {0};

	setitimer(ITIMER_REAL, &off, NULL);
}

static void reading(void)
{
	char c;

	start(0, 0);
	CHECK_ERR(read(pipe_fds[0], &c, 1), EINTR);
	CHECK(n_alarms >= 1);
	start(SA_RESTART, 3);
	CHECK(read(pipe_fds[0], &c, 1) == 1 && c == 'x');
	CHECK(n_alarms >= 3);
	stop();
}

/* These fail with EINTR whatever SA_RESTART says. */
static void never_restarted(void)
{
	struct pollfd fd = {.fd = pipe_fds[0], .events = POLLIN};
	struct timespec ten = {10, 0}, left = {0};
	struct timeval tv = {10, 0};
	struct epoll_event ev = {.events = EPOLLIN};
	int ep = epoll_create1(0);
	sigset_t set;
	fd_set fds;

	start(SA_RESTART, 0);
	CHECK_ERR(poll(&fd, 1, -1), EINTR);
	CHECK_ERR(poll(NULL, 0, 10000), EINTR);
	CHECK_ERR(ppoll(&fd, 1, &ten, NULL), EINTR);
	FD_ZERO(&fds);
	FD_SET(pipe_fds[0], &fds);
	CHECK_ERR(select(pipe_fds[0] + 1, &fds, NULL, NULL, &tv), EINTR);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, pipe_fds[0], &ev) == 0);
	CHECK_ERR(epoll_wait(ep, &ev, 1, -1), EINTR);
	CHECK_ERR(nanosleep(&ten, &left), EINTR);
	CHECK(left.tv_sec == 9 && left.tv_nsec > 0);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &ten, &left) == EINTR && left.tv_sec == 9);
	CHECK_ERR(pause(), EINTR);
	sigemptyset(&set);
	CHECK_ERR(sigsuspend(&set), EINTR);
	sigaddset(&set, SIGUSR1);
	CHECK_ERR(sigtimedwait(&set, NULL, &ten), EINTR);
	stop();
	close(ep);
}

/* A signal that is ignored interrupts nothing. */
static void ignored(void)
{
	struct itimerval it = {{0, 1000}, {0, 1000}};
	struct timespec ts = {0, 20 * 1000 * 1000};

	signal(SIGALRM, SIG_IGN);
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK(nanosleep(&ts, NULL) == 0);
	CHECK(poll(NULL, 0, 10) == 0);
	stop();
}

/* The mask is swapped for the length of the call, and the handler sees the old one restored. */
static void temporary_mask(void)
{
	struct timespec ten = {10, 0}, none = {0};
	sigset_t block, open, now;

	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	start(0, 0);
	while (sigpending(&now) == 0 && !sigismember(&now, SIGALRM))
		;
	CHECK(n_alarms == 0);
	sigemptyset(&open);
	CHECK_ERR(ppoll(NULL, 0, &ten, &open), EINTR);
	CHECK(n_alarms == 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGALRM));
	CHECK(ppoll(NULL, 0, &none, NULL) == 0);
	stop();
	sigprocmask(SIG_UNBLOCK, &block, NULL);
}

/* A busy program is interrupted, too. */
static void busy(void)
{
	start(0, 0);
	while (n_alarms < 3)
		;
	stop();
}

int main(void)
{
	CHECK(pipe(pipe_fds) == 0);
	reading();
	never_restarted();
	ignored();
	temporary_mask();
	busy();
	puts("interrupted and restarted");
	return check_done();
}
