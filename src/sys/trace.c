/* SPDX-License-Identifier: MIT */
/*
 * Trace lines, strace-like: one per completed call, one write(2) each, so that the lines of
 * several machines do not mix. What the arguments point at is shown as it is after the call.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/desc.h"
#include "sys/trace.h"

static bool returns_address(u64 nr)
{
	return (u32)nr == SYS_mmap || (u32)nr == SYS_mremap || (u32)nr == SYS_brk;
}

static void print_error(struct tk_buf *line, long result)
{
	const char *name = strerrorname_np((int)-result);

	if (result == -TK_ERESTARTSYS || result == -TK_ERESTARTNOHAND)
		tk_buf_printf(line, "? ERESTART%s (To be restarted)",
			      result == -TK_ERESTARTSYS ? "SYS" : "NOHAND");
	else
		tk_buf_printf(line, "-1 %s (%s)", name ? name : "E?", strerror((int)-result));
}

static void print_result(struct tk_buf *line, u64 nr, long result)
{
	tk_buf_printf(line, ") = ");
	if (result == TK_NO_RESULT)
		tk_buf_printf(line, "?");
	else if (result < 0 && result >= -4095)
		print_error(line, result);
	else if (returns_address(nr))
		tk_buf_printf(line, "%#lx", result);
	else
		tk_buf_printf(line, "%ld", result);
	tk_buf_printf(line, "\n");
}

/*
 * Write without SIGPIPE, which a library must neither cause nor catch: blocked meanwhile, and
 * taken if it was our write that raised it. False: nobody reads any more.
 */
static bool write_quietly(int fd, const struct tk_buf *line)
{
	const struct timespec now = {0};
	sigset_t pipe, before, pending;
	bool was_pending, broken;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	broken = write(fd, line->data, line->len) < 0 && errno == EPIPE;
	if (broken && !was_pending)
		sigtimedwait(&pipe, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !broken;
}

void tk_trace_call(struct tk_task *task, const struct tk_syscall_desc *desc, long result)
{
	struct tk_buf line = {0};

	tk_buf_printf(&line, "[%d] ", task->tid);
	if (desc)
		tk_buf_printf(&line, "%s(", desc->name);
	else
		tk_buf_printf(&line, "syscall_%#x(", (u32)task->nr);
	tk_trace_args(&line, task, desc, result);
	print_result(&line, task->nr, result);
	if (!line.failed && !write_quietly(task->proc->trace_fd, &line))
		task->proc->trace_fd = -1;
	tk_buf_free(&line);
}
