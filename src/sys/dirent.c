/* SPDX-License-Identifier: MIT */
/* getdents and getdents64: what the directory's own operation delivers, for one record layout each.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "sys/fsargs.h"

#define BUF_SIZE TK_KIB(32)

/*
 * The older record keeps its type in the last byte and has the name one byte earlier; its size
 * comes to the same, so that records are converted where they are.
 */
struct old_record {
	u64 ino, off;
	u16 reclen;
	char name[];
};

static void make_old(char *buf, size_t len)
{
	for (size_t at = 0; at < len;) {
		struct dirent64 *new = (void *)(buf + at);
		struct old_record *old = (void *)(buf + at);
		size_t reclen = new->d_reclen, name_len = strlen(new->d_name);
		unsigned char type = new->d_type;

		memmove(old->name, new->d_name, name_len + 1);
		buf[at + reclen - 1] = (char)type;
		at += reclen;
	}
}

static long list(struct tk_task *task, const u64 a[6], bool old)
{
	_Alignas(u64) char buf[BUF_SIZE];
	struct tk_file *file;
	ssize_t n;
	s64 pos;
	int rc;

	rc = tk_arg_file(task, a[0], &file);
	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	if (!file->ops->getdents)
		return -ENOTDIR;
	pos = file->pos;
	n = file->ops->getdents(file, buf, TK_MIN((size_t)(u32)a[2], sizeof(buf)));
	if (n <= 0)
		return n;
	if (old)
		make_old(buf, (size_t)n);
	rc = tk_copy_out(task->proc->mm, a[1], buf, (size_t)n);
	if (!rc)
		return n;
	file->pos = pos;
	return rc;
}

long tk_sys_getdents(struct tk_task *task, const u64 a[6])
{
	return list(task, a, true);
}

long tk_sys_getdents64(struct tk_task *task, const u64 a[6])
{
	return list(task, a, false);
}
