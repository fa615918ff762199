/* SPDX-License-Identifier: MIT */
/* Booting the guest, asking it, and comparing what comes of it. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

char answer[ANSWER_SIZE];

void die(const char *what, const char *why)
{
	fprintf(stderr, "test_reset: %s: %s\n", what, why);
	exit(1);
}

static int stop(void *ctx)
{
	return tkvm_machine_ready(ctx, NULL);
}

struct tkvm_machine *make_fork(struct tkvm_image *image)
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

enum tkvm_outcome run(struct tkvm_machine *machine, int may)
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
int request(struct tkvm_machine *fork, const char *text, int may)
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

void compare(const char *what, const char *after, const char *want, const char *got)
{
	if (!strcmp(want, got))
		return;
	fprintf(stderr, "test_reset: after \"%s\": the %s differs\n", after, what);
	show_difference(want, got);
	exit(1);
}

struct tkvm_machine *boot(const char *dir)
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

int count_fds(void)
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

void remove_tree(const char *dir)
{
	nftw(dir, remove_one, 20, FTW_DEPTH | FTW_PHYS);
}
