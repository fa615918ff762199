/* SPDX-License-Identifier: MIT */
/*
 * The engine on the real /dev/kvm, with guests of a few instructions: system calls, exceptions,
 * reports. What is asserted holds for both flavours unless a test says otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <immintrin.h>
#include "test_kvm_rig.h"

/* INT n without a gate: PVM has the host's IDT in its way and says #UD. */
static void expect_no_gate(void)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	assert_int_equal(rig.exit.vector, PVM ? 6 : 13);
	/* the IDT bit; QEMU has its own idea of the vector's place beside it */
	assert_int_equal(rig.exit.error_code & 7, PVM ? 0 : 2);
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

/* SDM 1 3.3.7.1 says #SS; QEMU says #GP. */
static void expect_stack_fault(void)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	assert_true(rig.exit.vector == 12 || (!PVM && rig.exit.vector == 13));
	assert_int_equal(rig.exit.error_code, 0);
}

/* Neither #AC nor #XM is in QEMU's processor: it goes on to the INT3 behind the code. */
static bool not_emulated(unsigned int vector)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	if (!PVM && rig.exit.vector == 3)
		return true;
	assert_int_equal(rig.exit.vector, vector);
	assert_int_equal(rig.exit.error_code, 0);
	return false;
}

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
		else if (cases[i].code == noncanonical_stack)
			expect_stack_fault();
		else if (cases[i].vector >= 17 && not_emulated(cases[i].vector))
			continue;
		else if (cases[i].error)
			expect_no_gate();
		else if (cases[i].vector < 17)
			expect_fault(cases[i].vector, cases[i].error);
		if (rig.r->rip != RIG_CODE + cases[i].offset)
			fail_msg("%s: rip 0x%llx", cases[i].name, (unsigned long long)rig.r->rip);
		assert_int_equal(rig.r->rbx, rbx);
	}
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_tells_what_it_found),
		cmocka_unit_test(test_capabilities_are_listed),
		cmocka_unit_test(test_costs_are_measured),
		RIG_TEST(test_syscall_keeps_registers),
		RIG_TEST(test_resume_full_loads_every_register),
		RIG_TEST(test_hundreds_of_calls_in_a_row),
		RIG_TEST(test_exceptions_arrive_precisely),
		RIG_TEST(test_page_faults_tell_address_and_cause),
		RIG_TEST(test_program_goes_on_after_a_fault),
		RIG_TEST(test_no_memory_behind_a_page),
		RIG_TEST(test_report_says_it_all),
		cmocka_unit_test(test_vector_names),
		RIG_TEST(test_guest_clock_is_the_hosts_if_so_said),
	};

	return cmocka_run_group_tests(tests, rig_open_kvm, rig_close_kvm);
}
