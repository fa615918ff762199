/* SPDX-License-Identifier: MIT */
/*
 * Finding the program to run, as a shell does: by its path, or by name along PATH. A path is not
 * looked at here: it is the program's view of the file system that counts, and loading it tells.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvmserver.h"

static bool is_file(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode);
}

static char *join(const char *dir, size_t len, const char *name)
{
	char *path;

	/* An empty element of PATH is the current directory. */
	if (asprintf(&path, "%.*s/%s", len ? (int)len : 1, len ? dir : ".", name) < 0)
		return NULL;
	return path;
}

/* The first executable file called @name, else the first file of that name, else NULL. */
static char *search(const char *path, const char *name)
{
	char *fallback = NULL;

	while (true) {
		size_t len = strcspn(path, ":");
		char *candidate = join(path, len, name);

		if (candidate && is_file(candidate)) {
			if (!access(candidate, X_OK)) {
				free(fallback);
				return candidate;
			}
			if (!fallback) {
				fallback = candidate;
				candidate = NULL;
			}
		}
		free(candidate);
		if (!path[len])
			return fallback;
		path += len + 1;
	}
}

/* A relative path means ours, whatever current directory the program is given. */
static char *absolute(const char *name)
{
	char *here = getcwd(NULL, 0), *path = NULL;

	if (here && asprintf(&path, "%s/%s", here, name) < 0)
		path = NULL;
	free(here);
	return path;
}

int ks_find_program(const char *name, const char *cwd, char **ret)
{
	const char *path = getenv("PATH");
	char *found;

	if (strchr(name, '/')) {
		found = cwd && name[0] != '/' ? absolute(name) : strdup(name);
	} else {
		found = search(path ? path : "/usr/local/bin:/usr/bin:/bin", name);
		errno = ENOENT;
	}
	if (!found) {
		ks_message("%s: %s", name, errno == ENOENT ? "command not found" : strerror(errno));
		return errno == ENOENT ? KS_EXIT_NOT_FOUND : KS_EXIT_FAILED;
	}
	*ret = found;
	return 0;
}
