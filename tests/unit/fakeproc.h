/* SPDX-License-Identifier: MIT */
/*
 * A process for tests of system-call handlers: real address space (without KVM), descriptor table,
 * policy and one task, but no vCPU. Guest memory is one anonymous mapping, handed out by bump
 * allocation; blocked calls are driven with poll(2) by fake_wait().
 */
#ifndef TK_TESTS_FAKEPROC_H
#define TK_TESTS_FAKEPROC_H

#include "sys/sys.h"

struct fake_proc {
	struct tk_mm *mm;
	struct tk_policy policy;
	struct tk_proc proc;
	struct tk_task *task;
	struct tk_uregs regs;
	gva_t heap, heap_end, next;
};

/* An empty policy: grant with tk_policy_allow_*(&fake->policy, ...). Fails the test on error. */
void fake_init(struct fake_proc *fake);
void fake_destroy(struct fake_proc *fake);

/* @len bytes of zeroed guest memory, 16-byte aligned; copied from @data if not NULL. */
gva_t fake_alloc(struct fake_proc *fake, const void *data, size_t len);
gva_t fake_str(struct fake_proc *fake, const char *text);
void fake_get(struct fake_proc *fake, gva_t addr, void *data, size_t len);
void fake_put(struct fake_proc *fake, gva_t addr, const void *data, size_t len);
/* Forget all that fake_alloc() gave. */
void fake_reset_heap(struct fake_proc *fake);

/* Call @fn once: a result or TK_BLOCKED, in which case fake_again() goes on with it. */
long fake_enter(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6]);
long fake_again(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6]);
/* Sleep until the blocked call's descriptors or deadline are due; false after @max_ms. */
bool fake_wait(struct fake_proc *fake, int max_ms);
/* Drive @fn to its result; TK_BLOCKED if it still waits after @max_ms. */
long fake_run(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6], int max_ms);

/* FAKE(fake, read, fd, buf, len): the call's result, which must come within five seconds. */
#define FAKE(fake, name, ...) fake_run((fake), tk_sys_##name, (const u64[6]){__VA_ARGS__}, 5000)
/* The first entry only: TK_BLOCKED shows that it would wait. The wait is then given up. */
#define FAKE_ONCE(fake, name, ...) fake_once((fake), tk_sys_##name, (const u64[6]){__VA_ARGS__})
long fake_once(struct fake_proc *fake, tk_syscall_fn *fn, const u64 a[6]);

/* Signal @sig is in a queue of the task or its process. */
bool fake_signalled(const struct fake_proc *fake, int sig);
void fake_clear_signals(struct fake_proc *fake);

#endif
