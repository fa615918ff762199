/* SPDX-License-Identifier: MIT */
/* A process's descriptor of itself: signals by it, files by it, and nothing to read or wait for. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILS(call, error) assert((errno = 0, (call)) == -1 && errno == (error))

static int pid_open(int pid, int flags)
{
	return syscall(SYS_pidfd_open, pid, flags);
}

static int send(int fd, int sig, const siginfo_t *info, int flags)
{
	return syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
}

static int get(int fd, int target, int flags)
{
	return syscall(SYS_pidfd_getfd, fd, target, flags);
}

static void nothing_to_read(int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
	struct pollfd poller = {.fd = fd, .events = POLLIN | POLLOUT};
	char byte, path[32], name[32] = "";
	int ep = epoll_create1(0);

	FAILS(read(fd, &byte, 1), EINVAL);
	FAILS(write(fd, &byte, 1), EINVAL);
	FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
	assert(poll(&poller, 1, 10) == 0);
	assert(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) && epoll_wait(ep, &event, 1, 10) == 0);
	assert(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert(readlink(path, name, sizeof(name)) > 0 && !strcmp(name, "anon_inode:[pidfd]"));
	close(ep);
}

static void signals(int fd)
{
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE, .si_value.sival_int = 77}, got;
	int dir = open("/proc/self", O_RDONLY | O_DIRECTORY), path = open("/proc/self", O_PATH);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert(!send(fd, 0, NULL, 0) && !send(fd, SIGUSR1, NULL, 0));
	assert(sigwaitinfo(&set, &got) == SIGUSR1 && got.si_code == SI_USER &&
	       got.si_pid == getpid());
	assert(!send(fd, SIGUSR1, &info, 0) && sigwaitinfo(&set, &got) == SIGUSR1);
	assert(got.si_code == SI_QUEUE && got.si_value.sival_int == 77);
	assert(!send(dir, SIGUSR1, NULL, 0) && sigwaitinfo(&set, &got) == SIGUSR1);

	FAILS(send(path, 0, NULL, 0), EBADF);
	FAILS(send(0, 0, NULL, 0), EBADF);
	FAILS(send(99, 0, NULL, 0), EBADF);
	FAILS(send(99, 0, NULL, 64), EINVAL);
	FAILS(send(fd, 65, NULL, 0), EINVAL);
	FAILS(send(fd, -1, NULL, 0), EINVAL);
	FAILS(send(fd, SIGUSR2, &info, 0), EINVAL);
	FAILS(send(fd, SIGUSR1, (void *)8, 0), EFAULT);
}

static void files(int fd)
{
	int copy = get(fd, 1, 0);

	assert(copy > 2 && fcntl(copy, F_GETFD) == FD_CLOEXEC);
	assert(write(copy, "by a copy\n", 10) == 10);
	FAILS(get(fd, 99, 0), EBADF);
	FAILS(get(fd, 1, 1), EINVAL);
	FAILS(get(1, 1, 0), EBADF);
	FAILS(get(99, 1, 0), EBADF);
}

int main(void)
{
	int fd = pid_open(getpid(), 0);
	siginfo_t info;

	assert(fd > 2);
	nothing_to_read(fd);
	signals(fd);
	files(fd);
	FAILS(waitid(P_PIDFD, fd, &info, WEXITED), ECHILD);
	FAILS(waitid(P_PIDFD, 1, &info, WEXITED), EBADF);
	assert(fcntl(pid_open(getpid(), O_NONBLOCK), F_GETFL) == (O_RDWR | O_NONBLOCK));
	FAILS(pid_open(getpid(), 1), EINVAL);
	FAILS(pid_open(0, 0), EINVAL);
	FAILS(pid_open(-1, 0), EINVAL);
	FAILS(pid_open(0x3fffff, 0), ESRCH);
	return 0;
}
