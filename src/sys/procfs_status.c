/* SPDX-License-Identifier: MIT */
/* stat, status, statm, limits of a process and its threads: proc(5), proc_pid_stat(5). */
#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "sys/identity.h"
#include "sys/procfs.h"
#include "sys/sys.h"
#include "sys/usage.h"

#define NS_PER_TICK (TK_NSEC_PER_SEC / 100)

void tk_procfs_name(const char *comm, struct tk_buf *out)
{
	for (size_t i = 0; i < 15 && comm[i]; i++) {
		if (comm[i] == '\n')
			tk_buf_printf(out, "\\n");
		else if (comm[i] == '\\')
			tk_buf_printf(out, "\\\\");
		else
			tk_buf_add(out, &comm[i], 1);
	}
}

static char state_of(const struct tk_task *task)
{
	if (task == task->proc->current || task->state == TK_TASK_RUNNABLE)
		return 'R';
	return task->state == TK_TASK_DEAD ? 'Z' : 'S';
}

static const char *state_name(char state)
{
	return state == 'R' ? "running" : state == 'Z' ? "zombie" : "sleeping";
}

/* A value of the auxiliary vector that the program got, or 0. */
static u64 auxv_value(const struct tk_proc *proc, u64 type)
{
	Elf64_auxv_t entry;

	for (size_t at = 0; at + sizeof(entry) <= proc->auxv.len; at += sizeof(entry)) {
		memcpy(&entry, proc->auxv.data + at, sizeof(entry));
		if (entry.a_type == type)
			return entry.a_un.a_val;
	}
	return 0;
}

/* Where the parts of the program are, found by looking at its mappings. */
struct parts {
	const char *exe;
	u64 code, code_end, data, data_end, brk;
};

static int find_parts(void *arg, const struct tk_vma_info *vma)
{
	struct parts *parts = arg;

	if (vma->name && !strcmp(vma->name, "[heap]"))
		parts->brk = vma->start;
	if (!vma->backing || !parts->exe || strcmp(vma->backing->name, parts->exe))
		return 0;
	if (vma->prot & 4 /* PROT_EXEC */) {
		parts->code = parts->code ? parts->code : vma->start;
		parts->code_end = vma->end;
	} else if (vma->prot & 2 /* PROT_WRITE */) {
		parts->data = parts->data ? parts->data : vma->start;
		parts->data_end = vma->end;
	}
	return 0;
}

struct signals {
	u64 pending, shared, blocked, ignored, caught;
};

static struct signals signals_of(const struct tk_task *task)
{
	const struct tk_proc_signals *sig = &task->proc->sig;
	struct signals s = {.pending = task->sig.own.pending,
			    .shared = sig->shared.pending,
			    .blocked = task->sig.blocked};

	for (int n = 1; n <= TK_NSIG; n++) {
		if (sig->actions[n].handler == 1)
			s.ignored |= TK_SIGBIT(n);
		else if (sig->actions[n].handler > 1)
			s.caught |= TK_SIGBIT(n);
	}
	return s;
}

static long long ticks_used(const struct tk_synth_at *at)
{
	s64 ns = at->whole ? tk_proc_cpu_ns(at->proc) : tk_task_cpu_ns(at->task);

	return ns / NS_PER_TICK;
}

/* One line of 52 fields; numbers as in proc_pid_stat(5). */
int tk_procfs_stat(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_proc *proc = at->proc;
	struct signals sig = signals_of(at->task);
	struct parts parts = {.exe = proc->exe};
	struct tk_mm_usage usage;
	u64 low = 0x7fffffff; /* the old 31 signals only */
	int nice = at->task->attrs.nice;

	tk_mm_usage(proc->mm, &usage);
	tk_mm_for_each(proc->mm, find_parts, &parts);
	/* 1-3 */
	tk_buf_printf(out, "%d (", at->whole ? proc->pid : at->task->tid);
	tk_procfs_name(at->task->comm, out);
	/* 4-13: parent, group, session, no terminal, flags, faults */
	tk_buf_printf(out, ") %c %ld %ld %ld 0 -1 4194304 %llu 0 0 0", state_of(at->task),
		      tk_sys_getppid(at->task, NULL), tk_sys_getpgrp(at->task, NULL),
		      tk_sys_getsid(at->task, (const u64[6]){0}),
		      (unsigned long long)proc->stats.faults);
	/* 14-22: CPU time, priority, threads, start */
	tk_buf_printf(out, " %lld 0 0 0 %d %d %u 0 %lld", ticks_used(at), 20 + nice, nice,
		      proc->n_tasks, (long long)(proc->start_ns / NS_PER_TICK));
	/* 23-30: memory */
	tk_buf_printf(out, " %llu %llu %llu %llu %llu %llu 0 0",
		      (unsigned long long)usage.virtual_bytes,
		      (unsigned long long)(usage.resident_bytes / TK_PAGE_SIZE),
		      (unsigned long long)proc->rlimits[RLIMIT_RSS].rlim_cur,
		      (unsigned long long)parts.code, (unsigned long long)parts.code_end,
		      (unsigned long long)auxv_value(proc, AT_RANDOM));
	/* 31-44: signals, where it waits, swap, exit signal, CPU, scheduling, delays, guest time */
	tk_buf_printf(out, " %llu %llu %llu %llu 0 0 0 %d 0 0 0 0 0 0",
		      (unsigned long long)((sig.pending | sig.shared) & low),
		      (unsigned long long)(sig.blocked & low),
		      (unsigned long long)(sig.ignored & low),
		      (unsigned long long)(sig.caught & low), at->whole ? 17 /* SIGCHLD */ : -1);
	/* 45-52: data, brk, arguments, environment, exit code */
	tk_buf_printf(out, " %llu %llu %llu 0 0 0 0 0\n", (unsigned long long)parts.data,
		      (unsigned long long)parts.data_end, (unsigned long long)parts.brk);
	return 0;
}

static void print_groups(struct tk_proc *proc, struct tk_buf *out)
{
	const struct tk_privileges *priv = tk_privileges(proc);

	tk_buf_printf(out, "Groups:\t");
	for (unsigned int i = 0; i < priv->n_groups; i++)
		tk_buf_printf(out, "%s%u", i ? " " : "", priv->groups[i]);
	tk_buf_printf(out, " \n"); /* the kernel has this blank, too */
}

static void print_ids(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_proc *proc = at->proc;
	const struct tk_cred *cred = &proc->cred;
	const struct tk_privileges *priv = tk_privileges(proc);
	int tid = at->whole ? proc->pid : at->task->tid;

	tk_buf_printf(out, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%ld\nTracerPid:\t0\n", proc->pid,
		      tid, tk_sys_getppid(at->task, NULL));
	tk_buf_printf(out, "Uid:\t%u\t%u\t%u\t%u\n", cred->uid, cred->euid, cred->suid,
		      priv->fsuid);
	tk_buf_printf(out, "Gid:\t%u\t%u\t%u\t%u\n", cred->gid, cred->egid, cred->sgid,
		      priv->fsgid);
	tk_buf_printf(out, "FDSize:\t%u\n", TK_MAX(proc->files.size, 64u));
	print_groups(proc, out);
	tk_buf_printf(out, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%ld\nNSsid:\t%ld\nKthread:\t0\n",
		      proc->pid, tid, tk_sys_getpgrp(at->task, NULL),
		      tk_sys_getsid(at->task, (const u64[6]){0}));
}

static void print_kib(struct tk_buf *out, const char *name, u64 bytes)
{
	tk_buf_printf(out, "%s:\t%8llu kB\n", name, (unsigned long long)(bytes / 1024));
}

static void print_memory(struct tk_proc *proc, struct tk_buf *out)
{
	struct tk_mm_usage usage;
	u64 shared;

	tk_mm_usage(proc->mm, &usage);
	shared = TK_MIN(usage.shared_bytes, usage.resident_bytes);
	tk_resident_bytes(proc);
	print_kib(out, "VmPeak", usage.virtual_bytes);
	print_kib(out, "VmSize", usage.virtual_bytes);
	print_kib(out, "VmLck", 0);
	print_kib(out, "VmPin", 0);
	print_kib(out, "VmHWM", TK_MAX(proc->attrs.peak_resident, usage.resident_bytes));
	print_kib(out, "VmRSS", usage.resident_bytes);
	print_kib(out, "RssAnon", usage.resident_bytes - shared);
	print_kib(out, "RssFile", shared);
	print_kib(out, "RssShmem", 0);
	print_kib(out, "VmData", usage.data_bytes);
	print_kib(out, "VmStk", usage.stack_bytes);
	print_kib(out, "VmExe", usage.text_bytes);
	print_kib(out, "VmLib", 0);
	print_kib(out, "VmPTE", usage.page_table_bytes);
	print_kib(out, "VmSwap", 0);
	print_kib(out, "HugetlbPages", 0);
	tk_buf_printf(out, "CoreDumping:\t0\nTHP_enabled:\t%d\n", !proc->attrs.thp_disabled);
	tk_buf_printf(out, "untag_mask:\t0xffffffffffffffff\n");
}

static void print_mask(struct tk_buf *out, const char *name, u64 mask)
{
	tk_buf_printf(out, "%s:\t%016llx\n", name, (unsigned long long)mask);
}

static void print_signals(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct signals sig = signals_of(at->task);

	tk_buf_printf(out, "SigQ:\t%u/%llu\n", at->proc->sig.queued,
		      (unsigned long long)at->proc->rlimits[RLIMIT_SIGPENDING].rlim_cur);
	print_mask(out, "SigPnd", sig.pending);
	print_mask(out, "ShdPnd", sig.shared);
	print_mask(out, "SigBlk", sig.blocked);
	print_mask(out, "SigIgn", sig.ignored);
	print_mask(out, "SigCgt", sig.caught);
}

static void print_caps(struct tk_proc *proc, struct tk_buf *out)
{
	const struct tk_privileges *priv = tk_privileges(proc);

	print_mask(out, "CapInh", priv->cap_inheritable);
	print_mask(out, "CapPrm", priv->cap_permitted);
	print_mask(out, "CapEff", priv->cap_effective);
	print_mask(out, "CapBnd", TK_CAP_ALL & ~priv->cap_dropped);
	print_mask(out, "CapAmb", 0);
	tk_buf_printf(out, "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n",
		      proc->attrs.no_new_privs);
}

int tk_procfs_status(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_proc *proc = at->proc;
	char state = state_of(at->task);

	tk_buf_printf(out, "Name:\t");
	tk_procfs_name(at->task->comm, out);
	tk_buf_printf(out, "\nUmask:\t%04o\nState:\t%c (%s)\n", proc->ns.umask, state,
		      state_name(state));
	print_ids(at, out);
	print_memory(proc, out);
	tk_buf_printf(out, "Threads:\t%u\n", proc->n_tasks);
	print_signals(at, out);
	print_caps(proc, out);
	tk_buf_printf(out, "Speculation_Store_Bypass:\tvulnerable\n"
			   "SpeculationIndirectBranch:\talways enabled\n"
			   "Cpus_allowed:\t1\nCpus_allowed_list:\t0\n"
			   "Mems_allowed:\t1\nMems_allowed_list:\t0\n"
			   "voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
	return 0;
}

int tk_procfs_statm(const struct tk_synth_at *at, struct tk_buf *out)
{
	struct tk_mm_usage usage;

	tk_mm_usage(at->proc->mm, &usage);
	tk_buf_printf(out, "%llu %llu %llu %llu 0 %llu 0\n",
		      (unsigned long long)(usage.virtual_bytes / TK_PAGE_SIZE),
		      (unsigned long long)(usage.resident_bytes / TK_PAGE_SIZE),
		      (unsigned long long)(usage.shared_bytes / TK_PAGE_SIZE),
		      (unsigned long long)(usage.text_bytes / TK_PAGE_SIZE),
		      (unsigned long long)((usage.data_bytes + usage.stack_bytes) / TK_PAGE_SIZE));
	return 0;
}

static void print_limit(struct tk_buf *out, rlim_t value)
{
	if (value == RLIM_INFINITY)
		tk_buf_printf(out, " %-20s", "unlimited");
	else
		tk_buf_printf(out, " %-20llu", (unsigned long long)value);
}

int tk_procfs_limits(const struct tk_synth_at *at, struct tk_buf *out)
{
	static const struct {
		const char *name, *unit;
	} names[RLIM_NLIMITS] = {
		[RLIMIT_CPU] = {"Max cpu time", "seconds"},
		[RLIMIT_FSIZE] = {"Max file size", "bytes"},
		[RLIMIT_DATA] = {"Max data size", "bytes"},
		[RLIMIT_STACK] = {"Max stack size", "bytes"},
		[RLIMIT_CORE] = {"Max core file size", "bytes"},
		[RLIMIT_RSS] = {"Max resident set", "bytes"},
		[RLIMIT_NPROC] = {"Max processes", "processes"},
		[RLIMIT_NOFILE] = {"Max open files", "files"},
		[RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
		[RLIMIT_AS] = {"Max address space", "bytes"},
		[RLIMIT_LOCKS] = {"Max file locks", "locks"},
		[RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
		[RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
		[RLIMIT_NICE] = {"Max nice priority", ""},
		[RLIMIT_RTPRIO] = {"Max realtime priority", ""},
		[RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
	};

	tk_buf_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit",
		      "Units");
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		tk_buf_printf(out, "%-25s", names[i].name);
		print_limit(out, at->proc->rlimits[i].rlim_cur);
		print_limit(out, at->proc->rlimits[i].rlim_max);
		tk_buf_printf(out, " %-10s\n", names[i].unit);
	}
	return 0;
}
