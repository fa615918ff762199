/* SPDX-License-Identifier: MIT */
/* System calls by number. */
#include <stdlib.h>

#include "metrics.h"

#define SHOWN 8 /* by name in a summary */

struct count {
	struct ks_calls *calls;
	struct ks_calls_seen *seen;
};

static void add(_Atomic uint64_t *counter, uint64_t *seen, uint64_t now)
{
	ks_count(counter, now - *seen);
	*seen = now;
}

static void count_call(void *ctx, unsigned int nr, uint64_t made, uint64_t inside)
{
	struct count *count = ctx;

	if (nr >= KS_CALLS)
		return;
	add(&count->calls->left[nr], &count->seen->left[nr], made - inside);
	add(&count->calls->inside[nr], &count->seen->inside[nr], inside);
}

void ks_calls_count(struct ks_calls *calls, struct ks_calls_seen *seen,
		    const struct tkvm_machine *fork)
{
	struct count count = {.calls = calls, .seen = seen};

	tkvm_machine_calls(fork, count_call, &count);
}

static int by_calls(const void *a, const void *b)
{
	const struct ks_call *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

void ks_calls_sort(struct ks_call *calls, size_t n)
{
	qsort(calls, n, sizeof(calls[0]), by_calls);
}

void ks_calls_name(FILE *out, unsigned int nr)
{
	const char *name = tkvm_syscall_name(nr);

	if (name)
		fprintf(out, "%s", name);
	else
		fprintf(out, "system call %u", nr);
}

/* Those that were made, summed over the workers; how many numbers. */
static size_t collect(struct ks_counters *const *counters, unsigned int n, size_t offset,
		      struct ks_call found[KS_CALLS])
{
	size_t used = 0;

	for (unsigned int nr = 0; nr < KS_CALLS; nr++) {
		uint64_t calls = ks_sum(counters, n, offset + nr * sizeof(uint64_t));

		if (calls)
			found[used++] = (struct ks_call){nr, calls};
	}
	return used;
}

static void write_kind(FILE *out, struct ks_counters *const *counters, unsigned int n,
		       const char *name, const char *help, size_t offset)
{
	struct ks_call found[KS_CALLS];
	size_t used = collect(counters, n, offset, found);

	fprintf(out, "# HELP kvmserver_%s %s\n# TYPE kvmserver_%s counter\n", name, help, name);
	for (size_t i = 0; i < used; i++) {
		fprintf(out, "kvmserver_%s{call=\"", name);
		ks_calls_name(out, found[i].nr);
		fprintf(out, "\"} %llu\n", (unsigned long long)found[i].n);
	}
}

void ks_calls_write(FILE *out, struct ks_counters *const *counters, unsigned int n)
{
	write_kind(out, counters, n, "left_calls_total", "system calls that left to the library",
		   offsetof(struct ks_counters, calls.left));
	write_kind(out, counters, n, "inside_calls_total",
		   "system calls that were answered inside the machine",
		   offsetof(struct ks_counters, calls.inside));
}

static void summarize_kind(FILE *out, struct ks_counters *const *counters, unsigned int n,
			   uint64_t requests, const char *what, size_t offset)
{
	struct ks_call found[KS_CALLS];
	size_t used = collect(counters, n, offset, found);
	uint64_t total = 0;

	for (size_t i = 0; i < used; i++)
		total += found[i].n;
	if (!total)
		return;
	ks_calls_sort(found, used);
	fprintf(out, "%12.2f %s for each request:", (double)total / (double)requests, what);
	for (size_t i = 0; i < used && i < SHOWN; i++) {
		fprintf(out, i ? ", " : " ");
		ks_calls_name(out, found[i].nr);
		fprintf(out, " %.2f", (double)found[i].n / (double)requests);
	}
	fprintf(out, used > SHOWN ? ", ...\n" : "\n");
}

void ks_calls_summary(FILE *out, struct ks_counters *const *counters, unsigned int n,
		      uint64_t requests)
{
	summarize_kind(out, counters, n, requests, "of them system calls",
		       offsetof(struct ks_counters, calls.left));
	summarize_kind(out, counters, n, requests, "system calls answered inside",
		       offsetof(struct ks_counters, calls.inside));
}
