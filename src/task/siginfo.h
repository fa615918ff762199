/* SPDX-License-Identifier: MIT */
/* Where the members of siginfo_t are, as offsets into tk_siginfo.fields (ABI offset - 16). */
#ifndef TK_TASK_SIGINFO_H
#define TK_TASK_SIGINFO_H

#include <string.h>

#include "task/signal.h"

enum tk_siginfo_offset {
	TK_SI_PID = 0, /* kill, sigqueue, SIGCHLD */
	TK_SI_UID = 4,
	TK_SI_VALUE = 8, /* sigqueue and timers */
	TK_SI_TIMERID = 0,
	TK_SI_OVERRUN = 4,
	TK_SI_ADDR = 0, /* faults */
};

static inline void tk_siginfo_put(struct tk_siginfo *info, enum tk_siginfo_offset at,
				  const void *value, size_t size)
{
	memcpy(info->fields + at, value, size);
}

#endif
