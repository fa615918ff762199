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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dump.h"
#include "rig.h"

static const struct deed {
	const char *name;
	int may;
} deeds[] = {
	{"memory_write", 0},
	{"memory_shared", 0},
	{"memory_memfd", 0},
	{"memory_replaced", 0},
	{"memory_by_kernel", 0},
	{"memory_map", 0},
	{"memory_unmap", MAY_BE_STALE},
	{"memory_protect", 0},
	{"memory_advise", MAY_BE_STALE},
	{"memory_wipe", 0},
	{"memory_remap", 0},
	{"memory_break", 0},
	{"memory_lock", 0},
	{"registers", 0},
	{"selectors", 0},
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
	{"record_lock", 0},
	{"pipes", 0},
	{"pipes_full", 0},
	{"counters", 0},
	{"sockets", 0},
	{"rights", 0},
	{"epolls", 0},
	{"epoll_closed", 0},
	{"watches", 0},
	{"memfd_written", 0},
	{"generation", 0},
	{"process", 0},
	{"kernel_area", 0},
	{"kernel_area_touched", 0},
	{"read_ahead", 0},
	{"calls", 0},
};
#define N_DEEDS (sizeof(deeds) / sizeof(deeds[0]))

static struct tkvm_image *image;
static struct tk_buf wanted; /* dump of a new fork */
static char wanted_answer[ANSWER_SIZE];
static unsigned int n_stale, n_resets, n_died;

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
	return make_fork(image);
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

/*
 * What a fork is not, or not in the same way: scheduling; connections, listening sockets; flags of
 * the host's descriptions; registrations that are spent.
 */
static const char *const different[] = {
	"machine ",  "attention ", "  flags:",	      "  settime flags:", "  option ",
	"  family ", "  bytes ",   "  registered on", "  items ",
};

/* The rest of @text, in place; of files not whose they are. */
static void distil(char *text)
{
	char *out = text, *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool drop = false;
		char *at;

		for (size_t i = 0; i < sizeof(different) / sizeof(different[0]); i++)
			drop |= !strncmp(line, different[i], strlen(different[i]));
		if (drop)
			continue;
		at = strstr(line, " home 1");
		if (at)
			at[6] = '0';
		at = strstr(line, " idle 1");
		if (at)
			at[6] = '0';
		memmove(out, line, strlen(line) + 1);
		out += strlen(out);
		*out++ = '\n';
	}
	*out = '\0';
}

/* Comparing forks with each other does not show what none of them has. */
static void check_copy(const char *master, const char *fork)
{
	char *a = strdup(master), *b = strdup(fork);

	distil(a);
	distil(b);
	compare("dump", "freezing", a, b);
	free(a);
	free(b);
}

static void prepare(const char *dir)
{
	struct tkvm_machine *machine = boot(dir), *fork;
	struct tkvm_error err = {0};
	struct tk_buf before = {0};

	dump_machine(machine, &before);
	/* A timer may have come in between. */
	for (int i = 0; tkvm_machine_freeze(machine, &image, &err); i++) {
		if (err.code != EBUSY || i == 100 || run(machine, 0) != TKVM_IDLE)
			die("freeze", err.message);
		tk_buf_free(&before);
		dump_machine(machine, &before);
	}
	fork = make_fork(image);
	dump_machine(fork, &wanted);
	check_copy(before.data, wanted.data);
	tk_buf_free(&before);
	if (strstr(wanted.data, "check fine") == NULL)
		die("new fork", wanted.data);
	if (getenv("TEST_RESET_DUMP"))
		printf("%s", wanted.data);
	if (!request(fork, "probe", 0))
		die("probe", "the guest ended");
	strcpy(wanted_answer, answer);
	tkvm_machine_destroy(fork);
	fork = make_fork(image);
	check_dump(fork, "nothing (two new forks)");
	fork = probe(fork, "nothing (two new forks)");
	tkvm_machine_destroy(fork);
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
	fork = argc > 3 ? make_fork(image) : each_alone(make_fork(image));
	for (unsigned int i = 0; i < rounds; i++)
		fork = argc > 3 ? try(fork, argv[3], MAY_BE_STALE | NEVER_IDLE)
				: random_sequence(fork, &seed);
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
	remove_tree(dir);
	printf("%u resets, %u stale, %u died\n", n_resets, n_stale, n_died);
	if (count_fds() != fds)
		die("descriptors", "some were left open");
	return 0;
}
