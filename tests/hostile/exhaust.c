/* SPDX-License-Identifier: MIT */
/* Programs that take all they can get of one thing: exhaust MODE. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static long count;

static void say(const char *what, long n)
{
	printf("%s %ld\n", what, n);
	fflush(stdout);
}

/* One page each, every other one of another protection so that no two can be merged. */
static int mmaps(void)
{
	long made = 0;

	for (long i = 0; i < count; i++)
		made += mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
	say("over 10000:", made > 10000);
	say("limited:", made < count);
	return 0;
}

static int split_mappings(void)
{
	char *p = mmap(NULL, 1l << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long failed = 0;

	for (long i = 0; i < 200000 && !failed; i += 2)
		failed = munmap(p + i * 4096, 4096) || mprotect(p + i * 4096 + 4096, 4096, PROT_NONE);
	say("ENOMEM:", failed && errno == ENOMEM);
	return 0;
}

static int spread_mappings(void)
{
	long made = 0;

	for (unsigned long i = 0; i < 30000; i++)
		made += mmap((void *)(0x100000000000 + i * 0x40000000), 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED;
	say("over 1000:", made > 1000);
	return 0;
}

static int reserve(void)
{
	long made = 0;

	for (int i = 0; i < 100; i++)
		made += mmap(NULL, 1l << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1, 0) != MAP_FAILED;
	say("reserved TiB, over 50:", made > 50);
	return 0;
}

static int memory(void)
{
	for (long i = 0;; i++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			say("refused:", 1);
			return 0;
		}
		memset(p, 1, 1 << 20);
	}
}

static int memory_at_once(void)
{
	for (;;) {
		char *p = mmap(NULL, 96 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 3;
		memset(p, 1, 96 << 20);
	}
}

static int memory_by_read(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	char *p = mmap(NULL, 1l << 36, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (long i = 0; i < 1l << 36; i += 1 << 24)
		if (p == MAP_FAILED || read(fd, p + i, 1 << 24) != 1 << 24)
			break;
	say("refused:", 1);
	return 0;
}

static int memory_by_memfd(void)
{
	int fd = memfd_create("x", 0);
	static char block[1 << 20];

	memset(block, 1, sizeof(block));
	for (long i = 0; i < 4096; i++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			break;
	say("done", 1);
	return 0;
}

static int descriptors(void)
{
	int fd, highest = 0;

	while ((fd = dup(0)) >= 0 && highest < 2000000)
		highest = fd;
	say("EMFILE:", errno == EMFILE);
	return 0;
}

static int epolls(void)
{
	int ep[100];

	for (int i = 0; i < 100; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		ep[i] = epoll_create1(0);
		if (i)
			epoll_ctl(ep[i - 1], EPOLL_CTL_ADD, ep[i], &event);
	}
	struct epoll_event event = {.events = EPOLLIN};

	say("loop refused:", epoll_ctl(ep[99], EPOLL_CTL_ADD, ep[0], &event) == -1);
	say("wait", epoll_wait(ep[0], &event, 1, 10));
	return 0;
}

static int sent_descriptors(void)
{
	int pair[2], sent = 0;

	for (int i = 0; i < 2000; i++) {
		char data = 0, control[CMSG_SPACE(sizeof(int))] = {0};
		struct iovec iov = {&data, 1};
		struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				     .msg_controllen = sizeof(control)};
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			break;
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
		sent += sendmsg(pair[0], &msg, 0) == 1;
		close(pair[0]);
		close(pair[1]);
	}
	say("some:", sent > 0);
	return 0;
}

static int spin(void)
{
	for (;;)
		__asm__ volatile("");
}

static int spin_calls(void)
{
	for (;;)
		getppid();
}

static int sleep_long(void)
{
	sleep(1000000);
	return 0;
}

static int read_terminal(void)
{
	int fds[2];
	char c;

	return pipe(fds) || read(fds[0], &c, 1);
}

static int output(void)
{
	static char block[65536];

	for (int i = 0; i < 2000; i++)
		if (write(1, block, sizeof(block)) < 0)
			return 1;
	return 0;
}

static int execve_strings(void)
{
	static char *args[100001];

	for (int i = 0; i < 100000; i++)
		args[i] = "a long argument that takes some room in the copy that has to be made";
	say("failed:", execve("/bin/true", args, args) == -1);
	return 0;
}

/* Work that grows with a length, not with what the program has: the time limit holds. */
static char *vast(size_t size, int prot)
{
	return mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static int vast_populate(void)
{
	size_t size = 100ul << 30;

	return madvise(vast(size, PROT_READ), size, MADV_POPULATE_READ);
}

static int vast_mincore(void)
{
	size_t pages = 1ul << 30;

	return mincore(vast(pages * 4096, PROT_NONE), pages * 4096,
		       (unsigned char *)vast(pages, PROT_READ | PROT_WRITE));
}

static int vast_lock(void)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_MEMLOCK, &all);
	for (int i = 0; i < 100; i++)
		vast(1ul << 30, PROT_READ);
	mlockall(MCL_CURRENT);
	return mmap(NULL, 100ul << 30, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE, -1, 0) ==
	       MAP_FAILED;
}

#define MODES(X) \
	X(mmaps) X(split_mappings) X(spread_mappings) X(reserve) X(memory) X(memory_at_once) X(memory_by_read) \
	X(memory_by_memfd) X(descriptors) X(epolls) X(sent_descriptors) X(spin) X(spin_calls) \
	X(sleep_long) X(vast_populate) X(vast_mincore) X(vast_lock) \
	X(read_terminal) X(output) X(execve_strings)

int main(int argc, char **argv)
{
	count = argc > 2 ? atol(argv[2]) : 0;
#define X(name) \
	if (!strcmp(argv[1], #name)) \
		return name();
	MODES(X)
	return 97;
}
