/* SPDX-License-Identifier: MIT */
/*
 * What is counted while serving. Each worker has its own counters, which it alone changes; readers
 * add them up at any time.
 */
#ifndef KVMSERVER_METRICS_H
#define KVMSERVER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "calls.h"
#include "lobby.h"

/* X(field, "name", "help"): sums over the workers. */
#define KS_COUNTERS(X)                                                                             \
	X(requests, "requests_total", "requests served")                                           \
	X(kept, "kept_connections_total", "requests after which the connection stayed open")       \
	X(request_bytes, "request_bytes_total", "bytes that programs took from clients")           \
	X(response_bytes, "response_bytes_total", "bytes that programs sent to clients")           \
	X(resets, "resets_total", "forks put back into the frozen state")                          \
	X(forks, "forks_total", "forks made")                                                      \
	X(stale, "stale_total", "forks made anew as a reset was not possible")                     \
	X(crashed, "crashed_total", "requests in which the program died")                          \
	X(timeouts, "timeouts_total", "requests ended by --max-request-time")                      \
	X(out_of_memory, "out_of_memory_total", "requests ended by a memory limit")                \
	X(gone, "clients_gone_total", "requests ended as the client had left")                     \
	X(stalled, "stalled_total", "requests ended by --max-stall-time")                          \
	X(refused, "refused_total", "error responses of kvmserver's own")                          \
	X(exits, "exits_total", "times that programs left to the library")                         \
	X(syscalls, "syscalls_total", "system calls of programs")                                  \
	X(faults, "faults_total", "page faults among the exits")                                   \
	X(copied_pages, "copied_pages_total", "pages put back by resets")                          \
	X(equal_pages, "equal_pages_total", "pages that resets found unchanged")                   \
	X(vcpu_ioctls, "vcpu_ioctls_total", "ioctls on vCPUs other than KVM_RUN")                  \
	X(restored_ranges, "restored_ranges_total", "ranges of address space restored by resets")  \
	X(renewed_files, "renewed_files_total", "open files made anew by resets")                  \
	X(storage_calls, "storage_calls_total", "calls of the storage program")                    \
	X(storage_failed, "storage_failed_calls_total", "of these, calls that failed")             \
	X(storage_exits, "storage_exits_total",                                                    \
	  "times that the storage program left to the library during calls")

/* X(field, "name", "help"): of each worker's fork. */
#define KS_GAUGES(X)                                                                               \
	X(hot_pages, "hot_pages", "pages that each reset looks at")                                \
	X(dirty_pages, "dirty_pages", "pages that the last reset found changed")                   \
	X(private_bytes, "private_bytes", "bytes of memory that only this fork has")

/* X(field, "phase"): histograms of seconds. */
#define KS_PHASES(X)                                                                               \
	X(wait, "wait")                                                                            \
	X(guest, "guest")                                                                          \
	X(reset, "reset")                                                                          \
	X(storage_queue, "storage_queue")                                                          \
	X(storage_call, "storage_call")

#define KS_BUCKETS 20
extern const uint32_t ks_bucket_us[KS_BUCKETS];

struct ks_histogram {
	_Atomic uint64_t count[KS_BUCKETS + 1], sum_ns;
};

struct ks_counters {
#define X(field, ...) _Atomic uint64_t field;
	KS_COUNTERS(X)
	KS_GAUGES(X)
#undef X
#define X(field, ...) struct ks_histogram field;
	KS_PHASES(X)
#undef X
	_Atomic uint64_t status[600]; /* responses by status; 0: none, or not HTTP */
	struct ks_calls calls;
};

/* By the one thread that owns the counters. */
static inline void ks_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline void ks_gauge(_Atomic uint64_t *gauge, uint64_t n)
{
	atomic_store_explicit(gauge, n, memory_order_relaxed);
}

/* Of the counter at @offset, over the workers. */
uint64_t ks_sum(struct ks_counters *const *counters, unsigned int n, size_t offset);
void ks_observe(struct ks_histogram *histogram, uint64_t ns);

/* One number, as Prometheus takes it. */
void ks_metrics_number(FILE *out, const char *name, const char *kind, const char *help,
		       uint64_t value);
/* Everything, as Prometheus takes it. @counters: of @n workers. */
void ks_metrics_write(FILE *out, struct ks_counters *const *counters, unsigned int n,
		      const struct ks_lobby_stats *lobby);
/* The same for people, short. */
void ks_metrics_summary(FILE *out, struct ks_counters *const *counters, unsigned int n,
			const struct ks_lobby_stats *lobby);

#endif
