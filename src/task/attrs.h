/* SPDX-License-Identifier: MIT */
/*
 * Settings that a program may change and read back and that have little or no other effect here:
 * identity, capabilities, nice values, prctl(2) switches. Plain values, so that a fork copies
 * them by assignment; all zero is the state of a program that was just started.
 */
#ifndef TK_TASK_ATTRS_H
#define TK_TASK_ATTRS_H

#include "base/types.h"

/* What /proc/sys/kernel/ngroups_max tells guests. */
#define TK_NGROUPS_MAX 256u

/* Belongs to struct tk_cred. Made from the VMM's own identity at first use (sys/identity.c). */
struct tk_privileges {
	bool ready;
	uid_t fsuid;
	gid_t fsgid;
	u64 cap_effective, cap_permitted, cap_inheritable, cap_dropped; /* of the bounding set */
	bool keepcaps;
	unsigned int n_groups;
	gid_t groups[TK_NGROUPS_MAX];
};

struct tk_proc_attrs {
	struct tk_privileges priv;
	u32 personality;
	int group, session; /* 0: still those of process 1 */
	bool undumpable, no_new_privs, thp_disabled, child_subreaper;
	int pdeathsig;
	int oom_score_adj;
	u32 coredump_filter; /* XOR with the kernel's default */
	u32 membarrier;	     /* MEMBARRIER_CMD_REGISTER_* that were done */
	u64 peak_resident;   /* bytes, as far as anybody asked */
	s64 measured_ns;     /* when resident memory was last measured, and its value */
	u64 resident;
};

struct tk_task_attrs {
	int nice;
	int ioprio;
	u64 timer_slack_ns;	 /* 0: the default */
	int policy, rt_priority; /* SCHED_*, and of FIFO and RR */
	bool reset_on_fork;
};

#endif
