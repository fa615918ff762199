/* SPDX-License-Identifier: MIT */
/*
 * The memory family: mmap, brk, mremap, mlock and the rest. What they mean is in src/mm; here
 * arguments are narrowed as the kernel narrows them, and descriptors become backings.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sys/sys.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* The limits are the process's; the address space asks for them in its own terms. */
static struct tk_mm *mm_of(struct tk_task *task)
{
	const struct rlimit *limits = task->proc->rlimits;
	struct tk_mm_rlimits *mine = tk_mm_rlimits(task->proc->mm);

	mine->as = limits[RLIMIT_AS].rlim_cur;
	mine->data = limits[RLIMIT_DATA].rlim_cur;
	mine->stack = limits[RLIMIT_STACK].rlim_cur;
	mine->memlock = limits[RLIMIT_MEMLOCK].rlim_cur;
	return task->proc->mm;
}

/*
 * Mapping /dev/zero is another way to ask for anonymous memory. Each host mapping of it would be
 * an object of its own, while one guest mapping may be several on the host.
 */
static bool is_zero_device(const struct tk_file *file)
{
	struct stat st;

	return file->hostfd >= 0 && fstat(file->hostfd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(1, 5);
}

static long map_file(struct tk_task *task, const u64 a[6])
{
	struct tk_backing *backing;
	struct tk_file *file;
	long rc;

	rc = tk_arg_file(task, a[4], &file);
	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	if (a[3] & MAP_HUGETLB)
		return -EINVAL;
	if (!tk_file_may_read(file))
		return a[1] ? -EACCES : -EINVAL;
	if (!file->ops->backing)
		return -ENODEV;
	if (is_zero_device(file))
		return tk_mm_mmap(mm_of(task), a[0], a[1], a[2], a[3] | MAP_ANONYMOUS, NULL, 0);
	backing = file->ops->backing(file);
	if (!backing)
		return -ENOMEM;
	rc = tk_mm_mmap(mm_of(task), a[0], a[1], a[2], a[3], backing, a[5]);
	tk_backing_put(backing);
	return rc;
}

long tk_sys_mmap(struct tk_task *task, const u64 a[6])
{
	if (a[5] % TK_PAGE_SIZE)
		return -EINVAL;
	if (!(a[3] & MAP_ANONYMOUS))
		return map_file(task, a);
	return tk_mm_mmap(mm_of(task), a[0], a[1], a[2], a[3], NULL, a[5]);
}

long tk_sys_munmap(struct tk_task *task, const u64 a[6])
{
	return tk_mm_munmap(mm_of(task), a[0], a[1]);
}

long tk_sys_mprotect(struct tk_task *task, const u64 a[6])
{
	return tk_mm_mprotect(mm_of(task), a[0], a[1], a[2]);
}

long tk_sys_brk(struct tk_task *task, const u64 a[6])
{
	return (long)tk_mm_brk(mm_of(task), a[0]);
}

long tk_sys_mremap(struct tk_task *task, const u64 a[6])
{
	return tk_mm_mremap(mm_of(task), a[0], a[1], a[2], a[3], a[4]);
}

typedef long piece_fn(struct tk_task *task, const u64 a[6], u64 from, u64 len);

/*
 * Calls whose work grows with a length that costs the guest nothing are done piece by piece, so
 * that signals and the time limit come through. Starting over, after a handler, does no harm.
 */
static long by_pieces(struct tk_task *task, const u64 a[6], u64 piece, piece_fn *fn)
{
	u64 *done = &task->wait.progress, n = TK_MIN(a[1] - *done, piece);
	long rc = fn(task, a, *done, n);

	*done += n;
	if (rc || *done == a[1])
		return rc;
	tk_block_restart(task, TK_RESTART_SYS);
	return tk_block(task, tk_now_ns());
}

static long advise_piece(struct tk_task *task, const u64 a[6], u64 from, u64 len)
{
	return tk_mm_madvise(mm_of(task), a[0] + from, len, (int)a[2]);
}

long tk_sys_madvise(struct tk_task *task, const u64 a[6])
{
	bool populates = (int)a[2] == MADV_POPULATE_READ || (int)a[2] == MADV_POPULATE_WRITE;
	u64 len, end;

	/* what is wrong as a whole is refused as a whole */
	if (populates && tk_page_up(a[1], &len) && !__builtin_add_overflow(a[0], len, &end))
		return by_pieces(task, a, TK_MIB(16), advise_piece);
	return tk_mm_madvise(mm_of(task), a[0], a[1], (int)a[2]);
}

long tk_sys_msync(struct tk_task *task, const u64 a[6])
{
	return tk_mm_msync(mm_of(task), a[0], a[1], (int)a[2]);
}

static long mincore_piece(struct tk_task *task, const u64 a[6], u64 from, u64 len)
{
	return tk_mm_mincore(mm_of(task), a[0] + from, len, a[2] + (from >> TK_PAGE_SHIFT));
}

long tk_sys_mincore(struct tk_task *task, const u64 a[6])
{
	return by_pieces(task, a, TK_GIB(4), mincore_piece);
}

long tk_sys_mlock(struct tk_task *task, const u64 a[6])
{
	return tk_mm_mlock(mm_of(task), a[0], a[1], false);
}

long tk_sys_mlock2(struct tk_task *task, const u64 a[6])
{
	int flags = (int)a[2];

	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	return tk_mm_mlock(mm_of(task), a[0], a[1], flags & MLOCK_ONFAULT);
}

long tk_sys_munlock(struct tk_task *task, const u64 a[6])
{
	return tk_mm_munlock(mm_of(task), a[0], a[1]);
}

long tk_sys_mlockall(struct tk_task *task, const u64 a[6])
{
	return tk_mm_mlockall(mm_of(task), (int)a[0]);
}

long tk_sys_munlockall(struct tk_task *task, const u64 a[6])
{
	return tk_mm_munlockall(mm_of(task));
}
