/* SPDX-License-Identifier: MIT */
/*
 * Clock ids of a process or thread are made from its id: ~pid << 3 | 4 if a thread | which of
 * three counters, 3 meaning a descriptor instead (linux/posix-timers.h; clock_getcpuclockid(3)).
 */
#ifndef TK_SYS_CPUCLOCK_H
#define TK_SYS_CPUCLOCK_H

#include <time.h>

#include "task/task.h"

#define TK_CPU_PERTHREAD 4
#define TK_CPU_WHICH	 3
#define TK_CPU_FD	 3

/* 0: the caller's. */
static inline int tk_cpu_clock_pid(clockid_t id)
{
	return ~(id >> 3);
}

static inline bool tk_is_process_clock(const struct tk_proc *proc, clockid_t id)
{
	int pid = tk_cpu_clock_pid(id);

	return id < 0 && !(id & TK_CPU_PERTHREAD) && (id & TK_CPU_WHICH) != TK_CPU_FD &&
	       (!pid || tk_proc_is(proc, pid));
}

#endif
