/* SPDX-License-Identifier: MIT */
/* --stats. Written as one piece, so that the program's own output does not come between. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "calls.h"
#include "stats.h"
#include "tinykvm/tinykvm.h"

/* System calls shown by name, the most frequent first. */
#define SHOWN 12

struct list {
	struct ks_call calls[KS_CALLS];
	size_t used;
};

static void add_call(void *ctx, unsigned int nr, uint64_t calls, uint64_t inside)
{
	struct list *list = ctx;

	(void)inside;
	if (list->used < KS_CALLS)
		list->calls[list->used++] = (struct ks_call){nr, calls};
}

static void print_calls(FILE *out, struct tkvm_machine *machine)
{
	struct list list = {.used = 0};

	tkvm_machine_calls(machine, add_call, &list);
	ks_calls_sort(list.calls, list.used);
	for (size_t i = 0; i < list.used && i < SHOWN; i++) {
		fprintf(out, "%12llu ", (unsigned long long)list.calls[i].n);
		ks_calls_name(out, list.calls[i].nr);
		fprintf(out, "\n");
	}
	if (list.used > SHOWN)
		fprintf(out, "%12s %zu other system calls\n", "", list.used - SHOWN);
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
