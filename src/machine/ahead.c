/* SPDX-License-Identifier: MIT */
/*
 * When to read ahead, and what becomes of it. Invariant: between tk_ahead_give() and
 * tk_ahead_settle() there is one run of one vCPU and nothing else. So no other call, of whatever
 * thread, sees an offset that is behind what the guest has read, and nothing from outside reaches
 * the guest after it was given the data, but through memory that it shares with somebody: while
 * there is such memory, it is given none.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/regular.h"
#include "machine/ahead.h"
#include "mm/mm.h"
#include "task/calls.h"

static u8 *data(const struct tk_ahead *ahead)
{
	return (u8 *)ahead->page + TK_AHEAD_DATA;
}

void tk_ahead_init(struct tk_ahead *ahead, struct tk_vm *vm)
{
	*ahead = (struct tk_ahead){.page = tk_vm_ahead(vm), .shim = tk_vm_shim(vm)};
}

void tk_ahead_note(struct tk_ahead *ahead, const struct tk_task *task, long result)
{
	const struct tk_file *file;

	if (!ahead->page || (u32)task->nr != SYS_read || result <= 0 ||
	    (u64)result != task->args[2])
		return;
	file = tk_fd_get(&task->proc->files, task->args[0]);
	if (!file || !tk_is_regular(file) || file->flags & O_DIRECT)
		return;
	ahead->want = file == ahead->file && file->pos - result == ahead->end;
	if (file != ahead->file)
		ahead->pace = (struct tk_ahead_pace){0};
	ahead->file = file;
	ahead->end = file->pos;
	ahead->fd = (u32)task->args[0];
	ahead->n = (u64)result;
}

/*
 * What the system's installation put there for all to read, as programs, libraries and the C
 * library's tables of character sets: nobody passes messages in that.
 */
static bool is_static(const struct tk_vma_info *vma)
{
	return !(vma->shared && vma->prot & PROT_WRITE) && vma->backing->root_only &&
	       !strncmp(vma->backing->name, "/usr/", 5);
}

/*
 * Memory that somebody outside can write, or in which somebody sees what the guest writes. Pages of
 * a private mapping show what is written to the file, too, until the guest writes to them itself.
 */
static int is_contact(void *arg, const struct tk_vma_info *vma)
{
	return vma->backing && !vma->backing->anon && !is_static(vma);
}

bool tk_ahead_in_contact(struct tk_proc *proc)
{
	return tk_mm_for_each(proc->mm, is_contact, NULL) != 0;
}

static u64 bytes_left(const struct tk_file *file)
{
	struct stat st;

	if (fstat(file->hostfd, &st) || !S_ISREG(st.st_mode) || st.st_size <= file->pos)
		return 0;
	return (u64)(st.st_size - file->pos);
}

static void publish(struct tk_ahead *ahead, u32 given, u64 deadline)
{
	ahead->shim->taken = 0;
	ahead->page->deadline = deadline;
	ahead->page->fd = ahead->fd;
	ahead->page->given = given;
}

void tk_ahead_give(struct tk_ahead *ahead, struct tk_proc *proc, const struct tk_clock *clock)
{
	struct tk_file *file;
	u64 deadline;
	ssize_t got;
	u32 window;

	if (!ahead->want)
		return;
	ahead->want = false;
	file = tk_fd_get(&proc->files, ahead->fd);
	if (!file || file != ahead->file || file->pos != ahead->end)
		return;
	window = tk_ahead_window(&ahead->pace, ahead->n, bytes_left(file));
	deadline = tk_clock_deadline(clock, TK_AHEAD_NS);
	if (!window || !deadline || tk_ahead_in_contact(proc))
		return;
	got = pread(file->hostfd, data(ahead), window, file->pos);
	if (got <= 0)
		return;
	ahead->used = TK_MAX(ahead->used, (u32)got);
	publish(ahead, (u32)got, deadline);
	ahead->given = file;
}

void tk_ahead_settle(struct tk_ahead *ahead, struct tk_proc *proc, bool early)
{
	struct tk_ahead_taken taken;
	u32 given;

	if (!ahead->given)
		return;
	given = ahead->page->given;
	taken = tk_ahead_take(__atomic_load_n(&ahead->shim->taken, __ATOMIC_RELAXED), given);
	ahead->page->given = 0;
	ahead->page->fd = UINT32_MAX;
	ahead->given->pos += taken.bytes;
	ahead->end = ahead->given->pos;
	ahead->given = NULL;
	ahead->served += taken.reads;
	tk_calls_inside(proc->stats.calls, SYS_read, taken.reads);
	if (!early)
		tk_ahead_learn(&ahead->pace, ahead->n, given, taken.bytes);
}

void tk_ahead_reset(struct tk_ahead *ahead, struct tk_vm *vm)
{
	u64 served = ahead->served;

	/* The program can write it also where nothing is read ahead. */
	if (tk_vm_shim(vm))
		memset(tk_vm_shim(vm), 0, TK_SHIM_SIZE);
	if (!ahead->page)
		return;
	memset(ahead->page, 0, sizeof(*ahead->page));
	memset(data(ahead), 0, ahead->used);
	*ahead = (struct tk_ahead){.page = ahead->page, .shim = ahead->shim, .served = served};
}
