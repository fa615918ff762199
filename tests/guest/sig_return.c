/* SPDX-License-Identifier: MIT */
/* Contexts that a handler spoils: rt_sigreturn takes them, or the program gets SIGSEGV. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "check.h"

static sigjmp_buf back;
static char altstack[65536];
static void (*spoil)(ucontext_t *uc);
static siginfo_t segv;
static long long segv_rip;

static void on_segv(int sig, siginfo_t *info, void *arg)
{
	segv = *info;
	segv_rip = ((ucontext_t *)arg)->uc_mcontext.gregs[REG_RIP];
	siglongjmp(back, 1);
}

static void on_usr1(int sig, siginfo_t *info, void *arg)
{
	spoil(arg);
}

static unsigned int *fp(ucontext_t *uc, int offset)
{
	return (unsigned int *)((char *)uc->uc_mcontext.fpregs + offset);
}

static void nothing(ucontext_t *uc)
{
}

static void rip_not_canonical(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] = (long long)0x8000000000000000;
}

static void rip_in_kernel(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RIP] = (long long)0xffff888000000000;
}

static void cs_kernel(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_CSGSFS] &= ~0xffffll;
	uc->uc_mcontext.gregs[REG_CSGSFS] |= 0x1234;
}

static void ss_wrong(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_CSGSFS] &= 0xffffffffffffll;
	uc->uc_mcontext.gregs[REG_CSGSFS] |= 0x1233ll << 48;
}

static void flags_all(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_EFL] = ~0x100ll & ~0x400ll & ~0x40000ll;
}

static void xstate_unknown(ucontext_t *uc)
{
	((uint64_t *)fp(uc, 512))[0] |= 1ull << 62;
}

static void xstate_compacted(ucontext_t *uc)
{
	((uint64_t *)fp(uc, 512))[1] = 1;
}

static void xstate_reserved(ucontext_t *uc)
{
	((uint64_t *)fp(uc, 512))[2] = 1;
}

static void mxcsr_reserved(ucontext_t *uc)
{
	*fp(uc, 24) = 0xffff0000;
}

static void mxcsr_in_legacy_only(ucontext_t *uc)
{
	*fp(uc, 464) = 0;
	*fp(uc, 24) = 0xffff0000;
}

static void no_magic1(ucontext_t *uc)
{
	*fp(uc, 464) = 0;
}

static void no_magic2(ucontext_t *uc)
{
	*fp(uc, (int)*fp(uc, 480)) = 0;
}

static void size_huge(ucontext_t *uc)
{
	*fp(uc, 480) = 0xfffffff0;
}

static void features_none(ucontext_t *uc)
{
	*fp(uc, 472) = 0;
	*fp(uc, 476) = 0;
}

static void fp_null(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = NULL;
}

static void fp_unaligned(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = (void *)((char *)uc->uc_mcontext.fpregs + 1);
}

/* A legacy image wants 16 bytes of alignment, a whole one 64. */
static void fp_elsewhere(ucontext_t *uc, int magic)
{
	static unsigned char image[16384] __attribute__((aligned(64)));

	memcpy(image + 16, uc->uc_mcontext.fpregs, *fp(uc, 480) + 4);
	uc->uc_mcontext.fpregs = (void *)(image + 16);
	*fp(uc, 464) = (unsigned int)magic;
}

static void fp_legacy_by_16(ucontext_t *uc)
{
	fp_elsewhere(uc, 0);
}

static void fp_whole_by_16(ucontext_t *uc)
{
	fp_elsewhere(uc, 0x46505853);
}

static void fp_unmapped(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = (void *)0x1000;
}

static void fp_in_kernel(ucontext_t *uc)
{
	uc->uc_mcontext.fpregs = (void *)0xffff888000000000;
}

static void stack_nonsense(ucontext_t *uc)
{
	uc->uc_stack.ss_flags = 77;
}

static void mask_everything(ucontext_t *uc)
{
	memset(&uc->uc_sigmask, 0xff, 8);
}

static void try(const char *what, void (*fn)(ucontext_t *uc))
{
	sigset_t mask, none;
	int died;

	spoil = fn;
	memset(&segv, 0, sizeof(segv));
	died = sigsetjmp(back, 1);
	if (!died)
		raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	if (what)
		printf("%-22s %s code %d%s%s\n", what, died ? "SIGSEGV" : "goes on", segv.si_code,
		       died && segv.si_addr ? " address" : "",
		       sigismember(&mask, SIGHUP) ? " masked" : "");
	CHECK(!sigismember(&mask, SIGKILL) && !sigismember(&mask, SIGSTOP));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* rt_sigreturn without any frame. */
static void out_of_the_blue(void)
{
	if (!sigsetjmp(back, 1))
		__asm__ volatile("mov $0x1000, %%rsp; mov $15, %%eax; syscall" ::: "memory");
	printf("%-22s code %d\n", "no stack", segv.si_code);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO};
	stack_t st = {.ss_sp = altstack, .ss_size = sizeof(altstack)};

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_sigaction = on_segv;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigaction(SIGSEGV, &sa, NULL);
	sigaltstack(&st, NULL);
#define TRY(fn) try(#fn, fn)
	TRY(nothing);
	TRY(rip_not_canonical);
	CHECK(segv_rip == (long long)0x8000000000000000);
	TRY(rip_in_kernel);
	TRY(cs_kernel);
	TRY(ss_wrong);
	TRY(flags_all);
	TRY(xstate_unknown);
	TRY(xstate_compacted);
	TRY(xstate_reserved);
	/* SIGSEGV, but not on every emulated processor */
	try(NULL, mxcsr_reserved);
	try(NULL, mxcsr_in_legacy_only);
	TRY(no_magic1);
	TRY(no_magic2);
	TRY(size_huge);
	TRY(features_none);
	TRY(fp_null);
	TRY(fp_unaligned);
	TRY(fp_legacy_by_16);
	TRY(fp_whole_by_16);
	TRY(fp_unmapped);
	TRY(fp_in_kernel);
	TRY(stack_nonsense);
	TRY(mask_everything);
	out_of_the_blue();
	return check_done();
}
