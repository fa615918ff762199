/* SPDX-License-Identifier: MIT */
/* What table.h says about a system call, as data: for dispatch, --trace, fuzzing, the reference. */
#ifndef TK_SYS_DESC_H
#define TK_SYS_DESC_H

#include "sys/sys.h"

/* X(kind): the argument kinds of table.h, which explains them. */
/* clang-format off */
#define TK_ARG_KIND_LIST(X)                                                                        \
	X(FD) X(DIRFD) X(PATH) X(STR) X(BUF_IN) X(BUF_OUT) X(IN) X(OUT) X(IOV) X(TIMESPEC)         \
	X(ADDR) X(INT) X(UINT) X(HEX) X(OFF) X(SIZE) X(OFLAGS) X(MODE) X(PROT) X(MAPFLAGS)         \
	X(SIG) X(CLOCK) X(PID)
/* clang-format on */

enum tk_arg_kind {
	TK_ARG_NONE, /* the call has no such argument */
#define X(kind) TK_ARG_##kind,
	TK_ARG_KIND_LIST(X)
#undef X
};

struct tk_syscall_desc {
	const char *name;
	tk_syscall_fn *fn;
	enum tk_arg_kind kinds[6];
};

/* The row of system call @nr, or NULL: -ENOSYS. */
const struct tk_syscall_desc *tk_syscall_desc(u64 nr);

/* How many arguments there are before the first TK_ARG_NONE. */
unsigned int tk_syscall_n_args(const struct tk_syscall_desc *desc);

/* Write the line that tells how @task's call ended to proc->trace_fd (sys/trace.c). */
void tk_trace_call(struct tk_task *task, const struct tk_syscall_desc *desc, long result);

#endif
