/* SPDX-License-Identifier: MIT */
/*
 * Arguments in trace lines, by their kinds. Pointers are the program's and may be anything: what
 * cannot be read is shown as the address.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "sys/trace.h"

#define MAX_STRING 32  /* bytes of buffers shown, as strace does */
#define MAX_PATH   256 /* and of names */
#define MAX_IOVS   4

static void print_address(struct tk_buf *line, u64 addr)
{
	if (addr)
		tk_buf_printf(line, "%#llx", (unsigned long long)addr);
	else
		tk_buf_printf(line, "NULL");
}

static void print_char(struct tk_buf *line, u8 c)
{
	static const char plain[] = "\n\t\r\f\v\"\\", escaped[] = "ntrfv\"\\";
	const char *known = c ? strchr(plain, c) : NULL;

	if (known)
		tk_buf_printf(line, "\\%c", escaped[known - plain]);
	else if (c < ' ' || c >= 127)
		tk_buf_printf(line, "\\%o", c);
	else
		tk_buf_printf(line, "%c", c);
}

static void print_bytes(struct tk_buf *line, const u8 *bytes, size_t len, bool more)
{
	tk_buf_printf(line, "\"");
	for (size_t i = 0; i < len; i++)
		print_char(line, bytes[i]);
	tk_buf_printf(line, "\"%s", more ? "..." : "");
}

static void print_buffer(struct tk_buf *line, struct tk_task *task, gva_t addr, u64 len)
{
	u8 bytes[MAX_STRING];
	size_t shown = TK_MIN(len, (u64)sizeof(bytes));

	if (!addr || tk_copy_in(task->proc->mm, bytes, addr, shown))
		print_address(line, addr);
	else
		print_bytes(line, bytes, shown, len > shown);
}

static void print_string(struct tk_buf *line, struct tk_task *task, gva_t addr)
{
	char name[MAX_PATH + 1];
	ssize_t len = tk_copy_str(task->proc->mm, name, addr, sizeof(name));

	if (len >= 0)
		print_bytes(line, (const u8 *)name, (size_t)len, false);
	else if (len == -ENAMETOOLONG && !tk_copy_in(task->proc->mm, name, addr, MAX_PATH))
		print_bytes(line, (const u8 *)name, MAX_PATH, true);
	else
		print_address(line, addr);
}

static void print_iov(struct tk_buf *line, struct tk_task *task, gva_t addr, u32 count)
{
	struct iovec iov[MAX_IOVS];
	u32 n = TK_MIN(count, (u32)MAX_IOVS);

	if (tk_copy_in(task->proc->mm, iov, addr, n * sizeof(iov[0]))) {
		print_address(line, addr);
		return;
	}
	tk_buf_printf(line, "[");
	for (u32 i = 0; i < n; i++) {
		tk_buf_printf(line, "%s{iov_base=", i ? ", " : "");
		print_buffer(line, task, (gva_t)(uintptr_t)iov[i].iov_base, iov[i].iov_len);
		tk_buf_printf(line, ", iov_len=%zu}", iov[i].iov_len);
	}
	tk_buf_printf(line, "%s]", count > n ? ", ..." : "");
}

static void print_timespec(struct tk_buf *line, struct tk_task *task, gva_t addr)
{
	struct timespec ts;

	if (!addr || tk_copy_in(task->proc->mm, &ts, addr, sizeof(ts)))
		print_address(line, addr);
	else
		tk_buf_printf(line, "{tv_sec=%lld, tv_nsec=%ld}", (long long)ts.tv_sec, ts.tv_nsec);
}

static void print_number(struct tk_buf *line, enum tk_arg_kind kind, u64 value)
{
	if (kind == TK_ARG_DIRFD && (int)value == AT_FDCWD)
		tk_buf_printf(line, "AT_FDCWD");
	else if (kind == TK_ARG_UINT)
		tk_buf_printf(line, "%u", (u32)value);
	else if (kind == TK_ARG_HEX)
		tk_buf_printf(line, "%#llx", (unsigned long long)value);
	else if (kind == TK_ARG_OFF)
		tk_buf_printf(line, "%lld", (long long)value);
	else if (kind == TK_ARG_SIZE)
		tk_buf_printf(line, "%llu", (unsigned long long)value);
	else if (kind == TK_ARG_MODE)
		tk_buf_printf(line, "%#o", (u32)value);
	else /* descriptors, process ids, INT */
		tk_buf_printf(line, "%d", (int)value);
}

/* A length in the argument after @i, if the row says that there is one. */
static u64 length_after(const struct tk_syscall_desc *desc, const u64 *args, unsigned int i)
{
	if (i == 5)
		return 0;
	switch (desc->kinds[i + 1]) {
	case TK_ARG_SIZE:
		return args[i + 1];
	case TK_ARG_UINT:
		return (u32)args[i + 1];
	case TK_ARG_INT:
		return (int)args[i + 1] > 0 ? (u64)(int)args[i + 1] : 0;
	default:
		return 0;
	}
}

static void print_arg(struct tk_buf *line, struct tk_task *task, const struct tk_syscall_desc *desc,
		      unsigned int i, long result)
{
	enum tk_arg_kind kind = desc->kinds[i];
	u64 value = task->args[i];

	switch (kind) {
	case TK_ARG_PATH:
	case TK_ARG_STR:
		print_string(line, task, value);
		break;
	case TK_ARG_BUF_IN:
		print_buffer(line, task, value, length_after(desc, task->args, i));
		break;
	case TK_ARG_BUF_OUT:
		if (result > 0)
			print_buffer(line, task, value, (u64)result);
		else
			print_address(line, value);
		break;
	case TK_ARG_IOV:
		print_iov(line, task, value, (u32)length_after(desc, task->args, i));
		break;
	case TK_ARG_TIMESPEC:
		print_timespec(line, task, value);
		break;
	case TK_ARG_IN:
	case TK_ARG_OUT:
	case TK_ARG_ADDR:
		print_address(line, value);
		break;
	case TK_ARG_OFLAGS:
	case TK_ARG_PROT:
	case TK_ARG_MAPFLAGS:
	case TK_ARG_SIG:
	case TK_ARG_CLOCK:
		tk_trace_named(line, kind, value);
		break;
	default:
		print_number(line, kind, value);
	}
}

/* open(2)'s mode means nothing unless a file may be created. */
static bool is_meaningless(const struct tk_syscall_desc *desc, const u64 *args, unsigned int i)
{
	return i && desc->kinds[i] == TK_ARG_MODE && desc->kinds[i - 1] == TK_ARG_OFLAGS &&
	       !(args[i - 1] & (O_CREAT | __O_TMPFILE));
}

void tk_trace_args(struct tk_buf *line, struct tk_task *task, const struct tk_syscall_desc *desc,
		   long result)
{
	unsigned int n = desc ? tk_syscall_n_args(desc) : 6;

	for (unsigned int i = 0; i < n; i++) {
		if (desc && is_meaningless(desc, task->args, i))
			continue;
		if (i)
			tk_buf_printf(line, ", ");
		if (desc)
			print_arg(line, task, desc, i, result);
		else
			print_number(line, TK_ARG_HEX, task->args[i]);
	}
}
