/* SPDX-License-Identifier: MIT */
/*
 * Run a program in a machine of its own, with nothing but the right to read files:
 *
 *	embed PROGRAM [ARG...]
 *
 * It has ten seconds and 256 MiB. Ctrl-C is passed on to it.
 */
#include <signal.h>
#include <stdio.h>

#include "tinykvm/tinykvm.h"

static struct tkvm_machine *machine;

static void pass_on(int sig)
{
	tkvm_machine_signal(machine, sig);
}

static int fail(const struct tkvm_error *err)
{
	fprintf(stderr, "embed: %s\n", err->message);
	return 125;
}

static int report(const struct tkvm_result *result)
{
	switch (result->outcome) {
	case TKVM_EXITED:
		return result->status;
	case TKVM_SIGNALLED:
		fprintf(stderr, "embed: %s\n", result->message);
		return 128 + result->signal;
	default:
		fprintf(stderr, "embed: %s\n%s", result->message, tkvm_machine_report(machine));
		return 125;
	}
}

int main(int argc, char **argv)
{
	static const char *const envp[] = {"PATH=/usr/bin:/bin", NULL};
	struct tkvm_run_limits limits = {.size = sizeof(limits), .wall_ns = 10000000000};
	struct tkvm_machine_options options = {.size = sizeof(options), .max_memory = 256 << 20};
	struct tkvm_policy *policy;
	struct tkvm_error err = {0, "out of memory"};
	struct tkvm_result result;
	int status = 125;

	if (argc < 2) {
		fprintf(stderr, "usage: embed PROGRAM [ARG...]\n");
		return 2;
	}
	policy = tkvm_policy_new();
	if (!policy || tkvm_policy_allow_path(policy, NULL, TKVM_READ, &err))
		return fail(&err);
	options.policy = policy;
	if (tkvm_machine_create(&machine, &options, &err))
		return fail(&err);
	signal(SIGINT, pass_on);
	if (tkvm_machine_load(machine, argv[1], (const char *const *)&argv[1], envp, &err) ||
	    tkvm_machine_run(machine, &limits, &result, &err))
		status = fail(&err);
	else
		status = report(&result);
	signal(SIGINT, SIG_DFL);
	tkvm_machine_destroy(machine);
	tkvm_policy_free(policy);
	return status;
}
