/* SPDX-License-Identifier: MIT */
/* The host's own operations: see primitives.h. Each is a median of some tries. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "primitives.h"

#define PAGE  4096
#define TRIES 9

double bench_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double bench_median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

double bench_getppid(void)
{
	double took[TRIES];

	for (unsigned int t = 0; t < TRIES; t++) {
		double start = bench_now_us();

		for (unsigned int i = 0; i < 10000; i++)
			syscall(SYS_getppid);
		took[t] = (bench_now_us() - start) / 10000;
	}
	return bench_median(took, TRIES);
}

static void echo(int in, int out)
{
	char byte;

	while (read(in, &byte, 1) == 1)
		if (write(out, &byte, 1) != 1)
			break;
	_exit(0);
}

double bench_pipe(void)
{
	double took[TRIES];
	int there[2], back[2];
	char byte = 0;
	pid_t pid;

	if (pipe(there) || pipe(back))
		return 0;
	pid = fork();
	if (!pid) {
		close(there[1]);
		echo(there[0], back[1]);
	}
	for (unsigned int t = 0; t < TRIES; t++) {
		double start = bench_now_us();

		for (unsigned int i = 0; i < 1000; i++)
			if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
				_exit(1);
		took[t] = (bench_now_us() - start) / 1000;
	}
	for (unsigned int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	waitpid(pid, NULL, 0);
	return bench_median(took, TRIES);
}

double bench_fork(void)
{
	double took[50];

	for (unsigned int t = 0; t < 50; t++) {
		double start = bench_now_us();
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
		took[t] = bench_now_us() - start;
	}
	return bench_median(took, 50);
}

double bench_fault(void)
{
	double took[TRIES];

	for (unsigned int t = 0; t < TRIES; t++) {
		volatile char *map = mmap(NULL, 1024 * PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		double start = bench_now_us();

		if (map == MAP_FAILED)
			return 0;
		madvise((void *)map, 1024 * PAGE, MADV_NOHUGEPAGE);
		for (unsigned int i = 0; i < 1024; i++)
			map[i * PAGE] = 1;
		took[t] = (bench_now_us() - start) / 1024;
		munmap((void *)map, 1024 * PAGE);
	}
	return bench_median(took, TRIES);
}

double bench_memcpy(unsigned int pages)
{
	static unsigned char *from, *to;
	static unsigned int size;
	double start;

	if (pages > size) {
		free(from);
		size = pages;
		from = aligned_alloc(PAGE, 2ul * size * PAGE);
		if (!from)
			_exit(1);
		to = from + (size_t)size * PAGE;
		memset(from, 1, 2ul * size * PAGE);
	}
	for (size_t i = 0; i < pages; i++)
		to[i * PAGE + i % 512 * 8]++;
	start = bench_now_us();
	for (size_t i = 0; i < pages; i++)
		memcpy(to + i * PAGE, from + i * PAGE, PAGE);
	return bench_now_us() - start;
}
