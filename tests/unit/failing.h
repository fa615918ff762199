/* SPDX-License-Identifier: MIT */
/*
 * Host calls and allocations that fail once, when it is their turn: each is to be named to the
 * linker with --wrap, under the name that the code calls, which with large files is open64 and the
 * like. To be included once in a program.
 */
#ifndef TK_TESTS_FAILING_H
#define TK_TESTS_FAILING_H

#include <errno.h>
#include <stdbool.h>

static bool counting;		/* those that happen now are meant */
static int countdown, injected; /* until one fails; how many did */
static int injected_errno = ENOMEM;

static bool fails_now(void)
{
	if (!counting || countdown-- != 0)
		return false;
	injected++;
	errno = injected_errno;
	return true;
}

/* @bad is what the function returns when it fails. */
#define WRAP(type, bad, name, params, ...)                                                         \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		return fails_now() ? bad : __real_##name(__VA_ARGS__);                             \
	}

#define WRAP_ALLOC(name, params, ...) WRAP(void *, NULL, name, params, __VA_ARGS__)
#define WRAP_MAP(name, params, ...)   WRAP(void *, MAP_FAILED, name, params, __VA_ARGS__)
#define WRAP_CALL(name, params, ...)  WRAP(int, -1, name, params, __VA_ARGS__)

#endif
