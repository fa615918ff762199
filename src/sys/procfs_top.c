/* SPDX-License-Identifier: MIT */
/*
 * The files of /proc that are about the machine, and /proc/sys. The machine has one CPU, the
 * memory that the guest was given, and nothing running but the guest; kernel settings that decide
 * how the host treats the guest's files, sockets and memory are the host's own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include "sys/procfs.h"
#include "sys/usage.h"

#define NS_PER_TICK (TK_NSEC_PER_SEC / 100)

static int thread_self(const struct tk_synth_at *at, struct tk_buf *out)
{
	const struct tk_task *task = at->proc->current ? at->proc->current : at->proc->leader;

	tk_buf_printf(out, "%d/task/%d", at->proc->pid, task ? task->tid : TK_GUEST_PID);
	return 0;
}

static int self(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%d", at->proc->pid);
	return 0;
}

/* A line of the host's cpuinfo, unless it numbers or counts CPUs. */
static void cpuinfo_line(const char *line, size_t len, struct tk_buf *out)
{
	static const struct {
		const char *key;
		int value;
	} ours[] = {
		{"processor", 0}, {"physical id", 0}, {"siblings", 1},	     {"core id", 0},
		{"cpu cores", 1}, {"apicid", 0},      {"initial apicid", 0},
	};
	const char *colon = memchr(line, ':', len);
	size_t key = colon ? (size_t)(colon - line) : len;

	while (key && (line[key - 1] == '\t' || line[key - 1] == ' '))
		key--;
	for (size_t i = 0; colon && i < TK_ARRAY_SIZE(ours); i++)
		if (strlen(ours[i].key) == key && !memcmp(line, ours[i].key, key)) {
			tk_buf_add(out, line, (size_t)(colon - line));
			tk_buf_printf(out, ": %d\n", ours[i].value);
			return;
		}
	tk_buf_add(out, line, len);
	tk_buf_add(out, "\n", 1);
}

/* The host's first CPU, as number 0. */
static int cpuinfo(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_buf host = {0};
	const char *line, *end;
	int rc = tk_synth_host(at, &host);

	for (line = host.data; !rc && line && *line && *line != '\n'; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			break;
		cpuinfo_line(line, (size_t)(end - line), out);
	}
	tk_buf_add(out, "\n", 1);
	tk_buf_free(&host);
	return rc;
}

static void print_kib(struct tk_buf *out, const char *name, u64 bytes)
{
	tk_buf_printf(out, "%s:%*llu kB\n", name, 23 - (int)strlen(name),
		      (unsigned long long)(bytes / 1024));
}

/* X(name, value): total, used and free are the guest's memory; there is no swap and no cache. */
#define MEMINFO(X)                                                                                 \
	X("MemTotal", total)                                                                       \
	X("MemFree", free)                                                                         \
	X("MemAvailable", free)                                                                    \
	X("Buffers", 0)                                                                            \
	X("Cached", 0)                                                                             \
	X("SwapCached", 0)                                                                         \
	X("Active", used)                                                                          \
	X("Inactive", 0)                                                                           \
	X("Active(anon)", used)                                                                    \
	X("Inactive(anon)", 0)                                                                     \
	X("Active(file)", 0)                                                                       \
	X("Inactive(file)", 0)                                                                     \
	X("Unevictable", 0)                                                                        \
	X("Mlocked", 0)                                                                            \
	X("SwapTotal", 0)                                                                          \
	X("SwapFree", 0)                                                                           \
	X("Zswap", 0)                                                                              \
	X("Zswapped", 0)                                                                           \
	X("Dirty", 0)                                                                              \
	X("Writeback", 0)                                                                          \
	X("AnonPages", used)                                                                       \
	X("Mapped", 0)                                                                             \
	X("Shmem", 0)                                                                              \
	X("KReclaimable", 0)                                                                       \
	X("Slab", 0)                                                                               \
	X("SReclaimable", 0)                                                                       \
	X("SUnreclaim", 0)                                                                         \
	X("KernelStack", 0)                                                                        \
	X("PageTables", 0)                                                                         \
	X("SecPageTables", 0)                                                                      \
	X("NFS_Unstable", 0)                                                                       \
	X("Bounce", 0)                                                                             \
	X("WritebackTmp", 0)                                                                       \
	X("CommitLimit", total)                                                                    \
	X("Committed_AS", used)                                                                    \
	X("VmallocTotal", 0x1ffffffffc00)                                                          \
	X("VmallocUsed", 0)                                                                        \
	X("VmallocChunk", 0)                                                                       \
	X("Percpu", 0)                                                                             \
	X("AnonHugePages", 0)

static int meminfo(const struct tk_synth_at *at, struct tk_buf *out)
{
	u64 total = at->proc->total_memory, used = TK_MIN(tk_resident_bytes(at->proc), total);
	u64 free = total - used;

#define X(name, value) print_kib(out, name, value);
	MEMINFO(X)
#undef X
	tk_buf_printf(out, "HugePages_Total:       0\nHugePages_Free:        0\n"
			   "HugePages_Rsvd:        0\nHugePages_Surp:        0\n");
	print_kib(out, "Hugepagesize", TK_MIB(2));
	print_kib(out, "Hugetlb", 0);
	return 0;
}

/* user, system and idle time in ticks; the rest of a cpu line is zeroes. */
static int stat_file(const struct tk_synth_at *at, struct tk_buf *out)
{
	s64 up = tk_clock_ns(CLOCK_BOOTTIME), user = tk_proc_cpu_ns(at->proc);
	s64 idle = TK_MAX(up - user, (s64)0);
	s64 boot = (tk_clock_ns(CLOCK_REALTIME) - up) / TK_NSEC_PER_SEC;

	for (int cpu = 0; cpu < 2; cpu++)
		tk_buf_printf(out, "%s %lld 0 0 %lld 0 0 0 0 0 0\n", cpu ? "cpu0" : "cpu ",
			      (long long)(user / NS_PER_TICK), (long long)(idle / NS_PER_TICK));
	tk_buf_printf(out,
		      "intr 0\nctxt 0\nbtime %lld\nprocesses %d\nprocs_running 1\n"
		      "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		      (long long)boot, at->proc->next_tid);
	return 0;
}

static int loadavg(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "0.00 0.00 0.00 1/%u %d\n", at->proc->n_tasks,
		      TK_MAX(at->proc->next_tid - 1, TK_GUEST_PID));
	return 0;
}

static int uptime(const struct tk_synth_at *at, struct tk_buf *out)
{
	s64 up = tk_clock_ns(CLOCK_BOOTTIME) / NS_PER_TICK;
	s64 idle = TK_MAX(up - tk_proc_cpu_ns(at->proc) / NS_PER_TICK, (s64)0);

	tk_buf_printf(out, "%lld.%02lld %lld.%02lld\n", (long long)(up / 100),
		      (long long)(up % 100), (long long)(idle / 100), (long long)(idle % 100));
	return 0;
}

static int version(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct utsname name;

	uname(&name);
	tk_buf_printf(out, "%s version %s (kvmserver) %s\n", name.sysname, name.release,
		      name.version);
	return 0;
}

#define CGROUP(name) name "\t0\t1\t1\n"

static const struct tk_synth_row proc_rows[] = {
	{"cgroups", TK_SYNTH_FILE, 0444,
	 .text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n" CGROUP("cpuset") CGROUP("cpu")
		 CGROUP("cpuacct") CGROUP("blkio") CGROUP("memory") CGROUP("devices")
			 CGROUP("freezer") CGROUP("pids")},
	{"cmdline", TK_SYNTH_FILE, 0444, .text = "\n"},
	{"cpuinfo", TK_SYNTH_FILE, 0444, .read = cpuinfo},
	{"devices", TK_SYNTH_FILE, 0444,
	 .text = "Character devices:\n  1 mem\n  5 /dev/tty\n\nBlock devices:\n"},
	{"filesystems", TK_SYNTH_FILE, 0444,
	 .text = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tcgroup2\nnodev\tdevtmpfs\n"
		 "nodev\tkvmserver\n"},
	{"loadavg", TK_SYNTH_FILE, 0444, .read = loadavg},
	{"meminfo", TK_SYNTH_FILE, 0444, .read = meminfo},
	{"modules", TK_SYNTH_FILE, 0444, .text = ""},
	{"mounts", TK_SYNTH_LINK, 0777, .text = "self/mounts"},
	{"net", TK_SYNTH_LINK, 0777, .text = "self/net"},
	{"partitions", TK_SYNTH_FILE, 0444, .text = "major minor  #blocks  name\n\n"},
	{"self", TK_SYNTH_LINK, 0777, .read = self},
	{"stat", TK_SYNTH_FILE, 0444, .read = stat_file},
	{"swaps", TK_SYNTH_FILE, 0444,
	 .text = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
	{"sys", TK_SYNTH_DIR, 0555},
	{"thread-self", TK_SYNTH_LINK, 0777, .read = thread_self},
	{"uptime", TK_SYNTH_FILE, 0444, .read = uptime},
	{"version", TK_SYNTH_FILE, 0444, .read = version},
};

const struct tk_synth_tree tk_tree_proc = {proc_rows, TK_ARRAY_SIZE(proc_rows)};

static int hostname(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%s\n", at->proc->hostname);
	return 0;
}

static int osrelease(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct utsname name;

	uname(&name);
	tk_buf_printf(out, "%s\n", name.release);
	return 0;
}

static int osversion(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct utsname name;

	uname(&name);
	tk_buf_printf(out, "%s\n", name.version);
	return 0;
}

static int threads_max(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%u\n", at->proc->max_tasks);
	return 0;
}

static int ngroups_max(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%u\n", TK_NGROUPS_MAX);
	return 0;
}

/* A random UUID, version 4, variant 1 (RFC 4122, section 4.4). */
static int uuid(const struct tk_synth_at *at, struct tk_buf *out)
{
	u8 id[16];

	if (getrandom(id, sizeof(id), GRND_NONBLOCK) != (ssize_t)sizeof(id))
		return -EAGAIN;
	id[6] = (id[6] & 0x0f) | 0x40;
	id[8] = (id[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++)
		tk_buf_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      id[i]);
	tk_buf_add(out, "\n", 1);
	return 0;
}

static const struct tk_synth_row sysctl_rows[] = {
	TK_SYNTH_FIXED("fs/aio-max-nr", "65536"),
	TK_SYNTH_FIXED("fs/aio-nr", "0"),
	TK_SYNTH_HOSTS("fs/epoll/max_user_watches"),
	TK_SYNTH_HOSTS("fs/file-max"),
	TK_SYNTH_HOSTS("fs/inotify/max_queued_events"),
	TK_SYNTH_HOSTS("fs/inotify/max_user_instances"),
	TK_SYNTH_HOSTS("fs/inotify/max_user_watches"),
	TK_SYNTH_FIXED("fs/nr_open", "1048576"),
	TK_SYNTH_FIXED("fs/overflowgid", "65534"),
	TK_SYNTH_FIXED("fs/overflowuid", "65534"),
	TK_SYNTH_HOSTS("fs/pipe-max-size"),
	TK_SYNTH_HOSTS("fs/pipe-user-pages-hard"),
	TK_SYNTH_HOSTS("fs/pipe-user-pages-soft"),
	TK_SYNTH_HOSTS("fs/protected_hardlinks"),
	TK_SYNTH_HOSTS("fs/protected_symlinks"),
	TK_SYNTH_FIXED("fs/suid_dumpable", "0"),
	TK_SYNTH_FIXED("kernel/arch", "x86_64"),
	TK_SYNTH_HOSTS("kernel/cap_last_cap"),
	TK_SYNTH_FIXED("kernel/core_pattern", "core"),
	TK_SYNTH_FIXED("kernel/core_uses_pid", "0"),
	TK_SYNTH_FIXED("kernel/dmesg_restrict", "1"),
	TK_SYNTH_FIXED("kernel/domainname", "(none)"),
	TK_SYNTH_OURS("kernel/hostname", hostname),
	TK_SYNTH_FIXED("kernel/io_uring_disabled", "2"),
	TK_SYNTH_FIXED("kernel/kptr_restrict", "1"),
	TK_SYNTH_FIXED("kernel/msgmax", "8192"),
	TK_SYNTH_FIXED("kernel/msgmnb", "16384"),
	TK_SYNTH_FIXED("kernel/msgmni", "32000"),
	TK_SYNTH_OURS("kernel/ngroups_max", ngroups_max),
	TK_SYNTH_OURS("kernel/osrelease", osrelease),
	TK_SYNTH_FIXED("kernel/ostype", "Linux"),
	TK_SYNTH_FIXED("kernel/overflowgid", "65534"),
	TK_SYNTH_FIXED("kernel/overflowuid", "65534"),
	TK_SYNTH_FIXED("kernel/perf_event_paranoid", "4"),
	TK_SYNTH_FIXED("kernel/pid_max", "4194304"),
	TK_SYNTH_HOSTS("kernel/random/boot_id"),
	TK_SYNTH_FIXED("kernel/random/entropy_avail", "256"),
	TK_SYNTH_FIXED("kernel/random/poolsize", "256"),
	TK_SYNTH_OURS("kernel/random/uuid", uuid),
	TK_SYNTH_FIXED("kernel/randomize_va_space", "2"),
	TK_SYNTH_FIXED("kernel/sched_rr_timeslice_ms", "100"),
	TK_SYNTH_FIXED("kernel/sched_rt_period_us", "1000000"),
	TK_SYNTH_FIXED("kernel/sched_rt_runtime_us", "950000"),
	TK_SYNTH_FIXED("kernel/sem", "32000\t1024000000\t500\t32000"),
	TK_SYNTH_FIXED("kernel/shmall", "18446744073692774399"),
	TK_SYNTH_FIXED("kernel/shmmax", "18446744073692774399"),
	TK_SYNTH_FIXED("kernel/shmmni", "4096"),
	TK_SYNTH_FIXED("kernel/tainted", "0"),
	TK_SYNTH_OURS("kernel/threads-max", threads_max),
	TK_SYNTH_OURS("kernel/version", osversion),
	TK_SYNTH_HOSTS("net/core/rmem_default"),
	TK_SYNTH_HOSTS("net/core/rmem_max"),
	TK_SYNTH_HOSTS("net/core/somaxconn"),
	TK_SYNTH_HOSTS("net/core/wmem_default"),
	TK_SYNTH_HOSTS("net/core/wmem_max"),
	TK_SYNTH_HOSTS("net/ipv4/ip_local_port_range"),
	TK_SYNTH_HOSTS("net/ipv4/ip_unprivileged_port_start"),
	TK_SYNTH_HOSTS("net/ipv4/tcp_fastopen"),
	TK_SYNTH_HOSTS("net/ipv4/tcp_max_syn_backlog"),
	TK_SYNTH_HOSTS("net/ipv4/tcp_rmem"),
	TK_SYNTH_HOSTS("net/ipv4/tcp_wmem"),
	TK_SYNTH_HOSTS("net/ipv6/conf/all/disable_ipv6"),
	TK_SYNTH_HOSTS("net/ipv6/bindv6only"),
	TK_SYNTH_HOSTS("vm/max_map_count"),
	TK_SYNTH_FIXED("vm/mmap_min_addr", "65536"), /* TK_USER_MIN */
	TK_SYNTH_FIXED("vm/nr_hugepages", "0"),
	TK_SYNTH_HOSTS("vm/overcommit_memory"),
	TK_SYNTH_HOSTS("vm/overcommit_ratio"),
	TK_SYNTH_HOSTS("vm/page-cluster"),
	TK_SYNTH_HOSTS("vm/swappiness"),
};

const struct tk_synth_tree tk_tree_sysctl = {sysctl_rows, TK_ARRAY_SIZE(sysctl_rows)};
