/* SPDX-License-Identifier: MIT */
/*
 * Guest tests are ordinary programs that exit 0, natively and in a machine. CHECK says what did
 * not hold and counts; end main() with return check_done().
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int check_failures;

static inline int check_done(void)
{
	return check_failures ? 1 : 0;
}

#define CHECK(x)                                                                                   \
	((x) ? (void)0                                                                             \
	     : (void)(check_failures++, fprintf(stderr, "%s:%d: %s (errno %s)\n", __FILE__,        \
						__LINE__, #x, strerrorname_np(errno))))

/* The call fails with exactly this errno. */
#define CHECK_ERR(call, code)                                                                      \
	do {                                                                                       \
		errno = 0;                                                                         \
		long check_rc = (long)(call);                                                      \
		if (check_rc != -1 || errno != (code)) {                                           \
			check_failures++;                                                          \
			fprintf(stderr, "%s:%d: %s = %ld %s, not %s\n", __FILE__, __LINE__, #call, \
				check_rc, strerrorname_np(errno), #code);                          \
		}                                                                                  \
	} while (0)

#define BAD_POINTER ((void *)0x10)

#endif
