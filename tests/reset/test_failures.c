/* SPDX-License-Identifier: MIT */
/*
 * Freezing, forking and resetting with the n-th host call or allocation failing, for all n. A
 * freeze that fails leaves the machine as it was; a fork that fails leaves nothing; a reset either
 * fails or is right. The program is the one that has everything (furnish.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "rig.h"
#include "unit/failing.h"

WRAP_ALLOC(malloc, (size_t n), n)
WRAP_ALLOC(calloc, (size_t n, size_t size), n, size)
WRAP_ALLOC(realloc, (void *p, size_t n), p, n)
WRAP_ALLOC(reallocarray, (void *p, size_t n, size_t size), p, n, size)
WRAP(char *, NULL, strdup, (const char *s), s)
WRAP_CALL(ioctl, (int fd, unsigned long request, void *arg), fd, request, arg)
WRAP_CALL(mprotect, (void *addr, size_t len, int prot), addr, len, prot)
WRAP_MAP(mmap64, (void *a, size_t n, int p, int f, int fd, off_t at), a, n, p, f, fd, at)
WRAP_CALL(open64, (const char *path, int flags, mode_t mode), path, flags, mode)
WRAP_CALL(fcntl64, (int fd, int cmd, long arg), fd, cmd, arg)
WRAP_CALL(fstat64, (int fd, struct stat *st), fd, st)
WRAP_CALL(ftruncate64, (int fd, off_t len), fd, len)
WRAP_CALL(memfd_create, (const char *name, unsigned int flags), name, flags)
WRAP_CALL(eventfd, (unsigned int value, int flags), value, flags)
WRAP_CALL(timerfd_create, (int clock, int flags), clock, flags)
WRAP_CALL(epoll_create1, (int flags), flags)
WRAP_CALL(epoll_ctl, (int ep, int op, int fd, void *event), ep, op, fd, event)
WRAP_CALL(inotify_init1, (int flags), flags)
WRAP_CALL(pipe2, (int *fds, int flags), fds, flags)
WRAP_CALL(socket, (int family, int type, int protocol), family, type, protocol)
WRAP_CALL(socketpair, (int family, int type, int protocol, int *sv), family, type, protocol, sv)

static void begin(int n)
{
	countdown = n;
	injected = 0;
	counting = true;
}

/* The image of a freeze in which nothing failed. One that succeeded all the same takes its machine
 * along. */
static struct tkvm_image *freeze_all(const char *dir, int *calls)
{
	struct tkvm_machine *machine = NULL;
	struct tkvm_image *image;
	int fds = 0;

	for (int n = 0;; n++) {
		struct tkvm_error err = {0};
		int rc;

		if (!machine) {
			remove_tree(dir);
			if (mkdir(dir, 0700))
				die(dir, strerror(errno));
			machine = boot(dir);
			fds = count_fds();
		}
		begin(n);
		rc = tkvm_machine_freeze(machine, &image, &err);
		counting = false;
		if (rc && (!injected || !err.message[0]))
			die("freeze", injected ? "no message" : err.message);
		if (rc && count_fds() != fds)
			die("freeze", "descriptors were left open");
		if (rc)
			continue;
		*calls = n;
		if (!injected)
			return image;
		tkvm_image_put(image);
		machine = NULL;
	}
}

static int fork_all(struct tkvm_image *image)
{
	int n = 0, fds = count_fds();

	for (;; n++) {
		struct tkvm_machine *fork;
		struct tkvm_error err = {0};
		int rc;

		begin(n);
		rc = tkvm_image_fork(image, NULL, &fork, &err);
		counting = false;
		if (rc && (!injected || !err.message[0]))
			die("fork", injected ? "no message" : err.message);
		if (!rc)
			tkvm_machine_destroy(fork);
		if (count_fds() != fds)
			die("fork", "descriptors were left open");
		if (!injected)
			return n;
	}
}

static int reset_all(struct tkvm_image *image, const char *deeds, const char *wanted)
{
	int n = 0, fds = count_fds();

	for (;; n++) {
		struct tkvm_machine *fork = make_fork(image);
		struct tk_buf dump = {0};
		int rc;

		if (!request(fork, deeds, 0))
			die(deeds, "the program died");
		begin(n);
		rc = tkvm_machine_reset(fork, NULL);
		counting = false;
		if (rc && rc != -ESTALE)
			die(deeds, strerror(-rc));
		if (!rc) {
			dump_machine(fork, &dump);
			compare("dump", deeds, wanted, dump.data);
			tk_buf_free(&dump);
		}
		tkvm_machine_destroy(fork);
		if (count_fds() != fds)
			die(deeds, "descriptors were left open");
		if (!injected)
			return rc ? -1 : n;
	}
}

int main(int argc, char **argv)
{
	static const char *const deeds[] = {
		"memory_write memory_map memory_protect",
		"files_closed",
		"pipes counters sockets epolls watches memfd_written locks process",
		"threads_ended signals timers",
	};
	char dir[] = "/tmp/test_failures.XXXXXX";
	struct tkvm_machine *fork;
	struct tkvm_image *image;
	struct tk_buf wanted = {0};
	int calls;

	if (access("/dev/kvm", R_OK | W_OK))
		return SKIP;
	if (!mkdtemp(dir))
		die(dir, strerror(errno));
	image = freeze_all(dir, &calls);
	printf("freeze: %d calls\n", calls);
	fork = make_fork(image);
	dump_machine(fork, &wanted);
	tkvm_machine_destroy(fork);
	printf("fork: %d calls\n", fork_all(image));
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		printf("reset: %d calls after %s\n", reset_all(image, deeds[i], wanted.data),
		       deeds[i]);
	tk_buf_free(&wanted);
	tkvm_image_put(image);
	remove_tree(dir);
	return 0;
}
