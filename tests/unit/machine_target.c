/* SPDX-License-Identifier: MIT */
/* The program that test_machine.c runs in machines: one deed, named by its first argument. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int echo(void)
{
	char buf[64];
	ssize_t n = read(0, buf, sizeof(buf));

	return write(1, buf, (size_t)n) == n ? 7 : 1;
}

static int spin(void)
{
	volatile int for_ever = 1;

	while (for_ever)
		;
	return 0;
}

static int hog(void)
{
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			return 12;
		memset(p, 1, 1 << 20);
	}
}

static int fault(void)
{
	*(volatile int *)0x1234 = 1;
	return 0;
}

/* Push until the stack is used up. */
static int overflow(void)
{
	__asm__ volatile("1: push %%rax; jmp 1b" ::: "memory");
	return 0;
}

static int wait_for_signal(void)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (write(1, "ready", 5) != 5)
		return 1;
	sigwait(&set, &sig);
	return sig;
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int leave_threads(void)
{
	pthread_t t;

	for (int i = 0; i < 5; i++)
		if (pthread_create(&t, NULL, sleeper, NULL))
			return 1;
	return 3;
}

static void *check_self(void *arg)
{
	void *self;

	for (int i = 0; i < 20; i++) {
		__asm__ volatile("mov %%fs:0, %0" : "=r"(self));
		if (self != (void *)pthread_self())
			abort();
		if (i % 7 == 0)
			sched_yield();
	}
	return arg;
}

/* New threads run on the vCPUs of those that ended, and must find nothing of them. */
static int renew_threads(void)
{
	pthread_t t[3];

	for (int i = 0; i < 300; i++) {
		for (int k = 0; k < 3; k++)
			if (pthread_create(&t[k], NULL, check_self, NULL))
				return 1;
		for (int k = 0; k < 3; k++)
			if (pthread_join(t[k], NULL))
				return 2;
	}
	return 5;
}

static int hang(void)
{
	while (pause() < 0)
		;
	return 0;
}

static int stop(void)
{
	raise(SIGSTOP);
	return 4;
}

static int deep_abort(void)
{
	abort();
}

static const struct {
	const char *name;
	int (*fn)(void);
} deeds[] = {
	{"echo", echo},
	{"spin", spin},
	{"hog", hog},
	{"fault", fault},
	{"overflow", overflow},
	{"wait", wait_for_signal},
	{"threads", leave_threads},
	{"renew", renew_threads},
	{"hang", hang},
	{"stop", stop},
	{"abort", deep_abort},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(deeds) / sizeof(deeds[0]); i++)
		if (!strcmp(argv[1], deeds[i].name))
			return deeds[i].fn();
	return 99;
}
