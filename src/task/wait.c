/* SPDX-License-Identifier: MIT */
/*
 * What a blocked system call waits for. State lives in task->wait from the first entry of the
 * handler to tk_wait_end(); deadlines are fixed at the first entry, so that a call that is entered
 * again a hundred times still ends on time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "task/wait.h"

s64 tk_deadline(struct tk_task *task, s64 rel_ns)
{
	struct tk_wait *wait = &task->wait;

	if (wait->begun)
		return wait->deadline;
	wait->deadline = TK_FOREVER;
	if (rel_ns >= 0 && rel_ns != TK_FOREVER)
		wait->deadline = tk_later(tk_now_ns(), rel_ns);
	return wait->deadline;
}

bool tk_timed_out(const struct tk_task *task)
{
	const struct tk_wait *wait = &task->wait;

	return wait->begun && wait->deadline != TK_FOREVER && tk_now_ns() >= wait->deadline;
}

static void free_fds(struct tk_wait *wait)
{
	if (wait->fds != wait->inline_fds)
		free(wait->fds);
	wait->fds = NULL;
	wait->nfds = 0;
}

static bool set_fds(struct tk_wait *wait, const struct pollfd *fds, unsigned int n)
{
	struct pollfd *copy = wait->inline_fds;

	if (n > TK_ARRAY_SIZE(wait->inline_fds))
		copy = malloc(n * sizeof(*copy));
	if (!copy)
		return false;
	if (n)
		memcpy(copy, fds, n * sizeof(*copy));
	free_fds(wait);
	wait->fds = copy;
	wait->nfds = n;
	return true;
}

/* What a call that would block returns instead when a signal is there to be handled. */
static long interruption(const struct tk_task *task)
{
	switch (task->wait.restart) {
	case TK_RESTART_SYS:
		return -TK_ERESTARTSYS;
	case TK_RESTART_NOHAND:
		return -TK_ERESTARTNOHAND;
	default:
		return -EINTR;
	}
}

long tk_block_fds(struct tk_task *task, const struct pollfd *fds, unsigned int n, s64 deadline)
{
	struct tk_wait *wait = &task->wait;

	tk_signal_settle(task);
	if (task->proc->exiting || tk_signal_pending(task))
		return interruption(task);
	if (!set_fds(wait, fds, n))
		return -ENOMEM;
	wait->deadline = deadline;
	wait->begun = true;
	wait->woken = false;
	task->state = TK_TASK_BLOCKED;
	return TK_BLOCKED;
}

long tk_block_fd(struct tk_task *task, int hostfd, short events, s64 deadline)
{
	struct pollfd fd = {.fd = hostfd, .events = events};

	return tk_block_fds(task, &fd, 1, deadline);
}

long tk_block(struct tk_task *task, s64 deadline)
{
	return tk_block_fds(task, NULL, 0, deadline);
}

void tk_block_restart(struct tk_task *task, enum tk_restart restart)
{
	task->wait.restart = restart;
}

void tk_task_wake(struct tk_task *task)
{
	if (task->state != TK_TASK_BLOCKED)
		return;
	task->wait.woken = true;
	task->state = TK_TASK_RUNNABLE;
	task->proc->attention = true;
}

void tk_wait_end(struct tk_task *task)
{
	struct tk_wait *wait = &task->wait;

	if (wait->cancel)
		wait->cancel(task);
	free_fds(wait);
	free(wait->priv);
	memset(wait, 0, sizeof(*wait));
	wait->deadline = TK_FOREVER;
}
