/* SPDX-License-Identifier: MIT */
/*
 * The fast path's file: what was opened to be read, by the last call that left, is given with its
 * stat(2) and, if it is short, its content. The rules are those of reading ahead (machine/ahead.h):
 * a file of our own offset, no memory in common with anybody, no longer than the clock is valid.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/regular.h"
#include "machine/ahead.h"
#include "machine/fast.h"

_Static_assert(sizeof(struct stat) == TK_FAST_STAT, "guest/fast.h");

void tk_fast_note(struct tk_fast *fast, const struct tk_task *task, long result)
{
	u32 nr = (u32)task->nr;

	fast->opened = fast->given && result >= 0 &&
		       (nr == SYS_openat || nr == SYS_open || nr == SYS_openat2);
	fast->opened_fd = fast->opened ? (u32)result : 0;
}

/*
 * Nobody else has it, neither by another descriptor nor in flight; locks of the process, which any
 * close of the file ends, there are none.
 */
static struct tk_file *opened_file(const struct tk_fast *fast, const struct tk_fdtable *files)
{
	struct tk_file *file =
		fast->opened_fd < files->size ? files->fds[fast->opened_fd].file : NULL;

	if (!file || !tk_is_regular(file) || file->refs != 1 || file->watches || files->locks ||
	    file->flags & (O_ACCMODE | O_DIRECT))
		return NULL;
	return file;
}

/* What the file holds. Generated files have no size, and there is no telling what reading does. */
static bool give_content(struct tk_fast *fast, int hostfd, const struct stat *before)
{
	u8 *to = (u8 *)fast->given + TK_GIVEN_FILE;
	struct stat after;
	ssize_t n;

	if (before->st_size <= 0 || before->st_size > TK_FILE_SIZE)
		return false;
	n = pread(hostfd, to, (size_t)before->st_size, 0);
	if (n <= 0)
		return false;
	fast->file_used = TK_MAX(fast->file_used, (u32)n);
	/* Times as they are behind the reading. */
	if (n != before->st_size || fstat(hostfd, &after) || after.st_size != n)
		return false;
	memcpy(fast->given->file_stat, &after, sizeof(after));
	return true;
}

void tk_fast_give_file(struct tk_fast *fast, struct tk_proc *proc, const struct tk_clock *clock)
{
	struct tk_given *given = fast->given;
	struct tk_file *file = fast->opened ? opened_file(fast, &proc->files) : NULL;
	struct stat st;

	fast->file = NULL;
	given->deadline = file ? tk_clock_deadline(clock, TK_AHEAD_NS) : 0;
	if (!given->deadline || tk_ahead_in_contact(proc) || fstat(file->hostfd, &st) ||
	    !S_ISREG(st.st_mode))
		return;
	memcpy(given->file_stat, &st, sizeof(st));
	given->file_whole = give_content(fast, file->hostfd, &st);
	given->file_fd = fast->opened_fd;
	given->file_size = (u64)st.st_size;
	given->state.file = 1;
	given->state.file_pos = (u64)file->pos;
	fast->file = file;
}
