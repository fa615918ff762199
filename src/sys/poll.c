/* SPDX-License-Identifier: MIT */
/* poll(2) and ppoll(2). */
#include <errno.h>
#include <stdlib.h>

#include "sys/paced.h"
#include "sys/pollset.h"

/* One look at all of @fds: fills revents, returns how many are ready, or -errno. */
static long look(struct tk_task *task, struct tk_pollset *set, struct pollfd *fds)
{
	long ready = 0;
	int rc;

	for (unsigned int i = 0; i < set->n; i++)
		if (fds[i].fd >= 0)
			tk_pollset_add(set, i, task, (u64)fds[i].fd, fds[i].events);
	rc = tk_pollset_query(set);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < set->n; i++) {
		fds[i].revents = set->host[i].revents;
		ready += fds[i].revents != 0;
	}
	return ready;
}

static long poll_once(struct tk_task *task, struct pollfd *fds, unsigned int n, bool forever,
		      s64 rel_ns)
{
	struct tk_pollset set;
	s64 deadline;
	long rc = tk_pollset_init(&set, n);

	if (rc)
		return rc;
	deadline = tk_paced_deadline(task, forever ? TK_FOREVER : rel_ns);
	rc = look(task, &set, fds);
	if (!rc && !tk_paced_expired(task, deadline) &&
	    (forever || rel_ns || tk_signal_pending(task))) {
		tk_block_restart(task, TK_RESTART_NOHAND);
		rc = tk_pollset_block(&set, task, deadline);
	}
	tk_pollset_destroy(&set);
	return rc;
}

static long do_poll(struct tk_task *task, gva_t addr, unsigned int n, bool forever, s64 rel_ns)
{
	struct tk_mm *mm = task->proc->mm;
	struct pollfd *fds;
	long rc;

	if (n > task->proc->files.limit)
		return -EINVAL;
	fds = malloc((n ? n : 1) * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	rc = tk_copy_in(mm, fds, addr, n * sizeof(*fds));
	if (!rc)
		rc = poll_once(task, fds, n, forever, rel_ns);
	if (rc >= 0 && tk_copy_out(mm, addr, fds, n * sizeof(*fds)))
		rc = -EFAULT;
	free(fds);
	return rc;
}

long tk_sys_poll(struct tk_task *task, const u64 a[6])
{
	int ms = (int)a[2];

	return do_poll(task, a[0], (unsigned int)a[1], ms < 0, (s64)ms * 1000000);
}

/* Linux writes the time left back, and ignores that it cannot (except for restarts). */
static long write_left(struct tk_task *task, gva_t ts, s64 deadline, long rc)
{
	struct timespec left = tk_ns_timespec(tk_time_left(deadline));

	if (tk_copy_out(task->proc->mm, ts, &left, sizeof(left)) && rc == -TK_ERESTARTNOHAND)
		return -EINTR;
	return rc;
}

long tk_sys_ppoll(struct tk_task *task, const u64 a[6])
{
	bool given;
	s64 rel, deadline;
	long rc = tk_arg_timeout(task, a[2], &given, &rel);

	if (!rc)
		rc = tk_sigmask_temp(task, a[3], a[4]);
	if (rc)
		return rc;
	deadline = tk_paced_deadline(task, rel);
	rc = do_poll(task, a[0], (unsigned int)a[1], !given || rel == TK_FOREVER, rel);
	if (given && rel && rel != TK_FOREVER && rc != TK_BLOCKED)
		rc = write_left(task, a[2], deadline, rc);
	return rc;
}
