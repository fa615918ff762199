/* SPDX-License-Identifier: MIT */
/* Load each library named, and call it: "find NAME..." prints what comes back where there is no
 * storage. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

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
		*(void **)&resume = dlsym(library, "kvmserverguest_remote_resume");
		errno = 0;
		printf("%zd ", resume(&c, 1));
		puts(strerror(errno));
	}
	return 0;
}
