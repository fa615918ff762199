/* SPDX-License-Identifier: MIT */
/*
 * /sys as far as programs look at it to size themselves: one CPU with the host's caches, one
 * node, the guest's memory limit as that of a cgroup (version 2), no transparent huge pages.
 */
#include <errno.h>
#include <string.h>

#include "sys/procfs.h"
#include "sys/usage.h"

static int print_number(struct tk_buf *out, u64 number)
{
	tk_buf_printf(out, "%llu\n", (unsigned long long)number);
	return 0;
}

static int memory_max(const struct tk_synth_at *at, struct tk_buf *out)
{
	return print_number(out, at->proc->total_memory);
}

static int memory_current(const struct tk_synth_at *at, struct tk_buf *out)
{
	return print_number(out, tk_resident_bytes(at->proc));
}

static int memory_peak(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_resident_bytes(at->proc);
	return print_number(out, at->proc->attrs.peak_resident);
}

static int memory_stat(const struct tk_synth_at *at, struct tk_buf *out)
{
	unsigned long long anon = tk_resident_bytes(at->proc);

	tk_buf_printf(out,
		      "anon %llu\nfile 0\nkernel 0\nkernel_stack 0\npagetables 0\nsock 0\nshmem 0\n"
		      "file_mapped 0\nfile_dirty 0\nfile_writeback 0\nswapcached 0\n"
		      "inactive_anon 0\nactive_anon %llu\ninactive_file 0\nactive_file 0\n"
		      "unevictable 0\nslab_reclaimable 0\nslab_unreclaimable 0\nslab 0\n"
		      "pgfault %llu\npgmajfault 0\n",
		      anon, anon, (unsigned long long)at->proc->stats.faults);
	return 0;
}

static int cpu_stat(const struct tk_synth_at *at, struct tk_buf *out)
{
	long long us = tk_proc_cpu_ns(at->proc) / 1000;

	tk_buf_printf(out,
		      "usage_usec %lld\nuser_usec %lld\nsystem_usec 0\nnr_periods 0\n"
		      "nr_throttled 0\nthrottled_usec 0\n",
		      us, us);
	return 0;
}

static int pids_current(const struct tk_synth_at *at, struct tk_buf *out)
{
	return print_number(out, at->proc->n_tasks);
}

static int pids_max(const struct tk_synth_at *at, struct tk_buf *out)
{
	return print_number(out, at->proc->max_tasks);
}

static int procs(const struct tk_synth_at *at, struct tk_buf *out)
{
	return print_number(out, (unsigned int)at->proc->pid);
}

static int threads(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_task *task;

	tk_list_for_each (task, &at->proc->tasks, link)
		print_number(out, (u64)task->tid);
	return 0;
}

static int node_meminfo(const struct tk_synth_at *at, struct tk_buf *out)
{
	u64 total = at->proc->total_memory, used = TK_MIN(tk_resident_bytes(at->proc), total);

	tk_buf_printf(out,
		      "Node 0 MemTotal:       %8llu kB\nNode 0 MemFree:        %8llu kB\n"
		      "Node 0 MemUsed:        %8llu kB\n",
		      (unsigned long long)(total / 1024),
		      (unsigned long long)((total - used) / 1024),
		      (unsigned long long)(used / 1024));
	return 0;
}

#define CPU    "devices/system/cpu/"
#define NODE   "devices/system/node/"
#define CGROUP "fs/cgroup/"
#define THP    "kernel/mm/transparent_hugepage/"
#define CLOCK  "devices/system/clocksource/clocksource0/"

/* clang-format off */
/* A cache is there if the host has it. What it is shared with is gone. */
#define CACHE(n)                                                                                   \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/coherency_line_size"),                                   \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/id"),                                                    \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/level"),                                                 \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/number_of_sets"),                                        \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/physical_line_partition"),                               \
	{CPU "cpu0/cache/index" #n "/shared_cpu_list", TK_SYNTH_FILE, 0444, .text = "0\n",         \
	 .if_host = true},                                                                         \
	{CPU "cpu0/cache/index" #n "/shared_cpu_map", TK_SYNTH_FILE, 0444, .text = "1\n",          \
	 .if_host = true},                                                                         \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/size"),                                                  \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/type"),                                                  \
	TK_SYNTH_HOSTS(CPU "cpu0/cache/index" #n "/ways_of_associativity")
/* clang-format on */

static const struct tk_synth_row rows[] = {
	TK_SYNTH_FIXED(CLOCK "available_clocksource", "tsc"),
	TK_SYNTH_FIXED(CLOCK "current_clocksource", "tsc"),
	CACHE(0),
	CACHE(1),
	CACHE(2),
	CACHE(3),
	TK_SYNTH_FIXED(CPU "cpu0/topology/cluster_cpus", "1"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/cluster_cpus_list", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/cluster_id", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/core_cpus", "1"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/core_cpus_list", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/core_id", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/core_siblings", "1"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/core_siblings_list", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/die_cpus", "1"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/die_cpus_list", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/die_id", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/package_cpus", "1"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/package_cpus_list", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/physical_package_id", "0"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/thread_siblings", "1"),
	TK_SYNTH_FIXED(CPU "cpu0/topology/thread_siblings_list", "0"),
	TK_SYNTH_FIXED(CPU "isolated", ""),
	TK_SYNTH_FIXED(CPU "kernel_max", "0"),
	TK_SYNTH_FIXED(CPU "offline", ""),
	TK_SYNTH_FIXED(CPU "online", "0"),
	TK_SYNTH_FIXED(CPU "possible", "0"),
	TK_SYNTH_FIXED(CPU "present", "0"),
	TK_SYNTH_FIXED(CPU "smt/active", "0"),
	TK_SYNTH_FIXED(CPU "smt/control", "notsupported"),
	TK_SYNTH_FIXED(NODE "has_cpu", "0"),
	TK_SYNTH_FIXED(NODE "has_memory", "0"),
	TK_SYNTH_FIXED(NODE "has_normal_memory", "0"),
	TK_SYNTH_FIXED(NODE "node0/cpulist", "0"),
	TK_SYNTH_FIXED(NODE "node0/cpumap", "1"),
	TK_SYNTH_FIXED(NODE "node0/distance", "10"),
	TK_SYNTH_OURS(NODE "node0/meminfo", node_meminfo),
	TK_SYNTH_FIXED(NODE "online", "0"),
	TK_SYNTH_FIXED(NODE "possible", "0"),
	TK_SYNTH_FIXED(CGROUP "cgroup.controllers", "cpu memory pids"),
	TK_SYNTH_FIXED(CGROUP "cgroup.events", "populated 1\nfrozen 0"),
	TK_SYNTH_FIXED(CGROUP "cgroup.max.depth", "max"),
	TK_SYNTH_FIXED(CGROUP "cgroup.max.descendants", "max"),
	TK_SYNTH_OURS(CGROUP "cgroup.procs", procs),
	TK_SYNTH_FIXED(CGROUP "cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0"),
	TK_SYNTH_FIXED(CGROUP "cgroup.subtree_control", ""),
	TK_SYNTH_OURS(CGROUP "cgroup.threads", threads),
	TK_SYNTH_FIXED(CGROUP "cgroup.type", "domain"),
	TK_SYNTH_FIXED(CGROUP "cpu.max", "100000 100000"),
	TK_SYNTH_OURS(CGROUP "cpu.stat", cpu_stat),
	TK_SYNTH_FIXED(CGROUP "cpu.weight", "100"),
	TK_SYNTH_OURS(CGROUP "memory.current", memory_current),
	TK_SYNTH_FIXED(CGROUP "memory.events",
		       "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0"),
	TK_SYNTH_FIXED(CGROUP "memory.high", "max"),
	TK_SYNTH_FIXED(CGROUP "memory.low", "0"),
	TK_SYNTH_OURS(CGROUP "memory.max", memory_max),
	TK_SYNTH_FIXED(CGROUP "memory.min", "0"),
	TK_SYNTH_OURS(CGROUP "memory.peak", memory_peak),
	TK_SYNTH_OURS(CGROUP "memory.stat", memory_stat),
	TK_SYNTH_FIXED(CGROUP "memory.swap.current", "0"),
	TK_SYNTH_FIXED(CGROUP "memory.swap.max", "0"),
	TK_SYNTH_OURS(CGROUP "pids.current", pids_current),
	TK_SYNTH_OURS(CGROUP "pids.max", pids_max),
	TK_SYNTH_FIXED(THP "defrag", "always defer defer+madvise [madvise] never"),
	TK_SYNTH_FIXED(THP "enabled", "always madvise [never]"),
	TK_SYNTH_FIXED(THP "hpage_pmd_size", "2097152"),
	TK_SYNTH_FIXED(THP "shmem_enabled", "always within_size advise [never] deny force"),
	TK_SYNTH_FIXED(THP "use_zero_page", "1"),
};

const struct tk_synth_tree tk_tree_sys = {rows, TK_ARRAY_SIZE(rows)};
