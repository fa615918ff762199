/* SPDX-License-Identifier: MIT */
/*
 * kvmserver run. As long as nothing is asked that needs a server program: one program in one
 * machine, from its start to its end, which behaves like running the program: its input and output,
 * its exit status, the signals it is sent. Otherwise see serve.c.
 */
#include <string.h>
#include <time.h>

#include "guest.h"
#include "kvmserver.h"
#include "serve.h"
#include "signals.h"
#include "stats.h"
#include "storage.h"

static int run_to_end(const struct ks_guest *guest, struct tkvm_machine *machine)
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits),
		.wall_ns = guest->config->max_time_ms * 1000000,
	};
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};
	int rc;

	ks_signals_forward(machine);
	rc = tkvm_machine_run(machine, &limits, &result, &err);
	ks_signals_forward(NULL);
	if (rc < 0) {
		ks_message("%s: %s", guest->name, err.message);
		return KS_EXIT_FAILED;
	}
	if (guest->config->stats)
		ks_stats_print(machine, &guest->start);
	return ks_guest_end_status(guest, machine, &result);
}

static void say_started(const struct ks_guest *guest)
{
	struct timespec now;

	if (!guest->config->verbose)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ks_message("%s: loaded %s in %.1f ms", guest->name, guest->path,
		   (double)(now.tv_sec - guest->start.tv_sec) * 1e3 +
			   (double)(now.tv_nsec - guest->start.tv_nsec) / 1e6);
}

static int run(const struct ks_guest *guest)
{
	struct tkvm_machine *machine;
	int status = ks_guest_load(guest, false, NULL, 0, &machine);

	if (status)
		return status;
	say_started(guest);
	status = run_to_end(guest, machine);
	tkvm_machine_destroy(machine);
	return status;
}

static int run_prepared(const struct ks_guest *guest)
{
	return ks_serve_wanted(guest->config) ? ks_serve(guest) : run(guest);
}

static int run_alone(const struct ks_config *config, int argc, char **argv)
{
	struct ks_guest guest;
	int status = ks_guest_prepare(&guest, config, NULL, argc, argv);

	if (!status)
		status = run_prepared(&guest);
	ks_guest_destroy(&guest);
	return status;
}

int ks_run(const struct ks_config *config, int argc, char **argv)
{
	int status = ks_serve_check(config);

	if (!status && config->one_to_one) {
		ks_message("option --1-to-1: only with storage");
		status = KS_EXIT_USAGE;
	}
	return status ? status : run_alone(config, argc, argv);
}

static int mistake(const char *text)
{
	ks_message("%s (see --help)", text);
	return KS_EXIT_USAGE;
}

/* What has no meaning for the one program or for the other. */
/* clang-format off */
static const char *const not_for_storage[] = {
	"ephemeral", "threads", "warmup", "warmup-path", "warmup-host", "warmup-concurrency", "settle-time", "new-pid",
	"max-time", "max-request-time", "max-request-memory", "max-idle-time", "max-stall-time",
	"max-waiting-body", "max-waiting-memory", "server-first", "http-only", "stats", "metrics", NULL,
};
/* clang-format on */
static const char *const not_for_run[] = {"1-to-1", "max-call-time", NULL};

static int refuse(const struct ks_config *config, const char *const *names, const char *whose)
{
	for (; *names; names++) {
		if (!ks_option_given(config, ks_option_find(*names, strlen(*names))))
			continue;
		ks_message("option --%s: is for %s: give it there, or before storage (see --help)",
			   *names, whose);
		return KS_EXIT_USAGE;
	}
	return 0;
}

/* Options behind @argv[0], over those that were common; *@rest: the word before what follows. */
static int own_options(struct ks_config *config, const struct ks_config *common, int argc,
		       char **argv, int *rest)
{
	char message[KS_MESSAGE_MAX] = "out of memory";
	int rc = ks_config_copy(config, common);

	config->given = 0;
	if (rc || ks_parse_options(config, argc - 1, argv + 1, rest, message)) {
		ks_message("%s: %s", argv[0], message);
		return KS_EXIT_USAGE;
	}
	if (config->help || config->version || config->print_config)
		return mistake("--help, --version and --print-config come before storage");
	/* The program's name follows what is now argv[0]. */
	argv[*rest] = argv[0];
	return 0;
}

/* Storage serves while @guest runs. */
static int run_beside(struct ks_guest *guest, const struct ks_guest *storage_guest)
{
	const struct ks_config *config = storage_guest->config;
	unsigned int n = config->one_to_one ? ks_serve_workers(guest->config) : 1;
	struct ks_storage *storage = NULL;
	int status = ks_storage_start(&storage, storage_guest, n);

	guest->storage = storage;
	clock_gettime(CLOCK_MONOTONIC, &guest->start);
	if (!status)
		status = run_prepared(guest);
	ks_storage_stop(storage);
	return status;
}

static int run_both(const struct ks_config *storage_config, const struct ks_config *config,
		    int storage_argc, char **storage_argv, int argc, char **argv)
{
	struct ks_guest storage, guest = {.trace_fd = -1};
	int status = ks_guest_prepare(&storage, storage_config, NULL, storage_argc, storage_argv);

	storage.is_storage = true;
	if (!status)
		status = ks_guest_prepare(&guest, config, &storage, argc, argv);
	if (!status)
		status = run_beside(&guest, &storage);
	ks_guest_destroy(&guest);
	ks_guest_destroy(&storage);
	return status;
}

int ks_run_with_storage(const struct ks_config *common, int argc, char **argv)
{
	struct ks_config storage = {0}, config = {0};
	int plus = 1, own = 0, rest = 0, status;

	while (plus < argc && strcmp(argv[plus], "++") != 0)
		plus++;
	if (plus + 1 >= argc || strcmp(argv[plus + 1], "run") != 0)
		return mistake("storage: expected PROGRAM [ARGUMENT...] ++ run PROGRAM");
	argv[plus] = NULL;
	status = own_options(&storage, common, plus, argv, &own);
	argc -= plus + 1;
	if (!status)
		status = own_options(&config, common, argc, argv + plus + 1, &rest);
	if (!status)
		status = refuse(&storage, not_for_storage, "run");
	if (!status)
		status = refuse(&config, not_for_run, "the storage program");
	if (!status)
		status = ks_serve_check(&config);
	if (!status)
		status = run_both(&storage, &config, plus - own, argv + own, argc - rest,
				  argv + plus + 1 + rest);
	ks_config_destroy(&storage);
	ks_config_destroy(&config);
	return status;
}
