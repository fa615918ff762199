/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for rows whose handlers are not there yet. Last in the library, so that the linker
 * finds the real handlers first. Goes when the last handler comes.
 */
#include <errno.h>

#include "sys/sys.h"

#define X(nr, name, ...)                                                                           \
	__attribute__((weak)) long tk_sys_##name(struct tk_task *task, const u64 a[6])             \
	{                                                                                          \
		return -ENOSYS;                                                                    \
	}
#include "sys/table.h"
#undef X
