/* SPDX-License-Identifier: MIT */
/* signalfd(2): reading, polling, epoll, masks, and what is in a record. */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/time.h>

#include "check.h"

static sigset_t set;

static int readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static void arguments(void)
{
	unsigned long mask = 0;

	CHECK_ERR(syscall(SYS_signalfd4, -1, &mask, 4, 0), EINVAL);
	CHECK_ERR(syscall(SYS_signalfd4, -1, BAD_POINTER, 8, 0), EFAULT);
	CHECK_ERR(syscall(SYS_signalfd4, -1, &mask, 8, 1), EINVAL);
	CHECK_ERR(syscall(SYS_signalfd4, 99, &mask, 8, 0), EBADF);
	CHECK_ERR(syscall(SYS_signalfd4, 0, &mask, 8, 0), EINVAL);
}

static void records(int fd)
{
	struct signalfd_siginfo info[4];

	CHECK(!readable(fd));
	CHECK_ERR(read(fd, info, sizeof(info)), EAGAIN);
	CHECK_ERR(read(fd, info, 127), EINVAL);
	CHECK_ERR(write(fd, info, 128), EINVAL);
	CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
	CHECK(readable(fd));
	CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42}) == 0);
	CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 43}) == 0);
	CHECK(read(fd, info, sizeof(info)) == 3 * sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_pid == (unsigned int)getpid());
	CHECK(info[0].ssi_uid == getuid() && info[0].ssi_code == SI_USER);
	CHECK(info[1].ssi_signo == (unsigned int)SIGRTMIN && info[1].ssi_int == 42);
	CHECK(info[1].ssi_code == SI_QUEUE && info[2].ssi_int == 43);
	CHECK(!readable(fd));
}

static void masks(int fd)
{
	struct signalfd_siginfo info;
	sigset_t only;

	CHECK(raise(SIGUSR2) == 0 && readable(fd));
	sigemptyset(&only);
	sigaddset(&only, SIGUSR1);
	CHECK(signalfd(fd, &only, 0) == fd && !readable(fd));
	CHECK(signalfd(fd, &set, 0) == fd && readable(fd));
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR2);
}

static void waiting(int fd)
{
	const struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	int ep = epoll_create1(EPOLL_CLOEXEC), blocking = signalfd(-1, &set, SFD_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	struct signalfd_siginfo info;

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, &event, 1, 0) == 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(epoll_wait(ep, &event, 1, 5000) == 1 && event.data.fd == fd);
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGALRM);
	CHECK(epoll_wait(ep, &event, 1, 0) == 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(read(blocking, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGALRM);
	close(ep);
	close(blocking);
}

int main(void)
{
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGALRM);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGKILL); /* silently not in it */
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	arguments();
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0);
	records(fd);
	masks(fd);
	waiting(fd);
	CHECK(raise(SIGUSR1) == 0);
	close(fd);
	CHECK(sigwaitinfo(&set, NULL) == SIGUSR1);
	return check_done();
}
