/* SPDX-License-Identifier: MIT */
/*
 * kvmserver run: one program in one machine, from its start to its end. Behaves like running the
 * program: its input and output, its exit status, the signals it is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "grants.h"
#include "kvmserver.h"
#include "signals.h"
#include "stats.h"

#define MIB (1ull << 20)

/* What has to be undone at the end. */
struct run {
	const struct ks_config *config;
	const char *name; /* as it was typed */
	char *path;
	char *const *argv;
	char **env;
	int trace_fd;
	struct tkvm_policy *policy;
	struct tkvm_machine *machine;
	struct timespec start;
};

static int open_trace(struct run *run)
{
	const struct ks_output *trace = &run->config->trace;

	run->trace_fd = trace->on ? STDERR_FILENO : -1;
	if (!trace->on || !trace->file)
		return 0;
	run->trace_fd = open(trace->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (run->trace_fd >= 0)
		return 0;
	ks_message("option --trace: %s: %s", trace->file, strerror(errno));
	return KS_EXIT_USAGE;
}

/* Everything that can be wrong before KVM is needed. */
static int prepare(struct run *run)
{
	int status = ks_find_program(run->name, run->config->cwd, &run->path);

	if (!status)
		status = open_trace(run);
	if (!status)
		status = ks_policy_make(run->config, &run->policy);
	if (status)
		return status;
	run->env = ks_env_make(run->config);
	if (run->env)
		return 0;
	ks_message("out of memory");
	return KS_EXIT_FAILED;
}

static int create(struct run *run)
{
	struct tkvm_machine_options options = {
		.size = sizeof(options),
		.max_memory = run->config->max_main_memory * MIB,
		.max_address_space = run->config->max_address_space * MIB,
		.policy = run->policy,
		.cwd = run->config->cwd,
		.trace_fd = run->trace_fd,
		.randomize = 1,
		.no_fast_path = run->config->no_fast_path,
	};
	struct tkvm_error err = {0};
	char hostname[65] = "";

	if (run->config->allow_all && !gethostname(hostname, sizeof(hostname) - 1))
		options.hostname = hostname;
	if (!tkvm_machine_create(&run->machine, &options, &err))
		return 0;
	ks_message("%s", err.message);
	if (strstr(err.message, "/dev/kvm"))
		ks_message("`kvmserver doctor` tells more about this host");
	return KS_EXIT_FAILED;
}

/*
 * Mappings, and descriptors that are watched or on their way, take descriptors of ours besides
 * those of the program's table. The program keeps the limit that it would have had: the machine
 * has noted it.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* What a shell makes of execve(2)'s error; what is no fault of the program is ours. */
static int load_status(int code)
{
	switch (code) {
	case ENOENT:
	case ENOTDIR:
		return KS_EXIT_NOT_FOUND;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EIO:
		return KS_EXIT_FAILED;
	default:
		return KS_EXIT_NOT_EXECUTABLE;
	}
}

static int load(struct run *run)
{
	struct tkvm_error err = {0};

	if (!tkvm_machine_load(run->machine, run->path, (const char *const *)run->argv,
			       (const char *const *)run->env, &err))
		return 0;
	ks_message("%s", err.message);
	return load_status(err.code);
}

static int limit_status(const struct run *run, const struct tkvm_result *result)
{
	if (result->limit == TKVM_LIMIT_TIME) {
		ks_message("%s: stopped: %g s are over (--max-time)", run->name,
			   (double)run->config->max_time_ms / 1000);
		return KS_EXIT_TIME;
	}
	/* Where the limit says which one it was, so does its message. */
	ks_message("%s: %s (--max-main-memory %llu, --max-address-space %llu)", run->name,
		   result->message, (unsigned long long)run->config->max_main_memory,
		   (unsigned long long)run->config->max_address_space);
	return KS_EXIT_MEMORY;
}

static int end_status(const struct run *run, const struct tkvm_result *result)
{
	switch (result->outcome) {
	case TKVM_EXITED:
		return result->status;
	case TKVM_SIGNALLED:
		if (!ks_signal_is_quiet(result->signal))
			ks_message("%s: %s", run->name,
				   *result->message ? result->message
						    : ks_signal_text(result->signal));
		return KS_EXIT_SIGNAL + result->signal;
	case TKVM_LIMIT:
		return limit_status(run, result);
	case TKVM_FAILED:
		break;
	}
	ks_message("%s: %s", run->name, result->message);
	dprintf(STDERR_FILENO, "%s", tkvm_machine_report(run->machine));
	return KS_EXIT_FAILED;
}

static int run_to_end(struct run *run)
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits),
		.wall_ns = run->config->max_time_ms * 1000000,
	};
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};
	int rc;

	ks_signals_forward(run->machine);
	rc = tkvm_machine_run(run->machine, &limits, &result, &err);
	ks_signals_forward(NULL);
	if (rc < 0) {
		ks_message("%s: %s", run->name, err.message);
		return KS_EXIT_FAILED;
	}
	if (run->config->stats)
		ks_stats_print(run->machine, &run->start);
	return end_status(run, &result);
}

static void say_started(const struct run *run)
{
	struct timespec now;

	if (!run->config->verbose)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ks_message("%s: loaded %s in %.1f ms", run->name, run->path,
		   (double)(now.tv_sec - run->start.tv_sec) * 1e3 +
			   (double)(now.tv_nsec - run->start.tv_nsec) / 1e6);
}

static void clean_up(struct run *run)
{
	tkvm_machine_destroy(run->machine);
	tkvm_policy_free(run->policy);
	ks_env_free(run->env);
	if (run->trace_fd > STDERR_FILENO)
		close(run->trace_fd);
	free(run->path);
}

/* The program and its arguments; "--" allows a name that looks like an option. */
static int check_arguments(int argc, char **argv, int *program)
{
	*program = argc > 1 && !strcmp(argv[1], "--") ? 2 : 1;
	if (*program >= argc) {
		ks_message("run: expected a program (see --help)");
		return KS_EXIT_USAGE;
	}
	if (*program == 1 && argv[1][0] == '-') {
		ks_message("run: expected a program, not '%.100s': options come before run",
			   argv[1]);
		return KS_EXIT_USAGE;
	}
	return 0;
}

int ks_run(const struct ks_config *config, int argc, char **argv)
{
	struct run run = {.config = config, .trace_fd = -1};
	int program, status = check_arguments(argc, argv, &program);

	if (status)
		return status;
	clock_gettime(CLOCK_MONOTONIC, &run.start);
	run.name = argv[program];
	run.argv = argv + program;
	status = prepare(&run);
	if (!status)
		status = create(&run);
	if (!status) {
		raise_descriptor_limit();
		status = load(&run);
	}
	if (!status) {
		say_started(&run);
		status = run_to_end(&run);
	}
	clean_up(&run);
	return status;
}
