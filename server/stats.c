/* SPDX-License-Identifier: MIT */
/* --stats. Written as one piece, so that the program's own output does not come between. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "stats.h"
#include "tinykvm/tinykvm.h"

/* System calls shown by name, the most frequent first. */
#define SHOWN 12
#define CALLS 512

struct count {
	unsigned int nr;
	uint64_t calls;
};

static int by_calls(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

static void print_calls(FILE *out, struct tkvm_machine *machine)
{
	struct count counts[CALLS];
	size_t used = 0;

	for (unsigned int nr = 0; nr < CALLS; nr++) {
		uint64_t calls = tkvm_machine_syscall_count(machine, nr);

		if (calls)
			counts[used++] = (struct count){nr, calls};
	}
	qsort(counts, used, sizeof(counts[0]), by_calls);
	for (size_t i = 0; i < used && i < SHOWN; i++) {
		const char *name = tkvm_syscall_name(counts[i].nr);

		fprintf(out, "%12llu %s%.0u\n", (unsigned long long)counts[i].calls,
			name ? name : "system call ", name ? 0 : counts[i].nr);
	}
	if (used > SHOWN)
		fprintf(out, "%12s %zu other system calls\n", "", used - SHOWN);
}

static void print_totals(FILE *out, const struct tkvm_stats *stats, double seconds)
{
	struct rusage usage = {0};

	getrusage(RUSAGE_SELF, &usage);
	fprintf(out, "kvmserver: %.3f s, of which %.3f s of CPU time in the program\n", seconds,
		(double)stats->cpu_ns / 1e9);
	fprintf(out, "%12llu exits\n%12llu page faults\n%12llu system calls\n",
		(unsigned long long)stats->exits, (unsigned long long)stats->faults,
		(unsigned long long)stats->syscalls);
	if (stats->inside)
		fprintf(out, "%12llu of them answered inside the machine\n",
			(unsigned long long)stats->inside);
	if (stats->unknown_syscalls)
		fprintf(out, "%12llu of them unknown (ENOSYS)\n",
			(unsigned long long)stats->unknown_syscalls);
	fprintf(out, "%12llu KiB resident in the program, %ld KiB at most in all\n",
		(unsigned long long)stats->resident_bytes / 1024, usage.ru_maxrss);
	fprintf(out, "%12llu KiB mapped in %u pieces\n",
		(unsigned long long)stats->virtual_bytes / 1024, stats->mappings);
}

void ks_stats_print(struct tkvm_machine *machine, const struct timespec *start)
{
	struct tkvm_stats stats = {.size = sizeof(stats)};
	struct timespec now;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	tkvm_machine_stats(machine, &stats);
	print_totals(out, &stats,
		     (double)(now.tv_sec - start->tv_sec) +
			     (double)(now.tv_nsec - start->tv_nsec) / 1e9);
	print_calls(out, machine);
	if (!fclose(out))
		dprintf(STDERR_FILENO, "%s", text);
	free(text);
}
