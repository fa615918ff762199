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

long tk_sys_madvise(struct tk_task *task, const u64 a[6])
{
	return tk_mm_madvise(mm_of(task), a[0], a[1], (int)a[2]);
}

long tk_sys_msync(struct tk_task *task, const u64 a[6])
{
	return tk_mm_msync(mm_of(task), a[0], a[1], (int)a[2]);
}

long tk_sys_mincore(struct tk_task *task, const u64 a[6])
{
	return tk_mm_mincore(mm_of(task), a[0], a[1], a[2]);
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
