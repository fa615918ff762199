/* SPDX-License-Identifier: MIT */
/*
 * What of a processor belongs to a guest thread and how it is read and written: bases, vector
 * state, and vCPUs beside and after one another.
 */
#include <errno.h>
#include <stdlib.h>
#include "test_kvm_rig.h"

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

/* Frozen with FS base, x87, SSE and MXCSR of its own, changed, and put back. */
GUEST(set_everything,
      "wrfsbase %rbx\nmovq %rbx, %xmm3\nfld1\npushq $0x1f00\nldmxcsr (%rsp)\nsyscall\n");
GUEST(change_everything,
      "xor %ebx, %ebx\nwrfsbase %rbx\npxor %xmm3, %xmm3\nfninit\n"
      "pushq $0x1f80\nldmxcsr (%rsp)\nmov $0x2b, %eax\nmov %eax, %ds\nsyscall\n");
GUEST(change_avx, "vmovups (%rsi), %ymm7\nsyscall\n");
GUEST(show_avx, "vmovups %ymm7, (%rsi)\nsyscall\n");

static void *frozen_xsave(void)
{
	void *area = calloc(1, kvm.xsave_size);

	assert_int_equal(tk_vcpu_get_xsave(rig.vcpu, area, kvm.xsave_size), 0);
	return area;
}

/* As tasks are frozen: in a system call. */
static struct tk_uregs registers(void)
{
	struct tk_uregs regs = {
		.rip = RIG_CODE,
		.rsp = RIG_DATA + 0x1000,
		.rflags = 0xa03, /* OF IF CF */
		.rax = 0x1234567887654321,
		.rdx = 0x8765432112345678,
		.rbp = 77,
		.r15 = 99,
	};

	regs.rcx = regs.rip;
	regs.r11 = regs.rflags;
	return regs;
}

static void expect_as_frozen(u64 fs_base)
{
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_int_equal(rig.r->rbx, fs_base);
	assert_int_equal(rig.r->rbp, 0x77000);
	assert_int_equal((rig.r->rax >> 11) & 7, 7); /* TOP: one on the stack */
	assert_int_equal(rig.r->r12, 0x1f00);
	assert_int_equal((u16)rig.r->r13, 0);
	assert_int_equal(rig.r->r14, 0x37f);
	assert_int_equal(rig.r->rdx, registers().rdx);
	assert_int_equal(rig.r->r15, 99);
}

static void put_back(const void *xsave)
{
	const struct tk_uregs regs = registers();

	assert_int_equal(tk_vcpu_restore(rig.vcpu, &regs, 0x55000, 0x66000, xsave), 0);
	memset(rig.mem, 0xcc, 4096);
	memcpy(rig.mem, show_everything, (size_t)(show_everything_end - show_everything));
}

static void test_a_vcpu_is_put_back_without_an_ioctl(void **state)
{
	void *xsave, *now = calloc(1, kvm.xsave_size);
	u64 base;

	if (!(kvm.cr4 >> 16 & 1) || !kvm.sync_sregs)
		skip();
	assert_true(kvm.image_size >= 576);
	rig_load(&rig, set_everything);
	rig.r->rbx = 0x77000;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	xsave = frozen_xsave();
	rig_load(&rig, change_everything);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	put_back(xsave);
	/* what it will have is what is said to be there */
	assert_int_equal(tk_vcpu_get_xsave(rig.vcpu, now, kvm.xsave_size), 0);
	assert_memory_equal(now, xsave, kvm.xsave_size);
	assert_int_equal(tk_vcpu_get_segbase(rig.vcpu, TK_GS_BASE, &base), 0);
	assert_int_equal(base, 0x66000);
	expect_as_frozen(0x55000);
	assert_int_equal(tk_vcpu_get_segbase(rig.vcpu, TK_GS_BASE, &base), 0);
	assert_int_equal(base, 0x66000);
	/* nothing of it is left where the program could read it */
	for (u64 at = 0; at < 4096; at++)
		assert_int_equal(((const u8 *)tk_vm_vvar(rig.vm))[TK_VVAR_SIZE - 4096 + at], 0);
	free(xsave);
	free(now);
}

static void test_putting_back_can_be_interrupted(void **state)
{
	const struct tk_uregs want = registers();
	void *xsave;

	if (!(kvm.cr4 >> 16 & 1) || !kvm.sync_sregs)
		skip();
	rig_load(&rig, set_everything);
	rig.r->rbx = 0x77000;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	xsave = frozen_xsave();
	rig_load(&rig, change_everything);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	put_back(xsave);
	for (int i = 0; i < 3; i++) {
		tk_vcpu_kick(rig.vcpu);
		tk_vcpu_run(rig.vcpu, &rig.exit);
		assert_int_equal(rig.exit.kind, TK_EXIT_INTERRUPTED);
		assert_memory_equal(tk_vcpu_regs(rig.vcpu), &want, sizeof(want));
	}
	expect_as_frozen(0x55000);
	free(xsave);
}

static void test_avx_is_put_back(void **state)
{
	u8 *data = rig.mem + 4096;
	struct tk_uregs regs = registers();
	void *xsave;

	if (!(kvm.cr4 >> 16 & 1) || !kvm.sync_sregs || !(kvm.xcr0 & 4))
		skip();
	for (int i = 0; i < 32; i++)
		data[i] = (u8)(i * 7 + 1);
	rig_load(&rig, change_avx);
	rig.r->rsi = RIG_DATA;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	xsave = frozen_xsave();
	rig_load(&rig, change_avx);
	rig.r->rsi = RIG_DATA + 64;
	rig_expect(&rig, TK_EXIT_SYSCALL);
	regs.rsi = RIG_DATA + 128;
	assert_int_equal(tk_vcpu_restore(rig.vcpu, &regs, 0, 0, xsave), 0);
	memcpy(rig.mem, show_avx, (size_t)(show_avx_end - show_avx));
	rig_expect(&rig, TK_EXIT_SYSCALL);
	assert_memory_equal(data + 128, data, 32);
	free(xsave);
}

/* Single-stepping does not begin before the program does. */
static void test_a_vcpu_is_put_back_without_a_trap(void **state)
{
	struct tk_uregs regs = registers();
	void *xsave;

	if (!(kvm.cr4 >> 16 & 1) || !kvm.sync_sregs)
		skip();
	rig_load(&rig, change_everything);
	rig_expect(&rig, TK_EXIT_SYSCALL);
	xsave = frozen_xsave();
	regs.rflags |= 0x100;
	assert_int_equal(tk_vcpu_restore(rig.vcpu, &regs, 0, 0, xsave), 0);
	memcpy(rig.mem, show_everything, (size_t)(show_everything_end - show_everything));
	rig_expect(&rig, TK_EXIT_SYSCALL);
	free(xsave);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_segment_bases),
		RIG_TEST(test_vector_state_survives),
		RIG_TEST(test_xsave_is_read_and_written),
		RIG_TEST(test_a_used_vcpu_is_as_good_as_new),
		RIG_TEST(test_a_vcpu_is_put_back_without_an_ioctl),
		RIG_TEST(test_putting_back_can_be_interrupted),
		RIG_TEST(test_avx_is_put_back),
		RIG_TEST(test_a_vcpu_is_put_back_without_a_trap),
		RIG_TEST(test_vcpus_of_one_vm_are_apart),
		RIG_TEST(test_vcpus_run_out_with_eagain),
	};

	return cmocka_run_group_tests(tests, rig_open_kvm, rig_close_kvm);
}
