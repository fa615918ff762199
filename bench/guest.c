/* SPDX-License-Identifier: MIT */
/*
 * The program that bench/micro.c runs in machines: takes commands (guest.h) from standard input,
 * does each, and answers on standard output how many nanoseconds it took. Its argument is a number
 * of MiB to fill first.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define PAGE 4096

static volatile uint64_t pages[GUEST_PAGES][512] __attribute__((aligned(4096))) = {{1}};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void dirty(uint32_t n)
{
	for (uint32_t i = 0; i < n && i < GUEST_PAGES; i++)
		pages[i][i % 512]++;
}

static void call(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		syscall(SYS_getppid);
}

static void touch(volatile char *map, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		map[(size_t)i * PAGE] = 1;
}

/* Once new, once after they were given back; the mapping around them is there in both cases. */
static uint64_t fault(uint32_t n, int again)
{
	size_t len = (size_t)n * PAGE;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t start;

	if (map == MAP_FAILED)
		_exit(1);
	if (again) {
		touch(map, n);
		madvise(map, len, MADV_DONTNEED);
	}
	start = now();
	touch(map, n);
	start = now() - start;
	munmap(map, len);
	return start;
}

static uint64_t perform(const struct guest_command *command)
{
	uint64_t start = now();

	switch (command->what) {
	case GUEST_DIRTY:
		dirty(command->n);
		break;
	case GUEST_CALL:
		call(command->n);
		break;
	case GUEST_FAULT:
		return fault(command->n, 0);
	case GUEST_FAULT_AGAIN:
		return fault(command->n, 1);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	struct guest_command command;

	for (unsigned int i = 0; argc > 1 && i < GUEST_PAGES; i++)
		pages[i][7] = i;
	if (size) {
		uint64_t *fill = mmap(NULL, size, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (fill == MAP_FAILED)
			return 1;
		for (size_t i = 0; i < size / sizeof(*fill); i += PAGE / sizeof(*fill))
			fill[i] = i + 1;
	}
	while (read(0, &command, sizeof(command)) == sizeof(command)) {
		uint64_t took = perform(&command);

		if (write(1, &took, sizeof(took)) != sizeof(took))
			return 1;
	}
	return 0;
}
