/* SPDX-License-Identifier: MIT */
/* Streams of the host that machines share. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "fs/stream.h"

#define ROUNDS 1000
#define STUCK  5 /* s */

static struct writer {
	pthread_t thread;
	struct tk_file *file;
	atomic_int turn, done;
	ssize_t result;
} writers[2];

static char page[PIPE_BUF];

static void *write_pages(void *arg)
{
	struct writer *writer = arg;
	const struct iovec one = {page, sizeof(page)};

	for (int i = 1; i <= ROUNDS; i++) {
		while (atomic_load(&writer->turn) < i)
			sched_yield();
		writer->result = writer->file->ops->writev(writer->file, &one, 1, NULL);
		atomic_store(&writer->done, i);
	}
	return NULL;
}

static void wait_for(struct writer *writer, int round)
{
	time_t end = time(NULL) + STUCK;

	while (atomic_load(&writer->done) < round) {
		assert_true(time(NULL) < end);
		sched_yield();
	}
}

static void fill(int fd)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, page, sizeof(page)) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

static void test_two_writers_never_wait(void **state)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 4096);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tk_stream_new(dup(fds[1]), O_WRONLY, "pipe", TK_STREAM_SHARED,
					       &writers[i].file),
				 0);
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_pages, &writers[i]),
				 0);
	}
	fill(fds[1]);
	for (int round = 1; round <= ROUNDS; round++) {
		int first;

		assert_int_equal(read(fds[0], page, sizeof(page)), sizeof(page));
		atomic_store(&writers[0].turn, round);
		atomic_store(&writers[1].turn, round);
		wait_for(&writers[0], round);
		wait_for(&writers[1], round);
		first = writers[0].result > 0 ? 0 : 1;
		assert_int_equal(writers[first].result, sizeof(page));
		assert_int_equal(writers[!first].result, -EAGAIN);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(writers[i].thread, NULL);
		tk_file_put(writers[i].file);
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_writers_never_wait)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
