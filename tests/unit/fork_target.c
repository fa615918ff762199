/* SPDX-License-Identifier: MIT */
/*
 * The server that test_machine_fork.c freezes: it answers one request per connection. Started as
 * "fork_target KIND", KIND being how it waits: accept, epoll, edge, poll, select, timeout, flight,
 * thread; or what it has: nameless files, a file that its mode forbids to open, clocks, a timerfd,
 * the trap flag.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fork_clocks.h"

static int counter;
static char *heap;

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

/* How many there can be. */
static int take_all(const char *what)
{
	int n = 0, ends[2];
	pthread_t thread;

	if (!strcmp(what, "pipes"))
		while (n < 3000 && !pipe(ends))
			n++;
	if (!strcmp(what, "threads"))
		while (n < 200 && !pthread_create(&thread, NULL, sleeper, NULL))
			n++;
	if (!strcmp(what, "files"))
		while (n < 3000 && open("/dev/null", O_RDONLY) >= 0)
			n++;
	return n;
}

/* Counters that only this program has a way to. */
static struct nameless {
	int *closed, *again, *unlinked; /* shared mappings without a descriptor; a second one */
	int fds[3];			/* unlinked, O_TMPFILE, memfd */
} nameless;

static int *map_shared(int fd)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static int new_unlinked(void)
{
	char path[] = "/tmp/fork_target.XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || unlink(path) || ftruncate(fd, 4096))
		abort();
	return fd;
}

static void have_nameless(void)
{
	int closed = memfd_create("closed", 0), unlinked = new_unlinked();

	if (closed < 0 || ftruncate(closed, 4096))
		abort();
	nameless.closed = map_shared(closed);
	nameless.again = map_shared(closed);
	nameless.unlinked = map_shared(unlinked);
	close(closed);
	close(unlinked);
	nameless.fds[0] = new_unlinked();
	nameless.fds[1] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	nameless.fds[2] = memfd_create("open", 0);
	for (int i = 0; i < 3; i++)
		if (pwrite(nameless.fds[i], &(int){0}, 4, 0) != 4)
			abort();
}

/* All of them count what @counter counts. */
static void count_nameless(void)
{
	if (++*nameless.closed != counter || *nameless.again != counter ||
	    ++*nameless.unlinked != counter)
		abort();
	for (int i = 0; i < 3; i++) {
		int n;

		if (pread(nameless.fds[i], &n, 4, 0) != 4 || ++n != counter ||
		    pwrite(nameless.fds[i], &n, 4, 0) != 4)
			abort();
	}
}

/* The limit is of 128 MiB beyond the image. */
static void grow_memfd(void)
{
	int fd = memfd_create("large", 0);

	if (ftruncate(fd, 100 << 20) || !ftruncate(fd, 200 << 20) || errno != ENOSPC)
		abort();
	if (!posix_fallocate(fd, 0, 200 << 20))
		abort();
}

/* A thread that sends to a socket of another process, whose queue is full. */
static struct sockaddr_un queue = {.sun_family = AF_UNIX};
static volatile int n_sent;

static void *sender(void *arg)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	while (sendto(fd, "x", 1, 0, (struct sockaddr *)&queue, sizeof(queue)) == 1)
		n_sent++;
	abort();
}

static void fill_queue(const char *path)
{
	pthread_t t;

	snprintf(queue.sun_path, sizeof(queue.sun_path), "%s", path);
	if (pthread_create(&t, NULL, sender, NULL))
		abort();
}

static const char *sent_more_than(int n)
{
	for (int i = 0; i < 1000 && n_sent <= n; i++)
		usleep(5000);
	return n_sent > n ? "ok" : "stuck";
}

static int answer(int conn)
{
	char request[128], reply[128];
	ssize_t n = read(conn, request, sizeof(request) - 1);
	int len;

	if (n <= 0) {
		close(conn);
		return -1;
	}
	request[n] = '\0';
	counter++;
	if (nameless.closed)
		count_nameless();
	if (!strcmp(request, "grow"))
		grow_memfd();
	heap[counter % 64 * 4096]++;
	len = snprintf(reply, sizeof(reply), "%s %d %d", request, counter,
		       heap[counter % 64 * 4096]);
	if (!strcmp(request, "threads") || !strcmp(request, "files") || !strcmp(request, "pipes"))
		len = snprintf(reply, sizeof(reply), "%s %d", request, take_all(request));
	if (!strcmp(request, "clocks"))
		len = snprintf(reply, sizeof(reply), "%s", clocks_judge());
	if (!strncmp(request, "sent ", 5))
		len = snprintf(reply, sizeof(reply), "%s", sent_more_than(atoi(request + 5)));
	if (!strcmp(request, "exit"))
		_exit(3);
	if (write(conn, reply, (size_t)len) != len)
		abort();
	if (!strcmp(request, "stay"))
		return 0;
	close(conn);
	return -1;
}

static int listener(int flags)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 10))
		abort();
	return fd;
}

static void by_accept(void)
{
	int fd = listener(0), conn;

	while ((conn = accept(fd, NULL, NULL)) >= 0)
		while (!answer(conn))
			;
	abort();
}

static void watch(int epoll, int fd, unsigned int events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		abort();
}

static void by_epoll(unsigned int extra)
{
	int fd = listener(SOCK_NONBLOCK), epoll = epoll_create1(0), conn;
	struct epoll_event events[8];

	watch(epoll, fd, EPOLLIN | extra);
	for (;;) {
		int n = epoll_wait(epoll, events, 8, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != fd) {
				answer(events[i].data.fd);
				continue;
			}
			while ((conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
				watch(epoll, conn, EPOLLIN);
			if (errno != EAGAIN)
				abort();
		}
	}
}

static void by_poll(void)
{
	struct pollfd fds[2] = {{.fd = listener(SOCK_NONBLOCK), .events = POLLIN},
				{.fd = -1, .events = POLLIN}};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			abort();
		if (fds[1].revents && answer(fds[1].fd))
			fds[1].fd = -1;
		if (fds[0].revents && fds[1].fd < 0)
			fds[1].fd = accept(fds[0].fd, NULL, NULL);
	}
}

/* It ends when nothing comes for a second. */
static void by_timeout(void)
{
	struct pollfd fds = {.fd = listener(SOCK_NONBLOCK), .events = POLLIN};
	int conn;

	while (poll(&fds, 1, 1000) == 1) {
		conn = accept(fds.fd, NULL, NULL);
		while (conn >= 0 && !answer(conn))
			;
	}
	_exit(42);
}

static void by_select(void)
{
	int fd = listener(SOCK_NONBLOCK), conn;
	fd_set set;

	for (;;) {
		FD_ZERO(&set);
		FD_SET(fd, &set);
		if (select(fd + 1, &set, NULL, NULL, NULL) != 1)
			abort();
		conn = accept(fd, NULL, NULL);
		while (conn >= 0 && !answer(conn))
			;
	}
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static int job = -1;

static void *worker(void *arg)
{
	for (;;) {
		int conn;

		pthread_mutex_lock(&lock);
		while (job < 0)
			pthread_cond_wait(&work, &lock);
		conn = job;
		job = -1;
		pthread_cond_signal(&idle);
		pthread_mutex_unlock(&lock);
		while (!answer(conn))
			;
	}
	return arg;
}

static void by_threads(void)
{
	int fd = listener(0), conn;
	pthread_t t;

	for (int i = 0; i < 4; i++)
		if (pthread_create(&t, NULL, worker, NULL))
			abort();
	while ((conn = accept(fd, NULL, NULL)) >= 0) {
		pthread_mutex_lock(&lock);
		while (job >= 0)
			pthread_cond_wait(&idle, &lock);
		job = conn;
		pthread_cond_signal(&work);
		pthread_mutex_unlock(&lock);
	}
	abort();
}

static void *receiver(void *arg)
{
	int *pair = arg;
	char byte;

	return recv(pair[0], &byte, 1, 0) == 1 ? arg : NULL;
}

/* Beside a thread that waits for what nobody sends. */
static void by_receiver(void)
{
	static int pair[2];
	pthread_t t;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pthread_create(&t, NULL, receiver, pair))
		abort();
	by_epoll(0);
}

/* A descriptor on its way through a socket. */
static int flying[2];

static void start_flight(void)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_base = "x", .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, flying))
		abort();
	memcpy(CMSG_DATA(&control.head), &flying[0], sizeof(int));
	if (sendmsg(flying[0], &msg, 0) != 1)
		abort();
}

/* The flight ends when nobody comes for a while. */
static void by_flight(void)
{
	struct pollfd wait = {.fd = listener(0), .events = POLLIN};
	char byte;

	start_flight();
	if (poll(&wait, 1, 300) == 0 && read(flying[1], &byte, 1) != 1)
		abort();
	while (poll(&wait, 1, -1) == 1)
		answer(accept(wait.fd, NULL, NULL));
}

static void go_on(int signo)
{
}

/* From here on it single-steps itself. */
static void step(void)
{
	signal(SIGTRAP, go_on);
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq" : : : "memory", "cc");
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";

	heap = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(heap, 7, 64 * 4096);
	if (!strcmp(kind, "accept"))
		by_accept();
	else if (!strcmp(kind, "epoll"))
		by_epoll(0);
	else if (!strcmp(kind, "edge"))
		by_epoll(EPOLLET);
	else if (!strcmp(kind, "poll"))
		by_poll();
	else if (!strcmp(kind, "select"))
		by_select();
	else if (!strcmp(kind, "timeout"))
		by_timeout();
	else if (!strcmp(kind, "flight"))
		by_flight();
	else if (!strcmp(kind, "thread"))
		by_threads();
	else if (!strcmp(kind, "receiver"))
		by_receiver();
	if (!strcmp(kind, "nameless"))
		have_nameless();
	else if (!strcmp(kind, "clocks"))
		clocks_note();
	else if (!strcmp(kind, "stepping"))
		step();
	else if (!strcmp(kind, "timerfd"))
		clocks_arm_timerfd(1);
	else if (!strcmp(kind, "never"))
		clocks_arm_timerfd(INT64_MAX);
	else if (!strcmp(kind, "queue"))
		fill_queue(argv[2]);
	else if (strcmp(kind, "forbidden") || fchmod(open(argv[2], O_RDWR), 0))
		return 99;
	by_accept();
	return 99;
}
