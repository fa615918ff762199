/* SPDX-License-Identifier: MIT */
/*
 * kvmserver: options, then a subcommand. What every subcommand shares is here: the exit status of
 * mistakes, and that output which could not be written is an error.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvmserver.h"

static const struct {
	const char *name;
	int (*run)(const struct ks_config *config, int argc, char **argv);
} subcommands[] = {
	{"run", ks_run},
	{"storage", ks_run_with_storage},
	{"doctor", ks_doctor},
};

static int usage(const char *what, const char *value)
{
	ks_message(value ? "%s: %.200s (see --help)" : "%s (see --help)", what, value);
	return KS_EXIT_USAGE;
}

static int dispatch(const struct ks_config *config, int argc, char **argv)
{
	if (!argc)
		return usage("expected a command: run, storage or doctor", NULL);
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (!strcmp(argv[0], subcommands[i].name))
			return subcommands[i].run(config, argc, argv);
	return usage("unknown command", argv[0]);
}

/* --help and its like; -1 if none was given. */
static int print_what_was_asked(const struct ks_config *config)
{
	if (config->help)
		ks_print_help(stdout);
	else if (config->version)
		puts("kvmserver " KS_VERSION);
	else if (!config->print_config)
		return -1;
	else if (ks_config_print(config, stdout) < 0) {
		ks_message("out of memory");
		return KS_EXIT_FAILED;
	}
	return 0;
}

static int flush_stdout(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		ks_message("cannot write to standard output: %m");
		return KS_EXIT_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	char message[KS_MESSAGE_MAX] = "out of memory";
	struct ks_config config;
	int rest = 0, status;

	ks_config_init(&config);
	if (ks_parse_options(&config, argc ? argc - 1 : 0, argv + 1, &rest, message) < 0) {
		ks_message("%s", message);
		ks_config_destroy(&config);
		return KS_EXIT_USAGE;
	}
	status = print_what_was_asked(&config);
	if (status < 0)
		status = dispatch(&config, argc - 1 - rest, argv + 1 + rest);
	status = flush_stdout(status);
	ks_config_destroy(&config);
	return status;
}
