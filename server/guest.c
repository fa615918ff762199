/* SPDX-License-Identifier: MIT */
/*
 * A program as the command line and the configuration describe it: found, with its environment and
 * permissions, and loaded into as many machines as are asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grants.h"
#include "guest.h"
#include "kvmserver.h"
#include "signals.h"
#include "storage.h"

#define MIB (1ull << 20)

static bool same_file(int a, int b)
{
	struct stat one, other;

	return b >= 0 && !fstat(a, &one) && !fstat(b, &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* Two programs may trace to one file: each line goes to its end then, and none is lost. */
static int open_trace(struct ks_guest *guest, const struct ks_guest *beside)
{
	const struct ks_output *trace = &guest->config->trace;

	guest->trace_fd = trace->on ? STDERR_FILENO : -1;
	if (!trace->on || !trace->file)
		return 0;
	guest->trace_fd = open(trace->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (guest->trace_fd >= 0 &&
	    ((beside && same_file(guest->trace_fd, beside->trace_fd)) ||
	     !ftruncate(guest->trace_fd, 0) || errno == EINVAL)) /* a pipe or a terminal */
		return 0;
	ks_message("option --trace: %s: %s", trace->file, strerror(errno));
	return KS_EXIT_USAGE;
}

static int open_all(struct ks_guest *guest, const struct ks_guest *beside)
{
	int status = ks_find_program(guest->name, guest->config->cwd, &guest->path);

	if (!status)
		status = open_trace(guest, beside);
	if (!status)
		status = ks_policy_make(guest->config, &guest->policy);
	if (status)
		return status;
	guest->env = ks_env_make(guest->config);
	if (guest->env)
		return 0;
	ks_message("out of memory");
	return KS_EXIT_FAILED;
}

/* The program and its arguments; "--" allows a name that looks like an option. */
static int check_arguments(int argc, char **argv, int *program)
{
	*program = argc > 1 && !strcmp(argv[1], "--") ? 2 : 1;
	if (*program >= argc) {
		ks_message("%s: expected a program (see --help)", argv[0]);
		return KS_EXIT_USAGE;
	}
	if (*program == 1 && argv[1][0] == '-') {
		ks_message("%s: expected a program, not '%.100s': options come before run", argv[0],
			   argv[1]);
		return KS_EXIT_USAGE;
	}
	return 0;
}

int ks_guest_prepare(struct ks_guest *guest, const struct ks_config *config,
		     const struct ks_guest *beside, int argc, char **argv)
{
	int program, status = check_arguments(argc, argv, &program);

	*guest = (struct ks_guest){.config = config, .trace_fd = -1};
	if (status)
		return status;
	clock_gettime(CLOCK_MONOTONIC, &guest->start);
	guest->name = argv[program];
	guest->argv = argv + program;
	return open_all(guest, beside);
}

void ks_guest_destroy(struct ks_guest *guest)
{
	tkvm_policy_free(guest->policy);
	ks_env_free(guest->env);
	if (guest->trace_fd > STDERR_FILENO)
		close(guest->trace_fd);
	free(guest->path);
}

static int create(const struct ks_guest *guest, bool gated, const struct tkvm_listener *listeners,
		  unsigned int n, struct tkvm_machine **ret)
{
	struct tkvm_machine_options options = {
		.size = sizeof(options),
		.max_memory = guest->config->max_main_memory * MIB,
		.max_address_space = guest->config->max_address_space * MIB,
		.policy = guest->policy,
		.cwd = guest->config->cwd,
		.trace_fd = guest->trace_fd,
		.randomize = 1,
		.no_fast_path = guest->config->no_fast_path,
		.gate_listeners = gated,
		.listeners = listeners,
		.n_listeners = n,
		.storage = guest->is_storage,
	};
	struct tkvm_error err = {0};
	char hostname[65] = "";

	if (guest->config->allow_all && !gethostname(hostname, sizeof(hostname) - 1))
		options.hostname = hostname;
	if (!tkvm_machine_create(ret, &options, &err))
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

int ks_guest_load(const struct ks_guest *guest, bool gated, const struct tkvm_listener *listeners,
		  unsigned int n, struct tkvm_machine **ret)
{
	struct tkvm_machine *machine;
	struct tkvm_error err = {0};
	int status = create(guest, gated, listeners, n, &machine);

	if (status)
		return status;
	raise_descriptor_limit();
	if (!tkvm_machine_load(machine, guest->path, (const char *const *)guest->argv,
			       (const char *const *)guest->env, &err)) {
		ks_storage_connect(guest->storage, 0, machine, NULL);
		*ret = machine;
		return 0;
	}
	tkvm_machine_destroy(machine);
	ks_message("%s", err.message);
	return load_status(err.code);
}

static int limit_status(const struct ks_guest *guest, const struct tkvm_result *result)
{
	if (result->limit == TKVM_LIMIT_TIME) {
		ks_message("%s: stopped: %g s are over (--max-time)", guest->name,
			   (double)guest->config->max_time_ms / 1000);
		return KS_EXIT_TIME;
	}
	/* Where the limit says which one it was, so does its message. */
	ks_message("%s: %s (--max-main-memory %llu, --max-address-space %llu)", guest->name,
		   result->message, (unsigned long long)guest->config->max_main_memory,
		   (unsigned long long)guest->config->max_address_space);
	return KS_EXIT_MEMORY;
}

int ks_guest_end_status(const struct ks_guest *guest, struct tkvm_machine *machine,
			const struct tkvm_result *result)
{
	switch (result->outcome) {
	case TKVM_EXITED:
		return result->status;
	case TKVM_SIGNALLED:
		if (!ks_signal_is_quiet(result->signal))
			ks_message("%s: %s", guest->name,
				   *result->message ? result->message
						    : ks_signal_text(result->signal));
		return KS_EXIT_SIGNAL + result->signal;
	case TKVM_LIMIT:
		return limit_status(guest, result);
	case TKVM_FAILED:
	case TKVM_IDLE:
	case TKVM_INTERRUPTED:
		break;
	}
	ks_message("%s: %s", guest->name, result->message);
	ks_text(tkvm_machine_report(machine));
	return KS_EXIT_FAILED;
}
