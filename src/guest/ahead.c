/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of reading ahead: what the guest says that it took, and how much it is given next.
 * Programs that go on reading get twice as much each time; those that do something else after each
 * read (copying, say) soon get nothing but a try now and then, which costs them little.
 */
#include <stddef.h>

#include "guest/ahead.h"

#define WINDOW_FIRST TK_KIB(64)
#define WINDOW_LEAST TK_KIB(16)
#define WINDOW_MAX   TK_AHEAD_WINDOW
#define PENALTY_MAX  255

_Static_assert(offsetof(struct tk_ahead_page, fd) == TK_AHEAD_FD, "entry.S");
_Static_assert(offsetof(struct tk_ahead_page, given) == TK_AHEAD_GIVEN, "entry.S");
_Static_assert(offsetof(struct tk_ahead_page, deadline) == TK_AHEAD_DEADLINE, "entry.S");
_Static_assert(offsetof(struct tk_shim_page, taken) == TK_SHIM_TAKEN, "entry.S");
_Static_assert(offsetof(struct tk_shim_page, rcx) == TK_SHIM_RCX, "entry.S");
_Static_assert(offsetof(struct tk_shim_page, rdx) == TK_SHIM_RDX, "entry.S");
_Static_assert(offsetof(struct tk_shim_page, rsi) == TK_SHIM_RSI, "entry.S");
_Static_assert(offsetof(struct tk_shim_page, rdi) == TK_SHIM_RDI, "entry.S");
_Static_assert(offsetof(struct tk_shim_page, next) == TK_SHIM_NEXT, "entry.S");
_Static_assert(offsetof(struct tk_shim_page, regs) == TK_SHIM_REGS, "entry.S");

struct tk_ahead_taken tk_ahead_take(u64 word, u32 given)
{
	struct tk_ahead_taken taken = {.bytes = TK_MIN((u32)word, given)};

	taken.reads = TK_MIN((u32)(word >> 32), taken.bytes);
	return taken;
}

u32 tk_ahead_window(struct tk_ahead_pace *pace, u64 n, u64 left)
{
	u64 window = pace->window ? pace->window : WINDOW_FIRST;

	if (pace->pause) {
		pace->pause--;
		return 0;
	}
	if (!n || n > WINDOW_MAX / 2)
		return 0;
	window = TK_MIN(TK_MAX(window, 2 * n), left);
	return (u32)(window - window % n);
}

void tk_ahead_learn(struct tk_ahead_pace *pace, u64 n, u32 given, u32 taken)
{
	if (!taken) {
		pace->penalty = TK_MIN(2 * pace->penalty + 1, (u32)PENALTY_MAX);
		pace->pause = pace->penalty;
		pace->window = WINDOW_LEAST;
		return;
	}
	pace->penalty = 0;
	if (given - taken < n)
		pace->window = (u32)TK_MIN(2 * (u64)given, (u64)WINDOW_MAX);
	else if (taken < given / 2)
		pace->window = (u32)TK_MAX((u64)given / 2, (u64)WINDOW_LEAST);
}
