/* SPDX-License-Identifier: MIT */
/*
 * getrandom(2): the host's, straight into guest memory; and the number by which programs notice
 * that they have been copied (guest/calls.h). A huge request is served piece by piece, so that
 * signals and time limits come through; task->wait.progress is what was done.
 */
#include <errno.h>
#include <sys/random.h>

#include "sys/sys.h"

#ifndef GRND_INSECURE
#define GRND_INSECURE 4
#endif

#define PIECE TK_MIB(1)

/* The kernel's MAX_RW_COUNT: longer requests are cut. */
#define MAX_COUNT ((u64)INT_MAX & TK_PAGE_MASK)

/* Fill [@addr, @addr + @len), at most PIECE. Returns bytes, less than @len if it ends early. */
static ssize_t fill(struct tk_mm *mm, gva_t addr, u64 len, unsigned int flags)
{
	struct iovec iov[4];
	size_t mapped, done = 0;
	int n = tk_iov_map(mm, addr, len, TK_ACCESS_WRITE, iov, TK_ARRAY_SIZE(iov), &mapped);
	ssize_t got = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		got = getrandom(iov[i].iov_base, iov[i].iov_len, flags);
		if (got < 0)
			break;
		done += (size_t)got;
		if ((size_t)got < iov[i].iov_len)
			break;
	}
	tk_mm_wrote(mm, addr, got < 0 ? mapped : done);
	return done || got >= 0 ? (ssize_t)done : -errno;
}

long tk_sys_getrandom(struct tk_task *task, const u64 a[6])
{
	unsigned int flags = (unsigned int)a[2];
	u64 len = TK_MIN(a[1], MAX_COUNT), *done = &task->wait.progress;
	ssize_t got;

	if (flags & ~(unsigned int)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
	    (flags & (GRND_INSECURE | GRND_RANDOM)) == (GRND_INSECURE | GRND_RANDOM))
		return -EINVAL;
	/* A host that is not seeded yet must not hold the VMM. */
	flags |= GRND_NONBLOCK;
	for (u64 end = TK_MIN(len, *done + PIECE); *done < end; *done += (u64)got) {
		got = fill(task->proc->mm, a[0] + *done, end - *done, flags);
		if (got == -EINTR)
			got = 0;
		else if (got <= 0)
			return *done ? (long)*done : got ? got : -EFAULT;
	}
	if (*done == len || tk_signal_pending(task))
		return (long)*done;
	got = tk_block(task, tk_now_ns());
	return got == TK_BLOCKED ? got : (long)*done;
}

/* Drawn when it is asked for: requests that do not ask pay nothing. */
long tk_sys_tinykvm_generation(struct tk_task *task, const u64 a[6])
{
	s64 *generation = &task->proc->generation;

	while (!*generation) {
		if (getrandom(generation, sizeof(*generation), GRND_NONBLOCK) !=
		    (ssize_t)sizeof(*generation)) {
			*generation = 0;
			return -EAGAIN;
		}
		*generation &= INT64_MAX;
	}
	return *generation;
}
