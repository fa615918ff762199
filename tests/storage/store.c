/* SPDX-License-Identifier: MIT */
/*
 * A storage program: keeps a number, and does what the buffer's first byte asks for. The buffer
 * begins with a struct message (tests/storage/message.h).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kvmserverguest.h"
#include "message.h"

static long count;
static char *kept; /* the buffer of an earlier call */
static size_t kept_len;

static void nap(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* Flip every byte: whoever mixes up buffers will be found out. */
static long flip(struct message *m, size_t len)
{
	for (size_t i = sizeof(*m); i < len; i++)
		((unsigned char *)m)[i] ^= 0xff;
	return (long)len;
}

static long syscalls(struct message *m, size_t len)
{
	int ends[2];
	long n;

	if (pipe(ends))
		return -1000 - errno;
	n = write(ends[1], m->text, sizeof(m->text));
	if (n == (long)sizeof(m->text))
		n = read(ends[0], (char *)m + sizeof(*m), len - sizeof(*m));
	close(ends[0]);
	close(ends[1]);
	return n;
}

static long touch(volatile char *p, int write)
{
	char c = *p;

	if (write)
		*p = c;
	return c;
}

static volatile long ticks;

static void *tick(void *arg)
{
	for (;; ticks++)
		nap(10);
	return arg;
}

/* Write to the buffer for as long as that goes well. */
static void *use_later(void *arg)
{
	volatile struct message *m = arg;

	for (;;)
		m->number++;
	return arg;
}

static long answer(struct message *m, size_t len)
{
	char *page = (char *)((unsigned long)m & ~4095ul);

	switch (m->what) {
	case COUNT:
		m->number = ++count;
		snprintf(m->text, sizeof(m->text), "hello from storage %ld", count);
		return 0;
	case ECHO:
		return m->number;
	case FLIP:
		return flip(m, len);
	case SYSCALLS:
		return syscalls(m, len);
	case CRASH:
		abort();
	case LEAVE:
		exit(3);
	case HANG:
		for (;;)
			;
	case SLEEP:
		nap(m->number);
		return 0;
	case KEEP:
		kept = (char *)m;
		kept_len = len;
		return 0;
	case USE_KEPT: /* what is there now is the buffer of this call, or nothing */
		return touch(kept + m->number, 1);
	case BEFORE:
		return touch(page - 1, m->number);
	case BEHIND:
		return touch((char *)(((unsigned long)m + len + 4095) & ~4095ul), m->number);
	case TICKS:
		return ticks;
	case THREAD:
		if (pthread_create(&(pthread_t){0}, NULL, use_later, m))
			return -5;
		for (volatile long *n = &m->number; *n < 1000;)
			sched_yield();
		return 0;
	case MAP_OVER: /* the window is no place of the program's */
		if (mmap(page, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
			return 1;
		return munmap(page, 4096) || mprotect(page, 4096, PROT_READ) ? -2000 - errno : 0;
	}
	return -3;
}

int main(int argc, char **argv)
{
	long result = 0;
	void *buf;

	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 4;
	if (argc > 1 && !strcmp(argv[1], "sleep"))
		sleep(1000);
	if (argc > 1 && !strcmp(argv[1], "ticks") &&
	    pthread_create(&(pthread_t){0}, NULL, tick, NULL))
		return 5;
	for (;;) {
		ssize_t len = kvmserverguest_storage_wait_paused(&buf, result);

		if (len < 0) {
			fprintf(stderr, "wait: %s\n", strerror(errno));
			return 1;
		}
		if (!len)
			result = buf ? -4 : ++count;
		else
			result = (size_t)len < sizeof(struct message) ? ((char *)buf)[len - 1]
								      : answer(buf, (size_t)len);
	}
}
