/* SPDX-License-Identifier: MIT */
/*
 * The fast path answers system calls of a fork, in each flavour of KVM, and gives what the VMM
 * would have given: the guest compares. Here it is counted which of them left.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"

#define ROUNDS	   5 /* at least */
#define MAX_ROUNDS 50

static const struct {
	unsigned int nr;
	unsigned int times; /* that at least do not leave, of each request's */
} wanted[] = {
	{SYS_read, 3},	 {SYS_pread64, 1},  {SYS_lseek, 2},	{SYS_fstat, 1},
	{SYS_close, 1},	 {SYS_sendfile, 1}, {SYS_poll, 1},	{SYS_select, 1},
	{SYS_getpid, 1}, {SYS_sendmsg, 1},  {SYS_epoll_ctl, 3}, {SYS_epoll_wait, 3},
};
#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

static uint64_t inside[512];

static void note(void *ctx, unsigned int nr, uint64_t made, uint64_t answered)
{
	if (nr < 512)
		inside[nr] = answered;
}

/*
 * Interruptions by the host, behind which some leave, come now and then: each must have been
 * answered inside as often as it shall in one of the rounds.
 */
static bool all_inside(struct tkvm_machine *fork)
{
	static bool was_inside[N_WANTED];
	uint64_t before[512];
	bool all = true;

	memset(inside, 0, sizeof(inside));
	tkvm_machine_calls(fork, note, NULL);
	memcpy(before, inside, sizeof(before));
	if (!request(fork, "calls", 0))
		die("calls", "the program died");
	compare("answer", "calls", "rt\nmessage\n\ndone\n", answer);
	tkvm_machine_calls(fork, note, NULL);
	for (size_t i = 0; i < N_WANTED; i++) {
		uint64_t n = inside[wanted[i].nr] - before[wanted[i].nr];

		printf("call %u: %llu inside\n", wanted[i].nr, (unsigned long long)n);
		was_inside[i] |= n >= wanted[i].times;
		all &= was_inside[i];
	}
	return all;
}

int main(void)
{
	char dir[] = "/tmp/test_calls.XXXXXX";
	struct tkvm_error err = {0};
	struct tkvm_machine *master, *fork;
	struct tkvm_image *image;
	bool all = false;

	if (access("/dev/kvm", R_OK | W_OK))
		return SKIP;
	if (!mkdtemp(dir))
		die(dir, strerror(errno));
	master = boot(dir);
	if (tkvm_machine_freeze(master, &image, &err))
		die("freeze", err.message);
	fork = make_fork(image);
	for (int i = 0; i < MAX_ROUNDS && !(all && i >= ROUNDS); i++) {
		all = all_inside(fork);
		if (tkvm_machine_reset(fork, &err))
			die("reset", err.message);
	}
	tkvm_machine_destroy(fork);
	tkvm_image_put(image);
	remove_tree(dir);
	if (!all)
		die("calls", "some always left");
	return 0;
}
