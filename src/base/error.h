/* SPDX-License-Identifier: MIT */
/* Building a struct tkvm_error, and the assertion that stays on in release builds. */
#ifndef TK_BASE_ERROR_H
#define TK_BASE_ERROR_H

#include "base/types.h"
#include "tinykvm/error.h"

/* Store errno value @code (positive) and a one-line message; returns -code. @err may be NULL. */
int tk_fail(struct tkvm_error *err, int code, const char *fmt, ...) TK_PRINTF(3, 4);

/* As tk_fail(), and appends ": " and the text of @code: "open /dev/kvm: Permission denied". */
int tk_fail_errno(struct tkvm_error *err, int code, const char *fmt, ...) TK_PRINTF(3, 4);

_Noreturn void tk_assert_failed(const char *expr, const char *file, int line);

/* For our own bugs only: nothing that a guest or a config file chooses may reach one. */
#define tk_assert(x) ((x) ? (void)0 : tk_assert_failed(#x, __FILE__, __LINE__))

#endif
