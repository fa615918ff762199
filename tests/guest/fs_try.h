/* SPDX-License-Identifier: MIT */
/*
 * For tests whose output is compared between a native run and one in a machine: TRY() prints an
 * expression and what came of it, CLOSE() does so for calls that return a new descriptor.
 */
#ifndef FS_TRY_H
#define FS_TRY_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "check.h"

static inline long try_print(const char *text, long rc)
{
	if (rc < 0)
		printf("%s: %s\n", text, strerrorname_np(errno));
	else
		printf("%s: %ld\n", text, rc);
	fflush(stdout);
	return rc;
}

#define TRY(call) (errno = 0, try_print(#call, (long)(call)))

/* Descriptor numbers are the lowest free ones in both worlds; they are shown, then closed. */
#define CLOSE(call)                                                                                \
	do {                                                                                       \
		int try_fd = (int)TRY(call);                                                       \
		if (try_fd >= 0)                                                                   \
			close(try_fd);                                                             \
	} while (0)

static inline void make_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

#endif
