/* SPDX-License-Identifier: MIT */
/* Parts of a trace line. */
#ifndef TK_SYS_TRACE_H
#define TK_SYS_TRACE_H

#include "sys/desc.h"

/* The arguments of @task's call, which ended with @result; @desc NULL: six plain numbers. */
void tk_trace_args(struct tk_buf *line, struct tk_task *task, const struct tk_syscall_desc *desc,
		   long result);

/* Numbers that have names: @kind is OFLAGS, PROT, MAPFLAGS, SIG or CLOCK. */
void tk_trace_named(struct tk_buf *line, enum tk_arg_kind kind, u64 value);

#endif
