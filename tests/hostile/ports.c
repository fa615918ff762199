/* SPDX-License-Identifier: MIT */
/*
 * Port instructions, all of which a program must be refused, the entry's own port included: every
 * instruction at a sample of ports, each caught as SIGSEGV. `ports once PORT` is not caught.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int caught;

static void handler(int signo, siginfo_t *info, void *context)
{
	caught++;
	siglongjmp(back, 1);
}

#define TRY(text)                                                                                  \
	do {                                                                                       \
		tried++;                                                                           \
		if (!sigsetjmp(back, 1))                                                           \
			__asm__ volatile(text : : "d"(port), "a"(0), "S"(buf), "D"(buf), "c"(1)    \
					 : "memory");                                              \
	} while (0)

static int try_port(int port)
{
	static char buf[64];
	int tried = 0;

	TRY("outb %%al, %%dx");
	TRY("outw %%ax, %%dx");
	TRY("outl %%eax, %%dx");
	TRY("inb %%dx, %%al");
	TRY("inl %%dx, %%eax");
	TRY("outsb");
	TRY("rep outsl");
	TRY("rep insb");
	return tried;
}

static int try_immediate(void)
{
	int tried = 0, port = 0;
	static char buf[8];

	TRY("outb %%al, $0x10");
	TRY("outl %%eax, $0x10");
	TRY("outb %%al, $0x11");
	TRY("outb %%al, $0x2e");
	TRY("inb $0x10, %%al");
	TRY("outb %%al, $0x80");
	TRY("outb %%al, $0xf4");
	return tried;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	int tried = 0;

	if (argc > 2) {
		__asm__ volatile("outb %%al, %%dx" : : "d"(atoi(argv[2])), "a"(60));
		return 42;
	}
	sigaction(SIGSEGV, &action, NULL);
	for (int port = 0; port < 0x120; port++)
		tried += try_port(port);
	for (int port = 0x120; port < 0x10000; port = port * 5 / 4 + 7)
		tried += try_port(port);
	tried += try_port(0xcf8) + try_port(0xcfc) + try_port(0xffff) + try_immediate();
	printf("%d of %d refused\n", caught, tried);
	return caught != tried;
}
