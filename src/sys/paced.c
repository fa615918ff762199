/* SPDX-License-Identifier: MIT */
/* Paced waits, see paced.h. The call's deadline is kept aside, since each try has its own. */
#include <errno.h>
#include <stdlib.h>

#include "sys/paced.h"

#define PACE_NS	  2000000
#define FRUITLESS 3 /* once or twice may be a race with somebody else */

struct tk_paced *tk_paced_state(struct tk_task *task)
{
	struct tk_paced *paced = task->wait.priv;

	if (paced)
		return paced;
	paced = calloc(1, sizeof(*paced));
	if (!paced)
		return NULL;
	paced->deadline = task->wait.deadline;
	paced->batch_end = TK_FOREVER;
	task->wait.priv = paced;
	return paced;
}

s64 tk_own_deadline(const struct tk_task *task)
{
	const struct tk_paced *paced = task->wait.priv;

	/* What is to be cancelled keeps something of its own there (sys/open.c). */
	return paced && !task->wait.cancel ? paced->deadline : task->wait.deadline;
}

s64 tk_paced_deadline(struct tk_task *task, s64 rel_ns)
{
	const struct tk_paced *paced = task->wait.priv;

	return paced && task->wait.begun ? paced->deadline : tk_deadline(task, rel_ns);
}

bool tk_paced_expired(const struct tk_task *task, s64 deadline)
{
	return task->wait.begun && deadline != TK_FOREVER && tk_now_ns() >= deadline;
}

long tk_block_paced(struct tk_task *task, const struct pollfd *fds, unsigned int n, s64 deadline)
{
	struct tk_paced *paced = tk_paced_state(task);
	s64 next = tk_now_ns() + PACE_NS;

	if (!paced)
		return -ENOMEM;
	paced->deadline = deadline;
	return tk_block_fds(task, fds, n, TK_MIN(next, deadline));
}

static bool is_fruitless(struct tk_paced *paced, u64 progress)
{
	if (paced->progress != progress)
		paced->fruitless = 0;
	paced->progress = progress;
	return ++paced->fruitless >= FRUITLESS;
}

long tk_block_ready(struct tk_task *task, int fd, short events, s64 deadline)
{
	struct pollfd wanted = {.fd = fd, .events = events};
	struct tk_paced *paced = task->wait.priv;

	if (task->wait.begun && poll(&wanted, 1, 0) > 0) {
		paced = tk_paced_state(task);
		if (!paced)
			return -ENOMEM;
		if (is_fruitless(paced, task->wait.progress))
			return tk_block_paced(task, NULL, 0, deadline);
	}
	if (paced)
		paced->deadline = deadline;
	return tk_block_fds(task, &wanted, 1, deadline);
}
