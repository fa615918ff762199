/* SPDX-License-Identifier: MIT */
/* Growing byte buffer. A failed allocation marks the buffer; later additions are dropped. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static bool reserve(struct tk_buf *buf, size_t more)
{
	size_t cap = buf->cap ? buf->cap : 256;
	char *data;

	if (buf->failed)
		return false;
	while (cap - buf->len <= more)
		cap *= 2;
	if (cap == buf->cap)
		return true;
	data = realloc(buf->data, cap);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

void tk_buf_add(struct tk_buf *buf, const void *data, size_t len)
{
	if (!reserve(buf, len))
		return;
	if (len) /* an empty buffer's data is NULL, which memcpy must not get */
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void tk_buf_printf(struct tk_buf *buf, const char *fmt, ...)
{
	va_list ap;
	int need;

	va_start(ap, fmt);
	need = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (need < 0 || !reserve(buf, (size_t)need))
		return;
	va_start(ap, fmt);
	vsnprintf(buf->data + buf->len, (size_t)need + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)need;
}

void tk_buf_free(struct tk_buf *buf)
{
	free(buf->data);
	*buf = (struct tk_buf){0};
}
