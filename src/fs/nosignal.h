/* SPDX-License-Identifier: MIT */
/* Host calls that could raise SIGPIPE in the VMM, without it. Results are counts or -errno. */
#ifndef TK_FS_NOSIGNAL_H
#define TK_FS_NOSIGNAL_H

#include "base/types.h"

ssize_t tk_splice_nosignal(int in, s64 *in_off, int out, s64 *out_off, size_t len,
			   unsigned int flags);
ssize_t tk_tee_nosignal(int in, int out, size_t len, unsigned int flags);

#endif
