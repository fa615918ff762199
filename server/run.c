/* SPDX-License-Identifier: MIT */
/*
 * kvmserver run. As long as nothing is asked that needs a server program: one program in one
 * machine, from its start to its end, which behaves like running the program: its input and output,
 * its exit status, the signals it is sent. Otherwise see serve.c.
 */
#include "guest.h"
#include "kvmserver.h"
#include "serve.h"
#include "signals.h"
#include "stats.h"

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

int ks_run(const struct ks_config *config, int argc, char **argv)
{
	struct ks_guest guest;
	int status = ks_serve_check(config);

	if (status)
		return status;
	status = ks_guest_prepare(&guest, config, argc, argv);
	if (!status)
		status = ks_serve_wanted(config) ? ks_serve(&guest) : run(&guest);
	ks_guest_destroy(&guest);
	return status;
}
