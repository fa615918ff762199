/* SPDX-License-Identifier: MIT */
/* What the machine is: uname(2), sysinfo(2), getcpu(2), syslog(2). One CPU, one node, no swap. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "sys/sys.h"
#include "sys/usage.h"

long tk_sys_uname(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	struct utsname name;

	/* System, release and version are the host's: programs derive from them what works. */
	if (uname(&name) < 0)
		return -errno;
	memset(name.nodename, 0, sizeof(name.nodename));
	snprintf(name.nodename, sizeof(name.nodename), "%s", proc->hostname);
	memset(name.machine, 0, sizeof(name.machine));
	strcpy(name.machine,
	       (proc->attrs.personality & PER_MASK) == PER_LINUX32 ? "i686" : "x86_64");
	memset(name.domainname, 0, sizeof(name.domainname));
	strcpy(name.domainname, "(none)");
	return tk_copy_out(proc->mm, a[0], &name, sizeof(name));
}

long tk_sys_sysinfo(struct tk_task *task, const u64 a[6])
{
	struct tk_proc *proc = task->proc;
	u64 used = TK_MIN(tk_resident_bytes(proc), proc->total_memory);
	struct sysinfo info = {
		.uptime = tk_clock_ns(CLOCK_BOOTTIME) / TK_NSEC_PER_SEC,
		.totalram = proc->total_memory,
		.freeram = proc->total_memory - used,
		.procs = (unsigned short)proc->n_tasks,
		.mem_unit = 1,
	};

	return tk_copy_out(proc->mm, a[0], &info, sizeof(info));
}

long tk_sys_getcpu(struct tk_task *task, const u64 a[6])
{
	const u32 zero = 0;

	if (a[0] && tk_copy_out(task->proc->mm, a[0], &zero, sizeof(zero)))
		return -EFAULT;
	if (a[1] && tk_copy_out(task->proc->mm, a[1], &zero, sizeof(zero)))
		return -EFAULT;
	return 0;
}

/* The kernel's log is the host's affair: as with kernel.dmesg_restrict, syslog(2). */
long tk_sys_syslog(struct tk_task *task, const u64 a[6])
{
	return -EPERM;
}
