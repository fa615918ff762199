/* SPDX-License-Identifier: MIT */
/* memfd_create: a host memfd, used like any regular file. */
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/memfds.h"
#include "fs/regular.h"
#include "policy/policy.h"
#include "sys/fsargs.h"
#include "sys/newfd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC	0x0010U
#endif

#define NAME_SIZE 250 /* MFD_NAME_MAX_LEN + 1: NAME_MAX less the "memfd:" */

static int check_flags(unsigned int flags)
{
	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC |
		      ((unsigned int)MFD_HUGE_MASK << MFD_HUGE_SHIFT)))
		return -EINVAL;
	if (flags & MFD_HUGETLB)
		return -ENOMEM; /* none are set aside for guests */
	if (flags & ((unsigned int)MFD_HUGE_MASK << MFD_HUGE_SHIFT))
		return -EINVAL;
	return (flags & (MFD_EXEC | MFD_NOEXEC_SEAL)) == (MFD_EXEC | MFD_NOEXEC_SEAL) ? -EINVAL : 0;
}

long tk_sys_memfd_create(struct tk_task *task, const u64 a[6])
{
	unsigned int flags = (unsigned int)a[1];
	char name[NAME_SIZE], path[NAME_SIZE + 32];
	struct tk_file *file;
	ssize_t len;
	int fd, rc;

	rc = check_flags(flags);
	if (rc)
		return rc;
	len = tk_copy_str(task->proc->mm, name, a[0], sizeof(name));
	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	if (tk_fds_full(task))
		return -EMFILE;
	fd = memfd_create(name, flags | MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/memfd:%s (deleted)", name);
	rc = tk_regular_new(fd, fcntl(fd, F_GETFL), path, &file);
	if (rc)
		return rc;
	rc = tk_memfds_add(&task->proc->files, fd);
	if (rc) {
		tk_file_put(file);
		return rc;
	}
	file->may = TK_MAY_READ | TK_MAY_WRITE;
	file->writable = true;
	return tk_fd_install_or_put(&task->proc->files, file, flags & MFD_CLOEXEC);
}
