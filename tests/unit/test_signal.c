/* SPDX-License-Identifier: MIT */
/* Queues, dispositions and frames on a fake process: what programs cannot easily bring about. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "task/sigframe.h"
#include "task/xstate.h"

#define RESTORER 0x04000000
#define HANDLER	 0x401000
#define XCR0	 7

struct fixture {
	struct fake_proc fake;
	u8 xsave[4096];
	int full;   /* how often all registers were asked to be loaded */
	int refuse; /* errno of the next set_xsave */
};

static int get_xsave(void *cpu, void *area, size_t size)
{
	memcpy(area, ((struct fixture *)cpu)->xsave, size);
	return 0;
}

static int set_xsave(void *cpu, const void *area, size_t size)
{
	struct fixture *f = cpu;

	if (f->refuse)
		return -f->refuse;
	memcpy(f->xsave, area, size);
	return 0;
}

static void resume_full(void *cpu)
{
	((struct fixture *)cpu)->full++;
}

static const struct tk_cpu_ops ops = {
	.get_xsave = get_xsave,
	.set_xsave = set_xsave,
	.resume_full = resume_full,
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct tk_task *task;
	gva_t stack;

	fake_init(&f->fake);
	task = f->fake.task;
	task->cpu_ops = &ops;
	task->cpu = f;
	task->xsave_size = sizeof(f->xsave);
	f->fake.proc.xcr0 = XCR0;
	f->fake.proc.xstate_size = tk_xstate_size(XCR0);
	tk_xstate_init(f->xsave, sizeof(f->xsave));
	stack = fake_alloc(&f->fake, NULL, 65536);
	f->fake.regs = (struct tk_uregs){.rip = 0x400000, .rsp = stack + 65536, .rflags = 0x202};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_destroy(&f->fake);
	free(f);
	return 0;
}

static void handle(struct fixture *f, int sig, u64 flags)
{
	f->fake.proc.sig.actions[sig] = (struct tk_sigaction){
		.handler = HANDLER, .flags = RESTORER | flags, .restorer = 0x402000};
}

static int kill_self(struct fixture *f, int sig)
{
	struct tk_siginfo info = tk_siginfo_user(sig, SI_USER, TK_GUEST_PID, 1000);

	return tk_signal_proc(&f->fake.proc, &info);
}

static void test_frame_round_trip(void **state)
{
	struct fixture *f = *state;
	struct tk_uregs before;
	u8 xsave[sizeof(f->xsave)];

	for (int i = 0; i < 18; i++)
		if (i != 6 && i < 16)
			((u64 *)&f->fake.regs)[i] = 0x1111111111111111ull * (u64)i;
	memset(f->xsave + 160, 0x77, 64);
	f->xsave[512] = 3;
	before = f->fake.regs;
	f->xsave[513] = 2; /* a state that KVM adds and the guest does not have */
	memcpy(xsave, f->xsave, sizeof(xsave));
	xsave[513] = 0;
	handle(f, SIGUSR1, SA_SIGINFO);
	kill_self(f, SIGUSR1);
	tk_signal_deliver(f->fake.task);
	assert_int_equal(f->fake.regs.rip, HANDLER);
	assert_int_equal(f->fake.regs.rdi, SIGUSR1);
	assert_int_equal(f->fake.regs.rsp % 16, 8);
	assert_int_equal(f->fake.task->sig.blocked, TK_SIGBIT(SIGUSR1));
	assert_int_equal(f->xsave[160], 0);
	f->fake.regs.rsp += 8; /* the handler's return */
	assert_int_equal(tk_sigframe_pop(f->fake.task), 0);
	assert_memory_equal(&f->fake.regs, &before, sizeof(before));
	assert_memory_equal(f->xsave, xsave, sizeof(xsave));
	assert_int_equal(f->fake.task->sig.blocked, 0);
	assert_true(f->full >= 2);
}

static void test_two_frames_at_once(void **state)
{
	struct fixture *f = *state;

	handle(f, SIGUSR1, 0);
	handle(f, SIGUSR2, 0);
	kill_self(f, SIGUSR2);
	kill_self(f, SIGUSR1);
	tk_signal_deliver(f->fake.task);
	/* the last one built runs first and returns into the other */
	assert_int_equal(f->fake.regs.rdi, SIGUSR2);
	f->fake.regs.rsp += 8;
	assert_int_equal(tk_sigframe_pop(f->fake.task), 0);
	assert_int_equal(f->fake.regs.rip, HANDLER);
	assert_int_equal(f->fake.regs.rdi, SIGUSR1);
}

static void expect_death(struct fixture *f, int sig)
{
	tk_signal_deliver(f->fake.task);
	assert_true(f->fake.proc.exiting);
	assert_int_equal(f->fake.proc.term_signal, sig);
}

static void test_no_room_for_a_frame_kills(void **state)
{
	struct fixture *f = *state;

	handle(f, SIGUSR1, 0);
	f->fake.regs.rsp = 0x1000;
	kill_self(f, SIGUSR1);
	expect_death(f, SIGSEGV);
}

static void test_no_room_for_sigsegv_either(void **state)
{
	struct fixture *f = *state;

	handle(f, SIGSEGV, 0);
	f->fake.regs.rsp = 8;
	tk_signal_fault(f->fake.task, SIGSEGV, SEGV_MAPERR, 0, 14, 4, 0);
	expect_death(f, SIGSEGV);
}

static void test_sigsegv_on_alternate_stack_survives_bad_stack(void **state)
{
	struct fixture *f = *state;
	gva_t alt = fake_alloc(&f->fake, NULL, 16384);

	handle(f, SIGUSR1, 0);
	handle(f, SIGSEGV, SA_ONSTACK);
	assert_int_equal(tk_altstack_set(f->fake.task, alt, 0, 16384), 0);
	f->fake.regs.rsp = 0x1000;
	kill_self(f, SIGUSR1);
	tk_signal_deliver(f->fake.task);
	assert_false(f->fake.proc.exiting);
	assert_int_equal(f->fake.regs.rdi, SIGSEGV);
	assert_true(f->fake.regs.rsp > alt && f->fake.regs.rsp < alt + 16384);
}

static void test_alternate_stack_overflow_kills(void **state)
{
	struct fixture *f = *state;
	gva_t alt = fake_alloc(&f->fake, NULL, 16384);

	handle(f, SIGUSR1, SA_ONSTACK | SA_NODEFER);
	assert_int_equal(tk_altstack_set(f->fake.task, alt, 0, 2048), 0);
	for (int i = 0; i < 4 && !f->fake.proc.exiting; i++) {
		kill_self(f, SIGUSR1);
		tk_signal_deliver(f->fake.task);
	}
	assert_int_equal(f->fake.proc.term_signal, SIGSEGV);
}

static void test_handler_without_restorer_kills(void **state)
{
	struct fixture *f = *state;

	handle(f, SIGUSR1, 0);
	f->fake.proc.sig.actions[SIGUSR1].flags = 0;
	kill_self(f, SIGUSR1);
	expect_death(f, SIGSEGV);
}

static void test_blocked_fault_kills(void **state)
{
	struct fixture *f = *state;

	handle(f, SIGFPE, 0);
	f->fake.task->sig.blocked = TK_SIGBIT(SIGFPE);
	tk_signal_fault(f->fake.task, SIGFPE, FPE_INTDIV, 0x400000, 0, 0, 0);
	expect_death(f, SIGFPE);
}

static void test_ignored_fault_kills(void **state)
{
	struct fixture *f = *state;

	f->fake.proc.sig.actions[SIGILL].handler = (u64)SIG_IGN;
	tk_signal_fault(f->fake.task, SIGILL, ILL_ILLOPN, 0x400000, 6, 0, 0);
	expect_death(f, SIGILL);
}

static void test_fault_comes_before_other_signals(void **state)
{
	struct fixture *f = *state;

	handle(f, SIGHUP, 0);
	handle(f, SIGSEGV, SA_SIGINFO);
	f->fake.proc.sig.actions[SIGSEGV].mask = ~0ull;
	kill_self(f, SIGHUP);
	tk_signal_fault(f->fake.task, SIGSEGV, SEGV_ACCERR, 0x5000, 14, 7, 0x5000);
	tk_signal_deliver(f->fake.task);
	assert_int_equal(f->fake.regs.rdi, SIGSEGV);
	assert_true(f->fake.proc.sig.shared.pending & TK_SIGBIT(SIGHUP));
}

static void interrupted(struct fixture *f, int code, u64 flags)
{
	handle(f, SIGUSR1, flags);
	kill_self(f, SIGUSR1);
	f->fake.task->nr = 0;
	f->fake.task->interrupted = code;
	f->fake.regs.rip = 0x400002;
	f->fake.regs.rax = 99;
	tk_signal_deliver(f->fake.task);
	f->fake.regs.rsp += 8;
	assert_int_equal(tk_sigframe_pop(f->fake.task), 0);
}

static void test_restart_only_if_asked_for(void **state)
{
	struct fixture *f = *state;

	interrupted(f, TK_ERESTARTSYS, SA_RESTART);
	assert_int_equal(f->fake.regs.rip, 0x400000);
	assert_int_equal(f->fake.regs.rax, 0);
	interrupted(f, TK_ERESTARTSYS, 0);
	assert_int_equal(f->fake.regs.rip, 0x400002);
	assert_int_equal(f->fake.regs.rax, (u64)-EINTR);
	interrupted(f, TK_ERESTARTNOHAND, SA_RESTART);
	assert_int_equal(f->fake.regs.rip, 0x400002);
	assert_int_equal(f->fake.regs.rax, (u64)-EINTR);
}

static void test_call_starts_over_if_no_handler_ran(void **state)
{
	struct fixture *f = *state;

	f->fake.task->nr = 35;
	f->fake.task->interrupted = TK_ERESTARTNOHAND;
	f->fake.regs.rip = 0x400002;
	tk_signal_deliver(f->fake.task);
	assert_int_equal(f->fake.regs.rip, 0x400000);
	assert_int_equal(f->fake.regs.rax, 35);
}

static void test_refused_xsave_is_a_fault_of_the_program(void **state)
{
	struct fixture *f = *state;

	handle(f, SIGUSR1, 0);
	kill_self(f, SIGUSR1);
	tk_signal_deliver(f->fake.task);
	f->fake.regs.rsp += 8;
	f->refuse = EINVAL;
	assert_int_equal(tk_sigframe_pop(f->fake.task), -EFAULT);
	assert_int_equal(FAKE(&f->fake, rt_sigreturn), TK_NO_RESULT);
	assert_true(f->fake.task->fault.pending);
}

static void test_flood_is_bounded(void **state)
{
	struct fixture *f = *state;
	int n = 0, rc = 0;

	f->fake.task->sig.blocked = ~0ull;
	while (n < 200000 && !rc) {
		struct tk_siginfo info = tk_siginfo_user(40, SI_QUEUE, 2, 0);

		rc = tk_signal_proc(&f->fake.proc, &info);
		n++;
	}
	assert_int_equal(rc, -EAGAIN);
	assert_true(n <= 65537);
	/* kill(2) still works, without its siginfo */
	assert_int_equal(kill_self(f, 41), 0);
	assert_true(f->fake.proc.sig.shared.pending & TK_SIGBIT(41));
	handle(f, 40, 0);
	f->fake.proc.sig.actions[40].handler = (u64)SIG_IGN;
	tk_signal_discard(&f->fake.proc, TK_SIGBIT(40));
	assert_int_equal(f->fake.proc.sig.queued, 0);
}

static void test_stop_and_continue_cancel_each_other(void **state)
{
	struct fixture *f = *state;

	f->fake.task->sig.blocked = TK_SIGBIT(SIGTSTP) | TK_SIGBIT(SIGCONT);
	kill_self(f, SIGTSTP);
	kill_self(f, SIGCONT);
	assert_int_equal(f->fake.proc.sig.shared.pending, TK_SIGBIT(SIGCONT));
	kill_self(f, SIGTSTP);
	assert_int_equal(f->fake.proc.sig.shared.pending, TK_SIGBIT(SIGTSTP));
	tk_sigmask_set(f->fake.task, 0);
	tk_signal_deliver(f->fake.task);
	assert_true(f->fake.proc.stopped);
	kill_self(f, SIGCONT);
	assert_false(f->fake.proc.stopped);
	kill_self(f, SIGSTOP);
	assert_true(f->fake.proc.stopped);
	kill_self(f, SIGKILL);
	assert_false(f->fake.proc.stopped);
	expect_death(f, SIGKILL);
}

static void test_temporary_mask_ends_with_the_call(void **state)
{
	struct fixture *f = *state;
	tk_sigset mask = 0;
	gva_t addr = fake_alloc(&f->fake, &mask, sizeof(mask));

	f->fake.task->sig.blocked = TK_SIGBIT(SIGUSR1);
	handle(f, SIGUSR1, 0);
	kill_self(f, SIGUSR1);
	assert_false(tk_signal_pending(f->fake.task));
	assert_int_equal(tk_sigmask_temp(f->fake.task, addr, 4), -EINVAL);
	assert_int_equal(tk_sigmask_temp(f->fake.task, 8, 8), -EFAULT);
	assert_int_equal(tk_sigmask_temp(f->fake.task, addr, 8), 0);
	assert_true(tk_signal_pending(f->fake.task));
	tk_signal_deliver(f->fake.task);
	f->fake.regs.rsp += 8;
	assert_int_equal(tk_sigframe_pop(f->fake.task), 0);
	assert_int_equal(f->fake.task->sig.blocked, TK_SIGBIT(SIGUSR1));
}

static void test_images_that_xrstor_would_refuse(void **state)
{
	u8 area[4096];
	struct tk_xstate_header *header = (void *)(area + TK_FXSAVE_SIZE);

	tk_xstate_init(area, sizeof(area));
	header->xstate_bv = 7;
	header->reserved[5] = 1; /* ignored by the processor, so cleared */
	assert_true(tk_xstate_check(area, sizeof(area), 7));
	assert_int_equal(header->reserved[5], 0);
	assert_false(tk_xstate_check(area, sizeof(area), 3));
	header->xcomp_bv = 1ull << 63;
	assert_false(tk_xstate_check(area, sizeof(area), 7));
	header->xcomp_bv = 0;
	area[27] = 0x80;
	assert_false(tk_xstate_check(area, sizeof(area), 7));
}

static void test_images_are_spelled_out(void **state)
{
	u8 area[4096];
	struct tk_xstate_header *header = (void *)(area + TK_FXSAVE_SIZE);
	u32 mxcsr = 0x7f80, now;

	memset(area, 0x55, sizeof(area));
	memcpy(area + 24, &mxcsr, sizeof(mxcsr));
	header->xstate_bv = 4;
	tk_xstate_select(area, 7);
	memcpy(&now, area + 24, sizeof(now));
	assert_int_equal(now, 0x7f80); /* XRSTOR loads it whatever XSTATE_BV says */
	assert_int_equal(header->xstate_bv, 7);
	assert_int_equal(area[0], 0x7f);
	assert_int_equal(area[160], 0);
	tk_xstate_select(area, 0);
	memcpy(&now, area + 24, sizeof(now));
	assert_int_equal(now, 0x1f80);
	assert_int_equal(header->xstate_bv, 3);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frame_round_trip),
		TEST(test_two_frames_at_once),
		TEST(test_no_room_for_a_frame_kills),
		TEST(test_no_room_for_sigsegv_either),
		TEST(test_sigsegv_on_alternate_stack_survives_bad_stack),
		TEST(test_alternate_stack_overflow_kills),
		TEST(test_handler_without_restorer_kills),
		TEST(test_blocked_fault_kills),
		TEST(test_ignored_fault_kills),
		TEST(test_fault_comes_before_other_signals),
		TEST(test_restart_only_if_asked_for),
		TEST(test_call_starts_over_if_no_handler_ran),
		TEST(test_refused_xsave_is_a_fault_of_the_program),
		TEST(test_flood_is_bounded),
		TEST(test_stop_and_continue_cancel_each_other),
		TEST(test_temporary_mask_ends_with_the_call),
		TEST(test_images_that_xrstor_would_refuse),
		TEST(test_images_are_spelled_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
