/* SPDX-License-Identifier: MIT */
/*
 * Sets of descriptors for poll(2) and select(2). The host is asked in batches and waits are on
 * distinct descriptors, because the host's poll(2) refuses more entries than the VMM's own
 * RLIMIT_NOFILE, which a guest may exceed by naming one descriptor many times.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sys/paced.h"
#include "sys/pollset.h"

#define BATCH	     256
#define ALWAYS_READY (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)

int tk_pollset_init(struct tk_pollset *set, unsigned int n)
{
	set->n = n;
	set->stuck = false;
	set->host = calloc(n ? n : 1, sizeof(*set->host) + sizeof(*set->known));
	if (!set->host)
		return -ENOMEM;
	set->known = (short *)(set->host + n);
	for (unsigned int i = 0; i < n; i++)
		set->host[i].fd = -1;
	return 0;
}

void tk_pollset_destroy(struct tk_pollset *set)
{
	free(set->host);
}

bool tk_pollset_add(struct tk_pollset *set, unsigned int i, struct tk_task *task, u64 fd,
		    short events)
{
	struct tk_file *file = tk_fd_get(&task->proc->files, fd);
	short ready = ALWAYS_READY;

	if (!file || (file->flags & O_PATH)) {
		set->known[i] = POLLNVAL;
		return false;
	}
	if (file->muted)
		events &= ~(POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND | POLLRDHUP);
	if (file->hostfd >= 0) {
		set->host[i] = (struct pollfd){.fd = file->hostfd, .events = events};
		return true;
	}
	if (file->ops->ready)
		ready = file->ops->ready(file);
	set->known[i] = ready & (events | POLLERR | POLLHUP);
	return true;
}

int tk_pollset_query(struct tk_pollset *set)
{
	for (unsigned int i = 0; i < set->n; i += BATCH)
		if (poll(set->host + i, TK_MIN(set->n - i, (unsigned int)BATCH), 0) < 0 &&
		    errno != EINTR)
			return -errno;
	for (unsigned int i = 0; i < set->n; i++)
		set->host[i].revents |= set->known[i];
	return 0;
}

void tk_pollset_skip(struct tk_pollset *set, unsigned int i)
{
	set->host[i].fd = -1;
	set->stuck = true;
}

static int by_fd(const void *a, const void *b)
{
	const struct pollfd *x = a, *y = b;

	return (x->fd > y->fd) - (x->fd < y->fd);
}

/* Sort, merge entries of one descriptor, drop empty ones; returns how many remain. */
static unsigned int compact(struct pollfd *fds, unsigned int n)
{
	unsigned int out = 0;

	if (n > 1)
		qsort(fds, n, sizeof(*fds), by_fd);
	for (unsigned int i = 0; i < n; i++) {
		if (fds[i].fd < 0)
			continue;
		if (out && fds[out - 1].fd == fds[i].fd)
			fds[out - 1].events |= fds[i].events;
		else
			fds[out++] = fds[i];
	}
	return out;
}

long tk_pollset_block(struct tk_pollset *set, struct tk_task *task, s64 deadline)
{
	unsigned int n = compact(set->host, set->n);

	if (set->stuck)
		return tk_block_paced(task, set->host, n, deadline);
	return tk_block_fds(task, set->host, n, deadline);
}

s64 tk_time_left(s64 deadline)
{
	return TK_MAX(deadline - tk_now_ns(), (s64)0);
}
