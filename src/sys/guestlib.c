/* SPDX-License-Identifier: MIT */
/* libkvmserverguest.so (guestlib/), a file that every guest sees. */
#include "sys/procfs.h"

extern const char tk_guest_library[], tk_guest_library_end[];

static u64 size(void)
{
	return (u64)(tk_guest_library_end - tk_guest_library);
}

static int read_library(const struct tk_synth_at *at, struct tk_buf *out)
{
	(void)at;
	tk_buf_add(out, tk_guest_library, size());
	return 0;
}

const struct tk_synth_row tk_guest_library_row = {
	.path = "",
	.kind = TK_SYNTH_FILE,
	.mode = 0555,
	.read = read_library,
	.size = size,
};
