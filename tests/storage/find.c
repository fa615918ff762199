/* SPDX-License-Identifier: MIT */
/*
 * Load each library named, and call it: "find NAME..." prints what comes back where there is no
 * storage. Those that are paths have the size that stat(2) says.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int has_its_size(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat named, opened;
	char data[65536];
	ssize_t n;

	if (fd < 0 || stat(path, &named) || fstat(fd, &opened))
		return 0;
	n = read(fd, data, sizeof(data));
	close(fd);
	return n > 0 && named.st_size == n && opened.st_size == n;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		void *library = dlopen(argv[i], RTLD_NOW);
		ssize_t (*resume)(void *buf, ssize_t len);
		char c;

		if (!library) {
			puts(dlerror());
			return 1;
		}
		if (strchr(argv[i], '/') && !has_its_size(argv[i])) {
			printf("%s has another size\n", argv[i]);
			return 1;
		}
		*(void **)&resume = dlsym(library, "kvmserverguest_remote_resume");
		errno = 0;
		printf("%zd ", resume(&c, 1));
		puts(strerror(errno));
	}
	return 0;
}
