/* SPDX-License-Identifier: MIT */
/* Going anywhere with any registers, and coming back if it leads to leap_landed. */
#ifndef TEST_FAST_LEAP_H
#define TEST_FAST_LEAP_H

#include <stdint.h>

enum { RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP, R8, R9, R10, R11, R12, R13, R14, R15, REGS };

extern uint64_t leap_regs[REGS], leap_flags, leap_target;
extern char leap_landed[], leap_syscall[];

/* To leap_target. Returns RAX, as it is at leap_landed. */
long leap(void);

__asm__(".data\n"
	".globl leap_regs, leap_flags, leap_target\n"
	".balign 8\n"
	"leap_regs: .zero 128\n"
	"leap_flags: .quad 0x202\n"
	"leap_target: .quad 0\n"
	"leap_stack: .quad 0\n"
	".text\n"
	".globl leap, leap_landed, leap_syscall\n"
	"leap:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	movq %rsp, leap_stack(%rip)\n"
	"	movq leap_regs+8(%rip), %rbx\n"
	"	movq leap_regs+16(%rip), %rcx\n"
	"	movq leap_regs+24(%rip), %rdx\n"
	"	movq leap_regs+32(%rip), %rsi\n"
	"	movq leap_regs+40(%rip), %rdi\n"
	"	movq leap_regs+56(%rip), %rbp\n"
	"	movq leap_regs+64(%rip), %r8\n"
	"	movq leap_regs+72(%rip), %r9\n"
	"	movq leap_regs+80(%rip), %r10\n"
	"	movq leap_regs+88(%rip), %r11\n"
	"	movq leap_regs+96(%rip), %r12\n"
	"	movq leap_regs+104(%rip), %r13\n"
	"	movq leap_regs+112(%rip), %r14\n"
	"	movq leap_regs+120(%rip), %r15\n"
	"	movq leap_regs(%rip), %rax\n"
	"	pushq leap_flags(%rip)\n"
	"	popfq\n"
	"	movq leap_regs+48(%rip), %rsp\n"
	"	jmp *leap_target(%rip)\n"
	"leap_syscall:\n"
	"	syscall\n"
	"leap_landed:\n"
	"	movq leap_stack(%rip), %rsp\n"
	"	pushq $0x202\n"
	"	popfq\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

#endif
