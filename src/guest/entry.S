/* SPDX-License-Identifier: MIT */
/*
 * All code that runs at CPL 0, PVM's entry page and the reload page. Each blob is copied to the start of its page
 * of the area (guest/layout.h fixes the offsets; .org makes the assembler check them).
 *
 * Rules for CPL 0: no stub touches user memory, the FPU, a segment register or any register but the
 * one it saved; none loops; none returns by itself from anything: the VMM always decides where the
 * program goes on, by placing RIP on the SYSRETQ or on the IRETQ (see docs/internals/engine.md).
 * PVM emulates CPL 0 at some 0.6 us an instruction, hence the brevity.
 *
 * The entry page runs at CPL 3 and has no rights that the program has not. It touches the program's
 * memory, and returns by itself: see docs/internals/readahead.md.
 */
#include "guest/layout.h"

	.section .rodata, "a"

/*
 * SYSCALL on PVM: stays at CPL 3. By the OUT it leaves; the VMM sets RIP from RCX. On hardware, where
 * no port is open to CPL 3, area.c puts a jump to TK_ENTRY_AGAIN here.
 */
	.globl tk_entry_page, tk_entry_page_end, tk_shim_saved, tk_shim_done
	.hidden tk_entry_page, tk_entry_page_end, tk_shim_saved, tk_shim_done
	.globl tk_fast_begin, tk_fast_saved, tk_fast_done
	.hidden tk_fast_begin, tk_fast_saved, tk_fast_done
tk_entry_page:
.Lleave:
	outb	%al, $TK_PORT_SYSCALL

/* Where the entry page sees them, relative to itself. */
#define AHEAD(field) (.Lleave + TK_AHEAD_VA - TK_KERNEL_VA - TK_AREA_ENTRY + (field))(%rip)
#define SHIM(field)  (.Lleave + TK_SHIM_VA - TK_KERNEL_VA - TK_AREA_ENTRY + (field))(%rip)
#define GIVEN(field) (.Lleave + TK_GIVEN_VA - TK_KERNEL_VA - TK_AREA_ENTRY + (field))(%rip)
#define REG(n)	     SHIM(TK_SHIM_REGS + 8 * (n))
/* What the fast path's C code may have changed, but for RAX and RSP. */
	.macro	load_used
	movq	REG(2), %rcx
	movq	REG(3), %rdx
	movq	REG(4), %rsi
	movq	REG(5), %rdi
	movq	REG(8), %r8
	movq	REG(9), %r9
	movq	REG(10), %r10
	movq	REG(11), %r11
	.endm
#define RFLAGS_OTHER 0x50500 /* TF DF RF AC: what the returns below do not restore */

/*
 * SYSCALL lands here: read(fd, buffer, n) of what was read ahead, if that is all there; everything
 * else leaves. RCX and R11 are as SYSCALL sets them. If this is interrupted, src/kvm/shim.c puts the
 * thread back to its start, or to its end; so it has three parts: nothing has changed, RAX was 0 and
 * what has changed is saved, all is done.
 */
	.org	tk_entry_page + TK_ENTRY_SHIM, 0xcc
	testq	%rax, %rax
	jnz	tk_fast_begin
	cmpl	%edi, AHEAD(TK_AHEAD_FD)
	jne	tk_fast_begin
	movq	%rcx, SHIM(TK_SHIM_RCX)
	movq	%rdx, SHIM(TK_SHIM_RDX)
	movq	%rsi, SHIM(TK_SHIM_RSI)
	movq	%rdi, SHIM(TK_SHIM_RDI)
	jmp	.Ltry
tk_shim_saved:
.Lback:
	movq	SHIM(TK_SHIM_RCX), %rcx
	movq	SHIM(TK_SHIM_RDX), %rdx
	movq	SHIM(TK_SHIM_RSI), %rsi
	movq	SHIM(TK_SHIM_RDI), %rdi
	xorl	%eax, %eax
	jmp	.Lleave
.Ltry:
	testl	$RFLAGS_OTHER, %r11d
	jnz	.Lback
	movl	SHIM(TK_SHIM_TAKEN), %ecx
	movl	AHEAD(TK_AHEAD_GIVEN), %eax
	subq	%rcx, %rax
	jb	.Lback
	cmpq	%rax, %rdx
	ja	.Lback
	testq	%rdx, %rdx
	jz	.Lback
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	cmpq	AHEAD(TK_AHEAD_DEADLINE), %rax
	jae	.Lback
	movq	%rsi, %rdi
	leaq	AHEAD(TK_AHEAD_DATA), %rsi
	addq	%rcx, %rsi
	movq	SHIM(TK_SHIM_RDX), %rcx
	rep movsb
	movq	SHIM(TK_SHIM_RDX), %rdx
	movq	SHIM(TK_SHIM_RSI), %rsi
	movq	SHIM(TK_SHIM_RDI), %rdi
	/* OF by an addition, SF ZF AF PF CF by SAHF: there is no stack for a POPF */
	movl	%r11d, %eax
	shrl	$11, %eax
	andl	$1, %eax
	addb	$0x7f, %al
	movl	%r11d, %eax
	xchgb	%al, %ah
	sahf
	/* so many bytes, and one read, more */
	movabsq	$1 << 32, %rcx
	movq	SHIM(TK_SHIM_TAKEN), %rax
	leaq	(%rax,%rcx), %rax
	leaq	(%rax,%rdx), %rax
	movq	SHIM(TK_SHIM_RCX), %rcx
	movq	%rax, SHIM(TK_SHIM_TAKEN)
tk_shim_done:
	movq	%rdx, %rax
	jmp	*%rcx

/*
 * The fast path (docs/internals/fastpath.md): C code with a stack of its own answers, or not. The
 * same three parts: all registers are the program's, they are saved, the call is made.
 */
	.org	tk_entry_page + TK_ENTRY_AGAIN, 0xcc
	movq	%rcx, REG(2)
	movq	%r11, REG(11)
	syscall
	.org	tk_entry_page + TK_ENTRY_AGAIN_AFTER, 0xcc
	.org	tk_entry_page + TK_ENTRY_FAST, 0xcc
	movq	REG(2), %rcx
tk_fast_begin:
	cmpl	$0, GIVEN(TK_GIVEN_ON)
	je	.Lleave
	testl	$RFLAGS_OTHER, %r11d
	jnz	.Lleave
	movq	%rax, REG(0)
	movq	%rbx, REG(1)
	movq	%rcx, REG(2)
	movq	%rdx, REG(3)
	movq	%rsi, REG(4)
	movq	%rdi, REG(5)
	movq	%rsp, REG(6)
	movq	%rbp, REG(7)
	movq	%r8, REG(8)
	movq	%r9, REG(9)
	movq	%r10, REG(10)
	movq	%r11, REG(11)
	movq	%r12, REG(12)
	movq	%r13, REG(13)
	movq	%r14, REG(14)
	movq	%r15, REG(15)
tk_fast_saved:
	leaq	SHIM(TK_FAST_STACK), %rsp
	call	.Lleave + TK_AREA_FAST - TK_AREA_ENTRY
	testb	%al, %al
	jnz	.Lanswered
	movq	REG(0), %rax
	load_used
	movq	REG(6), %rsp
	jmp	.Lleave
.Lanswered:
	movq	SHIM(TK_SHIM_NEXT), %rax
	/* No instruction between this and the label: stopped there, the call would be made twice. */
	movl	%eax, SHIM(TK_RECORD_AT + TK_RECORD_COUNT)
tk_fast_done:
	load_used
	movq	SHIM(TK_SHIM_RESULT), %rax
	pushq	%r11
	popfq
	movq	REG(6), %rsp
	jmp	*%rcx
tk_entry_page_end:

/*
 * Where a vCPU that is used again starts, at CPL 3. KVM could load all of this as well, but by an
 * ioctl each, and on PVM it leaves data selectors alone. What XRSTOR has no image of becomes
 * initial; AMD's before Zen leave the pointers of the last x87 instruction alone, hence the FILD.
 *
 * RCX is the program's RIP, R11 is zero; the rest is its own, or put back before the end, and what
 * a null selector does to the bases is undone. Behind it is what SYSCALL leaves: R11 = RFLAGS.
 * Programs may come here, too: it does nothing that they cannot do.
 */
	.balign 16
	.globl tk_reload_page, tk_reload_page_end
	.hidden tk_reload_page, tk_reload_page_end
tk_reload_page:
	.set	operands, tk_reload_page + TK_RELOAD_VA - (TK_KERNEL_VA + TK_AREA_RELOAD)
	.set	image, tk_reload_page + TK_RELOAD_IMAGE_VA - (TK_KERNEL_VA + TK_AREA_RELOAD)
	fnclex
	emms
	fildl	operands(%rip)
	movl	$-1, %eax
	movl	$-1, %edx
	xrstor64 image(%rip)
	movq	operands + 24(%rip), %rax
	movq	operands + 32(%rip), %rdx
	.org	tk_reload_page + TK_RELOAD_SEGMENTS, 0x90
	movl	%r11d, %ds
	movl	%r11d, %es
	movl	%r11d, %fs
	movl	%r11d, %gs
	movq	operands(%rip), %r11
	wrfsbase %r11
	movq	operands + 8(%rip), %r11
	wrgsbase %r11
	movq	operands + 16(%rip), %r11
	jmp	*%rcx
tk_reload_page_end:

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

/* SYSCALL on hardware leaves from here. RSP is the program's and is not used. */
	.org	tk_stubs + TK_STUB_OUT, 0xcc
.Lout:	outb	%al, $TK_PORT_SYSCALL
	.org	tk_stubs + TK_STUB_SYSRETQ, 0xcc
	sysretq

/* AMD has SYSCALL in compatibility mode (CSTAR), which Intel answers with #UD. */
	.org	tk_stubs + TK_STUB_COMPAT, 0xcc
	outb	%al, $TK_PORT_COMPAT

/*
 * SYSCALL on hardware lands here: out, or to the fast path, at CPL 3 and with the program's flags,
 * so that it can do nothing that the program cannot. What it does not answer comes here again.
 */
#define FROM_STUBS(va) (tk_stubs + (va) - TK_KERNEL_VA - TK_AREA_STUBS)(%rip)
	.org	tk_stubs + TK_STUB_SYSCALL, 0xcc
	cmpl	$(TK_KERNEL_VA + TK_AREA_ENTRY + TK_ENTRY_AGAIN_AFTER) & 0xffffffff, %ecx
	je	.Lout
	cmpl	$0, FROM_STUBS(TK_GIVEN_ALIAS_VA + TK_GIVEN_ON)
	je	.Lout
	testl	$RFLAGS_OTHER, %r11d
	jnz	.Lout
	movq	%rcx, FROM_STUBS(TK_SHIM_ALIAS_VA + TK_SHIM_REGS + 8 * 2)
	leaq	FROM_STUBS(TK_KERNEL_VA + TK_AREA_ENTRY + TK_ENTRY_FAST), %rcx
	.org	tk_stubs + TK_STUB_ENTER, 0xcc
	sysretq
tk_stubs_end:

	.section .note.GNU-stack, "", @progbits
