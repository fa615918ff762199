/* SPDX-License-Identifier: MIT */
/*
 * What the parts cost: exits, page faults, resets, forks, machines, beside the host's own
 *operations (primitives.h). One run is one round; script/bench makes several. Prints lines "NAME X
 *VALUE UNIT"; X is 0, or what it depends on.
 *
 *	micro PROGRAM SECTION...	PROGRAM: guest.c, built; SECTION: calls faults resets
 *machines, sizes[=MIB], forks[=N]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "primitives.h"
#include "tinykvm/tinykvm.h"

/* A frozen program, and the pipes to it that all its forks share. */
struct subject {
	int in[2], out[2];
	struct tkvm_machine *machine;
	struct tkvm_image *image;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "micro: %s: %s\n", what, why);
	exit(1);
}

static void print(const char *name, unsigned int x, double value, const char *unit)
{
	printf("%s %u %.9g %s\n", name, x, value, unit);
	fflush(stdout);
}

static int idle(void *ctx)
{
	return 1;
}

static void run(struct tkvm_machine *machine)
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .wall_ns = 60000000000, .idle = idle};
	struct tkvm_error err = {0};
	struct tkvm_result result;

	if (tkvm_machine_run(machine, &limits, &result, &err))
		die("run", err.message);
	if (result.outcome != TKVM_IDLE)
		die("run", result.message);
}

/* Microseconds, as the guest saw them. */
static double perform(const struct subject *s, struct tkvm_machine *machine, uint32_t what,
		      uint32_t n)
{
	struct guest_command command = {what, n};
	uint64_t ns;

	if (write(s->in[1], &command, sizeof(command)) != sizeof(command))
		die("pipe", "full");
	run(machine);
	if (read(s->out[0], &ns, sizeof(ns)) != sizeof(ns))
		die("pipe", "no answer");
	return (double)ns / 1e3;
}

#define BARE (~0u)

/* A machine with the program, which has filled @mib MiB (BARE: done nothing) and waits. */
static void boot(struct subject *s, const char *program, unsigned int mib)
{
	struct tkvm_policy *policy = tkvm_policy_new();
	char size[16];
	const char *argv[] = {program, mib == BARE ? NULL : size, NULL};
	struct tkvm_error err = {0};

	if (pipe(s->in) || pipe(s->out))
		die("pipe", "cannot be made");
	snprintf(size, sizeof(size), "%u", mib);
	struct tkvm_machine_options options = {.size = sizeof(options),
					       .policy = policy,
					       .stdio = (const int[]){s->in[0], s->out[1], 2}};
	s->image = NULL;
	if (tkvm_machine_create(&s->machine, &options, &err) ||
	    tkvm_machine_load(s->machine, program, argv, NULL, &err))
		die("boot", err.message);
	tkvm_policy_free(policy);
	run(s->machine);
}

static void freeze(struct subject *s)
{
	struct tkvm_error err = {0};

	if (tkvm_machine_freeze(s->machine, &s->image, &err))
		die("freeze", err.message);
	s->machine = NULL;
}

static void end(struct subject *s)
{
	tkvm_machine_destroy(s->machine);
	tkvm_image_put(s->image);
	for (unsigned int i = 0; i < 2; i++) {
		close(s->in[i]);
		close(s->out[i]);
	}
}

static struct tkvm_machine *make_fork(const struct subject *s)
{
	struct tkvm_machine *fork = NULL;
	struct tkvm_error err = {0};

	if (tkvm_image_fork(s->image, NULL, &fork, &err))
		die("fork", err.message);
	return fork;
}

static double time_reset(struct tkvm_machine *fork)
{
	struct tkvm_error err = {0};
	double start = bench_now_us();

	if (tkvm_machine_reset(fork, &err))
		die("reset", err.message);
	return bench_now_us() - start;
}

static void calls(const char *program)
{
	struct tkvm_host host = {.size = sizeof(host)};
	struct tkvm_error err = {0};
	struct subject s;
	const unsigned int n = 4000;

	if (tkvm_host_probe(&host, &err))
		die("probe", err.message);
	print("exit", 0, (double)host.exit_ns / 1e3, "us");
	boot(&s, program, BARE);
	perform(&s, s.machine, GUEST_CALL, n / 10);
	print("call-out", 0, perform(&s, s.machine, GUEST_CALL, n) / n, "us");
	end(&s);
}

static void faults(const char *program)
{
	struct subject s;
	struct tkvm_machine *fork;
	const unsigned int n = 2000;

	boot(&s, program, 0);
	print("page-new", 0, perform(&s, s.machine, GUEST_FAULT, n) / n, "us");
	print("page-again", 0, perform(&s, s.machine, GUEST_FAULT_AGAIN, n) / n, "us");
	freeze(&s);
	fork = make_fork(&s);
	print("frozen-page-first", 0, perform(&s, fork, GUEST_DIRTY, n) / n, "us");
	for (unsigned int i = 0; i < 20; i++) {
		time_reset(fork);
		perform(&s, fork, GUEST_DIRTY, n);
	}
	time_reset(fork);
	print("frozen-page-later", 0, perform(&s, fork, GUEST_DIRTY, n) / n, "us");
	tkvm_machine_destroy(fork);
	end(&s);
}

/* Alternating with a memcpy of as many pages. */
static void reset_pages(const struct subject *s, uint32_t pages, unsigned int rounds)
{
	struct tkvm_fork_stats before = {.size = sizeof(before)}, after = {.size = sizeof(after)};
	double *reset = calloc(rounds, sizeof(*reset)), *copy = calloc(rounds, sizeof(*copy));
	struct tkvm_machine *fork = make_fork(s);

	if (!reset || !copy)
		die("memory", "none");
	for (unsigned int i = 0; i < 40; i++) {
		perform(s, fork, GUEST_DIRTY, pages);
		time_reset(fork);
	}
	tkvm_fork_stats(fork, &before);
	for (unsigned int i = 0; i < rounds; i++) {
		perform(s, fork, GUEST_DIRTY, pages);
		reset[i] = time_reset(fork);
		copy[i] = bench_memcpy(pages);
	}
	tkvm_fork_stats(fork, &after);
	print("reset", pages, bench_median(reset, rounds), "us");
	print("memcpy", pages, bench_median(copy, rounds), "us");
	print("reset-copied", pages, (double)(after.copied_pages - before.copied_pages) / rounds,
	      "pages");
	tkvm_machine_destroy(fork);
	free(reset);
	free(copy);
}

static void resets(const char *program)
{
	struct subject s;

	boot(&s, program, 0);
	freeze(&s);
	reset_pages(&s, 0, 101);
	for (uint32_t pages = 1; pages <= GUEST_PAGES; pages *= 4)
		reset_pages(&s, pages, pages > 500 ? 31 : 101);
	end(&s);
}

static void machines(const char *program)
{
	double made[15], gone[15];

	for (unsigned int i = 0; i < 15; i++) {
		struct subject s;
		double start = bench_now_us();

		boot(&s, program, BARE);
		made[i] = bench_now_us() - start;
		start = bench_now_us();
		end(&s);
		gone[i] = bench_now_us() - start;
	}
	print("machine", 0, bench_median(made, 15), "us");
	print("machine-end", 0, bench_median(gone, 15), "us");
}

static void fork_size(const char *program, unsigned int mib)
{
	struct subject s;
	double took[15], first[15], start;

	boot(&s, program, mib);
	start = bench_now_us();
	freeze(&s);
	print("freeze", mib, bench_now_us() - start, "us");
	for (unsigned int i = 0; i < 15; i++) {
		struct tkvm_machine *fork;

		start = bench_now_us();
		fork = make_fork(&s);
		took[i] = bench_now_us() - start;
		start = bench_now_us();
		perform(&s, fork, GUEST_DIRTY, 1);
		first[i] = bench_now_us() - start;
		tkvm_machine_destroy(fork);
	}
	print("fork", mib, bench_median(took, 15), "us");
	print("fork-first-run", mib, bench_median(first, 15), "us");
	end(&s);
}

static double status_kib(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256];
	double kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)))
			kib = strtod(line + strlen(name), NULL);
	if (file)
		fclose(file);
	return kib;
}

/* What the kernel holds for all processes: other work on the host moves it, too. */
static double kernel_kib(void)
{
	static const char *const names[] = {"SUnreclaim:",    "KernelStack:", "PageTables:",
					    "SecPageTables:", "VmallocUsed:", "Percpu:"};
	double sum = 0;

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++)
		sum += status_kib("/proc/meminfo", names[i]);
	return sum;
}

static void print_forks(unsigned int n, double made, double rss, double kernel)
{
	print("forks-made", n, made / n, "us");
	print("forks-memory", n, (status_kib("/proc/self/status", "RssAnon:") - rss) / n, "KiB");
	print("forks-kernel-memory", n, (kernel_kib() - kernel) / n, "KiB");
}

/* Forks of one image of 64 MiB, all alive; each has run once and was reset. */
static void many_forks(const char *program, unsigned int most)
{
	static const unsigned int at[] = {1, 2, 5, 10, 20, 50, 100, 200, 500};
	struct tkvm_machine **forks = calloc(most, sizeof(struct tkvm_machine *));
	double rss, kernel, made = 0, took[21];
	struct subject s;

	if (!forks)
		die("memory", "none");
	boot(&s, program, 64);
	freeze(&s);
	rss = status_kib("/proc/self/status", "RssAnon:");
	kernel = kernel_kib();
	for (unsigned int n = 0, next = 0; n < most;) {
		double start = bench_now_us();

		forks[n] = make_fork(&s);
		made += bench_now_us() - start;
		perform(&s, forks[n], GUEST_DIRTY, 16);
		time_reset(forks[n]);
		if (++n != at[next])
			continue;
		next++;
		print_forks(n, made, rss, kernel);
		for (unsigned int i = 0; i < 21; i++) {
			struct tkvm_machine *fork = forks[i * (n - 1) / 20];

			start = bench_now_us();
			perform(&s, fork, GUEST_DIRTY, 16);
			time_reset(fork);
			took[i] = bench_now_us() - start;
		}
		print("forks-request", n, bench_median(took, 21), "us");
		if (next == sizeof(at) / sizeof(*at))
			break;
	}
	for (unsigned int i = 0; i < most; i++)
		tkvm_machine_destroy(forks[i]);
	free(forks);
	end(&s);
}

static void host_operations(void)
{
	print("getppid", 0, bench_getppid(), "us");
	print("pipe-ping-pong", 0, bench_pipe(), "us");
	print("fork-wait", 0, bench_fork(), "us");
	print("host-fault", 0, bench_fault(), "us");
	bench_memcpy(64); /* its first touch */
	print("memcpy-page", 0, bench_memcpy(64) / 64, "us");
}

static void section(const char *program, const char *name)
{
	const char *value = strchr(name, '=');
	unsigned int most = value ? (unsigned int)strtoul(value + 1, NULL, 10) : 0;

	if (!strcmp(name, "calls"))
		calls(program);
	else if (!strcmp(name, "faults"))
		faults(program);
	else if (!strcmp(name, "resets"))
		resets(program);
	else if (!strcmp(name, "machines"))
		machines(program);
	else if (!strncmp(name, "sizes", 5))
		for (unsigned int mib = 1; mib <= (most ? most : 1024); mib *= 4)
			fork_size(program, mib);
	else if (!strncmp(name, "forks", 5))
		many_forks(program, most ? most : 500);
	else
		die(name, "no such section");
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: micro PROGRAM SECTION...\n");
		return 2;
	}
	host_operations();
	for (int i = 2; i < argc; i++)
		section(argv[1], argv[i]);
	return 0;
}
