/* SPDX-License-Identifier: MIT */
/*
 * Serving: boot the master, warm it up, freeze it, and let workers serve with forks of it. Owns the
 * main thread, which keeps house: signals, connections that waited too long, requests whose client
 * has left.
 *
 * With one copy and no resets there is nothing to freeze: the master itself goes on, as with a
 * plain run.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "endpoint.h"
#include "kvmserver.h"
#include "reaper.h"
#include "reload.h"
#include "serve.h"
#include "signals.h"
#include "stats.h"
#include "storage.h"
#include "warmup.h"
#include "worker.h"

#define TICK_MS	    100
#define GRACE_NS    (10 * KS_S)
#define MIB	    1048576.0
#define FIRST_WAIT  1000 /* us */
#define FORK_FILES  1024 /* descriptors that a request may take */
#define MIN_CLIENTS 8

struct server {
	const struct ks_guest *guest;
	struct ks_master master;
	struct ks_pool pool;
	struct ks_worker **workers;
	struct ks_counters **counters;
	unsigned int n_workers;
	struct ks_endpoint *endpoint;
	struct ks_reload reload;
	int signals;
};

bool ks_serve_wanted(const struct ks_config *config)
{
	return config->ephemeral || config->threads != 1 || config->warmup;
}

unsigned int ks_serve_workers(const struct ks_config *config)
{
	cpu_set_t cpus;

	if (config->threads)
		return (unsigned int)config->threads;
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return 1;
	return (unsigned int)CPU_COUNT(&cpus);
}

bool ks_serve_by_forks(const struct ks_config *config)
{
	return config->ephemeral || ks_serve_workers(config) != 1;
}

/* Where there is one worker, another one for those that would make it wait. */
static bool has_spare(const struct ks_config *config)
{
	return config->ephemeral && !config->server_first && ks_serve_workers(config) == 1;
}

/* Memory of memfds: images are there, mapped or not. */
static double memfd_mib(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[16];
	struct stat st;
	double sum = 0;

	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));

		if (n > 7 && !memcmp(target, "/memfd:", 7) && !fstat(atoi(entry->d_name), &st))
			sum += (double)st.st_blocks * 512 / MIB;
	}
	if (dir)
		closedir(dir);
	return sum;
}

static double resident_mib(void)
{
	unsigned long size, resident = 0, shared = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	/* What is mapped of memfds is in @shared. */
	if (file && fscanf(file, "%lu %lu %lu", &size, &resident, &shared) != 3)
		resident = shared = 0;
	if (file)
		fclose(file);
	return (double)(resident - shared) * (double)sysconf(_SC_PAGESIZE) / MIB + memfd_mib();
}

static void say_loaded(const struct ks_master *master)
{
	const struct ks_config *config = master->guest->config;
	const char *slash = strrchr(master->guest->name, '/');
	char warmup[48] = "", text[512];

	if (config->warmup)
		snprintf(warmup, sizeof(warmup), " warmup=%.0fms", (double)master->warmup_ns / 1e6);
	snprintf(text, sizeof(text),
		 "Program '%.200s' loaded. %s vm=%u%s init=%.0fms%s rss=%.0fMB\n",
		 slash ? slash + 1 : master->guest->name, master->call, ks_serve_workers(config),
		 config->ephemeral ? " ephemeral" : "", (double)master->boot_ns / 1e6, warmup,
		 resident_mib());
	ks_text(text);
}

/* The master goes on by itself: from here on it is like a plain run. */
static int serve_alone(struct ks_master *master)
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits),
		.wall_ns = master->guest->config->max_time_ms * 1000000,
	};
	struct tkvm_result result = {0};
	struct tkvm_error err = {0};
	int rc;

	say_loaded(master);
	ks_signals_forward(master->machine);
	do
		rc = tkvm_machine_run(master->machine, &limits, &result, &err);
	while (!rc && (result.outcome == TKVM_INTERRUPTED || result.outcome == TKVM_IDLE));
	ks_signals_forward(NULL);
	if (rc) {
		ks_message("%s: %s", master->guest->name, err.message);
		return KS_EXIT_FAILED;
	}
	if (master->guest->config->stats)
		ks_stats_print(master->machine, &master->guest->start);
	return ks_guest_end_status(master->guest, master->machine, &result);
}

static void write_metrics(FILE *out, void *ctx)
{
	struct server *server = ctx;
	struct ks_lobby_stats lobby;

	ks_lobby_stats(server->pool.lobby, &lobby);
	ks_metrics_write(out, server->counters, server->n_workers, &lobby);
	if (server->guest->storage)
		ks_metrics_number(out, "storage_restarts_total", "counter",
				  "storage machines replaced as their program had ended",
				  ks_storage_restarts(server->guest->storage));
}

static void print_summary(struct server *server)
{
	struct ks_lobby_stats lobby;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	ks_lobby_stats(server->pool.lobby, &lobby);
	ks_metrics_summary(out, server->counters, server->n_workers, &lobby);
	if (!fclose(out))
		ks_text(text);
	free(text);
}

/* Before the first thread is started: all of them leave these signals to the main thread. */
static int take_signals(struct server *server)
{
	static const int wanted[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1};
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!sigaction(wanted[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, wanted[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	server->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (server->signals >= 0)
		return 0;
	ks_message("signals: %s", strerror(errno));
	return KS_EXIT_FAILED;
}

static int start_workers(struct server *server)
{
	const struct ks_config *config = server->guest->config;
	unsigned int wanted = ks_serve_workers(config) + has_spare(config);
	int failed = 0;

	server->workers = calloc(wanted, sizeof(struct ks_worker *));
	server->counters = calloc(wanted, sizeof(struct ks_counters *));
	if (!server->workers || !server->counters) {
		ks_message("out of memory");
		return KS_EXIT_FAILED;
	}
	server->pool.spare = has_spare(config);
	server->pool.n_workers = wanted;
	for (; server->n_workers < wanted; server->n_workers++) {
		struct ks_worker *worker = ks_worker_start(&server->pool, server->n_workers);

		if (!worker)
			return KS_EXIT_FAILED;
		server->workers[server->n_workers] = worker;
		server->counters[server->n_workers] = ks_worker_counters(worker);
	}
	for (unsigned int i = 0; i < wanted; i++) {
		while (!ks_worker_state(server->workers[i]))
			usleep(FIRST_WAIT);
		failed |= ks_worker_state(server->workers[i]) < 0;
	}
	return failed ? KS_EXIT_FAILED : 0;
}

static void hurry(struct server *server)
{
	if (!atomic_exchange(&server->pool.hurry, true))
		ks_storage_hurry(server->guest->storage);
}

static void stop_workers(struct server *server)
{
	uint64_t end = ks_now() + GRACE_NS;
	struct signalfd_siginfo info;

	atomic_store(&server->pool.stopping, true);
	ks_lobby_close(server->pool.lobby);
	while (atomic_load(&server->pool.alive)) {
		/* A second signal means it. */
		if (read(server->signals, &info, sizeof(info)) == sizeof(info) || ks_now() > end)
			hurry(server);
		for (unsigned int i = 0; i < server->n_workers; i++)
			ks_worker_check(server->workers[i], ks_now());
		usleep(FIRST_WAIT);
	}
}

/* True: go on. */
static bool handle_signal(struct server *server, int signo)
{
	switch (signo) {
	case SIGUSR1:
		print_summary(server);
		return true;
	case SIGHUP:
		if (server->guest->config->ephemeral)
			ks_reload_begin(&server->reload, &server->master);
		else
			ks_message("SIGHUP: reloading needs --ephemeral");
		return true;
	default:
		return false;
	}
}

static void keep_house(struct server *server)
{
	uint64_t now = ks_now();

	ks_lobby_expire(server->pool.lobby, now);
	for (unsigned int i = 0; i < server->n_workers; i++)
		ks_worker_check(server->workers[i], now);
	if (ks_reload_finish(&server->reload, &server->master, &server->pool))
		say_loaded(&server->master);
}

static bool time_is_up(const struct ks_guest *guest)
{
	uint64_t start = (uint64_t)guest->start.tv_sec * KS_S + (uint64_t)guest->start.tv_nsec;

	if (!guest->config->max_time_ms || ks_now() - start < guest->config->max_time_ms * KS_MS)
		return false;
	ks_message("%s: stopped: %g s are over (--max-time)", guest->name,
		   (double)guest->config->max_time_ms / 1000);
	return true;
}

/* Returns an exit status. */
static int loop(struct server *server)
{
	struct pollfd signals = {.fd = server->signals, .events = POLLIN};
	struct signalfd_siginfo info;

	while (atomic_load(&server->pool.alive)) {
		poll(&signals, 1, TICK_MS);
		if (read(server->signals, &info, sizeof(info)) == sizeof(info) &&
		    !handle_signal(server, (int)info.ssi_signo))
			return 0;
		keep_house(server);
		if (time_is_up(server->guest))
			return KS_EXIT_TIME;
	}
	return KS_EXIT_FAILED; /* no worker is left */
}

static uint64_t open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Clients may take what is left by us and by the forks, which cannot work without any. */
static uint64_t max_connections(const struct server *server)
{
	uint64_t forks = FORK_FILES * (server->n_workers + 2ull), used = open_descriptors(), left;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return UINT64_MAX;
	left = limit.rlim_cur > used ? limit.rlim_cur - used : 0;
	/* A quarter more may be open for a moment. */
	left = left > 2 * forks ? (left - forks) / 5 * 4 : left * 2 / 5;
	return left > MIN_CLIENTS ? left : MIN_CLIENTS;
}

/* Forks that are not reset accept for themselves. */
static int open_doors(struct server *server)
{
	const struct ks_master *master = &server->master;

	ks_lobby_limit(server->pool.lobby, max_connections(server));

	if (!server->guest->config->ephemeral ||
	    !ks_lobby_listen(server->pool.lobby, master->listeners, master->n_listeners,
			     atomic_load(&server->pool.generation)))
		return 0;
	ks_message("cannot accept connections: %s", strerror(errno));
	return KS_EXIT_FAILED;
}

static int serve_with_workers(struct server *server)
{
	const struct ks_config *config = server->guest->config;
	int status = start_workers(server);

	if (!status && server->endpoint &&
	    ks_endpoint_start(server->endpoint, write_metrics, server))
		status = KS_EXIT_FAILED;
	if (!status) {
		say_loaded(&server->master);
		status = open_doors(server);
	}
	if (!status)
		status = loop(server);
	ks_reload_cancel(&server->reload);
	stop_workers(server);
	ks_endpoint_stop(server->endpoint);
	if (config->stats)
		print_summary(server);
	for (unsigned int i = 0; i < server->n_workers; i++)
		ks_worker_end(server->workers[i]);
	free(server->workers);
	free(server->counters);
	return status;
}

static int serve_frozen(struct server *server)
{
	const struct ks_config *config = server->guest->config;
	int status = take_signals(server);

	ks_messages_hurry();
	/* Not before: none may be lost in between. */
	ks_signals_forward(NULL);
	if (!status)
		status = ks_master_freeze(&server->master);
	if (status)
		return status;
	server->pool.guest = server->guest;
	server->pool.image = server->master.image;
	pthread_mutex_init(&server->pool.lock, NULL);
	server->pool.lobby = ks_lobby_new(&(const struct ks_lobby_rules){
		.server_first = config->server_first,
		.http_only = config->http_only,
		.http = config->warmup, /* that was HTTP */
		.max_idle = config->max_idle_time_ms * KS_MS,
		.max_body = config->max_waiting_body * 1024,
		.max_bodies = config->max_waiting_memory << 20,
		.workers = ks_serve_workers(config),
	});
	if (server->pool.lobby)
		server->pool.reaper = ks_reaper_start(server->pool.lobby,
						      ks_serve_workers(config) + has_spare(config));
	status = server->pool.reaper ? serve_with_workers(server) : KS_EXIT_FAILED;
	ks_reaper_stop(server->pool.reaper);
	if (server->pool.lobby)
		ks_lobby_free(server->pool.lobby);
	pthread_mutex_destroy(&server->pool.lock);
	return status;
}

static int serve(struct server *server)
{
	if (!ks_serve_by_forks(server->guest->config))
		return serve_alone(&server->master);
	return serve_frozen(server);
}

int ks_serve_check(const struct ks_config *config)
{
	if (config->metrics && !config->ephemeral) {
		ks_message("option --metrics: only with --ephemeral");
		return KS_EXIT_USAGE;
	}
	if (config->http_only && config->server_first) {
		ks_message("option --http-only: not with --server-first");
		return KS_EXIT_USAGE;
	}
	return ks_warmup_check(config) ? KS_EXIT_USAGE : 0;
}

int ks_serve(const struct ks_guest *guest)
{
	const struct ks_config *config = guest->config;
	struct server server = {.guest = guest, .signals = -1};
	int status;

	if (config->metrics) {
		server.endpoint = ks_endpoint_open(config->metrics);
		if (!server.endpoint)
			return KS_EXIT_USAGE;
	}
	status = ks_master_boot(&server.master, guest, NULL, NULL);
	if (!status && !server.master.ended)
		status = serve(&server);
	if (server.signals >= 0)
		close(server.signals);
	ks_endpoint_close(server.endpoint);
	ks_master_destroy(&server.master);
	return status;
}
