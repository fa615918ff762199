/* SPDX-License-Identifier: MIT */
/*
 * The general registers of a guest thread, as the program sees them. Field order is that of
 * struct kvm_regs (linux/kvm.h), checked where the two meet, so that KVM's shared page is used
 * in place.
 */
#ifndef TK_BASE_UREGS_H
#define TK_BASE_UREGS_H

#include "base/types.h"

struct tk_uregs {
	u64 rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rip, rflags;
};

/* The two segment bases that 64-bit programs have. */
enum tk_segbase { TK_FS_BASE, TK_GS_BASE };

#endif
