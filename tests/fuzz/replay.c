/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target on kept inputs: the normal test run's way of keeping old findings fixed, with
 * any compiler. Arguments are files and directories of inputs; the output is TAP.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned int replayed;

static void replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	const char *slash = strrchr(path, '/');
	struct stat st;
	u8 *data;

	if (!file || fstat(fileno(file), &st) < 0) {
		perror(path);
		exit(1);
	}
	/* exactly as long as the input, so that a sanitizer sees reads behind it */
	data = malloc((size_t)st.st_size);
	if (!data || fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		exit(1);
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
	printf("ok %u - %s\n", ++replayed, slash ? slash + 1 : path);
	fflush(stdout);
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_dir(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, visible, alphasort);
	char name[4096];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		replay_file(name);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	struct stat st;

	for (int i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			replay_dir(argv[i]);
		else
			replay_file(argv[i]);
	}
	printf("1..%u\n", replayed);
	return replayed ? 0 : 1;
}
