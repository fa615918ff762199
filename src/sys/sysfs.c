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
	return print_number(out, TK_GUEST_PID);
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

#define FIXED(path, content)                                                                       \
	{                                                                                          \
		path, TK_SYNTH_FILE, 0444, .text = content "\n"                                    \
	}
#define OURS(path, generator)                                                                      \
	{                                                                                          \
		path, TK_SYNTH_FILE, 0444, .read = generator                                       \
	}
#define HOSTS(path)                                                                                \
	{                                                                                          \
		path, TK_SYNTH_FILE, 0444, .read = tk_synth_host, .if_host = true                  \
	}
#define CPU    "devices/system/cpu/"
#define NODE   "devices/system/node/"
#define CGROUP "fs/cgroup/"
#define THP    "kernel/mm/transparent_hugepage/"
#define CLOCK  "devices/system/clocksource/clocksource0/"

/* clang-format off */
/* A cache is there if the host has it. What it is shared with is gone. */
#define CACHE(n)                                                                                   \
	HOSTS(CPU "cpu0/cache/index" #n "/coherency_line_size"),                                   \
	HOSTS(CPU "cpu0/cache/index" #n "/id"),                                                    \
	HOSTS(CPU "cpu0/cache/index" #n "/level"),                                                 \
	HOSTS(CPU "cpu0/cache/index" #n "/number_of_sets"),                                        \
	HOSTS(CPU "cpu0/cache/index" #n "/physical_line_partition"),                               \
	{CPU "cpu0/cache/index" #n "/shared_cpu_list", TK_SYNTH_FILE, 0444, .text = "0\n",         \
	 .if_host = true},                                                                         \
	{CPU "cpu0/cache/index" #n "/shared_cpu_map", TK_SYNTH_FILE, 0444, .text = "1\n",          \
	 .if_host = true},                                                                         \
	HOSTS(CPU "cpu0/cache/index" #n "/size"),                                                  \
	HOSTS(CPU "cpu0/cache/index" #n "/type"),                                                  \
	HOSTS(CPU "cpu0/cache/index" #n "/ways_of_associativity")
/* clang-format on */

static const struct tk_synth_row rows[] = {
	FIXED(CLOCK "available_clocksource", "tsc"),
	FIXED(CLOCK "current_clocksource", "tsc"),
	CACHE(0),
	CACHE(1),
	CACHE(2),
	CACHE(3),
	FIXED(CPU "cpu0/topology/cluster_cpus", "1"),
	FIXED(CPU "cpu0/topology/cluster_cpus_list", "0"),
	FIXED(CPU "cpu0/topology/cluster_id", "0"),
	FIXED(CPU "cpu0/topology/core_cpus", "1"),
	FIXED(CPU "cpu0/topology/core_cpus_list", "0"),
	FIXED(CPU "cpu0/topology/core_id", "0"),
	FIXED(CPU "cpu0/topology/core_siblings", "1"),
	FIXED(CPU "cpu0/topology/core_siblings_list", "0"),
	FIXED(CPU "cpu0/topology/die_cpus", "1"),
	FIXED(CPU "cpu0/topology/die_cpus_list", "0"),
	FIXED(CPU "cpu0/topology/die_id", "0"),
	FIXED(CPU "cpu0/topology/package_cpus", "1"),
	FIXED(CPU "cpu0/topology/package_cpus_list", "0"),
	FIXED(CPU "cpu0/topology/physical_package_id", "0"),
	FIXED(CPU "cpu0/topology/thread_siblings", "1"),
	FIXED(CPU "cpu0/topology/thread_siblings_list", "0"),
	FIXED(CPU "isolated", ""),
	FIXED(CPU "kernel_max", "0"),
	FIXED(CPU "offline", ""),
	FIXED(CPU "online", "0"),
	FIXED(CPU "possible", "0"),
	FIXED(CPU "present", "0"),
	FIXED(CPU "smt/active", "0"),
	FIXED(CPU "smt/control", "notsupported"),
	FIXED(NODE "has_cpu", "0"),
	FIXED(NODE "has_memory", "0"),
	FIXED(NODE "has_normal_memory", "0"),
	FIXED(NODE "node0/cpulist", "0"),
	FIXED(NODE "node0/cpumap", "1"),
	FIXED(NODE "node0/distance", "10"),
	OURS(NODE "node0/meminfo", node_meminfo),
	FIXED(NODE "online", "0"),
	FIXED(NODE "possible", "0"),
	FIXED(CGROUP "cgroup.controllers", "cpu memory pids"),
	FIXED(CGROUP "cgroup.events", "populated 1\nfrozen 0"),
	FIXED(CGROUP "cgroup.max.depth", "max"),
	FIXED(CGROUP "cgroup.max.descendants", "max"),
	OURS(CGROUP "cgroup.procs", procs),
	FIXED(CGROUP "cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0"),
	FIXED(CGROUP "cgroup.subtree_control", ""),
	OURS(CGROUP "cgroup.threads", threads),
	FIXED(CGROUP "cgroup.type", "domain"),
	FIXED(CGROUP "cpu.max", "100000 100000"),
	OURS(CGROUP "cpu.stat", cpu_stat),
	FIXED(CGROUP "cpu.weight", "100"),
	OURS(CGROUP "memory.current", memory_current),
	FIXED(CGROUP "memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0"),
	FIXED(CGROUP "memory.high", "max"),
	FIXED(CGROUP "memory.low", "0"),
	OURS(CGROUP "memory.max", memory_max),
	FIXED(CGROUP "memory.min", "0"),
	OURS(CGROUP "memory.peak", memory_peak),
	OURS(CGROUP "memory.stat", memory_stat),
	FIXED(CGROUP "memory.swap.current", "0"),
	FIXED(CGROUP "memory.swap.max", "0"),
	OURS(CGROUP "pids.current", pids_current),
	OURS(CGROUP "pids.max", pids_max),
	FIXED(THP "defrag", "always defer defer+madvise [madvise] never"),
	FIXED(THP "enabled", "always madvise [never]"),
	FIXED(THP "hpage_pmd_size", "2097152"),
	FIXED(THP "shmem_enabled", "always within_size advise [never] deny force"),
	FIXED(THP "use_zero_page", "1"),
};

const struct tk_synth_tree tk_tree_sys = {rows, TK_ARRAY_SIZE(rows)};
