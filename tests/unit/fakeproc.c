/* SPDX-License-Identifier: MIT */
/* The fake process of fakeproc.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "fakeproc.h"

#define HEAP_SIZE TK_MIB(8)

static void fake_memory(struct fake_proc *fake)
{
	struct tk_mm_options opts = {
		.max_address_space = TK_GIB(1),
		.max_memory = TK_MIB(256),
		.max_vmas = 1000,
	};
	struct tkvm_error err = {0};
	long addr;

	assert_int_equal(tk_mm_create(&fake->mm, &opts, &err), 0);
	addr = tk_mm_mmap(fake->mm, 0, HEAP_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	assert_true(addr > 0);
	fake->heap = fake->next = (gva_t)addr;
	fake->heap_end = fake->heap + HEAP_SIZE;
}

static void fake_table(struct tk_proc *proc)
{
	tk_fdtable_init(&proc->files, 1024);
	proc->rlimits[RLIMIT_NOFILE] = (struct rlimit){1024, 4096};
	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (i != RLIMIT_NOFILE)
			proc->rlimits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
}

void fake_init(struct fake_proc *fake)
{
	struct tk_proc *proc = &fake->proc;
	struct tkvm_error err = {0};

	memset(fake, 0, sizeof(*fake));
	tk_proc_init(proc);
	fake_memory(fake);
	tk_policy_init(&fake->policy);
	proc->mm = fake->mm;
	proc->policy = &fake->policy;
	proc->cred = (struct tk_cred){1000, 1000, 1000, 1000, 1000, 1000};
	fake_table(proc);
	assert_int_equal(tk_ns_init(&proc->ns, &fake->policy, "/", &err), 0);
	fake->task = tk_task_new(proc);
	assert_non_null(fake->task);
	fake->task->regs = &fake->regs;
}

void fake_destroy(struct fake_proc *fake)
{
	tk_fdtable_destroy(&fake->proc.files);
	tk_proc_destroy(&fake->proc);
	tk_ns_destroy(&fake->proc.ns);
	tk_policy_destroy(&fake->policy);
	tk_mm_destroy(fake->mm);
}

void fake_put(struct fake_proc *fake, gva_t addr, const void *data, size_t len)
{
	assert_int_equal(tk_copy_out(fake->mm, addr, data, len), 0);
}

void fake_get(struct fake_proc *fake, gva_t addr, void *data, size_t len)
{
	assert_int_equal(tk_copy_in(fake->mm, data, addr, len), 0);
}

gva_t fake_alloc(struct fake_proc *fake, const void *data, size_t len)
{
	gva_t addr = fake->next;

	assert_true(len <= fake->heap_end - addr);
	fake->next = TK_MIN((addr + len + 15) & ~15ull, fake->heap_end);
	if (data)
		fake_put(fake, addr, data, len);
	else
		assert_int_equal(tk_zero_out(fake->mm, addr, len), 0);
	return addr;
}

gva_t fake_str(struct fake_proc *fake, const char *text)
{
	return fake_alloc(fake, text, strlen(text) + 1);
}

void fake_reset_heap(struct fake_proc *fake)
{
	fake->next = fake->heap;
}

static long fake_call(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6])
{
	long result = fn(fake->task, a);

	if (result != TK_BLOCKED)
		tk_wait_end(fake->task);
	return result;
}

long fake_enter(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6])
{
	tk_wait_end(fake->task);
	return fake_call(fake, fn, a);
}

long fake_again(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6])
{
	fake->task->wait.begun = true;
	fake->task->state = TK_TASK_RUNNABLE;
	return fake_call(fake, fn, a);
}

bool fake_wait(struct fake_proc *fake, int max_ms)
{
	struct tk_wait *wait = &fake->task->wait;
	s64 left = (s64)max_ms * 1000000, until = wait->deadline;
	struct timespec ts;
	bool due = false;

	if (until != TK_FOREVER && until - tk_now_ns() <= left) {
		left = TK_MAX(until - tk_now_ns(), 0);
		due = true;
	}
	ts = tk_ns_timespec(left);
	return ppoll(wait->fds, wait->nfds, &ts, NULL) > 0 || due;
}

long fake_run(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6], int max_ms)
{
	s64 end = tk_now_ns() + (s64)max_ms * 1000000;
	long result = fake_enter(fake, fn, a);

	while (result == TK_BLOCKED && tk_now_ns() < end) {
		fake_wait(fake, (int)((end - tk_now_ns()) / 1000000) + 1);
		result = fake_again(fake, fn, a);
	}
	return result;
}

long fake_once(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6])
{
	long result = fake_enter(fake, fn, a);

	tk_wait_end(fake->task);
	fake->task->state = TK_TASK_RUNNABLE;
	return result;
}

bool fake_signalled(const struct fake_proc *fake, int sig)
{
	return (tk_signal_pending_set(fake->task) & TK_SIGBIT(sig)) != 0;
}

void fake_clear_signals(struct fake_proc *fake)
{
	tk_signal_discard(&fake->proc, ~0ull);
}
