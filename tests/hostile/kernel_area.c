/* SPDX-License-Identifier: MIT */
/*
 * What is mapped above the program's addresses: `kernel_area FIRST LAST STEP` reads, writes and (with a
 * fourth argument: jumps to) those addresses, catching SIGSEGV, and tells what could be done.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf back;
static char altstack[65536];

static void handler(int signo)
{
	siglongjmp(back, 1);
}

static int may_read(unsigned long address)
{
	volatile char sink;

	if (sigsetjmp(back, 1))
		return 0;
	sink = *(volatile char *)address;
	return 1;
}

/* Writes the byte that is there, or any byte where it cannot be read. */
static int may_write(unsigned long address)
{
	volatile unsigned char old = 0x5a;

	if (!sigsetjmp(back, 1))
		old = *(volatile unsigned char *)address;
	if (sigsetjmp(back, 1))
		return 0;
	*(volatile unsigned char *)address = old;
	return 1;
}

/* As SYSCALL would: RCX and R11 are where to go on, with a number that is no call. */
static int may_jump(unsigned long address)
{
	long result = 0;

	if (sigsetjmp(back, 1))
		return 0;
	__asm__ volatile("lea 1f(%%rip), %%rcx\n\tpushfq\n\tpop %%r11\n\tpush %%rcx\n\t"
			 "jmp *%1\n1:\tadd $8, %%rsp"
			 : "=a"(result) : "D"(address), "a"(100000) : "rcx", "r11", "memory", "rbx",
			 "r12", "r13", "r14", "r15", "rsi", "rdx");
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long first = strtoul(argv[1], NULL, 0), last = strtoul(argv[2], NULL, 0);
	unsigned long step = strtoul(argv[3], NULL, 0), readable = 0, writable = 0, reached = 0;
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_sp = altstack, .ss_size = sizeof(altstack)};

	sigaltstack(&stack, NULL);
	for (int signo = SIGILL; signo <= SIGSEGV; signo++)
		if (signo != SIGKILL)
			sigaction(signo, &action, NULL);
	for (unsigned long address = first; address < last; address += step) {
		if (argc > 4) {
			reached += may_jump(address);
			continue;
		}
		readable += may_read(address);
		if (may_write(address)) {
			fprintf(stderr, "could write at %#lx\n", address);
			writable++;
		}
		if (mprotect((void *)(address & ~4095ul), 4096, PROT_READ | PROT_WRITE) == 0 ||
		    munmap((void *)(address & ~4095ul), 4096) == 0 && 0 ||
		    mmap((void *)(address & ~4095ul), 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
			fprintf(stderr, "could map at %#lx\n", address);
			writable++;
		}
	}
	printf("%lu writable\n", writable);
	return writable != 0;
}
