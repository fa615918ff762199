/* SPDX-License-Identifier: MIT */
/* The names of flags, signals and clocks in trace lines. */
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#include "sys/trace.h"

struct flag {
	u64 bits;
	const char *name;
};

/* Longer combinations before the bits they contain. */
static const struct flag open_flags[] = {
	{O_CREAT, "O_CREAT"},	      {O_EXCL, "O_EXCL"},
	{O_NOCTTY, "O_NOCTTY"},	      {O_TRUNC, "O_TRUNC"},
	{O_APPEND, "O_APPEND"},	      {O_NONBLOCK, "O_NONBLOCK"},
	{O_SYNC, "O_SYNC"},	      {O_DSYNC, "O_DSYNC"},
	{O_ASYNC, "O_ASYNC"},	      {O_DIRECT, "O_DIRECT"},
	{0100000, "O_LARGEFILE"},     {__O_TMPFILE | O_DIRECTORY, "O_TMPFILE"},
	{O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"},
	{O_NOATIME, "O_NOATIME"},     {O_CLOEXEC, "O_CLOEXEC"},
	{O_PATH, "O_PATH"},
};

static const struct flag prot_flags[] = {
	{PROT_READ, "PROT_READ"},	{PROT_WRITE, "PROT_WRITE"},
	{PROT_EXEC, "PROT_EXEC"},	{PROT_GROWSDOWN, "PROT_GROWSDOWN"},
	{PROT_GROWSUP, "PROT_GROWSUP"},
};

static const struct flag map_flags[] = {
	{MAP_FIXED, "MAP_FIXED"},
	{MAP_ANONYMOUS, "MAP_ANONYMOUS"},
	{MAP_32BIT, "MAP_32BIT"},
	{MAP_GROWSDOWN, "MAP_GROWSDOWN"},
	{MAP_DENYWRITE, "MAP_DENYWRITE"},
	{MAP_LOCKED, "MAP_LOCKED"},
	{MAP_NORESERVE, "MAP_NORESERVE"},
	{MAP_POPULATE, "MAP_POPULATE"},
	{MAP_NONBLOCK, "MAP_NONBLOCK"},
	{MAP_STACK, "MAP_STACK"},
	{MAP_HUGETLB, "MAP_HUGETLB"},
	{MAP_SYNC, "MAP_SYNC"},
	{MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"},
};

static const char *const clocks[] = {
	[CLOCK_REALTIME] = "CLOCK_REALTIME",
	[CLOCK_MONOTONIC] = "CLOCK_MONOTONIC",
	[CLOCK_PROCESS_CPUTIME_ID] = "CLOCK_PROCESS_CPUTIME_ID",
	[CLOCK_THREAD_CPUTIME_ID] = "CLOCK_THREAD_CPUTIME_ID",
	[CLOCK_MONOTONIC_RAW] = "CLOCK_MONOTONIC_RAW",
	[CLOCK_REALTIME_COARSE] = "CLOCK_REALTIME_COARSE",
	[CLOCK_MONOTONIC_COARSE] = "CLOCK_MONOTONIC_COARSE",
	[CLOCK_BOOTTIME] = "CLOCK_BOOTTIME",
	[CLOCK_REALTIME_ALARM] = "CLOCK_REALTIME_ALARM",
	[CLOCK_BOOTTIME_ALARM] = "CLOCK_BOOTTIME_ALARM",
	[CLOCK_TAI] = "CLOCK_TAI",
};

/* The names of the bits of @value, after @first (NULL: none), unknown ones as a number. */
static void print_flags(struct tk_buf *line, const char *first, u64 value, const struct flag *flags,
			size_t n)
{
	const char *bar = "";

	if (first) {
		tk_buf_printf(line, "%s", first);
		bar = "|";
	}
	for (size_t i = 0; i < n; i++)
		if ((value & flags[i].bits) == flags[i].bits) {
			tk_buf_printf(line, "%s%s", bar, flags[i].name);
			value &= ~flags[i].bits;
			bar = "|";
		}
	if (value || !*bar)
		tk_buf_printf(line, "%s%#llx", bar, (unsigned long long)value);
}

static void print_open_flags(struct tk_buf *line, u64 value)
{
	static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

	print_flags(line, modes[value & O_ACCMODE], (u32)value & ~(u64)O_ACCMODE, open_flags,
		    TK_ARRAY_SIZE(open_flags));
}

static void print_map_flags(struct tk_buf *line, u64 value)
{
	static const char *const types[] = {NULL, "MAP_SHARED", "MAP_PRIVATE",
					    "MAP_SHARED_VALIDATE"};
	u64 type = value & MAP_TYPE;

	if (type >= TK_ARRAY_SIZE(types))
		type = 0;
	print_flags(line, types[type], value & ~type, map_flags, TK_ARRAY_SIZE(map_flags));
}

static void print_clock(struct tk_buf *line, int id)
{
	if (id >= 0 && (size_t)id < TK_ARRAY_SIZE(clocks) && clocks[id])
		tk_buf_printf(line, "%s", clocks[id]);
	else
		tk_buf_printf(line, "%d", id);
}

void tk_trace_named(struct tk_buf *line, enum tk_arg_kind kind, u64 value)
{
	char name[16];

	switch (kind) {
	case TK_ARG_OFLAGS:
		print_open_flags(line, value);
		break;
	case TK_ARG_PROT:
		if (value)
			print_flags(line, NULL, value, prot_flags, TK_ARRAY_SIZE(prot_flags));
		else
			tk_buf_printf(line, "PROT_NONE");
		break;
	case TK_ARG_MAPFLAGS:
		print_map_flags(line, value);
		break;
	case TK_ARG_SIG:
		if ((int)value > 0 && (int)value <= TK_NSIG)
			tk_buf_printf(line, "%s", tk_signal_name((int)value, name, sizeof(name)));
		else
			tk_buf_printf(line, "%d", (int)value);
		break;
	default:
		print_clock(line, (int)value);
	}
}
