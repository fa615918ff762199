/* SPDX-License-Identifier: MIT */
/*
 * A program that calls storage: "call WHAT [NUMBER]" prints what came back, "call check" tries
 * all kinds of buffers, "call many N" makes N calls and checks each. "call kept" and "call late"
 * have storage use a buffer after the answer, and stay to see what comes of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kvmserverguest.h"
#include "message.h"

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			printf("%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #x, errno);           \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

#define MIB (1ul << 20)

static struct message in_data = {.what = ECHO};

static long call(void *buf, ssize_t len)
{
	errno = 0;
	return kvmserverguest_remote_resume(buf, len);
}

static int fails(void *buf, ssize_t len, int error)
{
	return call(buf, len) == -1 && errno == error;
}

static char *map(size_t len, int prot)
{
	char *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* Every byte is flipped, and nothing around it changes. */
static void check_flip(char *area, size_t size, size_t at, size_t len)
{
	struct message *m = (struct message *)(void *)(area + at);

	for (size_t i = 0; i < size; i++)
		area[i] = (char)(i * 7 + i / 4096);
	m->what = FLIP;
	m->number = 5;
	memset(m->text, 1, sizeof(m->text));
	CHECK(call(m, (ssize_t)len) == (ssize_t)len);
	CHECK(m->what == FLIP && m->number == 5 && m->text[47] == 1);
	for (size_t i = 0; i < size; i++) {
		char want = (char)(i * 7 + i / 4096);

		if (i >= at && i < at + sizeof(*m))
			continue;
		if (i >= at && i < at + len)
			want = (char)(want ^ 0xff);
		CHECK(area[i] == want);
	}
}

static void check_places(void)
{
	char stack[3000], *heap = malloc(100000), *big;
	size_t page = 4096, size = 12 * MIB;

	check_flip(stack, sizeof(stack), 100, 2000);
	check_flip(heap, 100000, 1, 99998);
	in_data.number = 77;
	CHECK(call(&in_data, sizeof(in_data)) == 77);
	/* All of the arena's units of 4 MiB that there can be in a range. */
	big = map(size, PROT_READ | PROT_WRITE);
	check_flip(big, size, 0, size);
	check_flip(big, size, 4 * MIB - 40, 5000);
	for (size_t at = 0; at < 3 * page; at += 1021)
		check_flip(big, 6 * page, at, page + at / 2);
	munmap(big, size);
	free(heap);
}

static void check_largest(void)
{
	char *big = map(65 * MIB, PROT_READ | PROT_WRITE);
	struct message *m = (struct message *)(void *)big;

	m->what = FLIP;
	CHECK(call(m, 64 * MIB) == 64 * MIB);
	CHECK(big[64 * MIB - 1] == (char)0xff && big[64 * MIB] == 0);
	CHECK(fails(m, 64 * MIB + 1, E2BIG));
	CHECK(fails(big + 1, 64 * MIB, E2BIG));
	CHECK(fails(m, LONG_MIN, E2BIG) && fails(m, -1, E2BIG) && fails(m, LONG_MAX, E2BIG));
	munmap(big, 65 * MIB);
}

static void check_refused(void)
{
	char *p = map(4 * 4096, PROT_READ | PROT_WRITE);
	int fd = memfd_create("x", 0);
	char *shared;

	CHECK(fails(NULL, 1, EFAULT));
	CHECK(fails((void *)(uintptr_t)(1ull << 63), 10, EFAULT));
	CHECK(fails((void *)(uintptr_t)(-1ull), 10, EFAULT));
	CHECK(fails((void *)0x7fffc0001000, 10, EFAULT)); /* the kernel area */
	CHECK(fails((void *)0x7fffe0000000, 10, EFAULT)); /* where windows are */
	CHECK(fails((void *)0x7fffbffffff0, 4096, EFAULT));
	CHECK(fails((void *)check_refused, 10, EFAULT));
	CHECK(!mprotect(p + 4096, 4096, PROT_READ));
	CHECK(fails(p + 4000, 200, EFAULT) && fails(p + 4096, 1, EFAULT));
	CHECK(!munmap(p + 8192, 4096));
	CHECK(fails(p + 8192, 1, EFAULT) && fails(p + 3 * 4096 - 1, 2, EFAULT));
	CHECK(!mprotect(p, 4096, PROT_NONE) && fails(p, 10, EFAULT));
	CHECK(fd >= 0 && !ftruncate(fd, 4096));
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(shared != MAP_FAILED && fails(shared, 100, EFAULT));
	munmap(shared, 4096);
	close(fd);
	munmap(p, 4 * 4096);
}

static void check_small(void)
{
	char c = 9;
	long n;

	CHECK(call(&c, 1) == 9);
	n = call(NULL, 0);
	CHECK(n > 0 && call(stdin, 0) == n + 1);
	/* The wrong kind of program for this. */
	errno = 0;
	CHECK(kvmserverguest_storage_wait_paused((void **)&n, 0) == -1 && errno == ENOSYS);
}

static void check_syscalls(void)
{
	char area[8192];
	struct message *m = (struct message *)(void *)area;

	memset(area, 0, sizeof(area));
	m->what = SYSCALLS;
	strcpy(m->text, "through a pipe");
	CHECK(call(m, 4096) == sizeof(m->text));
	CHECK(!strcmp((char *)(m + 1), "through a pipe"));
}

/* A file that was cut behind the mapping's back: storage sees another page, in this call only. */
static void check_cut(void)
{
	int fd = memfd_create("cut", 0);
	struct message *m;

	CHECK(fd >= 0 && !ftruncate(fd, 2 * 4096));
	m = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(m != MAP_FAILED && !ftruncate(fd, 0));
	for (int i = 0; i < 3; i++) {
		CHECK(call(m, 2 * 4096) == -3);
		in_data.number = 78 + i;
		CHECK(call(&in_data, sizeof(in_data)) == 78 + i);
	}
	munmap(m, 2 * 4096);
	close(fd);
}

static void check(void)
{
	check_small();
	check_places();
	check_cut();
	check_largest();
	check_refused();
	check_syscalls();
	/* A negative answer is one, too. */
	in_data.number = -5;
	CHECK(call(&in_data, sizeof(in_data)) == -5 && !errno);
	puts("all well");
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void many(long n)
{
	struct message m = {.what = ECHO};
	double start = now();

	for (long i = 0; i < n; i++) {
		m.number = i * 3;
		CHECK(call(&m, sizeof(m)) == m.number);
	}
	fprintf(stderr, "%.2f us per call\n", (now() - start) * 1e6 / (double)n);
	puts("all well");
}

/* Storage tries the second page of the buffer of the call before: gone, though we are still here.
 */
static void kept(void)
{
	char *area = map(2 * 4096, PROT_READ | PROT_WRITE);
	struct message *m = (struct message *)(void *)area;

	m->what = KEEP;
	CHECK(call(m, 2 * 4096) == 0);
	m->what = USE_KEPT;
	m->number = 4096;
	CHECK(fails(m, 4096, EIO));
	puts("all well");
}

static void late(void)
{
	volatile struct message *m = (struct message *)(void *)map(4096, PROT_READ | PROT_WRITE);
	struct timespec ts = {.tv_nsec = 300 * 1000 * 1000};
	long number;

	m->what = THREAD;
	CHECK(call((void *)m, 4096) == 0);
	number = m->number;
	CHECK(number >= 1000);
	nanosleep(&ts, NULL);
	CHECK(m->number == number);
	CHECK(fails((void *)m, 4096, EAGAIN));
	puts("all well");
}

int main(int argc, char **argv)
{
	struct message m = {0};
	long result;

	if (argc > 2 && !strcmp(argv[1], "many")) {
		many(atol(argv[2]));
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "check")) {
		check();
		return 0;
	}
	if (argc > 1 && (!strcmp(argv[1], "kept") || !strcmp(argv[1], "late"))) {
		*argv[1] == 'k' ? kept() : late();
		return 0;
	}
	m.what = atol(argv[1]);
	m.number = argc > 2 ? atol(argv[2]) : 0;
	result = call(&m, sizeof(m));
	printf("%ld %s %ld %s\n", result, errno ? strerror(errno) : "-", m.number, m.text);
	return 0;
}
