/* SPDX-License-Identifier: MIT */
/*
 * System call NUMBER with hostile arguments: calls NUMBER SEED. Whatever comes of it, the
 * program must end, by itself, by a signal or at its time limit, and kvmserver must be well.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t state;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static char *area, *edge, *readonly, *truncated;

static uint64_t argument(void)
{
	const uint64_t values[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 64, 0x1000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0ull, ~0ull - 4095,
		-100, (uint64_t)area, (uint64_t)area + 1, (uint64_t)area + 4000, (uint64_t)edge - 1,
		(uint64_t)edge - 8, (uint64_t)edge, (uint64_t)readonly, (uint64_t)truncated,
		0x7fffc0000000, 0x7fffc0001000, 0x7fffbffff000, 0x800000000000, 0xffff800000000000,
		(uint64_t)argument, 0x20, 0x400, 0x80000, 0x1000000, 0x40000000, 1ull << 40, 1ull << 46,
	};

	return next() % 4 ? values[next() % (sizeof(values) / sizeof(values[0]))] : next() >> next() % 64;
}

static void prepare(void)
{
	int fds[2], file = open("file", O_RDWR | O_CREAT, 0600);

	area = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 65536; i += 8) {
		uint64_t value = next() % 3 ? (uint64_t)(area + next() % 65536) : next() >> next() % 64;

		memcpy(area + i, &value, 8);
	}
	strcpy(area + 4000, "file");
	munmap(area + 32768, 4096);
	edge = area + 32768;
	readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ftruncate(file, 8192))
		return;
	truncated = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (ftruncate(file, 0))
		return;
	if (pipe(fds) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		return;
	epoll_create1(0);
	eventfd(0, 0);
	open(".", O_RDONLY | O_DIRECTORY);
	socket(AF_INET, SOCK_STREAM, 0);
}

int main(int argc, char **argv)
{
	long nr = atol(argv[1]);

	state = strtoul(argv[2], NULL, 0) * 0x9e3779b97f4a7c15 + nr + 1;
	next();
	prepare();
	for (int i = 0; i < 40; i++)
		syscall(nr, argument(), argument(), argument(), argument(), argument(), argument());
	return 0;
}
