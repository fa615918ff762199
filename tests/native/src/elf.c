/* SPDX-License-Identifier: MIT */
/* Built in every way there is to link a program: what a loader must get right, printed. */
#include <elf.h>
#include <link.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

static __thread int tls_small = 42;
static __thread char tls_big[20000] __attribute__((aligned(64)));
static __thread int tls_zero;
static const char *const relocated[] = {"one", "two", "three"};
static char bss[3 << 20];
static int data[5000] = {1, 2, 3};
int constructed;

__attribute__((constructor)) static void construct(void)
{
	constructed = 7;
}

static void at_exit(void)
{
	printf("at exit\n");
}

static void show_auxv(void)
{
	printf("page %lu clock %lu random %d platform %s\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
	       getauxval(AT_RANDOM) != 0, (char *)getauxval(AT_PLATFORM));
	printf("uid %lu %lu gid %lu %lu secure %lu\n", getauxval(AT_UID), getauxval(AT_EUID),
	       getauxval(AT_GID), getauxval(AT_EGID), getauxval(AT_SECURE));
	printf("phent %lu phnum>2 %d entry %d execfn %s\n", getauxval(AT_PHENT), getauxval(AT_PHNUM) > 2,
	       getauxval(AT_ENTRY) != 0, (char *)getauxval(AT_EXECFN));
}

int main(int argc, char **argv, char **envp)
{
	double volatile x = 2;
	struct timespec ts;
	int zeroes = 0, env = 0;

	atexit(at_exit);
	while (envp[env])
		env++;
	for (int i = 0; i < argc; i++)
		printf("argv[%d] = %s\n", i, argv[i]);
	printf("%d variables, HOME %s\n", env, getenv("HOME") ? "set" : "unset");
	for (size_t i = 0; i < sizeof(bss); i++)
		zeroes += bss[i] == 0;
	memset(bss, 1, sizeof(bss));
	printf("bss %d data %d %d\n", zeroes == sizeof(bss), data[2], data[4999]);
	printf("tls %d %d %d %d\n", tls_small, tls_zero, tls_big[19999], (int)((uintptr_t)tls_big % 64));
	printf("%s %s constructed %d\n", relocated[1], relocated[argc % 3], constructed);
	printf("sqrt %.15f pow %.15f\n", sqrt(x), pow(x, 0.3));
	printf("stack aligned %d\n", (int)((uintptr_t)__builtin_frame_address(0) % 16));
	show_auxv();
	printf("clock %d getpid %d\n", clock_gettime(CLOCK_MONOTONIC, &ts), getpid() > 0);
	fprintf(stderr, "to stderr\n");
	return 33;
}
