/* SPDX-License-Identifier: MIT */
/* Ways for a program to break the processor's rules: traps MODE. Each ends as on Linux. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile long zero, sink;
static char page[8192] __attribute__((aligned(4096)));

static void jump(unsigned long address)
{
	__asm__ volatile("jmp *%0" : : "r"(address));
}

static int open_file(void)
{
	int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, 100))
		_exit(99);
	return fd;
}

static void exhaust_stack(volatile char *above)
{
	volatile char frame[65536];

	frame[0] = above ? above[0] : 1;
	exhaust_stack(frame);
	frame[1] = 0;
}

static void stack_overflow(void)
{
	exhaust_stack(NULL);
}

static void divide(void)
{
	__asm__ volatile("cqto\n\tidivq %0" : : "r"(zero), "a"(1l), "d"(0l));
}

static void overflow_divide(void)
{
	__asm__ volatile("mov $-1, %%rdx\n\txor %%eax, %%eax\n\tmov $1, %%ecx\n\tdivq %%rcx"
			 : : : "rax", "rcx", "rdx");
}

static void single_step(void)
{
	__asm__ volatile("pushfq\n\torl $0x100, (%rsp)\n\tpopfq\n\tnop\n\tnop");
}

static void simd_fault(void)
{
	unsigned int mxcsr = 0x1f80 & ~0x200; /* division by zero unmasked */
	volatile float x = 0;

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	x = 1 / x;
}

static void x87_fault(void)
{
	unsigned short control = 0x37b;

	__asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait" : : "m"(control));
}

static void alignment(void)
{
	__asm__ volatile("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmov 1(%0), %%eax"
			 : : "r"(page) : "rax");
}

static void write_readonly(void)
{
	mprotect(page, 4096, PROT_READ);
	page[5] = 1;
}

static void execute_data(void)
{
	memset(page, 0xc3, 16);
	jump((unsigned long)page);
}

static void read_none(void)
{
	mprotect(page, 4096, PROT_NONE);
	sink = page[7];
}

static void past_file_end(void)
{
	int fd = open_file();
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	p[0] = 1;
	p[4096] = 1;
}

static void truncated_mapping(void)
{
	int fd = open_file();
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	p[0] = 1;
	if (ftruncate(fd, 0))
		_exit(98);
	p[1] = 1;
}

/* A null stack pointer: the first push faults, and there is no room for a signal frame. */
static void handler(int signo)
{
	_exit(3);
}

static void no_stack_for_handler(void)
{
	signal(SIGSEGV, handler);
	__asm__ volatile("xor %esp, %esp\n\tpush %rax");
}

static void noncanonical_stack(void)
{
	__asm__ volatile("mov $0x8000000000000000, %rax\n\tmov %rax, %rsp\n\tpush %rax");
}

static void kernel_stack(void)
{
	__asm__ volatile("mov $-4096, %rsp\n\tpush %rax");
}

/* The system call's return address is where it will fault; RSP is nowhere meanwhile. */
static void call_with_bad_stack(void)
{
	__asm__ volatile("mov $0x123456789000, %%rsp\n\tmov $39, %%eax\n\tsyscall\n\t"
			 "test %%eax, %%eax\n\tjle 1f\n\tmov $231, %%eax\n\tmov $77, %%edi\n\tsyscall\n1:\thlt"
			 : : : "memory");
}

static void handled(int signo)
{
	write(1, "handled\n", 8);
	_exit(0);
}

static void catch_it(void)
{
	signal(SIGSEGV, handled);
	jump(0x10);
}

/* Registers that the text changes are lost: nothing but the way out comes after it. */
#define ASM(name, text)                                                                            \
	static void name(void)                                                                     \
	{                                                                                          \
		__asm__ volatile(text);                                                            \
		_exit(42);                                                                         \
	}
#define READ(name, address)                                                                        \
	static void name(void)                                                                     \
	{                                                                                          \
		sink = *(volatile long *)(address);                                                \
	}
#define JUMP(name, address)                                                                        \
	static void name(void)                                                                     \
	{                                                                                          \
		jump(address);                                                                     \
	}
#define SIMPLE(X) \
	X(breakpoint, "int3") \
	X(int1, "int1") \
	X(int3_long, ".byte 0xcd, 3") \
	X(int_0, "int $0") \
	X(int_2, "int $2") \
	X(int_4, "int $4") \
	X(int_8, "int $8") \
	X(int_13, "int $13") \
	X(int_14, "int $14") \
	X(int_32, "int $32") \
	X(int_129, "int $129") \
	X(int_255, "int $255") \
	X(int_80, "mov $0xfffff, %eax\n\tint $0x80\n\thlt") \
	X(undefined, "ud2") \
	X(undefined1, ".byte 0x0f, 0xff, 0xc0") \
	X(halt, "hlt") \
	X(clear_if, "cli") \
	X(set_if, "sti") \
	X(read_msr, "mov $0xc0000082, %ecx\n\trdmsr") \
	X(write_msr, "mov $0xc0000082, %ecx\n\twrmsr") \
	X(read_cr0, "mov %cr0, %rax") \
	X(write_cr3, "mov %rax, %cr3") \
	X(write_cr4, "mov %rax, %cr4") \
	X(load_gdt, "lgdt (%rsp)") \
	X(load_idt, "lidt (%rsp)") \
	X(load_tr, "xor %eax, %eax\n\tltr %ax") \
	X(load_ldt, "mov $8, %eax\n\tlldt %ax") \
	X(invlpg, "invlpg (%rsp)") \
	X(wbinvd, "wbinvd") \
	X(swapgs, "swapgs") \
	X(sysretq, "sysretq") \
	X(iret_kernel, "pushq $0x10\n\tpushq $0\n\tpushq $2\n\tpushq $8\n\tpushq $0\n\tiretq") \
	X(iret_null, "pushq $0\n\tpushq $0\n\tpushq $2\n\tpushq $0\n\tpushq $0\n\tiretq") \
	X(iret_garbage, "mov $0x7fff1234, %eax\n\tpush %rax\n\tpush %rax\n\tpush %rax\n\tpush %rax\n\tpush %rax\n\tiretq") \
	X(load_ss_null, "xor %eax, %eax\n\tmov %ax, %ss") \
	X(load_ss_kernel, "mov $0x10, %eax\n\tmov %ax, %ss") \
	X(load_ds_garbage, "mov $0x1238, %eax\n\tmov %ax, %ds") \
	X(read_dr7, "mov %dr7, %rax") \
	X(write_dr7, "mov %rax, %dr7") \
	X(vmcall, "vmcall\n\thlt") \
	X(vmmcall, "vmmcall\n\thlt") \
	X(vmlaunch, "vmlaunch") \
	X(monitor, "monitor") \
	X(clts, "clts") \
	X(invd, "invd") \
	X(xsetbv, "xor %ecx, %ecx\n\tmov $7, %eax\n\txor %edx, %edx\n\txsetbv") \
	X(rsm, "rsm") \
	X(lock_nop, ".byte 0xf0, 0x90") \
	X(far_return, "pushq $0x1234\n\tpushq $0\n\tlretq") \
	X(long_instruction, ".fill 16, 1, 0x66\n\tnop") \
	X(far_32_linux, "pushq $0x23\n\tpushq $0x1000\n\tlretq") \
	X(far_32_ours, "pushq $0x1b\n\tpushq $0x1000\n\tlretq") \
	X(rf_and_tf, "pushfq\n\torl $0x10100, (%rsp)\n\tpopfq\n\tsyscall\n\tnop\n\thlt") \
	X(set_iopl, "pushfq\n\torl $0x3000, (%rsp)\n\tpopfq\n\tin $0x80, %al") \
	X(set_nt, "pushfq\n\torl $0x4000, (%rsp)\n\tpopfq\n\tmov $39, %eax\n\tsyscall\n\tiretq") \
	X(sysenter, "xor %eax, %eax\n\tmov %rsp, %rbp\n\tsysenter\n\thlt") \
	X(direction_flag, "std\n\tmov $39, %eax\n\tsyscall\n\thlt")

#define JUMPS(X) \
	X(jump_null, 0) \
	X(jump_wild, 0x123456789000) \
	X(jump_noncanonical, 0x8000000000000000) \
	X(jump_kernel, 0xffffffff81000000) \
	X(jump_top, 0x7ffffffff000) \
	X(jump_last_byte, 0x7fffffffffff) \
	X(jump_vdso_data, 0xfffffffffffff000)

#define READS(X) \
	X(read_null, 0) \
	X(read_wild, 0x123456789000) \
	X(read_noncanonical, 0x8000000000000000) \
	X(read_kernel, 0xffff888000000000) \
	X(read_last_byte, 0x7fffffffffff) \
	X(read_all_ones, 0xfffffffffffffff8)

SIMPLE(ASM)
JUMPS(JUMP)
READS(READ)

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
#define ENTRY(name, ...) {#name, name},
	SIMPLE(ENTRY) JUMPS(ENTRY) READS(ENTRY)
	ENTRY(divide)
	ENTRY(overflow_divide)
	ENTRY(single_step)
	ENTRY(simd_fault)
	ENTRY(x87_fault)
	ENTRY(alignment)
	ENTRY(write_readonly)
	ENTRY(execute_data)
	ENTRY(read_none)
	ENTRY(past_file_end)
	ENTRY(truncated_mapping)
	ENTRY(no_stack_for_handler)
	ENTRY(noncanonical_stack)
	ENTRY(kernel_stack)
	ENTRY(call_with_bad_stack)
	ENTRY(stack_overflow)
	ENTRY(catch_it)
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (argc < 2) {
			puts(modes[i].name);
		} else if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run();
			return 42;
		}
	}
	return argc < 2 ? 0 : 97;
}
