/* SPDX-License-Identifier: MIT */
/* A growing byte buffer: text of synthetic files, trace lines, reports. */
#ifndef TK_BASE_BUF_H
#define TK_BASE_BUF_H

#include "base/types.h"

struct tk_buf {
	char *data; /* NUL-terminated once anything was added; NULL before */
	size_t len, cap;
	bool failed; /* an allocation failed: content is incomplete */
};

void tk_buf_printf(struct tk_buf *buf, const char *fmt, ...) TK_PRINTF(2, 3);
void tk_buf_add(struct tk_buf *buf, const void *data, size_t len);
void tk_buf_free(struct tk_buf *buf);

#endif
