/* SPDX-License-Identifier: MIT */
/* What a process uses, for getrusage(2), sysinfo(2), /proc and cgroup files. */
#ifndef TK_SYS_USAGE_H
#define TK_SYS_USAGE_H

#include "task/task.h"

/* Resident memory in bytes. Measuring costs a walk: the answer may be 10 ms old. */
u64 tk_resident_bytes(struct tk_proc *proc);

#endif
