/* SPDX-License-Identifier: MIT */
/*
 * What a reset costs, beside a memcpy of the same number of pages: medians of rounds that alternate
 * between the two. A line with no page changed is the part that does not depend on pages.
 *
 *	reset PROGRAM [ROUNDS]		PROGRAM: dirty.c, built
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tinykvm/tinykvm.h"

#define PAGE	  4096
#define MAX_PAGES 1024

static unsigned char *from, *to;

static void die(const char *what, const struct tkvm_error *err)
{
	fprintf(stderr, "reset: %s: %s\n", what, err->message);
	exit(1);
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int idle(void *ctx)
{
	return 1;
}

static void run(struct tkvm_machine *machine)
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .wall_ns = 10000000000, .idle = idle};
	struct tkvm_error err = {0};
	struct tkvm_result result;

	if (tkvm_machine_run(machine, &limits, &result, &err))
		die("run", &err);
	if (result.outcome != TKVM_IDLE) {
		fprintf(stderr, "reset: %s\n", result.message);
		exit(1);
	}
}

static struct tkvm_machine *boot(const char *program, const int *stdio)
{
	struct tkvm_policy *policy = tkvm_policy_new();
	struct tkvm_machine_options options = {
		.size = sizeof(options), .policy = policy, .stdio = stdio};
	const char *argv[] = {program, NULL};
	struct tkvm_machine *machine;
	struct tkvm_error err = {0};

	if (tkvm_machine_create(&machine, &options, &err) ||
	    tkvm_machine_load(machine, program, argv, NULL, &err))
		die("boot", &err);
	tkvm_policy_free(policy);
	run(machine);
	return machine;
}

static struct tkvm_machine *make_fork(struct tkvm_machine *master, struct tkvm_image **image)
{
	struct tkvm_machine *fork = NULL;
	struct tkvm_error err = {0};

	if (tkvm_machine_freeze(master, image, &err) || tkvm_image_fork(*image, NULL, &fork, &err))
		die("fork", &err);
	return fork;
}

static double time_reset(struct tkvm_machine *fork, int fd, uint32_t pages)
{
	struct tkvm_error err = {0};
	double start;

	if (write(fd, &pages, sizeof(pages)) != sizeof(pages))
		exit(1);
	run(fork);
	start = now_us();
	if (tkvm_machine_reset(fork, &err))
		die("reset", &err);
	return now_us() - start;
}

/* As after a request: a line of each page was just written. */
static double time_memcpy(uint32_t pages)
{
	double start;

	for (uint32_t i = 0; i < pages; i++)
		to[i * PAGE + i % 512 * 8]++;
	start = now_us();
	for (uint32_t i = 0; i < pages; i++)
		memcpy(to + i * PAGE, from + i * PAGE, PAGE);
	return now_us() - start;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static void measure(struct tkvm_image *image, int fd, uint32_t pages, unsigned int rounds,
		    double *fixed)
{
	double *reset = calloc(rounds, sizeof(*reset)), *copy = calloc(rounds, sizeof(*copy));
	struct tkvm_fork_stats before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	struct tkvm_machine *fork;
	struct tkvm_error err = {0};
	double r, c;

	if (tkvm_image_fork(image, NULL, &fork, &err))
		die("fork", &err);
	for (unsigned int i = 0; i < 100; i++)
		time_reset(fork, fd, pages);
	tkvm_fork_stats(fork, &before);
	for (unsigned int i = 0; i < rounds; i++) {
		reset[i] = time_reset(fork, fd, pages);
		copy[i] = time_memcpy(pages);
	}
	tkvm_fork_stats(fork, &after);
	r = median(reset, rounds);
	c = median(copy, rounds);
	if (!pages)
		*fixed = r;
	printf("%5u %8.1f %10.1f %10.1f us %10.1f us", pages,
	       (double)(after.copied_pages - before.copied_pages) / rounds,
	       (double)(after.equal_pages - before.equal_pages) / rounds, r, c);
	if (pages)
		printf(" %8.2f %16.2f", r / c, (r - *fixed) / c);
	printf("\n");
	tkvm_machine_destroy(fork);
	free(reset);
	free(copy);
}

/* Forks made before others have served a request, and after: the first request of each. */
static void measure_first(struct tkvm_image *image, int fd, uint32_t pages, unsigned int forks)
{
	double *took = calloc(forks, sizeof(*took)), *made = calloc(forks, sizeof(*made));
	struct tkvm_machine *fork;
	struct tkvm_error err = {0};
	double start;

	for (unsigned int learned = 0; learned < 2; learned++) {
		for (unsigned int i = 0; i < forks; i++) {
			start = now_us();
			if (tkvm_image_fork(image, NULL, &fork, &err))
				die("fork", &err);
			made[i] = now_us() - start;
			if (write(fd, &pages, sizeof(pages)) != sizeof(pages))
				exit(1);
			start = now_us();
			run(fork);
			took[i] = now_us() - start;
			tkvm_machine_destroy(fork);
		}
		printf("fresh fork, %s: made in %.0f us, first request of %u pages %.0f us\n",
		       learned ? "others have served" : "none has served", median(made, forks),
		       pages, median(took, forks));
		if (tkvm_image_fork(image, NULL, &fork, &err))
			die("fork", &err);
		for (unsigned int i = 0; i < 20; i++)
			time_reset(fork, fd, pages);
		tkvm_machine_destroy(fork);
	}
	free(took);
	free(made);
}

int main(int argc, char **argv)
{
	static const uint32_t pages[] = {0, 6, 50, 200, 1000};
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 1000;
	struct tkvm_machine *master;
	struct tkvm_image *image;
	double fixed = 0;
	int fds[2];

	if (argc < 2 || !rounds || pipe(fds)) {
		fprintf(stderr, "usage: reset PROGRAM [ROUNDS]\n");
		return 2;
	}
	from = mmap(NULL, 2 * MAX_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (from == MAP_FAILED)
		return 1;
	memset(from, 1, 2 * MAX_PAGES * PAGE);
	to = from + MAX_PAGES * PAGE;
	master = boot(argv[1], (const int[]){fds[0], 1, 2});
	tkvm_machine_destroy(make_fork(master, &image));
	measure_first(image, fds[1], 200, 30);
	printf("pages   copied      equal         reset        memcpy    ratio  without the "
	       "rest\n");
	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
		measure(image, fds[1], pages[i], rounds, &fixed);
	tkvm_image_put(image);
	return 0;
}
