/* SPDX-License-Identifier: MIT */
/* Faults of the program as signals: number, si_code, si_addr and the machine context. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "check.h"

static sigjmp_buf back;
static siginfo_t info;
static long long trapno, err, cr2, rip;
static char altstack[65536];

static void on_fault(int sig, siginfo_t *si, void *arg)
{
	const ucontext_t *uc = arg;

	/* a handler inherits the alignment check flag */
	__asm__ volatile("pushfq; andq $~0x40000, (%%rsp); popfq" ::: "memory", "cc");
	info = *si;
	trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
	err = uc->uc_mcontext.gregs[REG_ERR];
	cr2 = uc->uc_mcontext.gregs[REG_CR2];
	rip = uc->uc_mcontext.gregs[REG_RIP];
	siglongjmp(back, sig);
}

static void show(const char *what, int sig, const void *expected)
{
	printf("%-22s %-8s code %3d trap %2lld err %lld addr %s\n", what,
	       sig ? sigabbrev_np(sig) : "nothing", info.si_code, trapno, err,
	       info.si_addr == expected			? "expected"
	       : info.si_addr == (void *)(uintptr_t)rip ? "rip"
	       : info.si_addr				? "other"
							: "0");
}

#define FAULT(what, expected, ...)                                                                 \
	do {                                                                                       \
		int sig_ = sigsetjmp(back, 1);                                                     \
		if (!sig_) {                                                                       \
			__VA_ARGS__;                                                               \
		}                                                                                  \
		show(what, sig_, (const void *)(uintptr_t)(expected));                             \
	} while (0)

static void memory(void)
{
	char *ro = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *file;
	int fd = memfd_create("short", 0);

	FAULT("read of nothing", 0x10, (void)*(volatile char *)0x10);
	FAULT("write to nothing", 0x18, *(volatile char *)0x18 = 1);
	CHECK(ro[0] == 0);
	FAULT("write to read-only", ro + 5, *(volatile char *)(ro + 5) = 1);
	FAULT("execute data", ro + 4096, ((void (*)(void))(ro + 4096))());
	CHECK(cr2 == (long long)(uintptr_t)(ro + 4096) && rip == cr2);
	CHECK(mprotect(ro, 4096, PROT_NONE) == 0);
	FAULT("read of PROT_NONE", ro, (void)*(volatile char *)ro);
	CHECK(munmap(ro, 8192) == 0);
	FAULT("read of unmapped", ro + 1, (void)*(volatile char *)(ro + 1));
	FAULT("kernel half", 0xffff888000000000, (void)*(volatile char *)0xffff888000000000);
	FAULT("not canonical", 0, (void)*(volatile char *)0x8000000000000000);
	FAULT("not canonical, stack", 0,
	      __asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; pushq $1; mov %%rbx, %%rsp" ::"r"(
				       0x8000000000000000)
			       : "rbx", "memory"));
	CHECK(ftruncate(fd, 4096) == 0);
	file = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	file[0] = 1;
	FAULT("beyond the file", file + 4096, (void)*(volatile char *)(file + 4096));
	CHECK(ftruncate(fd, 0) == 0);
	FAULT("truncated file", file, (void)*(volatile char *)file);
	FAULT("truncated file, write", file + 8, *(volatile char *)(file + 8) = 1);
}

static void instructions(void)
{
	volatile int zero = 0, one = 1;
	volatile int least = -2147483647 - 1;

	FAULT("divide by zero", rip, one = one / zero);
	FAULT("divide overflow", rip, one = least / -1);
	FAULT("ud2", rip, __asm__ volatile("ud2"));
	FAULT("int3", 0, __asm__ volatile("int3"));
	FAULT("int1", rip, __asm__ volatile(".byte 0xf1"));
	FAULT("hlt", 0, __asm__ volatile("hlt"));
	FAULT("cli", 0, __asm__ volatile("cli"));
	FAULT("in", 0, __asm__ volatile("inb $0x60, %%al" ::: "al"));
	FAULT("out", 0, __asm__ volatile("outb %%al, $0x80" ::: "al"));
	FAULT("rdmsr", 0, __asm__ volatile("rdmsr" ::"c"(0x10) : "eax", "edx"));
	FAULT("mov cr0", 0, __asm__ volatile("mov %%cr0, %%rax" ::: "rax"));
	FAULT("load bad selector", 0, __asm__ volatile("mov %0, %%ds" ::"r"(0x1234)));
	FAULT("unaligned SSE", 0,
	      __asm__ volatile("movaps (%0), %%xmm0" ::"r"((char *)&back + 1)
			       : "xmm0"));
	FAULT("single step", rip,
	      __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::
				       : "memory"));
	FAULT("alignment check", 0,
	      __asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq; mov 1(%0), %%eax" ::"r"(
				       (uintptr_t)&info & ~7ul)
			       : "eax", "memory"));
}

static void floating_point(void)
{
	volatile double zero = 0, one = 1;
	unsigned int mxcsr = 0x1f80;
	unsigned short fcw = 0x37f;

	FAULT("SSE divide by zero", rip, mxcsr = 0x1f80 & ~0x200;
	      __asm__ volatile("ldmxcsr %0; divsd %2, %1" ::"m"(mxcsr), "x"(one), "x"(zero)));
	FAULT("SSE invalid", rip, mxcsr = 0x1f80 & ~0x80;
	      __asm__ volatile("ldmxcsr %0; divsd %1, %1" ::"m"(mxcsr), "x"(zero)));
	mxcsr = 0x1f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
	FAULT("x87 divide by zero", rip, fcw = 0x37f & ~4; __asm__ volatile(
		      "fldcw %0; fldl %1; fdivl %2; fwait" ::"m"(fcw), "m"(one), "m"(zero)));
	__asm__ volatile("fninit");
}

int main(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t st = {.ss_sp = altstack, .ss_size = sizeof(altstack)};

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(sigaltstack(&st, NULL) == 0);
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		CHECK(sigaction(signals[i], &sa, NULL) == 0);
	memory();
	instructions();
	floating_point();
	return check_done();
}
