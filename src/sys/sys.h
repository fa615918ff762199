/* SPDX-License-Identifier: MIT */
/*
 * System calls: dispatch, and what the handlers share. A handler returns a result or -errno *to
 * the guest*, TK_BLOCKED or TK_NO_RESULT. @a are the guest's six raw argument registers: hostile,
 * and of full width. Narrow them the way the kernel does (an int argument is (int)a[0]).
 */
#ifndef TK_SYS_SYS_H
#define TK_SYS_SYS_H

#include "task/calls.h"
#include "task/task.h"
#include "task/wait.h"

typedef long tk_syscall_fn(struct tk_task *task, const u64 a[6]);

#define X(nr, name, ...) tk_syscall_fn tk_sys_##name;
#include "sys/table.h"
#undef X

/*
 * Carry out task->nr with task->args: counts, traces, calls the handler (again, if it was
 * blocked). Returns the result, TK_BLOCKED or TK_NO_RESULT.
 */
long tk_syscall(struct tk_task *task);

const char *
tk_syscall_name(u64 nr); /* "read", or "syscall_1234" style text is the caller's job: NULL */

/* Arguments that many handlers share. Each returns 0 or -errno and stores the checked copy. */
int tk_arg_file(struct tk_task *task, u64 fd, struct tk_file **file); /* borrowed; -EBADF */
/* NULL pointer: *given = false. -EINVAL for nanoseconds out of range or negative seconds. */
int tk_arg_timeout(struct tk_task *task, gva_t ts, bool *given, s64 *rel_ns);

#endif
