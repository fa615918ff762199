/* SPDX-License-Identifier: MIT */
/*
 * All code that runs at CPL 0, and PVM's entry page. Each blob is copied to the start of its page
 * of the area (guest/layout.h fixes the offsets; .org makes the assembler check them).
 *
 * Rules: no stub touches user memory, the FPU, a segment register or any register but the one it
 * saved; none loops; none returns by itself from anything: the VMM always decides where the
 * program goes on, by placing RIP on the SYSRETQ or on the IRETQ (see docs/internals/engine.md).
 * PVM emulates CPL 0 at some 0.6 us an instruction, hence the brevity.
 */
#include "guest/layout.h"

	.section .rodata, "a"

/* SYSCALL on PVM: stays at CPL 3, and lands here. The VMM sets RIP from RCX. */
	.globl tk_entry_page, tk_entry_page_end
	.hidden tk_entry_page, tk_entry_page_end
tk_entry_page:
	outb	%al, $TK_PORT_SYSCALL

/*
 * Where a vCPU that is used again starts on PVM: KVM_SET_SREGS leaves data selectors alone there.
 * RCX is the program's RIP, R11 is zero; the rest is its own, and what a null selector does to
 * the bases is undone. Behind it is what SYSCALL leaves: R11 = RFLAGS. Programs may come here, too:
 * it does nothing that they cannot do.
 */
	.org	tk_entry_page + TK_ENTRY_RELOAD, 0xcc
	.set	reload, tk_entry_page + TK_RELOAD_VA - (TK_KERNEL_VA + TK_AREA_ENTRY)
	movl	%r11d, %ds
	movl	%r11d, %es
	movl	%r11d, %fs
	movl	%r11d, %gs
	movq	reload(%rip), %r11
	wrfsbase %r11
	movq	reload + 8(%rip), %r11
	wrgsbase %r11
	movq	reload + 16(%rip), %r11
	jmp	*%rcx
	.org	tk_entry_page + TK_ENTRY_END, 0xcc
tk_entry_page_end:

	.balign 16
	.globl tk_stubs, tk_stubs_end
	.hidden tk_stubs, tk_stubs_end
tk_stubs:
	.set	vector, 0
	.rept	32
	.org	tk_stubs + vector * TK_STUB_STRIDE, 0xcc
	.if	vector == 14
	/*
	 * CR2 travels in RAX, whose value goes below the error code. On PVM two more emulated
	 * instructions cost a fifth of the KVM_GET_SREGS that they save.
	 */
	pushq	%rax
	movq	%cr2, %rax
	.endif
	outb	%al, $(TK_PORT_VECTOR + vector)
	.set	vector, vector + 1
	.endr

	.org	tk_stubs + TK_STUB_IRETQ, 0xcc
	iretq

/* SYSCALL on hardware. RSP is the program's and is not used. */
	.org	tk_stubs + TK_STUB_SYSCALL, 0xcc
	outb	%al, $TK_PORT_SYSCALL
	.org	tk_stubs + TK_STUB_SYSRETQ, 0xcc
	sysretq

/* AMD has SYSCALL in compatibility mode (CSTAR), which Intel answers with #UD. */
	.org	tk_stubs + TK_STUB_COMPAT, 0xcc
	outb	%al, $TK_PORT_COMPAT
tk_stubs_end:

	.section .note.GNU-stack, "", @progbits
