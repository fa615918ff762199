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
extern const u8 tk_fast_begin[], tk_fast_saved[], tk_fast_done[];

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

/* Offset of @label in the entry page, as @at is. */
static bool is_behind(u64 at, const u8 *label)
{
	return at >= (u64)(label - tk_entry_page);
}

static void reload(const struct tk_vcpu *vcpu, struct kvm_regs *regs)
{
	memcpy(regs, saved(vcpu)->regs, sizeof(saved(vcpu)->regs));
}

/* Behind @at there is the code of the fast path, which entry.S calls. */
static enum tk_shim_place unwind_fast(const struct tk_vcpu *vcpu, struct kvm_regs *regs, u64 at)
{
	bool done = is_behind(at, tk_fast_done) && !is_behind(at, tk_entry_page_end);

	if (is_behind(at, tk_fast_saved))
		reload(vcpu, regs);
	else if (at == TK_ENTRY_FAST)
		regs->rcx = saved(vcpu)->regs[2];
	if (done)
		regs->rax = saved(vcpu)->result;
	regs->rflags = regs->r11;
	regs->rip = regs->rcx;
	return done ? TK_SHIM_DONE : TK_SHIM_BEGUN;
}

static enum tk_shim_place unwind_ahead(const struct tk_vcpu *vcpu, struct kvm_regs *regs, u64 at)
{
	const struct tk_shim_page *page = saved(vcpu);

	regs->rflags = regs->r11;
	if (is_behind(at, tk_shim_done)) {
		regs->rax = regs->rdx;
		regs->rip = regs->rcx;
		return TK_SHIM_DONE;
	}
	if (is_behind(at, tk_shim_saved)) {
		regs->rax = 0;
		regs->rcx = page->rcx;
		regs->rdx = page->rdx;
		regs->rsi = page->rsi;
		regs->rdi = page->rdi;
	}
	regs->rip = regs->rcx;
	return TK_SHIM_BEGUN;
}

enum tk_shim_place tk_shim_unwind(struct tk_vcpu *vcpu)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);
	u64 at = regs->rip - (TK_KERNEL_VA + TK_AREA_ENTRY), code = TK_AREA_FAST - TK_AREA_ENTRY;

	if (at >= code && at - code < TK_FAST_MAX)
		return unwind_fast(vcpu, regs, at);
	if (at < TK_ENTRY_SHIM || is_behind(at, tk_entry_page_end))
		return TK_SHIM_OUTSIDE;
	return at >= TK_ENTRY_AGAIN ? unwind_fast(vcpu, regs, at) : unwind_ahead(vcpu, regs, at);
}

void tk_shim_unwrap(struct tk_vcpu *vcpu)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);
	u64 at = regs->rcx - (TK_KERNEL_VA + TK_AREA_ENTRY);

	if (at != TK_ENTRY_FAST && at != TK_ENTRY_AGAIN_AFTER)
		return;
	regs->rcx = saved(vcpu)->regs[2];
	if (at == TK_ENTRY_AGAIN_AFTER)
		regs->r11 = saved(vcpu)->regs[11];
}

bool tk_shim_unwind_stub(struct tk_vcpu *vcpu)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);
	u64 at = regs->rip - (TK_KERNEL_VA + TK_AREA_STUBS);

	if (at < TK_STUB_SYSCALL || at > TK_STUB_ENTER)
		return false;
	tk_shim_unwrap(vcpu);
	regs->rip = regs->rcx;
	regs->rflags = regs->r11;
	return true;
}
