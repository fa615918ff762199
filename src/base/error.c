/* SPDX-License-Identifier: MIT */
/*
 * Error messages. Owns the one format ("where: what") and the one place where the library
 * may end the process: a broken invariant of our own (tk_assert).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void fail_va(struct tkvm_error *err, int code, bool with_errno, const char *fmt, va_list ap)
{
	size_t len;

	if (!err)
		return;
	err->code = code;
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	if (!with_errno)
		return;
	len = strlen(err->message);
	snprintf(err->message + len, sizeof(err->message) - len, ": %s", strerrordesc_np(code));
}

int tk_fail(struct tkvm_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_va(err, code, false, fmt, ap);
	va_end(ap);
	return -code;
}

int tk_fail_errno(struct tkvm_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fail_va(err, code, true, fmt, ap);
	va_end(ap);
	return -code;
}

void tk_assert_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "tinykvm: internal error: %s:%d: %s\n", file, line, expr);
	abort();
}
