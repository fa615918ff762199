/* SPDX-License-Identifier: MIT */
/*
 * Instead of what it has mapped of files, a program gets copies: as if it were one of the system's,
 * which nobody else can write. Only then are files read ahead for it (src/machine/ahead.c).
 */
#ifndef TEST_FORGET_FILES_H
#define TEST_FORGET_FILES_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct file_mapping {
	char *start;
	size_t size;
	int prot;
};

static inline size_t find_file_mappings(struct file_mapping *found, size_t most)
{
	char line[4096], prot[5], name[4096];
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	size_t n = 0;

	while (maps && n < most && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %4095s", &start, &end, prot, name) != 4 ||
		    *name != '/' || !strncmp(name, "/usr/", 5))
			continue;
		found[n].start = (char *)start;
		found[n].size = end - start;
		found[n++].prot = (prot[0] == 'r' ? PROT_READ : 0) |
				  (prot[1] == 'w' ? PROT_WRITE : 0) |
				  (prot[2] == 'x' ? PROT_EXEC : 0);
	}
	if (maps)
		fclose(maps);
	return n;
}

static inline void forget_files(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	struct file_mapping found[64];
	size_t n = find_file_mappings(found, 64);

	while (n--) {
		const struct file_mapping *map = &found[n];
		char *copy = mmap(NULL, map->size, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (map->prot & PROT_READ)
			memcpy(copy, map->start, map->size);
		mprotect(copy, map->size, map->prot);
		mremap(copy, map->size, map->size, MREMAP_MAYMOVE | MREMAP_FIXED, map->start);
	}
}

#endif
