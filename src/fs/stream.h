/* SPDX-License-Identifier: MIT */
/* Host streams that are not the guest's own making: FIFOs, terminals, inherited pipes and sockets.
 */
#ifndef TK_FS_STREAM_H
#define TK_FS_STREAM_H

#include "fs/file.h"

enum tk_stream_kind {
	TK_STREAM_OWN,	  /* the description is ours and O_NONBLOCK */
	TK_STREAM_SHARED, /* others use it too, and it may block: ask poll(2) before each call */
	TK_STREAM_SOCKET, /* the same, with MSG_DONTWAIT */
};

/* Takes ownership of @hostfd. 0 or -ENOMEM. */
int tk_stream_new(int hostfd, int flags, const char *path, enum tk_stream_kind kind,
		  struct tk_file **ret) TK_MUST_CHECK;

bool tk_is_stream(const struct tk_file *file);

#endif
