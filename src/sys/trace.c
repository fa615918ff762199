/* SPDX-License-Identifier: MIT */
/* Trace lines, strace-like: one per completed call, one write(2) each. */
#include <stdio.h>
#include <unistd.h>

#include "sys/desc.h"

void tk_trace_call(struct tk_task *task, const struct tk_syscall_desc *desc, long result)
{
	struct tk_buf line = {0};
	unsigned int n = desc ? tk_syscall_n_args(desc) : 6;

	tk_buf_printf(&line, "[%d] ", task->tid);
	if (desc)
		tk_buf_printf(&line, "%s(", desc->name);
	else
		tk_buf_printf(&line, "syscall_%u(", (u32)task->nr);
	for (unsigned int i = 0; i < n; i++)
		tk_buf_printf(&line, "%s%#lx", i ? ", " : "", (unsigned long)task->args[i]);
	tk_buf_printf(&line, ") = %ld\n", result);
	if (line.data && write(task->proc->trace_fd, line.data, line.len) < 0) {
		/* whoever reads the trace went away: the guest must not notice */
	}
	tk_buf_free(&line);
}
