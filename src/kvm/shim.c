/* SPDX-License-Identifier: MIT */
/*
 * Getting a thread out of the shim (guest/entry.S) when it is stopped there: back to where it made
 * the system call if the shim had not come to its end, else forward to where it returns to. So
 * above this, a system call was either not made yet or is over.
 *
 * What the shim saved lies where the program can write, too: it is the program's registers and
 * nothing else, whatever they are.
 */
#include <string.h>

#include "kvm/internal.h"

extern const u8 tk_entry_page[], tk_entry_page_end[], tk_shim_saved[], tk_shim_done[];

static const struct tk_shim_page *saved(const struct tk_vcpu *vcpu)
{
	if (vcpu->shim_kept)
		return &vcpu->shim;
	return (const struct tk_shim_page *)(const void *)(vcpu->vm->stacks + TK_STACKS_SIZE);
}

void tk_shim_keep(struct tk_vcpu *vcpu)
{
	vcpu->shim = *saved(vcpu);
	vcpu->shim_kept = true;
}

enum tk_shim_place tk_shim_unwind(struct tk_vcpu *vcpu)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);
	u64 at = regs->rip - (TK_KERNEL_VA + TK_AREA_ENTRY);
	struct tk_shim_page page;

	if (vcpu->vm->kvm->flavour != TK_FLAVOUR_PVM || at < TK_ENTRY_SHIM ||
	    at >= (u64)(tk_entry_page_end - tk_entry_page))
		return TK_SHIM_OUTSIDE;
	regs->rflags = regs->r11;
	if (at >= (u64)(tk_shim_done - tk_entry_page)) {
		regs->rax = regs->rdx;
		regs->rip = regs->rcx;
		return TK_SHIM_DONE;
	}
	if (at >= (u64)(tk_shim_saved - tk_entry_page)) {
		memcpy(&page, saved(vcpu), sizeof(page));
		regs->rax = 0;
		regs->rcx = page.rcx;
		regs->rdx = page.rdx;
		regs->rsi = page.rsi;
		regs->rdi = page.rdi;
	}
	regs->rip = regs->rcx;
	return TK_SHIM_BEGUN;
}
