/* SPDX-License-Identifier: MIT */
/*
 * repeat TIMES PROGRAM [ARGUMENT...]: run the program TIMES times, each in a new machine of this
 * process. Fails if a run does not exit with 0, takes longer than it may, or if the process has
 * other descriptors, threads or mappings, or much more memory, than it had after the first runs.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinykvm/tinykvm.h"

#define WARM	  2 /* runs after which everything is as it will be */
#define LIMIT_NS  (600ull * 1000000000)
#define GROWTH_KB 4096
#define MORE_MAPS 4 /* the C library's allocator */

struct held {
	int fds, threads, maps;
	long rss_kb;
};

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int lines(const char *path)
{
	FILE *f = fopen(path, "r");
	int c, n = 0;

	if (!f)
		return -1;
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static long rss_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmRSS:", 6))
			kb = strtol(line + 6, NULL, 10);
	fclose(f);
	return kb;
}

static struct held held_now(void)
{
	return (struct held){
		.fds = entries("/proc/self/fd"),
		.threads = entries("/proc/self/task"),
		.maps = lines("/proc/self/maps"),
		.rss_kb = rss_kb(),
	};
}

static int run(const struct tkvm_policy *policy, char **argv)
{
	const struct tkvm_machine_options options = {.size = sizeof(options), .policy = policy};
	const struct tkvm_run_limits limits = {.size = sizeof(limits), .wall_ns = LIMIT_NS};
	const char *const envp[] = {NULL};
	struct tkvm_machine *machine;
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};
	int rc = tkvm_machine_create(&machine, &options, &err);

	if (rc) {
		fprintf(stderr, "repeat: %s\n", err.message);
		return rc;
	}
	rc = tkvm_machine_load(machine, argv[0], (const char *const *)argv, envp, &err);
	if (!rc)
		rc = tkvm_machine_run(machine, &limits, &result, &err);
	if (rc)
		fprintf(stderr, "repeat: %s\n", err.message);
	else if (result.outcome != TKVM_EXITED || result.status)
		rc = fprintf(stderr, "repeat: %s\n%s", result.message,
			     tkvm_machine_report(machine));
	tkvm_machine_destroy(machine);
	return rc;
}

static int compare(const struct held *first, const struct held *last)
{
	fprintf(stderr,
		"descriptors %d -> %d, threads %d -> %d, mappings %d -> %d, %ld -> %ld KiB\n",
		first->fds, last->fds, first->threads, last->threads, first->maps, last->maps,
		first->rss_kb, last->rss_kb);
	return first->fds != last->fds || first->threads != last->threads ||
	       last->maps > first->maps + MORE_MAPS || last->rss_kb > first->rss_kb + GROWTH_KB;
}

int main(int argc, char **argv)
{
	struct tkvm_policy *policy = tkvm_policy_new();
	struct tkvm_error err = {0};
	struct held first = {0}, last;
	int times, rc = 0;

	if (argc < 3 || !policy ||
	    tkvm_policy_allow_path(policy, NULL, TKVM_READ | TKVM_WRITE, &err))
		return 2;
	times = atoi(argv[1]);
	for (int i = 0; i < times && !rc; i++) {
		rc = run(policy, argv + 2);
		if (rc)
			fprintf(stderr, "repeat: that was run %d\n", i + 1);
		if (i + 1 == WARM)
			first = held_now();
	}
	last = held_now();
	tkvm_policy_free(policy);
	if (!rc && times > WARM)
		rc = compare(&first, &last);
	return rc ? 1 : 0;
}
