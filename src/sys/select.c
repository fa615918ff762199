/* SPDX-License-Identifier: MIT */
/*
 * select(2) and pselect6(2), over the same descriptor sets as poll(2). Bitmaps are read and
 * written as the kernel does: whole words, up to the size of the descriptor table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "sys/paced.h"
#include "sys/pollset.h"

/* What readfds, writefds and exceptfds stand for (fs/select.c of the kernel). */
#define READ_SET   (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define WRITE_SET  (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define EXCEPT_SET POLLPRI

static const short set_events[3] = {READ_SET, WRITE_SET, EXCEPT_SET};

struct selection {
	gva_t addr[3]; /* 0: not given */
	u64 *bits[3];  /* in, then out */
	unsigned int n, words;
};

static bool has(const u64 *bits, unsigned int fd)
{
	return bits[fd / 64] >> (fd % 64) & 1;
}

static int load(struct tk_task *task, struct selection *sel)
{
	sel->words = (sel->n + 63) / 64;
	sel->bits[0] = calloc(3 * (size_t)sel->words + 1, sizeof(u64));
	if (!sel->bits[0])
		return -ENOMEM;
	for (int k = 0; k < 3; k++) {
		sel->bits[k] = sel->bits[0] + (size_t)k * sel->words;
		if (sel->addr[k] && tk_copy_in(task->proc->mm, sel->bits[k], sel->addr[k],
					       sel->words * sizeof(u64)))
			return -EFAULT;
		/* As none of them is ready, in the last word those beyond @n are cleared. */
		if (sel->n % 64)
			sel->bits[k][sel->n / 64] &= ~0ull >> (64 - sel->n % 64);
	}
	return 0;
}

static int store(struct tk_task *task, const struct selection *sel)
{
	for (int k = 0; k < 3; k++)
		if (sel->addr[k] && tk_copy_out(task->proc->mm, sel->addr[k], sel->bits[k],
						sel->words * sizeof(u64)))
			return -EFAULT;
	return 0;
}

static short wanted(const struct selection *sel, unsigned int fd)
{
	short events = 0;

	for (int k = 0; k < 3; k++)
		if (has(sel->bits[k], fd))
			events |= set_events[k];
	return events;
}

/* Keep the bits of @fd that @revents answers; returns how many. */
static long settle(struct selection *sel, unsigned int fd, short revents)
{
	long n = 0;

	for (int k = 0; k < 3; k++) {
		if (!has(sel->bits[k], fd))
			continue;
		if (revents & set_events[k])
			n++;
		else
			sel->bits[k][fd / 64] &= ~(1ull << (fd % 64));
	}
	return n;
}

/* One look: a count and @sel changed to the answer; 0 and @sel as it was; or -errno. */
static long look(struct tk_task *task, struct tk_pollset *set, struct selection *sel)
{
	long ready = 0;
	int rc;

	for (unsigned int fd = 0; fd < sel->n; fd++) {
		short events = wanted(sel, fd);

		if (events && !tk_pollset_add(set, fd, task, fd, events))
			return -EBADF;
	}
	rc = tk_pollset_query(set);
	if (rc)
		return rc;
	for (unsigned int fd = 0; fd < sel->n; fd++) {
		short now = set->host[fd].revents;

		if (now & wanted(sel, fd))
			ready++;
		else if (now)
			tk_pollset_skip(set, fd);
	}
	return ready;
}

static long answer(struct tk_pollset *set, struct selection *sel)
{
	long n = 0;

	for (unsigned int fd = 0; fd < sel->n; fd++)
		n += settle(sel, fd, set->host[fd].revents);
	return n;
}

static long select_once(struct tk_task *task, struct selection *sel, s64 deadline, bool wait)
{
	struct tk_pollset set;
	long rc = tk_pollset_init(&set, sel->n);

	if (rc)
		return rc;
	rc = look(task, &set, sel);
	if (!rc && !tk_paced_expired(task, deadline) && (wait || tk_signal_pending(task))) {
		tk_block_restart(task, TK_RESTART_NOHAND);
		rc = tk_pollset_block(&set, task, deadline);
	} else if (rc >= 0) {
		rc = answer(&set, sel);
	}
	tk_pollset_destroy(&set);
	return rc;
}

/* @rel_ns: TK_FOREVER without a timeout. */
static long do_select(struct tk_task *task, const u64 a[6], s64 deadline, bool wait)
{
	struct selection sel = {.addr = {a[1], a[2], a[3]}};
	unsigned int table = (task->proc->files.size + 63) & ~63u;
	long rc;

	if ((int)a[0] < 0)
		return -EINVAL;
	/* Descriptors beyond the table do not exist; the kernel's table starts with 64. */
	table = TK_MAX(table, 64u);
	sel.n = TK_MIN((unsigned int)(int)a[0], table);
	rc = load(task, &sel);
	if (!rc)
		rc = select_once(task, &sel, deadline, wait);
	if (rc >= 0 && store(task, &sel))
		rc = -EFAULT;
	free(sel.bits[0]);
	return rc;
}

/* select(2)'s timeout: microseconds may exceed a second (kernel: kern_select). */
static long arg_timeval(struct tk_task *task, gva_t addr, s64 *rel_ns)
{
	struct timeval tv;
	s64 sec;

	*rel_ns = TK_FOREVER;
	if (!addr)
		return 0;
	if (tk_copy_in(task->proc->mm, &tv, addr, sizeof(tv)))
		return -EFAULT;
	if (__builtin_add_overflow(tv.tv_sec, tv.tv_usec / 1000000, &sec) || sec < 0 ||
	    tv.tv_usec % 1000000 < 0)
		return -EINVAL;
	if (sec < TK_FOREVER / TK_NSEC_PER_SEC)
		*rel_ns = sec * TK_NSEC_PER_SEC + tv.tv_usec % 1000000 * 1000;
	return 0;
}

static long write_left(struct tk_task *task, gva_t addr, s64 deadline, bool micro, long rc)
{
	struct timespec left = tk_ns_timespec(tk_time_left(deadline));

	/* A timeval is laid out alike, with its second half in microseconds. */
	if (micro)
		left.tv_nsec /= 1000;
	if (tk_copy_out(task->proc->mm, addr, &left, sizeof(left)) && rc == -TK_ERESTARTNOHAND)
		return -EINTR;
	return rc;
}

static long timed_select(struct tk_task *task, const u64 a[6], s64 rel_ns, bool micro)
{
	s64 deadline = tk_paced_deadline(task, rel_ns);
	long rc = do_select(task, a, deadline, rel_ns != 0);

	if (a[4] && rel_ns && rel_ns != TK_FOREVER && rc != TK_BLOCKED)
		rc = write_left(task, a[4], deadline, micro, rc);
	return rc;
}

long tk_sys_select(struct tk_task *task, const u64 a[6])
{
	s64 rel;
	long rc = arg_timeval(task, a[4], &rel);

	return rc ? rc : timed_select(task, a, rel, true);
}

long tk_sys_pselect6(struct tk_task *task, const u64 a[6])
{
	u64 mask[2] = {0}; /* sigset_t *, size_t */
	bool given;
	s64 rel;
	long rc;

	if (a[5] && tk_copy_in(task->proc->mm, mask, a[5], sizeof(mask)))
		return -EFAULT;
	rc = tk_arg_timeout(task, a[4], &given, &rel);
	if (!rc)
		rc = tk_sigmask_temp(task, mask[0], mask[1]);
	return rc ? rc : timed_select(task, a, rel, false);
}
