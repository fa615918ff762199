/* SPDX-License-Identifier: MIT */
/*
 * The engine on the real /dev/kvm, with guests of a few instructions. What is asserted holds for
 * both flavours unless a test says otherwise.
 */
#include <errno.h>
#include <immintrin.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include "test_kvm_rig.h"

#include "base/clock.h"
#include "kvm/kick.h"

static struct tk_kvm kvm;
static struct rig rig;

#define PVM	   (kvm.flavour == TK_FLAVOUR_PVM)
#define ENTRY_VA   ((u64)TK_KERNEL_VA + TK_AREA_ENTRY)
#define STUBS_VA   ((u64)TK_KERNEL_VA + TK_AREA_STUBS)
#define FLAGS_TF   0x100ull
#define FLAGS_USER 0x240dd5ull /* without RF, which PUSHF never shows */

/* INT n without a gate: PVM has the host's IDT in its way and says #UD. */
static void expect_no_gate(void)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	assert_int_equal(rig.exit.vector, PVM ? 6 : 13);
	/* the IDT bit; QEMU has its own idea of the vector's place beside it */
	assert_int_equal(rig.exit.error_code & 7, PVM ? 0 : 2);
}

static void expect_fault(unsigned int vector, u64 error_code)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	if (rig.exit.vector != vector || rig.exit.error_code != error_code)
		fail_msg("vector %u error 0x%llx, expected %u 0x%llx, rip 0x%llx", rig.exit.vector,
			 (unsigned long long)rig.exit.error_code, vector,
			 (unsigned long long)error_code, (unsigned long long)rig.r->rip);
}

static void expect_vector(unsigned int vector)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	assert_int_equal(rig.exit.vector, vector);
}

static void expect_page_fault(u64 error_code, gva_t cr2)
{
	expect_fault(14, error_code);
	assert_int_equal(rig.exit.cr2, cr2);
}

static void test_open_tells_what_it_found(void **state)
{
	assert_true(kvm.max_vcpus >= 1 && kvm.max_vcpus <= TK_MAX_VCPUS);
	assert_true(kvm.xsave_size >= 4096);
	assert_int_equal(kvm.xcr0 & 3, 3);
	assert_string_equal(tk_flavour_name(kvm.flavour), PVM ? "pvm" : "hardware");
	print_message("flavour %s, host TSC %d, CR4 %llx, XCR0 %llx\n",
		      tk_flavour_name(kvm.flavour), kvm.host_tsc, (unsigned long long)kvm.cr4,
		      (unsigned long long)kvm.xcr0);
}

static void test_capabilities_are_listed(void **state)
{
	struct tk_kvm_capability caps[64];
	size_t n = tk_kvm_capabilities(kvm.fd, caps, TK_ARRAY_SIZE(caps));

	assert_true(n > 10 && n < TK_ARRAY_SIZE(caps));
	for (size_t i = 0; i < n; i++) {
		assert_memory_equal(caps[i].name, "KVM_CAP_", 8);
		assert_true(strlen(caps[i].cost) > 10);
		assert_true(caps[i].present || !caps[i].needed);
	}
}

static void test_costs_are_measured(void **state)
{
	struct tk_kvm_costs costs = {-1, -1};
	struct tkvm_error err;

	assert_int_equal(tk_kvm_measure(&kvm, &costs, &err), 0);
	assert_true(costs.exit_ns > 100 && costs.exit_ns < 100000000);
	assert_true(costs.fault_ns >= 0);
	print_message("exit %lld ns, page fault %lld ns\n", (long long)costs.exit_ns,
		      (long long)costs.fault_ns);
}

/* Each register but RAX, RCX and R11 survives; those three are as SYSCALL defines. */
GUEST(syscall_twice, "syscall\nsyscall\nsyscall\n");

static void test_syscall_keeps_registers(void **state)
{
	struct tk_uregs before;

	rig_load(&rig, syscall_twice);
	before = *rig.r;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	before.rip = RIG_CODE + 2;
	before.rcx = before.rip;
	before.r11 = before.rflags;
	assert_memory_equal(rig.r, &before, sizeof(before));
	rig.r->rax = before.rax = (u64)-38;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	before.rip = before.rcx = RIG_CODE + 4;
	assert_memory_equal(rig.r, &before, sizeof(before));
}

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

GUEST(copy_rcx_r11, "syscall\nmov %rcx, %r14\nmov %r11, %r15\nmov %rsp, %r13\nsyscall\n");

static void test_resume_full_loads_every_register(void **state)
{
	u64 *gpr = (u64 *)rig.r;
	struct tk_uregs want;

	rig_load(&rig, copy_rcx_r11);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	for (u64 i = 0; i < 16; i++)
		gpr[i] = ~i << 8;
	rig.r->rsp = 0xdeadbeef00000001; /* not even canonical: it is the program's business */
	want = *rig.r;
	tk_vcpu_resume_full(rig.vcpu);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->r14, want.rcx);
	assert_int_equal(rig.r->r15, want.r11);
	assert_int_equal(rig.r->r13, want.rsp);
	assert_int_equal(rig.r->rax, want.rax);
	assert_int_equal(rig.r->rbx, want.rbx);
	assert_int_equal(rig.r->r12, want.r12);
}

static void test_hundreds_of_calls_in_a_row(void **state)
{
	for (int i = 0; i < 300; i++) {
		rig_load(&rig, syscall_twice);
		rig_expect(&rig, TK_EXIT_SYSCALL);
		assert_int_equal(rig.r->rip, RIG_CODE + 2);
	}
}

/* Exceptions: every one that a program can raise, precisely. */
GUEST(divide, "xor %ecx, %ecx\ndiv %ecx\n");
GUEST(breakpoint, "int3\n");
GUEST(icebp, ".byte 0xf1\n");
GUEST(overflow, ".byte 0xcd, 4\n");
GUEST(undefined, "ud2\n");
GUEST(privileged, "cli\n");
GUEST(halt, "hlt\n");
GUEST(int80, "int $0x80\n");
GUEST(int13, "int $13\n");
GUEST(int32, "int $0x20\n");
GUEST(noncanonical, "mov $0x8000000000000000, %rax\nmov (%rax), %rbx\n");
GUEST(noncanonical_stack, "mov $0x8000000000000000, %rsp\npush %rax\n");
GUEST(misaligned, "pushfq\norl $0x40000, (%rsp)\npopfq\nmov 1(%rsp), %rax\n");
GUEST(x87_error, "fninit\npushq $0x340\nfldcw (%rsp)\nfldz\nfldz\nfdivp\nfwait\n");
GUEST(sse_error, "pushq $0\nldmxcsr (%rsp)\nxorps %xmm0, %xmm0\ndivss %xmm0, %xmm0\n");

/* Undocumented for decades, and so it is treated: PVM leaves RIP on it, QEMU's SVM says #UD. */
static void expect_icebp(void)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	assert_true(rig.exit.vector == 1 || rig.exit.vector == 6);
	if (rig.r->rip == RIG_CODE)
		rig.r->rip++;
}

static void test_exceptions_arrive_precisely(void **state)
{
	static const struct {
		const char *name;
		const u8 *code, *end;
		unsigned int vector, error;
		u64 offset; /* of RIP from the start */
	} cases[] = {
		{"divide", divide, divide_end, 0, 0, 2},
		{"int1", icebp, icebp_end, 1, 0, 1},
		{"int3", breakpoint, breakpoint_end, 3, 0, 1},
		{"int $4", overflow, overflow_end, 4, 0, 2},
		{"ud2", undefined, undefined_end, 6, 0, 0},
		{"cli", privileged, privileged_end, 13, 0, 0},
		{"hlt", halt, halt_end, 13, 0, 0},
		{"int $0x80", int80, int80_end, 13, 0x80 * 8 + 2, 0},
		{"int $13", int13, int13_end, 13, 13 * 8 + 2, 0},
		{"int $0x20", int32, int32_end, 13, 0x20 * 8 + 2, 0},
		{"non-canonical", noncanonical, noncanonical_end, 13, 0, 10},
		{"non-canonical stack", noncanonical_stack, noncanonical_stack_end, 12, 0, 10},
		{"misaligned", misaligned, misaligned_end, 17, 0, 9},
		{"x87", x87_error, x87_error_end, 16, 0, 16},
		{"sse", sse_error, sse_error_end, 19, 0, 9},
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(cases); i++) {
		u64 rbx;

		rig_load_code(&rig, cases[i].code, (size_t)(cases[i].end - cases[i].code));
		rbx = rig.r->rbx;
		if (cases[i].code == icebp)
			expect_icebp();
		else if (cases[i].error)
			expect_no_gate();
		else
			expect_fault(cases[i].vector, cases[i].error);
		if (rig.r->rip != RIG_CODE + cases[i].offset)
			fail_msg("%s: rip 0x%llx", cases[i].name, (unsigned long long)rig.r->rip);
		assert_int_equal(rig.r->rbx, rbx);
	}
}

GUEST(read_rbx, "mov (%rbx), %r15\nsyscall\n");
GUEST(write_rbx, "mov %r15, (%rbx)\nsyscall\n");
GUEST(jump_rbx, "jmp *%rbx\n");

static void load_with_rbx(const u8 *code, const u8 *end, u64 rbx)
{
	rig_load_code(&rig, code, (size_t)(end - code));
	rig.r->rbx = rbx;
}
#define LOAD_WITH_RBX(name, rbx) load_with_rbx(name, name##_end, rbx)

static void test_page_faults_tell_address_and_cause(void **state)
{
	struct tk_uregs before;

	LOAD_WITH_RBX(read_rbx, RIG_HOLE + 123);
	before = *rig.r;
	expect_page_fault(0x4, RIG_HOLE + 123);
	rig.r->rflags &= ~0x10000ull; /* RF: faults push it set */
	assert_memory_equal(rig.r, &before, sizeof(before));

	LOAD_WITH_RBX(write_rbx, RIG_HOLE);
	expect_page_fault(0x6, RIG_HOLE);
	LOAD_WITH_RBX(write_rbx, RIG_RO + 8);
	expect_page_fault(0x7, RIG_RO + 8);
	LOAD_WITH_RBX(jump_rbx, RIG_DATA);
	expect_page_fault(0x15, RIG_DATA);
	assert_int_equal(rig.r->rip, RIG_DATA);
	LOAD_WITH_RBX(jump_rbx, RIG_HOLE);
	expect_page_fault(0x14, RIG_HOLE);
	LOAD_WITH_RBX(read_rbx, 0);
	expect_page_fault(0x4, 0);
	LOAD_WITH_RBX(read_rbx, 0xffff800000000000);
	expect_vector(14);
	assert_int_equal(rig.exit.cr2, 0xffff800000000000);
}

static void test_program_goes_on_after_a_fault(void **state)
{
	LOAD_WITH_RBX(read_rbx, RIG_HOLE);
	expect_page_fault(0x4, RIG_HOLE);
	rig.r->rbx = RIG_DATA + 16;
	memcpy(rig.mem + 4096 + 16, "\1\2\3\4\5\6\7\10", 8);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->r15, 0x0807060504030201);

	/* elsewhere, with all registers changed: a signal handler */
	LOAD_WITH_RBX(read_rbx, RIG_HOLE);
	expect_page_fault(0x4, RIG_HOLE);
	rig.r->rip = RIG_CODE + 3;
	rig.r->rcx = 77;
	rig.r->rsp = RIG_DATA + 0x800;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rip, RIG_CODE + 5);
	assert_int_equal(rig.r->rsp, RIG_DATA + 0x800);
}

GUEST(flags_to_rbx, "pushfq\npop %rbx\nsyscall\npushfq\npop %rbx\nsyscall\nud2\n");

static void test_flags_that_are_not_a_programs_are_dropped(void **state)
{
	const u64 hostile =
		~FLAGS_TF & ~0x40000ull; /* AC would fault on nothing here, but TF traps */

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
	try_kernel_page(ENTRY_VA, PVM, PVM);
}

static void test_jump_to_each_stub_is_a_page_fault(void **state)
{
	for (u64 off = 0; off < 0x240; off += 2) {
		LOAD_WITH_RBX(jump_rbx, STUBS_VA + off);
		expect_page_fault(0x15, STUBS_VA + off);
	}
}

/* PVM: the entry page is a system call whose return address the program chose. */
static void test_jump_to_the_entry_page_is_a_system_call(void **state)
{
	static const u64 targets[] = {RIG_CODE + 2, 0x8000000000000000, STUBS_VA, 0, ENTRY_VA};

	if (!PVM) {
		LOAD_WITH_RBX(jump_rbx, ENTRY_VA);
		expect_page_fault(0x14, ENTRY_VA);
		return;
	}
	for (size_t i = 0; i < TK_ARRAY_SIZE(targets); i++) {
		LOAD_WITH_RBX(jump_rbx, ENTRY_VA);
		rig.r->rcx = targets[i];
		rig.r->r11 = ~0x100ull;
		rig_expect(&rig, TK_EXIT_SYSCALL);
		assert_int_equal(rig.r->rip, targets[i]);
		rig_run(&rig);
		assert_true(rig.exit.kind == TK_EXIT_FAULT || targets[i] == ENTRY_VA);
	}
	for (u64 off = 1; off < 64; off++) {
		LOAD_WITH_RBX(jump_rbx, ENTRY_VA + off);
		rig_expect(&rig, TK_EXIT_FAULT);
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
static void test_alien_exit_leaves_nothing_behind(void **state)
{
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

GUEST(fs_gs, "mov %fs:0, %rax\nmov %gs:0, %rbx\nsyscall\njmp fs_gs\n");
GUEST(write_bases, "wrfsbase %rbx\nwrgsbase %rbp\nsyscall\n");

static void test_segment_bases(void **state)
{
	u64 base;

	memcpy(rig.mem + 4096 + 0x100, "fsfsfsf", 8);
	memcpy(rig.mem + 4096 + 0x200, "gsgsgsg", 8);
	rig_load(&rig, fs_gs);
	assert_int_equal(tk_vcpu_set_segbase(rig.vcpu, TK_FS_BASE, RIG_DATA + 0x100), 0);
	assert_int_equal(tk_vcpu_set_segbase(rig.vcpu, TK_GS_BASE, RIG_DATA + 0x200), 0);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_memory_equal(&rig.r->rax, "fsfsfsf", 8);
	assert_memory_equal(&rig.r->rbx, "gsgsgsg", 8);
	/* in the middle of a system call */
	assert_int_equal(tk_vcpu_set_segbase(rig.vcpu, TK_FS_BASE, RIG_DATA + 0x200), 0);
	assert_int_equal(tk_vcpu_get_segbase(rig.vcpu, TK_FS_BASE, &base), 0);
	assert_int_equal(base, RIG_DATA + 0x200);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_memory_equal(&rig.r->rax, "gsgsgsg", 8);
	assert_int_not_equal(tk_vcpu_set_segbase(rig.vcpu, TK_FS_BASE, 1ull << 63), 0);
	if (!(kvm.cr4 >> 16 & 1))
		return;
	rig_load(&rig, write_bases);
	rig.r->rbx = 0x1234000;
	rig.r->rbp = 0x5678000;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(tk_vcpu_get_segbase(rig.vcpu, TK_FS_BASE, &base), 0);
	assert_int_equal(base, 0x1234000);
	assert_int_equal(tk_vcpu_get_segbase(rig.vcpu, TK_GS_BASE, &base), 0);
	assert_int_equal(base, 0x5678000);
}

/* Vector state across system calls, faults, and while the VMM uses the same registers. */
GUEST(sse_state, "movups (%rsi), %xmm0\nmovups (%rsi), %xmm15\nsyscall\n"
		 "movups %xmm0, 64(%rsi)\nmovups %xmm15, 80(%rsi)\nud2\n"
		 "movups %xmm15, 96(%rsi)\nsyscall\n");
GUEST(avx_state, "vmovups (%rsi), %ymm7\nsyscall\nvmovups %ymm7, 64(%rsi)\nud2\n"
		 "vmovups %ymm7, 96(%rsi)\nsyscall\n");

static void clobber_vectors(void)
{
	__asm__ volatile("pxor %%xmm0, %%xmm0\n pxor %%xmm7, %%xmm7\n pxor %%xmm15, %%xmm15" ::
				 : "xmm0", "xmm7", "xmm15");
}

static void test_vector_state_survives(void **state)
{
	u8 *data = rig.mem + 4096;

	for (int i = 0; i < 32; i++)
		data[i] = (u8)(i * 7 + 1);
	memset(data + 64, 0, 64);
	rig_load(&rig, sse_state);
	rig.r->rsi = RIG_DATA;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	clobber_vectors();
	expect_fault(6, 0);
	clobber_vectors();
	rig.r->rip += 2;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	for (int i = 64; i < 112; i += 16)
		assert_memory_equal(data + i, data, 16);
	if (!(kvm.xcr0 & 4))
		return;
	rig_load(&rig, avx_state);
	rig.r->rsi = RIG_DATA;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	clobber_vectors();
	expect_fault(6, 0);
	rig.r->rip += 2;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_memory_equal(data + 64, data, 32);
	assert_memory_equal(data + 96, data, 32);
}

static void test_xsave_is_read_and_written(void **state)
{
	u8 *area = calloc(1, kvm.xsave_size), *data = rig.mem + 4096;

	memset(data, 0x5a, 16);
	rig_load(&rig, sse_state);
	rig.r->rsi = RIG_DATA;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(tk_vcpu_get_xsave(rig.vcpu, area, 512), -EINVAL);
	assert_int_equal(tk_vcpu_get_xsave(rig.vcpu, area, kvm.xsave_size), 0);
	assert_int_equal(area[512] & 2, 2);	   /* XSTATE_BV */
	assert_memory_equal(area + 160, data, 16); /* XMM0 */
	memset(area + 160, 0xa5, 16);
	assert_int_equal(tk_vcpu_set_xsave(rig.vcpu, area, kvm.xsave_size), 0);
	expect_fault(6, 0);
	assert_memory_equal(data + 64, area + 160, 16);
	assert_memory_equal(data + 80, data, 16);
	free(area);
}

GUEST(spin, "1: inc %rbx\njmp 1b\n");

static void test_kick_before_the_run(void **state)
{
	rig_load(&rig, spin);
	tk_vcpu_kick(rig.vcpu);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	assert_false(tk_vcpu_in_entry(rig.vcpu));
	assert_int_equal(rig.r->rip, RIG_CODE);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
}

struct kicker {
	pthread_t thread;
	struct tk_kick *kick;
	int times, pause_us;
	volatile bool done;
};

static void *kicker_main(void *arg)
{
	struct kicker *k = arg;

	for (int i = 0; i < k->times; i++) {
		usleep((useconds_t)k->pause_us);
		tk_vcpu_kick(rig.vcpu);
		tk_kick_send(k->kick);
	}
	k->done = true;
	return NULL;
}

static void start_kicker(struct kicker *k, int times, int pause_us)
{
	struct tkvm_error err;

	*k = (struct kicker){.times = times, .pause_us = pause_us};
	assert_int_equal(tk_kick_create(&k->kick, &err), 0);
	assert_int_equal(pthread_create(&k->thread, NULL, kicker_main, k), 0);
}

static void stop_kicker(struct kicker *k)
{
	pthread_join(k->thread, NULL);
	tk_kick_destroy(k->kick);
}

static void test_kick_from_another_thread(void **state)
{
	struct kicker k;
	u64 rbx;

	rig_load(&rig, spin);
	rbx = rig.r->rbx;
	start_kicker(&k, 1, 20000);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	stop_kicker(&k);
	assert_true(rig.r->rbx > rbx);
	assert_true(rig.r->rip - RIG_CODE < 5);
	rig_load(&rig, syscall_twice);
	rig_expect(&rig, TK_EXIT_SYSCALL);
}

static void test_timer_ends_an_endless_loop(void **state)
{
	struct tk_kick *kick;
	struct tkvm_error err;
	s64 start = tk_now_ns();

	assert_int_equal(tk_kick_create(&kick, &err), 0);
	rig_load(&rig, spin);
	tk_kick_arm(kick, start + 30000000);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	assert_true(tk_now_ns() - start >= 30000000);
	assert_true(tk_kick_drain());
	assert_false(tk_kick_drain());

	/* a time that has passed: at once, and pending until drained */
	tk_kick_arm(kick, start);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	tk_vcpu_run(rig.vcpu, &rig.exit);
	assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
	assert_true(tk_kick_drain());

	tk_kick_arm(kick, tk_now_ns() + 1000000);
	tk_kick_disarm(kick);
	usleep(3000);
	assert_false(tk_kick_drain());
	tk_kick_arm(kick, TK_FOREVER);
	tk_kick_destroy(kick);
}

static void test_kick_ends_a_wait(void **state)
{
	struct tk_kick *kick;
	struct tkvm_error err;
	struct pollfd pfd = {.events = POLLIN};

	assert_int_equal(tk_kick_create(&kick, &err), 0);
	pfd.fd = tk_kick_fd(kick);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	tk_kick_send(kick);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_true(tk_kick_drain());
	assert_int_equal(poll(&pfd, 1, 0), 0);
	tk_kick_arm(kick, tk_now_ns() + 5000000);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	tk_kick_destroy(kick);
}

/*
 * The storm: kicks at random moments of entry, exit and return. No exit may be lost, seen twice
 * or come with foreign registers. RBX counts system calls, RBP faults; R12 mirrors RCX, R13 R11.
 */
GUEST(storm, "1: inc %rbx\nsyscall\nmov %rcx, %r12\nmov (%r14), %rax\n"
	     "inc %rbp\ncmp %rcx, %r12\njne 2f\njmp 1b\n2: ud2\n");

static void test_kicks_at_random_lose_nothing(void **state)
{
	u64 calls = 0, faults = 0, kicks = 0, in_entry = 0;
	struct kicker k;

	rig_load(&rig, storm);
	rig.r->rbx = rig.r->rbp = 0;
	rig.r->r14 = RIG_HOLE;
	start_kicker(&k, 3000, 37);
	while (!k.done) {
		tk_vcpu_run(rig.vcpu, &rig.exit);
		if (rig.exit.kind == TK_EXIT_INTERRUPTED) {
			tk_kick_drain();
			kicks++;
			in_entry += tk_vcpu_in_entry(rig.vcpu);
			if (!tk_vcpu_in_entry(rig.vcpu))
				assert_true(rig.r->rip - RIG_CODE < 32);
		} else if (rig.exit.kind == TK_EXIT_SYSCALL) {
			assert_int_equal(rig.r->rbx, ++calls);
			assert_int_equal(rig.r->rbp, faults);
			assert_int_equal(rig.r->rip, RIG_CODE + 5);
		} else {
			assert_int_equal(rig.exit.kind, TK_EXIT_FAULT);
			assert_int_equal(rig.exit.vector, 14);
			assert_int_equal(rig.r->rbx, calls);
			assert_int_equal(rig.r->rbp, faults);
			assert_int_equal(rig.exit.cr2, RIG_HOLE);
			assert_int_equal(rig.r->rip, RIG_CODE + 8);
			faults++;
			rig.r->rip += 3;
		}
	}
	stop_kicker(&k);
	print_message("%llu calls, %llu faults, %llu kicks, %llu of them in entry code\n",
		      (unsigned long long)calls, (unsigned long long)faults,
		      (unsigned long long)kicks, (unsigned long long)in_entry);
	assert_true(kicks > 10 && calls > 10);
}

/* A page of a file that was cut off: no signal in the VMM, an exit that says where. */
static void test_no_memory_behind_a_page(void **state)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);
	void *map;

	assert_int_equal(ftruncate(fd, 4096), 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(tk_vm_slot_add(rig.vm, RIG_GPA_FILE, 4096, map, 0), 0);
	LOAD_WITH_RBX(write_rbx, RIG_FILE);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(ftruncate(fd, 0), 0);
	LOAD_WITH_RBX(read_rbx, RIG_FILE + 8);
	rig_expect(&rig, TK_EXIT_NO_MEMORY_BEHIND);
	assert_false(tk_vcpu_in_entry(rig.vcpu));
	assert_int_equal(rig.r->rip, RIG_CODE);
	/* PVM has the capability and does not tell */
	if (rig.exit.gpa != ~0ull)
		assert_int_equal(rig.exit.gpa & ~0xfffull, RIG_GPA_FILE);
	/* it can be repaired, and the program goes on */
	assert_int_equal(ftruncate(fd, 4096), 0);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->r15, 0);
	close(fd);
	munmap(map, 4096);
}

GUEST(dirty_everything, "wrfsbase %rbx\nmovq %rbx, %xmm3\nfld1\npushq $0x1f00\nldmxcsr (%rsp)\n"
			"mov $0x2b, %eax\nmov %eax, %ds\nud2\n");
GUEST(show_everything, "rdfsbase %rbx\nmovq %xmm3, %rbp\nfnstsw %ax\nstmxcsr -8(%rsp)\n"
		       "mov -8(%rsp), %r12d\nmov %ds, %r13d\nfnstcw -8(%rsp)\n"
		       "movzwl -8(%rsp), %r14d\nsyscall\n");

static void test_a_used_vcpu_is_as_good_as_new(void **state)
{
	struct tk_vcpu *old = rig.vcpu;

	if (!(kvm.cr4 >> 16 & 1))
		skip();
	rig_load(&rig, dirty_everything);
	rig.r->rbx = 0x77000;
	expect_fault(6, 0);
	tk_vcpu_destroy(rig.vcpu);
	rig_new_vcpu(&rig);
	assert_ptr_equal(rig.vcpu, old);
	rig_load(&rig, show_everything);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rbx, 0);
	assert_int_equal(rig.r->rbp, 0);
	assert_int_equal((u16)rig.r->rax, 0);
	assert_int_equal(rig.r->r12, 0x1f80);
	if (!PVM) /* PVM keeps DS for itself: KVM_SET_SREGS does not change it */
		assert_int_equal((u16)rig.r->r13, 0);
	assert_int_equal(rig.r->r14, 0x37f);
}

static void test_vcpus_of_one_vm_are_apart(void **state)
{
	struct rig other = rig;

	rig_new_vcpu(&other);
	rig_load(&rig, syscall_twice);
	rig_load(&other, syscall_twice);
	other.r->rbx = 5;
	rig.r->rbx = 6;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	rig_expect(&other, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rbx, 6);
	assert_int_equal(other.r->rbx, 5);
	/* both in a fault at the same time: exception stacks of their own */
	rig_load(&rig, undefined);
	other.r->rip = RIG_CODE;
	rig_expect(&rig, TK_EXIT_FAULT);
	rig_expect(&other, TK_EXIT_FAULT);
	rig.r->rip = other.r->rip = RIG_CODE;
	rig.r->rsp = RIG_DATA + 0x100;
	other.r->rsp = RIG_DATA + 0x200;
	rig_expect(&rig, TK_EXIT_FAULT);
	rig_expect(&other, TK_EXIT_FAULT);
	assert_int_equal(rig.r->rsp, RIG_DATA + 0x100);
	assert_int_equal(other.r->rsp, RIG_DATA + 0x200);
	tk_vcpu_destroy(other.vcpu);
}

static void test_vcpus_run_out_with_eagain(void **state)
{
	struct tk_kvm few = kvm;
	struct tk_vcpu *vcpus[3] = {0};
	struct tk_uregs regs = {0};
	struct tkvm_error err = {0};
	struct tk_vm *vm;

	few.max_vcpus = 2;
	assert_int_equal(tk_vm_create(&vm, &few, 0, &err), 0);
	assert_int_equal(tk_vcpu_create(&vcpus[0], vm, 0, &regs, 0, &err), 0);
	assert_int_equal(tk_vcpu_create(&vcpus[1], vm, 0, &regs, 0, &err), 0);
	assert_int_equal(tk_vcpu_create(&vcpus[2], vm, 0, &regs, 0, &err), -EAGAIN);
	assert_null(vcpus[2]);
	tk_vcpu_destroy(vcpus[0]);
	assert_int_equal(tk_vcpu_create(&vcpus[2], vm, 0, &regs, 0, &err), 0);
	tk_vcpu_destroy(vcpus[1]);
	tk_vcpu_destroy(vcpus[2]);
	tk_vm_destroy(vm);
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

static void test_report_says_it_all(void **state)
{
	static const char *const wanted[] = {"#PF", "CR2 0x500000", "rip    0000000000400000",
					     "cr3 10000000", "<4c> 8b 3b"};
	struct tk_buf buf = {0};

	LOAD_WITH_RBX(read_rbx, RIG_HOLE);
	rig_expect(&rig, TK_EXIT_FAULT);
	tk_vcpu_report(rig.vcpu, &rig.exit, &buf);
	for (size_t i = 0; i < TK_ARRAY_SIZE(wanted); i++)
		if (!strstr(buf.data, wanted[i]))
			fail_msg("no \"%s\" in:\n%s", wanted[i], buf.data);
	tk_buf_free(&buf);
	/* any combination of kind and reason prints, on any RIP */
	rig.r->rip = 0x8000000000000000;
	for (unsigned int kind = 0; kind <= TK_EXIT_FAILED + 1; kind++)
		for (unsigned int reason = 0; reason < 50; reason++) {
			struct tk_exit exit = {
				.kind = kind, .kvm_reason = reason, .vector = reason};

			tk_vcpu_report(rig.vcpu, &exit, &buf);
			if (reason % 10 == 0)
				assert_non_null(strstr(buf.data, "exit: "));
			tk_buf_free(&buf);
			buf = (struct tk_buf){0};
			if (kind < TK_EXIT_ALIEN && reason > 20)
				break;
		}
}

static void test_vector_names(void **state)
{
	assert_string_equal(tk_vector_name(14), "#PF");
	assert_string_equal(tk_vector_name(32), "#?");
	assert_string_equal(tk_exit_name((enum tk_exit_kind)99), "unknown exit");
}

GUEST(read_clock, "rdtsc\nsyscall\n");

static void test_guest_clock_is_the_hosts_if_so_said(void **state)
{
	u64 before, guest;

	if (!kvm.host_tsc)
		skip();
	for (int i = 0; i < 20; i++) {
		rig_load(&rig, read_clock);
		before = __rdtsc();
		rig_expect(&rig, TK_EXIT_SYSCALL);
		guest = rig.r->rdx << 32 | (u32)rig.r->rax;
		assert_true(before <= guest && guest <= __rdtsc());
	}
}

static int open_kvm(void **state)
{
	struct tkvm_error err = {0};

	if (!tk_kvm_open(&kvm, &err))
		return 0;
	print_error("%s\n", err.message);
	return -1;
}

static int close_kvm(void **state)
{
	tk_kvm_close(&kvm);
	return 0;
}

static int set_up(void **state)
{
	rig_open(&rig, &kvm);
	return 0;
}

static int tear_down(void **state)
{
	rig_close(&rig);
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_tells_what_it_found),
		cmocka_unit_test(test_capabilities_are_listed),
		cmocka_unit_test(test_costs_are_measured),
		cmocka_unit_test(test_vector_names),
		T(syscall_keeps_registers),
		T(syscall_with_a_wild_stack),
		T(resume_full_loads_every_register),
		T(hundreds_of_calls_in_a_row),
		T(exceptions_arrive_precisely),
		T(page_faults_tell_address_and_cause),
		T(program_goes_on_after_a_fault),
		T(flags_that_are_not_a_programs_are_dropped),
		T(a_rip_that_is_not_canonical_is_a_gp),
		T(kernel_area_is_closed),
		T(jump_to_each_stub_is_a_page_fault),
		T(jump_to_the_entry_page_is_a_system_call),
		T(no_port_is_the_programs),
		T(alien_exit_leaves_nothing_behind),
		T(single_step_over_syscall),
		T(mov_ss_shadow_with_single_step),
		T(segments_are_linux_like),
		T(hostile_selectors_stay_the_programs_problem),
		T(no_way_to_another_code_segment),
		T(privileged_instructions_fault),
		T(odd_instructions_stay_inside),
		T(segment_bases),
		T(vector_state_survives),
		T(xsave_is_read_and_written),
		T(kick_before_the_run),
		T(kick_from_another_thread),
		T(timer_ends_an_endless_loop),
		T(kick_ends_a_wait),
		T(kicks_at_random_lose_nothing),
		T(no_memory_behind_a_page),
		T(a_used_vcpu_is_as_good_as_new),
		T(vcpus_of_one_vm_are_apart),
		T(vcpus_run_out_with_eagain),
		T(triple_fault_is_an_exit),
		T(report_says_it_all),
		T(guest_clock_is_the_hosts_if_so_said),
	};

	return cmocka_run_group_tests(tests, open_kvm, close_kvm);
}
