/* SPDX-License-Identifier: MIT */
/*
 * From a system-call number to its handler: the table made of table.h's rows, counting, tracing.
 *
 * A call that blocks is entered again with the same arguments until it has a result; it is
 * counted and traced once. What task->wait holds lives from the first entry to the result.
 */
#include <errno.h>

#include "sys/desc.h"

/* clang-format off */
#define K(kind) TK_ARG_##kind
#define KINDS_0(...)		  {TK_ARG_NONE}
#define KINDS_1(a)		  {K(a)}
#define KINDS_2(a, b)		  {K(a), K(b)}
#define KINDS_3(a, b, c)	  {K(a), K(b), K(c)}
#define KINDS_4(a, b, c, d)	  {K(a), K(b), K(c), K(d)}
#define KINDS_5(a, b, c, d, e)	  {K(a), K(b), K(c), K(d), K(e)}
#define KINDS_6(a, b, c, d, e, f) {K(a), K(b), K(c), K(d), K(e), K(f)}
#define PICK(x, a, b, c, d, e, f, name, ...) name
#define KINDS(...) \
	PICK(x, ##__VA_ARGS__, KINDS_6, KINDS_5, KINDS_4, KINDS_3, KINDS_2, KINDS_1, KINDS_0) \
	(__VA_ARGS__)
/* clang-format on */

static const struct tk_syscall_desc table[TK_SYSCALL_MAX] = {
#define X(nr, sysname, ...)                                                                        \
	[nr] = {.name = #sysname, .fn = tk_sys_##sysname, .kinds = KINDS(__VA_ARGS__)},
#include "sys/table.h"
#undef X
};

/*
 * The kernel takes the low 32 bits of RAX as a signed number (entry_64: movslq %eax): what is
 * above them does not matter, and x32's numbers (bit 30) are out of range.
 */
static u32 number(u64 nr)
{
	return (u32)nr;
}

const struct tk_syscall_desc *tk_syscall_desc(u64 nr)
{
	if (number(nr) >= TK_SYSCALL_MAX || !table[number(nr)].name)
		return NULL;
	return &table[number(nr)];
}

const char *tk_syscall_name(u64 nr)
{
	const struct tk_syscall_desc *desc = tk_syscall_desc(nr);

	return desc ? desc->name : NULL;
}

unsigned int tk_syscall_n_args(const struct tk_syscall_desc *desc)
{
	unsigned int n = 0;

	while (n < 6 && desc->kinds[n] != TK_ARG_NONE)
		n++;
	return n;
}

static void count(struct tk_proc *proc, u64 nr, bool known)
{
	if (!known)
		proc->stats.unknown_calls++;
	tk_calls_made(proc->stats.calls, number(nr), 1);
}

long tk_syscall(struct tk_task *task)
{
	const struct tk_syscall_desc *desc = tk_syscall_desc(task->nr);
	struct tk_proc *proc = task->proc;
	long result = -ENOSYS;

	if (!task->wait.begun)
		count(proc, task->nr, desc);
	if (desc)
		result = desc->fn(task, task->args);
	if (result == TK_BLOCKED)
		return result;
	tk_wait_end(task);
	if (proc->trace_fd >= 0)
		tk_trace_call(task, desc, result);
	return result;
}
