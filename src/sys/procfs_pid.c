/* SPDX-License-Identifier: MIT */
/*
 * The files of /proc/PID and /proc/PID/task/TID: proc(5). The longer ones have files of their
 * own. Absent on purpose: mem, pagemap and others through which Linux reaches into memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/identity.h"
#include "sys/procfs.h"

static int cmdline(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_add(out, at->proc->argv.data, at->proc->argv.len);
	return 0;
}

static int environ_(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_add(out, at->proc->envp.data, at->proc->envp.len);
	return 0;
}

static int auxv(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_add(out, at->proc->auxv.data, at->proc->auxv.len);
	return 0;
}

static int exe(const struct tk_synth_at *at, struct tk_buf *out)
{
	if (!at->proc->exe)
		return -ENOENT;
	tk_buf_printf(out, "%s", at->proc->exe);
	return 0;
}

static int cwd(const struct tk_synth_at *at, struct tk_buf *out)
{
	const struct tk_file *dir = at->proc->ns.cwd;

	tk_buf_printf(out, "%s", dir && dir->path ? dir->path : "/");
	return 0;
}

static int comm(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%.15s\n", at->task->comm);
	return 0;
}

static ssize_t set_comm(const struct tk_synth_at *at, const char *data, size_t len)
{
	char *name = at->task->comm;

	memset(name, 0, sizeof(at->task->comm));
	memcpy(name, data, TK_MIN(len, sizeof(at->task->comm) - 1));
	return (ssize_t)len;
}

/*
 * A number as the kernel's kstrtoint() takes it: any base, surrounding white space, nothing else,
 * and short. -EINVAL if it is none.
 */
static int parse(const char *data, size_t len, long lo, long hi, long *value)
{
	char text[14], *end;

	len = TK_MIN(len, sizeof(text) - 1);
	memcpy(text, data, len);
	text[len] = '\0';
	errno = 0;
	*value = strtol(text, &end, 0);
	if (end == text || errno || *value < lo || *value > hi)
		return -EINVAL;
	return end[strspn(end, " \t\n")] ? -EINVAL : 0;
}

static int oom_score_adj(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%d\n", at->proc->attrs.oom_score_adj);
	return 0;
}

static int adjust_oom(struct tk_proc *proc, long value)
{
	if (value < proc->attrs.oom_score_adj && !tk_capable(proc, CAP_SYS_RESOURCE))
		return -EACCES;
	proc->attrs.oom_score_adj = (int)value;
	return 0;
}

static ssize_t set_oom_score_adj(const struct tk_synth_at *at, const char *data, size_t len)
{
	long value;
	int rc = parse(data, len, -1000, 1000, &value);

	if (!rc)
		rc = adjust_oom(at->proc, value);
	return rc ? rc : (ssize_t)len;
}

/* The older scale: -17 (never) to 15, kept as oom_score_adj. */
static int oom_adj(const struct tk_synth_at *at, struct tk_buf *out)
{
	int score = at->proc->attrs.oom_score_adj;

	tk_buf_printf(out, "%d\n", score == 1000 ? 15 : score * 17 / 1000);
	return 0;
}

static ssize_t set_oom_adj(const struct tk_synth_at *at, const char *data, size_t len)
{
	long value;
	int rc = parse(data, len, -17, 15, &value);

	if (!rc)
		rc = adjust_oom(at->proc, value == 15 ? 1000 : value * 1000 / 17);
	return rc ? rc : (ssize_t)len;
}

/* core(5): anonymous private and shared, ELF headers, huge pages are dumped by default. */
#define DEFAULT_COREDUMP_FILTER 0x33u

static int coredump_filter(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%08x\n", at->proc->attrs.coredump_filter ^ DEFAULT_COREDUMP_FILTER);
	return 0;
}

static ssize_t set_coredump_filter(const struct tk_synth_at *at, const char *data, size_t len)
{
	long value;
	int rc = parse(data, len, 0, UINT_MAX, &value);

	if (rc)
		return rc;
	at->proc->attrs.coredump_filter = ((u32)value & 0x1ff) ^ DEFAULT_COREDUMP_FILTER;
	return (ssize_t)len;
}

static int personality(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%08x\n", at->proc->attrs.personality);
	return 0;
}

static int schedstat(const struct tk_synth_at *at, struct tk_buf *out)
{
	tk_buf_printf(out, "%lld 0 1\n", (long long)tk_task_cpu_ns(at->task));
	return 0;
}

static int if_inet6(const struct tk_synth_at *at, struct tk_buf *out)
{
	/* Programs look here whether there is IPv6 at all; other interfaces are not theirs. */
	tk_buf_printf(out, "%032x %02x %02x %02x %02x %8s\n", 1, 1, 128, 16, 128, "lo");
	return 0;
}

static const struct tk_synth_row rows[] = {
	{"auxv", TK_SYNTH_FILE, 0400, .read = auxv},
	{"cgroup", TK_SYNTH_FILE, 0444, .text = "0::/\n"},
	{"cmdline", TK_SYNTH_FILE, 0444, .read = cmdline},
	{"comm", TK_SYNTH_FILE, 0644, .read = comm, .write = set_comm},
	{"coredump_filter", TK_SYNTH_FILE, 0644, .read = coredump_filter,
	 .write = set_coredump_filter, .whole_only = true},
	{"cpuset", TK_SYNTH_FILE, 0444, .text = "/\n"},
	{"cwd", TK_SYNTH_LINK, 0777, .read = cwd},
	{"environ", TK_SYNTH_FILE, 0400, .read = environ_},
	{"exe", TK_SYNTH_LINK, 0777, .read = exe},
	{"fd", TK_SYNTH_DIR, 0500},
	{"fdinfo", TK_SYNTH_DIR, 0555},
	{"gid_map", TK_SYNTH_FILE, 0444, .text = "         0          0 4294967295\n"},
	{"io", TK_SYNTH_FILE, 0400,
	 .text = "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
		 "cancelled_write_bytes: 0\n"},
	{"limits", TK_SYNTH_FILE, 0444, .read = tk_procfs_limits},
	{"loginuid", TK_SYNTH_FILE, 0444, .text = "4294967295"},
	{"maps", TK_SYNTH_FILE, 0444, .read = tk_procfs_maps},
	{"mountinfo", TK_SYNTH_FILE, 0444, .read = tk_procfs_mountinfo},
	{"mounts", TK_SYNTH_FILE, 0444, .read = tk_procfs_mounts},
	{"net/if_inet6", TK_SYNTH_FILE, 0444, .read = if_inet6, .whole_only = true},
	{"oom_adj", TK_SYNTH_FILE, 0644, .read = oom_adj, .write = set_oom_adj},
	{"oom_score", TK_SYNTH_FILE, 0444, .text = "0\n"},
	{"oom_score_adj", TK_SYNTH_FILE, 0644, .read = oom_score_adj, .write = set_oom_score_adj},
	{"personality", TK_SYNTH_FILE, 0400, .read = personality},
	{"root", TK_SYNTH_LINK, 0777, .text = "/"},
	{"schedstat", TK_SYNTH_FILE, 0444, .read = schedstat},
	{"sessionid", TK_SYNTH_FILE, 0444, .text = "4294967295"},
	{"setgroups", TK_SYNTH_FILE, 0444, .text = "allow\n"},
	{"smaps", TK_SYNTH_FILE, 0444, .read = tk_procfs_smaps},
	{"smaps_rollup", TK_SYNTH_FILE, 0444, .read = tk_procfs_rollup, .whole_only = true},
	{"stat", TK_SYNTH_FILE, 0444, .read = tk_procfs_stat},
	{"statm", TK_SYNTH_FILE, 0444, .read = tk_procfs_statm},
	{"status", TK_SYNTH_FILE, 0444, .read = tk_procfs_status},
	{"task", TK_SYNTH_DIR, 0555, .whole_only = true},
	{"uid_map", TK_SYNTH_FILE, 0444, .text = "         0          0 4294967295\n"},
	{"wchan", TK_SYNTH_FILE, 0444, .text = "0"},
};

const struct tk_synth_tree tk_tree_pid = {rows, TK_ARRAY_SIZE(rows)};
