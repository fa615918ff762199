/* SPDX-License-Identifier: MIT */
/* What a handler finds on its stack, and what becomes of what it changes there. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#include "check.h"

#define FP_MAGIC1 0x46505853u
#define FP_MAGIC2 0x46505845u

static ucontext_t seen;
static siginfo_t seen_info;
static uintptr_t frame_at, fp_at, info_at;
static unsigned int sw[12], magic2;
static unsigned short handler_fcw;
static unsigned int handler_mxcsr;
static uint64_t handler_flags;
static char altstack[65536];

static void on_signal(int sig, siginfo_t *info, void *arg)
{
	ucontext_t *uc = arg;
	char *fp = (char *)uc->uc_mcontext.fpregs;

	__asm__ volatile("fnstcw %0; stmxcsr %1; pushfq; popq %2"
			 : "=m"(handler_fcw), "=m"(handler_mxcsr), "=r"(handler_flags));
	seen = *uc;
	seen_info = *info;
	frame_at = (uintptr_t)uc - 8;
	info_at = (uintptr_t)info;
	fp_at = (uintptr_t)fp;
	memcpy(sw, fp + 464, sizeof(sw));
	memcpy(&magic2, fp + sw[4], sizeof(magic2));
}

static void install(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};

	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void layout(void)
{
	uint64_t rsp;

	install(SIGUSR1, on_signal, 0);
	CHECK(raise(SIGUSR1) == 0);
	__asm__("mov %%rsp, %0" : "=r"(rsp));
	CHECK(frame_at % 16 == 8);
	CHECK(info_at - frame_at == 312);
	CHECK(fp_at % 64 == 0 && fp_at > frame_at + 440 && fp_at - frame_at < 440 + 88);
	CHECK(seen.uc_mcontext.gregs[REG_RSP] - (long long)fp_at >= 128 + (long long)sw[1]);
	CHECK(seen.uc_flags == 7 && seen.uc_link == NULL);
	CHECK((seen.uc_mcontext.gregs[REG_CSGSFS] & 0xffff) == 0x33);
	CHECK(((uint64_t)seen.uc_mcontext.gregs[REG_CSGSFS] >> 48) == 0x2b);
	CHECK(sw[0] == FP_MAGIC1 && magic2 == FP_MAGIC2);
	CHECK(sw[1] == sw[4] + 4 && sw[4] >= 576 && (sw[2] & 3) == 3);
	CHECK(seen_info.si_signo == SIGUSR1 && seen_info.si_code == SI_TKILL);
	CHECK(seen_info.si_pid == getpid() && seen_info.si_uid == getuid());
	CHECK(handler_fcw == 0x37f && handler_mxcsr == 0x1f80);
}

static volatile double x = 1.5;

/* Floating point state is the interrupted function's again afterwards, vector registers too. */
static void fpu_survives(void)
{
	static const unsigned int pattern[4] = {1, 2, 3, 0xdeadbeef};
	unsigned int after[4], mxcsr = 0x1f80 | 0x6000, mxcsr_after;
	unsigned short fcw = 0xc7f, fcw_after;
	long nr = SYS_kill, pid = getpid(), sig = SIGUSR1;

	__asm__ volatile("fldcw %[fcw]; ldmxcsr %[mxcsr]; movdqu %[pattern], %%xmm7;"
			 "fldl %[x]; syscall; fstpl %[x];"
			 "movdqu %%xmm7, %[after]; fnstcw %[fcw_after]; stmxcsr %[mxcsr_after]"
			 : "+a"(nr), [after] "=m"(after), [fcw_after] "=m"(fcw_after),
			   [mxcsr_after] "=m"(mxcsr_after), [x] "+m"(x)
			 : "D"(pid),
			   "S"(sig), [fcw] "m"(fcw), [mxcsr] "m"(mxcsr), [pattern] "m"(pattern)
			 : "rcx", "r11", "xmm7", "memory");
	CHECK(nr == 0);
	CHECK(!memcmp(after, pattern, sizeof(after)));
	CHECK(fcw_after == fcw && mxcsr_after == mxcsr && x == 1.5);
	CHECK(handler_fcw == 0x37f && handler_mxcsr == 0x1f80);
	mxcsr = 0x1f80;
	fcw = 0x37f;
	__asm__ volatile("fldcw %0; ldmxcsr %1" ::"m"(fcw), "m"(mxcsr));
}

static void on_edit(int sig, siginfo_t *info, void *arg)
{
	ucontext_t *uc = arg;
	unsigned int *xmm0 = (unsigned int *)((char *)uc->uc_mcontext.fpregs + 160);
	unsigned long *xstate_bv = (unsigned long *)((char *)uc->uc_mcontext.fpregs + 512);

	uc->uc_mcontext.gregs[REG_RBX] = 0x1234567890;
	uc->uc_mcontext.gregs[REG_R15] = -1;
	uc->uc_mcontext.gregs[REG_RCX] = 0x5555;
	uc->uc_mcontext.gregs[REG_R11] = 0x6666;
	/* carry and direction may be changed; interrupt flag and IO privilege may not */
	uc->uc_mcontext.gregs[REG_EFL] |= 1;
	uc->uc_mcontext.gregs[REG_EFL] &= ~0x200ll;
	uc->uc_mcontext.gregs[REG_EFL] |= 0x3000;
	xmm0[0] = 77;
	*xstate_bv |= 2;
}

static void edited_context(void)
{
	long nr = SYS_kill, pid = getpid(), sig = SIGUSR2;
	uint64_t rbx = 0, r15, rcx, r11, flags;
	unsigned int xmm0[4];

	install(SIGUSR2, on_edit, 0);
	__asm__ volatile("mov %%rbx, %%r14; pxor %%xmm0, %%xmm0; clc; syscall;"
			 "pushfq; popq %[flags]; mov %%rbx, %[rbx]; mov %%r14, %%rbx;"
			 "mov %%r15, %[r15]; mov %%rcx, %[rcx]; mov %%r11, %[r11];"
			 "movdqu %%xmm0, %[xmm0]"
			 : "+a"(nr), [flags] "=&m"(flags), [rbx] "=&m"(rbx), [r15] "=&m"(r15),
			   [rcx] "=&m"(rcx), [r11] "=&m"(r11), [xmm0] "=&m"(xmm0)
			 : "D"(pid), "S"(sig)
			 : "rcx", "r11", "r14", "r15", "xmm0", "memory", "cc");
	CHECK(nr == 0);
	CHECK(rbx == 0x1234567890 && r15 == ~0ull && rcx == 0x5555 && r11 == 0x6666);
	CHECK(xmm0[0] == 77 && xmm0[1] == 0);
	CHECK((flags & 1) && (flags & 0x200) && !(flags & 0x3000));
}

static void on_direction(int sig)
{
	__asm__ volatile("pushfq; popq %0" : "=r"(handler_flags));
}

static void flags_at_entry(void)
{
	long nr = SYS_kill, pid = getpid(), sig = SIGHUP;
	uint64_t flags;

	signal(SIGHUP, on_direction);
	__asm__ volatile("std; syscall; pushfq; cld; popq %1"
			 : "+a"(nr), "=r"(flags)
			 : "D"(pid), "S"(sig)
			 : "rcx", "r11", "memory", "cc");
	CHECK(!(handler_flags & 0x400) && (flags & 0x400));
}

static void on_altstack(int sig, siginfo_t *info, void *arg)
{
	ucontext_t *uc = arg;
	char here;
	stack_t st = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;

	CHECK(&here > altstack && &here < altstack + sizeof(altstack));
	CHECK(uc->uc_stack.ss_sp == altstack && uc->uc_stack.ss_size == sizeof(altstack));
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_ONSTACK);
	CHECK_ERR(sigaltstack(&st, NULL), EPERM);
	on_signal(sig, info, arg);
	if (sig == SIGUSR1)
		raise(SIGUSR2); /* nests on the same stack */
}

static void alternate_stack(void)
{
	stack_t st = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;

	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE && !old.ss_size);
	CHECK(sigaltstack(&st, NULL) == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == 0 && old.ss_sp == altstack);
	install(SIGUSR1, on_altstack, SA_ONSTACK);
	install(SIGUSR2, on_altstack, SA_ONSTACK);
	CHECK(raise(SIGUSR1) == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == 0);
	st.ss_size = 2047;
	CHECK_ERR(sigaltstack(&st, NULL), ENOMEM);
	st.ss_flags = 16;
	CHECK_ERR(sigaltstack(&st, NULL), EINVAL);
	CHECK_ERR(sigaltstack(BAD_POINTER, NULL), EFAULT);
	st = (stack_t){.ss_flags = SS_DISABLE};
	CHECK(sigaltstack(&st, &old) == 0 && old.ss_sp == altstack);
}

static void autodisarm(void)
{
	stack_t st = {.ss_sp = altstack, .ss_size = sizeof(altstack), .ss_flags = (int)(1u << 31)};
	stack_t old;

	CHECK(sigaltstack(&st, NULL) == 0);
	install(SIGUSR1, on_signal, SA_ONSTACK);
	CHECK(raise(SIGUSR1) == 0);
	CHECK(frame_at > (uintptr_t)altstack &&
	      frame_at < (uintptr_t)(altstack + sizeof(altstack)));
	CHECK(seen.uc_stack.ss_flags == (int)(1u << 31));
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == (int)(1u << 31));
	st = (stack_t){.ss_flags = SS_DISABLE};
	CHECK(sigaltstack(&st, NULL) == 0);
}

int main(void)
{
	layout();
	fpu_survives();
	edited_context();
	flags_at_entry();
	alternate_stack();
	autodisarm();
	puts("frames");
	return check_done();
}
