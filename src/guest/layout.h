/* SPDX-License-Identifier: MIT */
/*
 * Where everything is in guest address spaces. One table, used by the C code, the entry
 * assembly and the vDSO's linker script: keep it to #defines of plain integers.
 *
 * Virtual: programs own [TK_USER_MIN, TK_USER_TOP). Above it, still in the lower canonical
 * half (PVM runs CPL 3 code there natively, see docs/internals), lies the kernel area.
 *
 * Physical: 0 up the area (descriptor tables, TSSs, entry code, vDSO image), one read-only
 * memslot that all VMs of a process share; 8 MiB up the vDSO's data and what was read ahead, a
 * read-only memslot per VM; 16 MiB up exception stacks and the shim's page; 256 MiB up page tables,
 * never mapped at any virtual address (and in a *writable* memslot: processors with nested paging
 * treat their own walks as writes, SDM 3C 29.3.3.2); 1 GiB up guest memory, in memslots of 64 MiB.
 */
#ifndef TK_GUEST_LAYOUT_H
#define TK_GUEST_LAYOUT_H

#define TK_USER_MIN 0x10000
#define TK_USER_TOP 0x7fffc0000000

#define TK_KERNEL_VA 0x7fffc0000000

#define TK_GPA_AREA    0x0
#define TK_AREA_SIZE   0x80000
#define TK_GPA_VVAR    0x800000
#define TK_GPA_STACKS  0x1000000
#define TK_GPA_PT      0x10000000
#define TK_PT_MAX_SIZE 0x20000000
#define TK_GPA_MEMORY  0x40000000

/* How guest addresses are bound to guest memory, and how that is given to KVM. */
#define TK_CHUNK_SHIFT 22
#define TK_CHUNK_SIZE  0x400000
#define TK_SLOT_SHIFT  26
#define TK_SLOT_SIZE   0x4000000

/* The area, by offset: VA is TK_KERNEL_VA + offset, GPA is TK_GPA_AREA + offset. */
#define TK_AREA_ENTRY  0x1000 /* code at CPL 3; PVM: LSTAR is in it */
#define TK_AREA_STUBS  0x2000 /* code at CPL 0 */
#define TK_AREA_GDT    0x3000
#define TK_AREA_IDT    0x3800
#define TK_AREA_RELOAD 0x4000  /* user-executable: where a vCPU that is used again starts */
#define TK_AREA_TSS    0x10000 /* TK_MAX_VCPUS of TK_TSS_SIZE */
#define TK_AREA_FAST   0x8000  /* the fast path's code at CPL 3, and that it may have */
#define TK_FAST_MAX    0x4000
#define TK_AREA_VDSO   0x40000
#define TK_VDSO_MAX    0x4000
#define TK_TSS_SIZE    0x80
#define TK_MAX_VCPUS   1024
#define TK_VVAR_SIZE   0x2000 /* the pages just below the vDSO image */
#define TK_VVAR_VA     (TK_KERNEL_VA + TK_AREA_VDSO - TK_VVAR_SIZE)
#define TK_VDSO_VA     (TK_KERNEL_VA + TK_AREA_VDSO)
#define TK_STACK_SIZE  0x100 /* one vCPU's exception stack: all vectors enter by IST 1 */
#define TK_STACKS_VA   (TK_KERNEL_VA + 0x80000)
#define TK_STACKS_SIZE (TK_MAX_VCPUS * TK_STACK_SIZE)

/*
 * Offsets in the page at TK_AREA_RELOAD, and what is loaded from the last page before the vDSO: an
 * XSAVE image at its start, at its end FS base, GS base, RFLAGS, RAX, RDX.
 */
#define TK_RELOAD_ALL	   0
#define TK_RELOAD_SEGMENTS 0x30
#define TK_RELOAD_IMAGE_VA (TK_VDSO_VA - 0x1000)
#define TK_RELOAD_VA	   (TK_VDSO_VA - 64)

/* PVM: LSTAR, by offset in the entry page; at the page's start is the OUT. */
#define TK_ENTRY_SHIM 0x10
/* Hardware: where CPL 0 enters the fast path, with RCX saved. */
#define TK_ENTRY_FAST 0x180
/* Hardware: by a second SYSCALL what is not answered leaves, with RCX and R11 saved. */
#define TK_ENTRY_AGAIN	     0x160
#define TK_ENTRY_AGAIN_AFTER 0x170

/* Reading ahead (guest/ahead.h): struct tk_ahead_page, the data, and struct tk_shim_page. */
#define TK_GPA_AHEAD	(TK_GPA_VVAR + TK_VVAR_SIZE)
#define TK_AHEAD_VA	(TK_KERNEL_VA + 0x100000)
#define TK_AHEAD_SIZE	0x100000
#define TK_AHEAD_DATA	0x1000	/* in it */
#define TK_AHEAD_WINDOW 0xff000 /* the most that is read ahead */
#define TK_GPA_SHIM	(TK_GPA_STACKS + TK_STACKS_SIZE)
#define TK_SHIM_VA	(TK_STACKS_VA + TK_STACKS_SIZE)
#define TK_SHIM_SIZE	0x7000 /* its registers, the record, its stack, what the program sent */

/* The fast path (guest/fast.h): what the VMM gives, what has been received, and a file. */
#define TK_GPA_GIVEN  (TK_GPA_AHEAD + TK_AHEAD_SIZE)
#define TK_GIVEN_VA   (TK_KERNEL_VA + 0xf2000)
#define TK_GIVEN_SIZE 0x9000
#define TK_GIVEN_IN   0x1000 /* in it */
#define TK_GIVEN_FILE 0x5000 /* in it: the content of a file */
#define TK_GIVEN_ON   0	     /* in it, u32 */
#define TK_IN_SIZE    0x4000
#define TK_FILE_SIZE  0x4000
/* By offset from TK_SHIM_VA. */
#define TK_RECORD_AT	0x1000
#define TK_FAST_STACK	0x3000 /* grows down to the end of the record's page */
#define TK_OUT_AT	0x3000
#define TK_OUT_SIZE	0x4000
#define TK_RECORD_COUNT 0 /* in the record, u32 */
/* Hardware: the shim's page, and the first of what is given, as CPL 0 sees them. */
#define TK_SHIM_ALIAS_VA  (TK_KERNEL_VA + 0xfc000)
#define TK_GIVEN_ALIAS_VA (TK_KERNEL_VA + 0xfd000)

/*
 * The window through which a storage program sees the buffer of the call that it answers
 * (mm/window.h). Nothing is mapped there at any other time.
 */
#define TK_WINDOW_VA   (TK_KERNEL_VA + 0x20000000)
#define TK_WINDOW_SIZE 0x4000000
#define TK_ADDRESS_TOP (TK_KERNEL_VA + 0x40000000) /* the end of the lower half */

/* struct tk_ahead_page */
#define TK_AHEAD_FD	  0
#define TK_AHEAD_GIVEN	  4
#define TK_AHEAD_DEADLINE 8
/* struct tk_shim_page */
#define TK_SHIM_TAKEN  0
#define TK_SHIM_RCX    8
#define TK_SHIM_RDX    16
#define TK_SHIM_RSI    24
#define TK_SHIM_RDI    32
#define TK_SHIM_NEXT   40 /* of the record: what the count becomes */
#define TK_SHIM_RESULT 48
#define TK_SHIM_REGS                                                                               \
	56 /* rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8 to r15: struct kvm_regs' order */

/* Offsets in the page at TK_AREA_STUBS. Vector v's stub is at v * TK_STUB_STRIDE. */
#define TK_STUB_STRIDE	16
#define TK_STUB_IRETQ	0x200
#define TK_STUB_OUT	0x210
#define TK_STUB_SYSRETQ 0x212
#define TK_STUB_COMPAT	0x220
#define TK_STUB_SYSCALL 0x230 /* hardware: LSTAR */
#define TK_STUB_ENTER	0x258 /* in it: the SYSRETQ into the fast path */

/* Ports: a system call, SYSCALL from compatibility mode, vector v at TK_PORT_VECTOR + v. */
#define TK_PORT_SYSCALL 0x10
#define TK_PORT_COMPAT	0x11
#define TK_PORT_VECTOR	0x20

/* Selectors, as in Linux: programs find them in CS, in SS and in signal frames. */
#define TK_SEL_KERNEL_CS 0x10
#define TK_SEL_KERNEL_SS 0x18
#define TK_SEL_USER32_CS 0x23 /* not present: compatibility mode is not offered */
#define TK_SEL_USER_SS	 0x2b
#define TK_SEL_USER_CS	 0x33
#define TK_SEL_TSS	 0x40

#endif
