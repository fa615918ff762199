/* SPDX-License-Identifier: MIT */
/*
 * Guests that mean harm, within the means of CPL 3: each ends with an exit, the VMM gets the vCPU
 * back, and the next program on it runs as if nothing had happened.
 */
#include "test_kvm_rig.h"

#define FLAGS_TF   0x100ull
#define FLAGS_AC   0x40000ull
#define FLAGS_USER 0x240dd5ull /* without RF, which PUSHF never shows */

/* A SYSCALL with any RSP at all: nothing may be pushed there. */
static void test_syscall_with_a_wild_stack(void **state)
{
	static const u64 wild[] = {0,
				   1,
				   RIG_HOLE,
				   0x7fffffffffff,
				   0x800000000000,
				   0xdeadbeef00000001,
				   0xffff800000000000,
				   ~0ull};

	for (size_t i = 0; i < TK_ARRAY_SIZE(wild); i++) {
		struct tk_uregs before;

		rig_load(&rig, syscall_twice);
		rig.r->rsp = wild[i];
		before = *rig.r;
		for (u64 call = 1; call <= 3; call++) {
			rig_expect(&rig, TK_EXIT_SYSCALL);
			before.rip = before.rcx = RIG_CODE + 2 * call;
			before.r11 = before.rflags;
			assert_memory_equal(rig.r, &before, sizeof(before));
		}
	}
}

GUEST(flags_to_rbx, "pushfq\npop %rbx\nsyscall\npushfq\npop %rbx\nsyscall\nud2\n");

static void test_flags_that_are_not_a_programs_are_dropped(void **state)
{
	const u64 hostile = ~FLAGS_TF & ~FLAGS_AC; /* the two that trap by themselves */

	/* a fresh start, after a system call, after a fault */
	rig_load(&rig, flags_to_rbx);
	rig.r->rflags = hostile;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rbx, (hostile & FLAGS_USER) | 0x202);
	rig.r->rflags = hostile;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rbx, (hostile & FLAGS_USER) | 0x202);
	expect_fault(6, 0);
	rig.r->rip = RIG_CODE;
	rig.r->rflags = hostile;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rbx, (hostile & FLAGS_USER) | 0x202);
	rig.r->rflags = hostile;
	tk_vcpu_resume_full(rig.vcpu);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rbx, (hostile & FLAGS_USER) | 0x202);
}

static void test_a_rip_that_is_not_canonical_is_a_gp(void **state)
{
	static const u64 bad[] = {0x800000000000, 0x8000000000000000, 0xffff7fffffffffff};

	for (size_t i = 0; i < TK_ARRAY_SIZE(bad); i++) {
		rig_load(&rig, syscall_twice);
		rig_expect(&rig, TK_EXIT_SYSCALL);
		rig.r->rip = bad[i];
		rig.r->r11 = 5;
		expect_fault(13, 0);
		assert_int_equal(rig.r->rip, bad[i]);
		assert_int_equal(rig.r->r11, 5);
		rig_load(&rig, undefined);
		expect_fault(6, 0);
		rig.r->rip = bad[i];
		expect_fault(13, 0);
		expect_fault(13, 0);
		rig_load(&rig, syscall_twice);
		rig_expect(&rig, TK_EXIT_SYSCALL);
	}
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	rig.r->rip = 0xffffffff80000000;
	expect_vector(14);
	assert_int_equal(rig.r->rip, 0xffffffff80000000);
}

/* Every page of the kernel area: not writable, not readable but the vDSO's, not executable but
 * the entry and the vDSO. */
static void try_kernel_page(gva_t va, bool readable, bool executable)
{
	LOAD_WITH_RBX(write_rbx, va + 64);
	expect_vector(14);
	assert_int_equal(rig.exit.cr2, va + 64);
	assert_int_equal(rig.exit.error_code & 6, 6);
	LOAD_WITH_RBX(read_rbx, va + 64);
	if (readable) {
		rig_expect(&rig, TK_EXIT_SYSCALL);
	} else {
		expect_vector(14);
		assert_int_equal(rig.exit.error_code & 6, 4);
	}
	if (executable)
		return;
	LOAD_WITH_RBX(jump_rbx, va + 64);
	expect_vector(14);
	assert_int_equal(rig.exit.error_code & 0x14, 0x14);
}

static void test_kernel_area_is_closed(void **state)
{
	static const u64 supervisor[] = {
		0, TK_AREA_STUBS, TK_AREA_GDT, TK_AREA_TSS, TK_STACKS_VA - TK_KERNEL_VA,
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(supervisor); i++)
		try_kernel_page(TK_KERNEL_VA + supervisor[i], false, false);
	if (tk_vm_vdso(rig.vm)) {
		try_kernel_page(TK_VVAR_VA, true, false);
		try_kernel_page(TK_VDSO_VA, true, true);
	}
	if (!PVM) {
		try_kernel_page(TK_SHIM_ALIAS_VA, false, false);
		try_kernel_page(TK_GIVEN_ALIAS_VA, false, false);
	}
	try_kernel_page(ENTRY_VA, true, true);
	try_kernel_page(TK_KERNEL_VA + TK_AREA_FAST, true, true);
	try_kernel_page(TK_GIVEN_VA, true, false);
	try_kernel_page(RELOAD_VA, true, true);
}

static void test_jump_to_each_stub_is_a_page_fault(void **state)
{
	for (u64 off = 0; off < TK_STUB_ENTER + 3; off += 2) {
		LOAD_WITH_RBX(jump_rbx, STUBS_VA + off);
		expect_page_fault(0x15, STUBS_VA + off);
	}
}

/* The entry page is a system call whose return address the program chose. */
static void test_jump_to_the_entry_page_is_a_system_call(void **state)
{
	static const u64 targets[] = {RIG_CODE + 2, 0x8000000000000000, STUBS_VA, 0, ENTRY_VA};

	for (size_t i = 0; i < TK_ARRAY_SIZE(targets); i++) {
		LOAD_WITH_RBX(jump_rbx, ENTRY_VA);
		rig.r->rcx = targets[i];
		rig.r->r11 = ~0x100ull;
		rig_expect(&rig, TK_EXIT_SYSCALL);
		assert_int_equal(rig.r->rip, targets[i]);
		rig_run(&rig);
		assert_true(rig.exit.kind == TK_EXIT_FAULT || targets[i] == ENTRY_VA);
	}
	/* INT3 is a trap: behind the last one other code begins (test_kvm_shim.c). */
	for (u64 off = PVM ? 1 : 5; off < TK_ENTRY_SHIM - 1; off++) {
		LOAD_WITH_RBX(jump_rbx, ENTRY_VA + off);
		rig_expect(&rig, TK_EXIT_FAULT);
	}
}

/* Whatever it loads is the program's own affair, and every stray byte a trap or the same. */
static void test_a_jump_to_the_reload_page_harms_nobody(void **state)
{
	for (u64 off = 0; off < 0x80; off++) {
		LOAD_WITH_RBX(jump_rbx, RELOAD_VA + off);
		rig.r->rcx = RIG_CODE + 2;
		rig_run(&rig);
		assert_int_not_equal(rig.exit.kind, TK_EXIT_FAILED);
		assert_int_not_equal(rig.exit.kind, TK_EXIT_SHUTDOWN);
		rig_load(&rig, syscall_twice);
		rig_expect(&rig, TK_EXIT_SYSCALL);
	}
}

GUEST(out_dx, "out %al, %dx\nsyscall\n");
GUEST(out_dx_long, "out %eax, %dx\nsyscall\n");
GUEST(in_dx, "in %dx, %al\nsyscall\n");
GUEST(outs_dx, "mov $4, %ecx\nlea -64(%rsp), %rsi\nrep outsb\nsyscall\n");
GUEST(ins_dx, "mov $4, %ecx\nlea -64(%rsp), %rdi\nrep insb\nsyscall\n");

static void try_port(const u8 *code, const u8 *end, unsigned int port)
{
	rig_load_code(&rig, code, (size_t)(end - code));
	rig.r->rdx = port;
	rig_run(&rig);
	if (rig.exit.kind == TK_EXIT_FAULT && rig.exit.vector == 13)
		return;
	if (!PVM || port != TK_PORT_SYSCALL || rig.exit.kind != TK_EXIT_ALIEN)
		fail_msg("port 0x%x: %s", port, tk_exit_name(rig.exit.kind));
}

static void test_no_port_is_the_programs(void **state)
{
	static const unsigned int ports[] = {0,	   0x0f, 0x10,	0x11,  0x12,  0x20,
					     0x2e, 0x3f, 0x60,	0x7e,  0x80,  0xb7,
					     0xb8, 0xc0, 0x3f8, 0xcf8, 0xffff};

	for (size_t i = 0; i < TK_ARRAY_SIZE(ports); i++) {
		try_port(out_dx, out_dx_end, ports[i]);
		try_port(in_dx, in_dx_end, ports[i]);
	}
	try_port(out_dx_long, out_dx_long_end, TK_PORT_SYSCALL);
	try_port(outs_dx, outs_dx_end, TK_PORT_SYSCALL);
	try_port(ins_dx, ins_dx_end, TK_PORT_SYSCALL);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
}

/* What KVM had half done must not show up in what the program does next. */
GUEST(read_wide, "movups (%rbx), %xmm0\nsyscall\n");

static void test_alien_exit_leaves_nothing_behind(void **state)
{
	/* KVM does it in pieces of eight bytes: two exits of its own */
	LOAD_WITH_RBX(read_wide, RIG_NOSLOT);
	rig_run(&rig);
	assert_true(rig.exit.kind == TK_EXIT_ALIEN || rig.exit.kind == TK_EXIT_FAULT);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rip, RIG_CODE + 2);
	LOAD_WITH_RBX(read_rbx, RIG_NOSLOT);
	rig_expect(&rig, TK_EXIT_ALIEN);
	assert_int_equal(rig.exit.kvm_reason, 6 /* KVM_EXIT_MMIO */);
	assert_int_equal(rig.r->rip, RIG_CODE);
	rig_load(&rig, syscall_twice);
	rig.r->r15 = 99;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rip, RIG_CODE + 2);
	assert_int_equal(rig.r->r15, 99);
}

/* Single-stepping, as Linux shows it to a program that sets TF itself. */
GUEST(step, "pushfq\norl $0x100, (%rsp)\npopfq\n" /* 9 bytes */
	    "nop\nnop\nsyscall\nnop\nnop\nud2\n");

static void expect_step(u64 offset)
{
	expect_fault(1, 0);
	assert_int_equal(rig.r->rip, RIG_CODE + offset);
}

static void test_single_step_over_syscall(void **state)
{
	rig_load(&rig, step);
	expect_step(10);
	expect_step(11);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rip, RIG_CODE + 13);
	assert_int_equal(rig.r->rflags & FLAGS_TF, FLAGS_TF);
	expect_step(14);
	expect_step(15);
	expect_fault(6, 0);
}

GUEST(mov_ss_syscall, "mov %ss, %eax\npushfq\norl $0x100, (%rsp)\npopfq\n"
		      "mov %eax, %ss\nsyscall\nnop\nud2\n");
GUEST(mov_ss_int3, "mov %ss, %eax\npushfq\norl $0x100, (%rsp)\npopfq\n"
		   "mov %eax, %ss\nint3\nnop\nud2\n");

static void run_to_ud2(void)
{
	for (int i = 0; i < 20; i++) {
		rig_run(&rig);
		if (rig.exit.kind == TK_EXIT_SYSCALL)
			continue;
		assert_int_equal(rig.exit.kind, TK_EXIT_FAULT);
		if (rig.exit.vector == 6)
			return;
		assert_true(rig.exit.vector == 1 || rig.exit.vector == 3);
	}
	fail();
}

static void test_mov_ss_shadow_with_single_step(void **state)
{
	rig_load(&rig, mov_ss_syscall);
	run_to_ud2();
	rig_load(&rig, mov_ss_int3);
	run_to_ud2();
}

GUEST(load_segments, "mov %ax, %ds\nmov %ax, %es\nmov %ax, %gs\nmov %cs, %ebx\nmov %ss, %ebp\n"
		     "mov %ds, %r12d\nsyscall\n");
GUEST(load_ds, "mov %ax, %ds\nsyscall\n");
GUEST(load_ss, "mov %ax, %ss\nsyscall\n");
GUEST(far_return, "pushq %rax\nlea 1f(%rip), %rbx\npushq %rbx\nlretq\n1:nop\nsyscall\n");
GUEST(user_iretq, "mov %rsp, %rbx\npushq %rax\npushq %rbx\npushq $0x202\npushq %rdx\n"
		  "lea 1f(%rip), %rbx\npushq %rbx\niretq\n1:nop\nsyscall\n");

static void test_segments_are_linux_like(void **state)
{
	rig_load(&rig, load_segments);
	rig.r->rax = TK_SEL_USER_SS;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal((u16)rig.r->rbx, TK_SEL_USER_CS);
	assert_int_equal((u16)rig.r->rbp, TK_SEL_USER_SS);
	assert_int_equal((u16)rig.r->r12, TK_SEL_USER_SS);
	rig_load(&rig, load_segments);
	rig.r->rax = 0;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal((u16)rig.r->r12, 0);
}

/* Whatever selector a program loads, the VMM gets it back to where it was told to go. */
static void test_hostile_selectors_stay_the_programs_problem(void **state)
{
	for (u64 sel = 0; sel < 0x60; sel++) {
		rig_load(&rig, load_ds);
		rig.r->rax = sel;
		rig_run(&rig);
		assert_true(rig.exit.kind == TK_EXIT_SYSCALL || rig.exit.kind == TK_EXIT_FAULT);
		rig_load(&rig, load_ss);
		rig.r->rax = sel;
		rig_run(&rig);
		assert_true(rig.exit.kind == TK_EXIT_SYSCALL || rig.exit.kind == TK_EXIT_FAULT);
	}
	rig_load(&rig, load_segments);
	rig.r->rax = 0;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal((u16)rig.r->rbp, TK_SEL_USER_SS);
}

static void test_no_way_to_another_code_segment(void **state)
{
	static const u64 selectors[] = {0,
					8,
					TK_SEL_KERNEL_CS,
					TK_SEL_KERNEL_CS | 3,
					0x18,
					0x1b,
					TK_SEL_USER32_CS,
					TK_SEL_TSS,
					7,
					0x3b,
					0xfff8};

	for (size_t i = 0; i < TK_ARRAY_SIZE(selectors); i++) {
		rig_load(&rig, far_return);
		rig.r->rax = selectors[i];
		rig_run(&rig);
		if (rig.exit.kind != TK_EXIT_FAULT)
			fail_msg("lretq to cs 0x%llx: %s", (unsigned long long)selectors[i],
				 tk_exit_name(rig.exit.kind));
		rig_load(&rig, user_iretq);
		rig.r->rax = TK_SEL_USER_SS;
		rig.r->rdx = selectors[i];
		rig_run(&rig);
		assert_int_equal(rig.exit.kind, TK_EXIT_FAULT);
	}
	rig_load(&rig, user_iretq);
	rig.r->rax = TK_SEL_USER_SS;
	rig.r->rdx = TK_SEL_USER_CS;
	rig_run(&rig);
	/* QEMU reads the frame with supervisor rights, and trips over SMAP */
	if (rig.exit.kind != TK_EXIT_FAULT || rig.exit.vector != 14 || rig.exit.error_code & 4)
		assert_int_equal(rig.exit.kind, TK_EXIT_SYSCALL);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
}

GUEST(privileged_1, "mov %rax, %cr3\n");
GUEST(privileged_2, "mov %cr2, %rax\n");
GUEST(privileged_3, "mov %rax, %dr7\n");
GUEST(privileged_4, "lgdt (%rsp)\n");
GUEST(privileged_5, "wrmsr\n");
GUEST(privileged_6, "rdmsr\n");
GUEST(privileged_7, "swapgs\n");
GUEST(privileged_8, "sysretq\n");
GUEST(privileged_9, "invlpg (%rax)\n");
GUEST(privileged_10, "ltr %ax\n");
GUEST(privileged_11, "xsetbv\n");
GUEST(privileged_12, "wbinvd\n");

static void test_privileged_instructions_fault(void **state)
{
	static const struct {
		const u8 *code, *end;
	} cases[] = {
#define C(n) {privileged_##n, privileged_##n##_end}
		C(1), C(2), C(3), C(4), C(5), C(6), C(7), C(8), C(9), C(10), C(11), C(12),
#undef C
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(cases); i++) {
		rig_load_code(&rig, cases[i].code, (size_t)(cases[i].end - cases[i].code));
		rig.r->rax = rig.r->rcx = rig.r->rdx = 0;
		expect_fault(13, 0);
		assert_int_equal(rig.r->rip, RIG_CODE);
	}
}

/* Not the program's, not an unbounded loop and not the end of us: hypercalls, SYSENTER, VMX, SMM.
 */
GUEST(odd_1, "vmcall\n");
GUEST(odd_2, "vmmcall\n");
GUEST(odd_3, "sysenter\n");
GUEST(odd_4, "rsm\n");
GUEST(odd_5, "getsec\n");
GUEST(odd_6, "mwait\n");
GUEST(odd_7, "vmrun\n");
GUEST(odd_8, "clgi\n");
GUEST(odd_9, "rdpmc\n");

static void test_odd_instructions_stay_inside(void **state)
{
	static const struct {
		const u8 *code, *end;
	} cases[] = {
#define C(n) {odd_##n, odd_##n##_end}
		C(1), C(2), C(3), C(4), C(5), C(6), C(7), C(8), C(9),
#undef C
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(cases); i++) {
		rig_load_code(&rig, cases[i].code, (size_t)(cases[i].end - cases[i].code));
		rig_expect(&rig, TK_EXIT_FAULT);
	}
}

/* Page tables that lead nowhere: the guest's end, told by an exit, and for good. */
static void test_triple_fault_is_an_exit(void **state)
{
	struct rig bad = rig;
	struct tkvm_error err;
	struct tk_uregs regs = {.rip = RIG_CODE};

	assert_int_equal(tk_vcpu_create(&bad.vcpu, rig.vm, TK_GPA_MEMORY + 4096, &regs, 0, &err),
			 0);
	memset(rig.mem + 4096, 0, 4096);
	rig_run(&bad);
	assert_true(bad.exit.kind == TK_EXIT_SHUTDOWN || bad.exit.kind == TK_EXIT_FAILED);
	tk_vcpu_run(bad.vcpu, &bad.exit);
	assert_int_equal(bad.exit.kind, TK_EXIT_FAILED);
	tk_vcpu_destroy(bad.vcpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_syscall_with_a_wild_stack),
		RIG_TEST(test_flags_that_are_not_a_programs_are_dropped),
		RIG_TEST(test_a_rip_that_is_not_canonical_is_a_gp),
		RIG_TEST(test_kernel_area_is_closed),
		RIG_TEST(test_jump_to_each_stub_is_a_page_fault),
		RIG_TEST(test_jump_to_the_entry_page_is_a_system_call),
		RIG_TEST(test_a_jump_to_the_reload_page_harms_nobody),
		RIG_TEST(test_no_port_is_the_programs),
		RIG_TEST(test_alien_exit_leaves_nothing_behind),
		RIG_TEST(test_single_step_over_syscall),
		RIG_TEST(test_mov_ss_shadow_with_single_step),
		RIG_TEST(test_segments_are_linux_like),
		RIG_TEST(test_hostile_selectors_stay_the_programs_problem),
		RIG_TEST(test_no_way_to_another_code_segment),
		RIG_TEST(test_privileged_instructions_fault),
		RIG_TEST(test_odd_instructions_stay_inside),
		RIG_TEST(test_triple_fault_is_an_exit),
	};

	return cmocka_run_group_tests(tests, rig_open_kvm, rig_close_kvm);
}
