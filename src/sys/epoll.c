/* SPDX-License-Identifier: MIT */
/* The epoll family over fs/epoll.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "fs/epoll.h"
#include "sys/sys.h"

#define INLINE_EVENTS 64
#define ADDRESS_END   0x7ffffffff000ull /* what access_ok() lets through */

static long do_create(struct tk_task *task, int flags)
{
	struct tk_file *file;
	int rc;

	if (flags & ~EPOLL_CLOEXEC)
		return -EINVAL;
	rc = tk_epoll_new(&file, &task->proc->files.host_fds);
	if (rc)
		return rc;
	return tk_fd_install_or_put(&task->proc->files, file, flags & EPOLL_CLOEXEC);
}

long tk_sys_epoll_create(struct tk_task *task, const u64 a[6])
{
	return (int)a[0] <= 0 ? -EINVAL : do_create(task, 0);
}

long tk_sys_epoll_create1(struct tk_task *task, const u64 a[6])
{
	return do_create(task, (int)a[0]);
}

/* Descriptors opened with O_PATH do not count here (fdget(), open(2)). */
static int arg_file_no_path(struct tk_task *task, u64 fd, struct tk_file **file)
{
	int rc = tk_arg_file(task, (u32)fd, file);

	return rc || !((*file)->flags & O_PATH) ? rc : -EBADF;
}

/* epoll_ctl(2)'s order of checks: event, both descriptors, what they are. */
long tk_sys_epoll_ctl(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file, *target;
	struct epoll_event event = {0};
	struct tk_epoll *epoll;
	int op = (int)a[1], rc;

	if (op != EPOLL_CTL_DEL && tk_copy_in(task->proc->mm, &event, a[3], sizeof(event)))
		return -EFAULT;
	rc = arg_file_no_path(task, a[0], &file);
	if (!rc)
		rc = arg_file_no_path(task, a[2], &target);
	if (rc)
		return rc;
	epoll = tk_epoll_of(file);
	if (!epoll)
		return tk_epoll_can_watch(target) ? -EINVAL : -EPERM;
	return tk_epoll_ctl(epoll, op, (u32)a[2], target, &event);
}

/* How many events fit the guest's buffer before the first page that it cannot write. */
static int room(struct tk_task *task, gva_t out, int max)
{
	struct iovec pieces[4];
	size_t mapped;
	int n = tk_iov_map(task->proc->mm, out, (u64)max * sizeof(struct epoll_event),
			   TK_ACCESS_WRITE, pieces, TK_ARRAY_SIZE(pieces), &mapped);

	return n <= 0 ? 0 : (int)(mapped / sizeof(struct epoll_event));
}

/*
 * Take what is ready and hand it to the guest, but only as much as its memory can take: what the
 * host gave once (edges, one-shots) could not be put back.
 */
static long collect(struct tk_task *task, struct tk_epoll *epoll, gva_t out, int max)
{
	struct epoll_event few[INLINE_EVENTS], *events = few;
	struct pollfd ready = {.fd = epoll->file.hostfd, .events = POLLIN};
	long n;

	/* There are never more events than registrations. */
	if ((unsigned int)max > epoll->n_items)
		max = epoll->n_items ? (int)epoll->n_items : 1;
	max = room(task, out, max);
	if (!max)
		return poll(&ready, 1, 0) > 0 ? -EFAULT : 0;
	if (max > INLINE_EVENTS)
		events = malloc((size_t)max * sizeof(*events));
	if (!events)
		return -ENOMEM;
	n = tk_epoll_collect(epoll, events, max, task->proc->stats.exits);
	if (n > 0 && tk_copy_out(task->proc->mm, out, events, (size_t)n * sizeof(*events)))
		n = -EFAULT;
	if (events != few)
		free(events);
	return n;
}

static long do_wait(struct tk_task *task, const u64 a[6], s64 timeout_ns)
{
	int max = (int)a[2];
	struct tk_epoll *epoll;
	struct tk_file *file;
	s64 deadline;
	long n;
	int rc;

	if (max <= 0 || max > (int)(INT_MAX / sizeof(struct epoll_event)))
		return -EINVAL;
	if (a[1] >= ADDRESS_END - (u64)max * sizeof(struct epoll_event))
		return -EFAULT;
	rc = arg_file_no_path(task, a[0], &file);
	if (rc)
		return rc;
	epoll = tk_epoll_of(file);
	if (!epoll)
		return -EINVAL;
	deadline = tk_deadline(task, timeout_ns);
	n = collect(task, epoll, a[1], max);
	if (n || tk_timed_out(task))
		return n;
	if (timeout_ns == 0 && !tk_signal_pending(task))
		return 0;
	tk_block_restart(task, TK_RESTART_NEVER);
	return tk_block_fd(task, epoll->file.hostfd, POLLIN, deadline);
}

static s64 ms_to_ns(int ms)
{
	return ms < 0 ? TK_FOREVER : (s64)ms * 1000000;
}

long tk_sys_epoll_wait(struct tk_task *task, const u64 a[6])
{
	return do_wait(task, a, ms_to_ns((int)a[3]));
}

long tk_sys_epoll_pwait(struct tk_task *task, const u64 a[6])
{
	int rc = tk_sigmask_temp(task, a[4], a[5]);

	return rc ? rc : do_wait(task, a, ms_to_ns((int)a[3]));
}

long tk_sys_epoll_pwait2(struct tk_task *task, const u64 a[6])
{
	bool given;
	s64 rel;
	int rc = tk_arg_timeout(task, a[3], &given, &rel);

	if (!rc)
		rc = tk_sigmask_temp(task, a[4], a[5]);
	return rc ? rc : do_wait(task, a, rel);
}
