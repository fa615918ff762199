/* SPDX-License-Identifier: MIT */
/* Counters as text: the Prometheus exposition format, and a summary for --stats and SIGUSR1. */
#include <string.h>

#include "metrics.h"

#define PREFIX "kvmserver_"

const uint32_t ks_bucket_us[KS_BUCKETS] = {10,	   25,	   50,	   100,	    200,     300,     500,
					   1000,   2000,   3000,   5000,    10000,   25000,   50000,
					   100000, 250000, 500000, 1000000, 2500000, 10000000};

void ks_observe(struct ks_histogram *histogram, uint64_t ns)
{
	unsigned int i = 0;

	while (i < KS_BUCKETS && ns > ks_bucket_us[i] * 1000ull)
		i++;
	ks_count(&histogram->count[i], 1);
	ks_count(&histogram->sum_ns, ns);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

uint64_t ks_sum(struct ks_counters *const *counters, unsigned int n, size_t offset)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < n; i++)
		total += get((const _Atomic uint64_t *)((char *)counters[i] + offset));
	return total;
}

void ks_metrics_number(FILE *out, const char *name, const char *kind, const char *help,
		       uint64_t value)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n" PREFIX "%s %llu\n", name,
		help, name, kind, name, (unsigned long long)value);
}

static void write_gauge(FILE *out, struct ks_counters *const *counters, unsigned int n,
			const char *name, const char *help, size_t offset)
{
	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s gauge\n", name, help, name);
	for (unsigned int i = 0; i < n; i++)
		if (get(&counters[i]->forks))
			fprintf(out, PREFIX "%s{worker=\"%u\"} %llu\n", name, i,
				(unsigned long long)ks_sum(&counters[i], 1, offset));
}

/* The spare one makes its fork when it is needed. */
static unsigned int serving(struct ks_counters *const *counters, unsigned int n)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		count += get(&counters[i]->forks) > 0;
	return count;
}

static uint64_t observed(struct ks_counters *const *counters, unsigned int n, size_t phase,
			 unsigned int bucket)
{
	return ks_sum(counters, n,
		      phase + offsetof(struct ks_histogram, count) + bucket * sizeof(uint64_t));
}

static void write_phase(FILE *out, struct ks_counters *const *counters, unsigned int n,
			const char *phase, size_t offset)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i <= KS_BUCKETS; i++) {
		total += observed(counters, n, offset, i);
		if (i < KS_BUCKETS)
			fprintf(out, PREFIX "phase_seconds_bucket{phase=\"%s\",le=\"%g\"} %llu\n",
				phase, ks_bucket_us[i] / 1e6, (unsigned long long)total);
		else
			fprintf(out, PREFIX "phase_seconds_bucket{phase=\"%s\",le=\"+Inf\"} %llu\n",
				phase, (unsigned long long)total);
	}
	fprintf(out,
		PREFIX "phase_seconds_sum{phase=\"%s\"} %.9f\n" PREFIX
		       "phase_seconds_count{phase=\"%s\"} %llu\n",
		phase,
		(double)ks_sum(counters, n, offset + offsetof(struct ks_histogram, sum_ns)) / 1e9,
		phase, (unsigned long long)total);
}

static void write_statuses(FILE *out, struct ks_counters *const *counters, unsigned int n)
{
	fprintf(out, "# HELP " PREFIX "responses_total responses by status, 0 without one\n"
		     "# TYPE " PREFIX "responses_total counter\n");
	for (unsigned int status = 0; status < 600; status++) {
		uint64_t value =
			ks_sum(counters, n,
			       offsetof(struct ks_counters, status) + status * sizeof(uint64_t));

		if (value)
			fprintf(out, PREFIX "responses_total{status=\"%u\"} %llu\n", status,
				(unsigned long long)value);
	}
}

void ks_metrics_write(FILE *out, struct ks_counters *const *counters, unsigned int n,
		      const struct ks_lobby_stats *lobby)
{
#define X(field, name, help)                                                                       \
	ks_metrics_number(out, name, "counter", help,                                              \
			  ks_sum(counters, n, offsetof(struct ks_counters, field)));
	KS_COUNTERS(X)
#undef X
	write_statuses(out, counters, n);
	ks_calls_write(out, counters, n);
#define X(field, name, help)                                                                       \
	write_gauge(out, counters, n, name, help, offsetof(struct ks_counters, field));
	KS_GAUGES(X)
#undef X
	ks_metrics_number(out, "connections_total", "counter", "connections accepted",
			  lobby->accepted);
	ks_metrics_number(out, "connections_expired_total", "counter",
			  "connections ended by --max-idle-time", lobby->expired);
	ks_metrics_number(out, "connections", "gauge", "connections open", lobby->open);
	ks_metrics_number(out, "workers", "gauge", "forks that serve", serving(counters, n));
	fprintf(out, "# HELP " PREFIX "phase_seconds time of requests: waiting for a fork once it "
		     "has begun to arrive, in the program, putting the fork back\n"
		     "# TYPE " PREFIX "phase_seconds histogram\n");
#define X(field, phase) write_phase(out, counters, n, phase, offsetof(struct ks_counters, field));
	KS_PHASES(X)
#undef X
}

/* The bucket that @percent of all are not beyond. */
static unsigned int percentile(struct ks_counters *const *counters, unsigned int n, size_t phase,
			       uint64_t total, unsigned int percent)
{
	uint64_t below = 0;
	unsigned int i = 0;

	for (; i < KS_BUCKETS; i++) {
		below += observed(counters, n, phase, i);
		if (below * 100 >= total * percent)
			break;
	}
	return i;
}

static void write_within(FILE *out, const char *what, unsigned int bucket)
{
	if (bucket < KS_BUCKETS)
		fprintf(out, ", %s within %g ms", what, ks_bucket_us[bucket] / 1e3);
	else
		fprintf(out, ", %s beyond %g s", what, ks_bucket_us[KS_BUCKETS - 1] / 1e6);
}

static void summarize_phase(FILE *out, struct ks_counters *const *counters, unsigned int n,
			    const char *name, size_t phase)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i <= KS_BUCKETS; i++)
		total += observed(counters, n, phase, i);
	if (!total)
		return;
	fprintf(out, "%12.3f ms mean time, %s",
		(double)ks_sum(counters, n, phase + offsetof(struct ks_histogram, sum_ns)) / 1e6 /
			(double)total,
		name);
	write_within(out, "half", percentile(counters, n, phase, total, 50));
	write_within(out, "99 %", percentile(counters, n, phase, total, 99));
	fprintf(out, "\n");
}

static void summarize_statuses(FILE *out, struct ks_counters *const *counters, unsigned int n)
{
	for (unsigned int status = 0; status < 600; status++) {
		uint64_t value =
			ks_sum(counters, n,
			       offsetof(struct ks_counters, status) + status * sizeof(uint64_t));

		if (value && status)
			fprintf(out, "%12llu with status %u\n", (unsigned long long)value, status);
		else if (value)
			fprintf(out, "%12llu without a status\n", (unsigned long long)value);
	}
}

/* What one request costs, and what a worker's fork holds. */
static void summarize_means(FILE *out, struct ks_counters *const *counters, unsigned int n)
{
	uint64_t requests = ks_sum(counters, n, offsetof(struct ks_counters, requests));

	if (!requests)
		return;
	fprintf(out, "%12.1f exits for each request\n",
		(double)ks_sum(counters, n, offsetof(struct ks_counters, exits)) /
			(double)requests);
	ks_calls_summary(out, counters, n, requests);
#define X(field, name, help)                                                                       \
	fprintf(out, "%12llu %s (mean of %u)\n",                                                   \
		(unsigned long long)ks_sum(counters, n, offsetof(struct ks_counters, field)) / n,  \
		help, n);
	KS_GAUGES(X)
#undef X
}

void ks_metrics_summary(FILE *out, struct ks_counters *const *counters, unsigned int n,
			const struct ks_lobby_stats *lobby)
{
	fprintf(out, "kvmserver: %llu connections accepted, %llu open, %llu ended for being idle\n",
		(unsigned long long)lobby->accepted, (unsigned long long)lobby->open,
		(unsigned long long)lobby->expired);
#define X(field, name, help)                                                                       \
	if (ks_sum(counters, n, offsetof(struct ks_counters, field)))                              \
		fprintf(out, "%12llu %s\n",                                                        \
			(unsigned long long)ks_sum(counters, n,                                    \
						   offsetof(struct ks_counters, field)),           \
			help);
	KS_COUNTERS(X)
#undef X
	summarize_statuses(out, counters, n);
	summarize_means(out, counters, n);
#define X(field, phase)                                                                            \
	summarize_phase(out, counters, n, phase, offsetof(struct ks_counters, field));
	KS_PHASES(X)
#undef X
}
