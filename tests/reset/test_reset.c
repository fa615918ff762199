/* SPDX-License-Identifier: MIT */
/*
 * A reset fork cannot be told from a new one: hostile requests are run in a fork, it is reset, and
 * then compared with a fork that never ran, by everything that the VMM knows of it (dump.c) and by
 * what the program itself can find out (the guest's "probe").
 *
 *	test_reset [ROUNDS [SEED]]	random sequences of deeds, after each one alone
 *	test_reset ROUNDS 0 DEEDS	only this one
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dump.h"
#include "tinykvm/tinykvm.h"

#define SKIP 77

/* What a request may lead to besides a reset that works. */
enum { NEVER_IDLE = 1, MAY_BE_STALE = 2, MAY_DIE = 4 };

static const struct deed {
	const char *name;
	int may;
} deeds[] = {
	{"memory_write", 0},
	{"memory_shared", 0},
	{"memory_memfd", 0},
	{"memory_by_kernel", 0},
	{"memory_map", 0},
	{"memory_unmap", MAY_BE_STALE},
	{"memory_protect", 0},
	{"memory_advise", MAY_BE_STALE},
	{"memory_remap", 0},
	{"memory_break", 0},
	{"memory_lock", 0},
	{"registers", 0},
	{"fs_base", 0},
	{"spin", NEVER_IDLE},
	{"signals", 0},
	{"signals_taken", 0},
	{"timers", 0},
	{"threads", 0},
	{"threads_running", NEVER_IDLE},
	{"threads_moved", 0},
	{"threads_ended", 0},
	{"files_many", 0},
	{"files_closed", 0},
	{"files_moved", 0},
	{"listener_replaced", NEVER_IDLE},
	{"listener_shut", NEVER_IDLE},
	{"listener_options", NEVER_IDLE},
	{"offsets", 0},
	{"flags", 0},
	{"locks", 0},
	{"pipes", 0},
	{"pipes_full", 0},
	{"counters", 0},
	{"sockets", 0},
	{"rights", 0},
	{"epolls", 0},
	{"epoll_closed", 0},
	{"watches", 0},
	{"memfd_written", 0},
	{"process", 0},
	{"kernel_area", 0},
};
#define N_DEEDS (sizeof(deeds) / sizeof(deeds[0]))

static struct tkvm_image *image;
static struct tk_buf wanted; /* dump of a new fork */
static char answer[1 << 18], wanted_answer[1 << 18];
static unsigned int n_stale, n_resets, n_died;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "test_reset: %s: %s\n", what, why);
	exit(1);
}

static int stop(void *ctx)
{
	return tkvm_machine_ready(ctx, NULL);
}

static struct tkvm_machine *make_fork(void)
{
	struct tkvm_machine *fork;
	struct tkvm_error err = {0};

	if (tkvm_image_fork(image, NULL, &fork, &err))
		die("fork", err.message);
	return fork;
}

static void *interrupt_soon(void *machine)
{
	usleep(30000);
	tkvm_machine_interrupt(machine);
	return NULL;
}

static void show_thread(void *ctx, int tid, const char *name, const char *doing)
{
	fprintf(stderr, "thread %d (%s) %s\n", tid, name, doing);
}

static enum tkvm_outcome run(struct tkvm_machine *machine, int may)
{
	struct tkvm_run_limits limits = {
		.size = sizeof(limits), .wall_ns = 20000000000, .idle = stop, .idle_ctx = machine};
	struct tkvm_error err = {0};
	struct tkvm_result result;
	pthread_t timer;
	int rc;

	if (may & NEVER_IDLE && pthread_create(&timer, NULL, interrupt_soon, machine))
		die("thread", strerror(errno));
	rc = tkvm_machine_run(machine, &limits, &result, &err);
	if (may & NEVER_IDLE)
		pthread_join(timer, NULL);
	if (rc)
		die("run", err.message);
	if (result.outcome == TKVM_FAILED)
		die(result.message, tkvm_machine_report(machine));
	if (result.outcome == TKVM_LIMIT) {
		tkvm_machine_threads(machine, show_thread, NULL);
		die("run", result.message);
	}
	return result.outcome;
}

static void released(void *ctx, int fd, enum tkvm_release how)
{
	close(fd);
}

static const struct tkvm_connection_ops ops = {.size = sizeof(ops), .released = released};

/* True if the program lives on; its answer is in @answer. */
static int request(struct tkvm_machine *fork, const char *text, int may)
{
	enum tkvm_outcome outcome;
	size_t len = 0;
	ssize_t n;
	int sv[2], size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
		die("socketpair", strerror(errno));
	setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	n = tkvm_machine_offer(fork, 0, sv[1], &ops, NULL);
	if (n)
		die(text, strerror((int)-n));
	if (write(sv[0], text, strlen(text)) < 0)
		die("write", text);
	outcome = run(fork, may);
	while ((n = read(sv[0], answer + len, sizeof(answer) - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	close(sv[0]);
	return outcome == TKVM_IDLE || outcome == TKVM_INTERRUPTED;
}

/* Print the lines that differ, the first few. */
static void show_difference(const char *want, const char *got)
{
	for (int shown = 0; shown < 12 && (*want || *got);) {
		size_t w = strcspn(want, "\n"), g = strcspn(got, "\n");

		if (w != g || memcmp(want, got, w)) {
			fprintf(stderr, "  new:   %.*s\n  reset: %.*s\n", (int)w, want, (int)g,
				got);
			shown++;
		}
		want += w + (want[w] == '\n');
		got += g + (got[g] == '\n');
	}
}

static void compare(const char *what, const char *after, const char *want, const char *got)
{
	if (!strcmp(want, got))
		return;
	fprintf(stderr, "test_reset: after \"%s\": the %s differs\n", after, what);
	show_difference(want, got);
	exit(1);
}

static void check_dump(struct tkvm_machine *fork, const char *after)
{
	struct tk_buf dump = {0};

	dump_machine(fork, &dump);
	compare("dump", after, wanted.data, dump.data);
	tk_buf_free(&dump);
}

/* Reset @fork, or destroy it and return a new one. */
static struct tkvm_machine *again(struct tkvm_machine *fork, const char *after, int alive, int may)
{
	struct tkvm_error err = {0};
	int rc = tkvm_machine_reset(fork, &err);

	if (!rc && alive) {
		n_resets++;
		return fork;
	}
	if (rc != -ESTALE || (alive && !(may & MAY_BE_STALE)))
		die(after, rc ? err.message : "a dead program was reset");
	n_stale += alive;
	n_died += !alive;
	tkvm_machine_destroy(fork);
	return make_fork();
}

static struct tkvm_machine *probe(struct tkvm_machine *fork, const char *after)
{
	if (!request(fork, "probe", 0))
		die(after, "the program died of a probe");
	compare("probe", after, wanted_answer, answer);
	return again(fork, after, 1, MAY_BE_STALE);
}

static struct tkvm_machine *try(struct tkvm_machine *fork, const char *text, int may)
{
	int alive = request(fork, text, may);

	fork = again(fork, text, alive, may);
	check_dump(fork, text);
	fork = probe(fork, text);
	check_dump(fork, text);
	return fork;
}

static struct tkvm_machine *each_alone(struct tkvm_machine *fork)
{
	for (size_t i = 0; i < N_DEEDS; i++) {
		unsigned int stale = n_stale, died = n_died;

		fork = try(fork, deeds[i].name, deeds[i].may);
		fork = try(fork, deeds[i].name, deeds[i].may);
		printf("%-20s %s\n", deeds[i].name,
		       n_died > died	 ? "died"
		       : n_stale > stale ? "stale"
					 : "reset");
	}
	return fork;
}

static struct tkvm_machine *random_sequence(struct tkvm_machine *fork, unsigned int *seed)
{
	int n = 1 + rand_r(seed) % 6, may = MAY_BE_STALE | MAY_DIE;
	char text[512] = "";

	for (int i = 0; i < n; i++) {
		const struct deed *deed = &deeds[(unsigned int)rand_r(seed) % N_DEEDS];

		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", deed->name);
		may |= deed->may;
	}
	/* What does not end by itself alone may not do so in company. */
	return try(fork, text, may | NEVER_IDLE);
}

static struct tkvm_machine *boot(const char *dir)
{
	struct tkvm_policy *policy = tkvm_policy_new();
	const int null = open("/dev/null", O_RDWR), stdio[3] = {null, null, null};
	struct tkvm_machine_options options = {
		.size = sizeof(options), .policy = policy, .stdio = stdio};
	const char *argv[] = {GUEST, dir, NULL};
	struct tkvm_machine *machine;
	struct tkvm_error err = {0};

	if (tkvm_policy_allow_net(policy, NULL, TKVM_LISTEN | TKVM_CONNECT, &err) ||
	    tkvm_policy_allow_path(policy, dir, TKVM_READ | TKVM_WRITE, &err) ||
	    tkvm_machine_create(&machine, &options, &err) ||
	    tkvm_machine_load(machine, GUEST, argv, NULL, &err))
		die("boot", err.message);
	tkvm_policy_free(policy);
	close(null);
	if (run(machine, 0) != TKVM_IDLE)
		die("boot", "the guest ended");
	return machine;
}

static void prepare(const char *dir)
{
	struct tkvm_machine *machine = boot(dir), *fork;
	struct tkvm_error err = {0};

	if (tkvm_machine_freeze(machine, &image, &err))
		die("freeze", err.message);
	fork = make_fork();
	dump_machine(fork, &wanted);
	if (strstr(wanted.data, "check fine") == NULL)
		die("new fork", wanted.data);
	if (getenv("TEST_RESET_DUMP"))
		printf("%s", wanted.data);
	if (!request(fork, "probe", 0))
		die("probe", "the guest ended");
	strcpy(wanted_answer, answer);
	tkvm_machine_destroy(fork);
	fork = make_fork();
	check_dump(fork, "nothing (two new forks)");
	fork = probe(fork, "nothing (two new forks)");
	tkvm_machine_destroy(fork);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 2000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 100;
	unsigned int seed = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
	char dir[] = "/tmp/test_reset.XXXXXX";
	struct tkvm_machine *fork;
	int fds = count_fds();

	if (access("/dev/kvm", R_OK | W_OK))
		return SKIP;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir))
		die(dir, strerror(errno));
	prepare(dir);
	fork = argc > 3 ? make_fork() : each_alone(make_fork());
	for (unsigned int i = 0; i < rounds; i++)
		fork = argc > 3 ? try(fork, argv[3], MAY_BE_STALE | NEVER_IDLE)
				: random_sequence(fork, &seed);
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
	nftw(dir, remove_one, 20, FTW_DEPTH | FTW_PHYS);
	printf("%u resets, %u stale, %u died\n", n_resets, n_stale, n_died);
	if (count_fds() != fds)
		die("descriptors", "some were left open");
	return 0;
}
