/* SPDX-License-Identifier: MIT */
/*
 * Running a vCPU: getting back to the program, and telling why it left. State of a vCPU between
 * two runs (struct tk_vcpu):
 *
 *	stop    after_syscall  the way back to the program
 *	USER    no             load all registers
 *	USER    yes            the same, RCX = RIP and R11 = RFLAGS (PVM)
 *	KERNEL  yes            RIP on SYSRETQ, RCX = RIP, R11 = RFLAGS (IRETQ where that cannot be)
 *	KERNEL  no             a frame on the exception stack, RIP on IRETQ
 *
 * in_entry: as it is (an exception is being delivered, or a stub has not reached its OUT).
 * A thread in the shim is put out of it at once (shim.c): it is always in one of these states.
 * broken: none; it left from CPL 0 in a way that no stub does.
 *
 * The only ioctl of a usual round is KVM_RUN. What the program left in registers is sanitised on
 * the way *in* (flags, canonical RIP), so that nothing above has to.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "kvm/internal.h"

#define STUBS_VA    ((u64)TK_KERNEL_VA + TK_AREA_STUBS)
#define ENTRY_VA    ((u64)TK_KERNEL_VA + TK_AREA_ENTRY)
#define SHIM_VA	    (ENTRY_VA + TK_ENTRY_SHIM)
#define SYSCALL_LEN 2
#define OUT_LEN	    2 /* KVM leaves RIP on the OUT or behind it, as it happens to emulate it */

#define RFLAGS_FIXED 0x2ull
#define RFLAGS_TF    0x100ull
#define RFLAGS_IF    0x200ull
#define RFLAGS_RF    0x10000ull
/* ID AC RF OF DF TF SF ZF AF PF CF; not NT, IOPL, VM, VIF, VIP (SDM 1 3.4.3) */
#define RFLAGS_USER 0x250dd5ull

/* Vectors that push an error code: SDM 3A table 6-1. */
#define HAS_ERROR_CODE (1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21 | 3u << 29)

enum { VECTOR_DB = 1, VECTOR_UD = 6, VECTOR_GP = 13, VECTOR_PF = 14 };

static bool is_pvm(const struct tk_vcpu *vcpu)
{
	return vcpu->vm->kvm->flavour == TK_FLAVOUR_PVM;
}

static u64 stack_top_va(const struct tk_vcpu *vcpu)
{
	return TK_STACKS_VA + (u64)(vcpu->index + 1) * TK_STACK_SIZE;
}

/* The host's view of the word @below bytes under the top of the exception stack. */
static u64 *stack_word(const struct tk_vcpu *vcpu, size_t below)
{
	u8 *top = vcpu->vm->stacks + (size_t)(vcpu->index + 1) * TK_STACK_SIZE;

	return (u64 *)(void *)(top - below);
}

static bool canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

static void push_frame(struct tk_vcpu *vcpu, const struct kvm_regs *regs)
{
	const struct tk_iret_frame frame = {
		.rip = regs->rip,
		.cs = TK_SEL_USER_CS,
		.rflags = regs->rflags,
		.rsp = regs->rsp,
		.ss = TK_SEL_USER_SS,
	};

	memcpy(stack_word(vcpu, sizeof(frame)), &frame, sizeof(frame));
}

static void pop_frame(const struct tk_vcpu *vcpu, struct kvm_regs *regs,
		      struct tk_iret_frame *frame)
{
	memcpy(frame, stack_word(vcpu, sizeof(*frame)), sizeof(*frame));
	regs->rip = frame->rip;
	regs->rflags = frame->rflags;
	regs->rsp = frame->rsp;
}

#define RELOAD_VA    ((u64)TK_KERNEL_VA + TK_AREA_RELOAD)
#define RELOAD_SIZE  (5 * sizeof(u64))
#define XSAVE_HEADER 512

/* Readable by programs, and so only as long as it is needed. */
static u8 *reload_page(const struct tk_vcpu *vcpu, u64 va)
{
	return vcpu->vm->vvar + TK_VVAR_SIZE - (TK_VDSO_VA - va);
}

static void clear_reload(const struct tk_vcpu *vcpu)
{
	memset(reload_page(vcpu, TK_RELOAD_IMAGE_VA), 0, vcpu->vm->kvm->image_size);
	memset(reload_page(vcpu, TK_RELOAD_VA), 0, RELOAD_SIZE);
}

/* States that XCR0 does not have would be #GP. */
static void set_image(const struct tk_vcpu *vcpu)
{
	const struct tk_kvm *kvm = vcpu->vm->kvm;
	u8 *image = reload_page(vcpu, TK_RELOAD_IMAGE_VA);
	u64 *header = (u64 *)(void *)(image + XSAVE_HEADER);

	memcpy(image, vcpu->xsave, kvm->image_size);
	header[0] &= kvm->xcr0; /* XSTATE_BV */
}

/* The vCPU was put back: it starts at CPL 3 with the segments, and FPU, of its new life. */
static void reload(struct tk_vcpu *vcpu, struct kvm_regs *regs)
{
	const u64 operands[] = {vcpu->sregs.fs.base, vcpu->sregs.gs.base, regs->rflags, regs->rax,
				regs->rdx};

	_Static_assert(sizeof(operands) == RELOAD_SIZE, "operands");
	vcpu->reload = false;
	vcpu->run->s.regs.sregs = vcpu->sregs;
	vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	if (!is_pvm(vcpu) && !vcpu->xsave)
		return;
	vcpu->reloading = true;
	memcpy(reload_page(vcpu, TK_RELOAD_VA), operands, RELOAD_SIZE);
	if (vcpu->xsave)
		set_image(vcpu);
	regs->rcx = regs->rip;
	regs->r11 = 0;
	/*
	 * It would trap in the page, which is no business of the program's. A thread that
	 * single-steps begins without; images have none (tk_proc_freezable()).
	 */
	regs->rflags &= ~RFLAGS_TF;
	regs->rip = RELOAD_VA + (vcpu->xsave ? TK_RELOAD_ALL : TK_RELOAD_SEGMENTS);
}

/*
 * Make the next KVM_RUN continue the program with its registers. False: RIP is not canonical,
 * which neither SYSRETQ (CVE-2012-0217) nor VM entry may see.
 */
static bool load_program(struct tk_vcpu *vcpu)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);

	if (!canonical(regs->rip))
		return false;
	regs->rflags = (regs->rflags & RFLAGS_USER) | RFLAGS_FIXED | RFLAGS_IF;
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	if (vcpu->reload) {
		reload(vcpu, regs);
		return true;
	}
	if (vcpu->after_syscall) {
		regs->rcx = regs->rip;
		regs->r11 = regs->rflags;
	}
	if (vcpu->stop == TK_STOP_USER)
		return true;
	/*
	 * With TF set, SYSRETQ would trap before the program's next instruction, not behind it.
	 * KVM's emulator, which is PVM's CPL 0, has no SYSRETQ.
	 */
	if (vcpu->after_syscall && !(regs->rflags & (RFLAGS_TF | RFLAGS_RF)) && !is_pvm(vcpu)) {
		regs->rip = STUBS_VA + TK_STUB_SYSRETQ;
	} else {
		push_frame(vcpu, regs);
		regs->rip = STUBS_VA + TK_STUB_IRETQ;
		regs->rsp = stack_top_va(vcpu) - sizeof(struct tk_iret_frame);
	}
	regs->rflags = RFLAGS_FIXED;
	return true;
}

static void set_fault(struct tk_exit *exit, unsigned int vector, u64 error_code)
{
	exit->kind = TK_EXIT_FAULT;
	exit->vector = vector;
	exit->error_code = error_code;
}

static void set_failed(struct tk_vcpu *vcpu, struct tk_exit *exit)
{
	exit->kind = TK_EXIT_FAILED;
	vcpu->broken = true;
}

/* Costs an ioctl: for unusual exits only. */
static unsigned int privilege(const struct tk_vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return 0;
	return sregs.ss.dpl;
}

static bool event_pending(const struct tk_vcpu *vcpu)
{
	struct kvm_vcpu_events ev;

	if (ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &ev))
		return false;
	return ev.exception.injected || ev.exception.pending || ev.interrupt.injected ||
	       ev.nmi.injected || ev.nmi.pending;
}

static void from_syscall(struct tk_vcpu *vcpu, enum tk_stop stop, struct tk_exit *exit)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);

	exit->kind = TK_EXIT_SYSCALL;
	tk_shim_unwrap(vcpu);
	regs->rip = regs->rcx;
	/*
	 * Intel's SYSCALL leaves RF in R11 when the instruction was restarted, after a fault of the
	 * host's that the program knows nothing of. AMD's never does.
	 */
	regs->r11 &= ~RFLAGS_RF;
	regs->rflags = regs->r11;
	vcpu->stop = stop;
	vcpu->after_syscall = true;
}

/* Its operands are every vCPU's: what was stopped there begins anew. */
static bool undo_reload(struct tk_vcpu *vcpu)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);
	u64 operands[RELOAD_SIZE / sizeof(u64)];

	if (!vcpu->reloading || (regs->rip & TK_PAGE_MASK) != RELOAD_VA)
		return false;
	memcpy(operands, reload_page(vcpu, TK_RELOAD_VA), RELOAD_SIZE);
	regs->rip = regs->rcx;
	regs->rflags = regs->r11 = operands[2];
	regs->rax = operands[3];
	regs->rdx = operands[4];
	vcpu->reload = true;
	return true;
}

/* It will leave as soon as it runs on. */
static void keep_in_entry(struct tk_vcpu *vcpu)
{
	vcpu->in_entry = true;
	tk_shim_keep(vcpu);
}

/* Stopped in the middle, by a signal or a full ring: present the program's registers if we can. */
static void from_between(struct tk_vcpu *vcpu)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);
	enum tk_shim_place place;
	struct tk_iret_frame frame;

	vcpu->after_syscall = false;
	vcpu->stop = TK_STOP_USER;
	if (event_pending(vcpu) || regs->rip == ENTRY_VA) {
		keep_in_entry(vcpu);
		return;
	}
	if (undo_reload(vcpu))
		return;
	place = tk_shim_unwind(vcpu);
	if (place == TK_SHIM_BEGUN)
		regs->rip -= SYSCALL_LEN; /* the call is not made yet */
	if (place != TK_SHIM_OUTSIDE)
		return;
	if ((regs->rip & TK_PAGE_MASK) != STUBS_VA || privilege(vcpu) == 3)
		return;
	vcpu->stop = TK_STOP_KERNEL;
	if (regs->rip == STUBS_VA + TK_STUB_SYSRETQ) {
		regs->rip = regs->rcx;
		regs->rflags = regs->r11;
		vcpu->after_syscall = true;
	} else if (regs->rip == STUBS_VA + TK_STUB_IRETQ) {
		pop_frame(vcpu, regs, &frame);
	} else if (tk_shim_unwind_stub(vcpu)) {
		regs->rip -= SYSCALL_LEN;
		vcpu->after_syscall = true; /* RCX and R11 are the SYSCALL's to set */
	} else {
		keep_in_entry(vcpu);
	}
}

/*
 * An exception at CPL 0. Two are the rest of a SYSCALL; our stubs raise no others.
 *
 * #DB: a single-step trap left over from the SYSCALL instruction. Programs on Linux do not see it.
 * #PF on PVM: a SYSCALL with an RSP that is not canonical does arrive at CPL 0 there, where SMEP
 * keeps it from executing the entry page (which is why PVM without SMEP is refused).
 */
static void from_kernel_vector(struct tk_vcpu *vcpu, unsigned int vector, u64 rip,
			       struct tk_exit *exit)
{
	bool hw_trap = !is_pvm(vcpu) && vector == VECTOR_DB && rip == STUBS_VA + TK_STUB_SYSCALL;
	bool pvm_fetch = is_pvm(vcpu) && vector == VECTOR_PF && rip == SHIM_VA;

	if (hw_trap || pvm_fetch)
		from_syscall(vcpu, TK_STOP_KERNEL, exit);
	else
		set_failed(vcpu, exit);
}

static void from_vector(struct tk_vcpu *vcpu, unsigned int vector, struct tk_exit *exit)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);
	struct tk_iret_frame frame;
	u64 cr2 = 0;

	pop_frame(vcpu, regs, &frame);
	if (vector == VECTOR_PF) {
		cr2 = regs->rax;
		regs->rax = *stack_word(vcpu, sizeof(frame) + 16);
	}
	if ((frame.cs & 3) != 3) {
		from_kernel_vector(vcpu, vector, frame.rip, exit);
		return;
	}
	/* The program's buffer is not there, or has no page yet: the VMM makes the call. */
	if (tk_shim_unwind(vcpu) == TK_SHIM_BEGUN) {
		from_syscall(vcpu, TK_STOP_KERNEL, exit);
		return;
	}
	set_fault(exit, vector, 0);
	exit->cr2 = cr2;
	if (HAS_ERROR_CODE >> vector & 1)
		exit->error_code = *stack_word(vcpu, sizeof(frame) + 8);
	vcpu->stop = TK_STOP_KERNEL;
	vcpu->after_syscall = false;
}

static void from_compat_syscall(struct tk_vcpu *vcpu, struct tk_exit *exit)
{
	struct kvm_regs *regs = tk_vcpu_kregs(vcpu);

	set_fault(exit, VECTOR_UD, 0);
	regs->rip = (u32)regs->rcx - 2;
	regs->rflags = regs->r11;
	vcpu->stop = TK_STOP_KERNEL;
	vcpu->after_syscall = false;
}

/*
 * KVM may hold half an instruction (IN, MMIO) that it would complete on top of whatever the
 * program does next: let it do so now, and forget the result. Wide accesses come in pieces.
 */
static bool settle(struct tk_vcpu *vcpu)
{
	const struct kvm_regs saved = *tk_vcpu_kregs(vcpu);
	bool settled = false;

	/*
	 * It stays set afterwards: a kick that came meanwhile is not lost, and one interruption
	 * too many does no harm.
	 */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 16 && !settled; i++)
		settled = ioctl(vcpu->fd, KVM_RUN, 0) && errno == EINTR;
	*tk_vcpu_kregs(vcpu) = saved;
	return settled;
}

/* The program left where no stub does. */
static void from_alien(struct tk_vcpu *vcpu, struct tk_exit *exit)
{
	if (privilege(vcpu) != 3 || !settle(vcpu)) {
		set_failed(vcpu, exit);
		return;
	}
	exit->kind = TK_EXIT_ALIEN;
	vcpu->stop = TK_STOP_USER;
	vcpu->after_syscall = false;
}

/* True if RIP is at the OUT at @va or just behind it. */
static bool left_by(struct tk_vcpu *vcpu, u64 va)
{
	u64 rip = tk_vcpu_kregs(vcpu)->rip;

	return rip == va || rip == va + OUT_LEN;
}

static void from_io(struct tk_vcpu *vcpu, struct tk_exit *exit)
{
	const struct kvm_run *run = vcpu->run;
	unsigned int port = run->io.port, vector = port - TK_PORT_VECTOR;
	u64 stub = STUBS_VA + (u64)vector * TK_STUB_STRIDE;
	u64 entry = is_pvm(vcpu) ? ENTRY_VA : STUBS_VA + TK_STUB_OUT;

	if (run->io.direction != KVM_EXIT_IO_OUT || run->io.size != 1 || run->io.count != 1)
		from_alien(vcpu, exit);
	else if (port == TK_PORT_SYSCALL && left_by(vcpu, entry))
		from_syscall(vcpu, is_pvm(vcpu) ? TK_STOP_USER : TK_STOP_KERNEL, exit);
	else if (port == TK_PORT_COMPAT && left_by(vcpu, STUBS_VA + TK_STUB_COMPAT))
		from_compat_syscall(vcpu, exit);
	/* vector 14 saves RAX and reads CR2 first: 1 + 3 bytes */
	else if (vector < 32 && left_by(vcpu, stub + (vector == VECTOR_PF ? 4 : 0)))
		from_vector(vcpu, vector, exit);
	else
		from_alien(vcpu, exit);
}

/* KVM_RUN failed with EFAULT or EHWPOISON: no page behind a guest-physical address. */
static void from_no_memory(struct tk_vcpu *vcpu, struct tk_exit *exit)
{
	/* struct kvm_run's memory_fault is { u64 flags, gpa, size } (Documentation/virt/kvm/api) */
	u64 info[3];

	exit->kind = TK_EXIT_NO_MEMORY_BEHIND;
	exit->gpa = ~0ull;
	if (vcpu->run->exit_reason == KVM_EXIT_MEMORY_FAULT) {
		memcpy(info, &vcpu->run->hw, sizeof(info));
		exit->gpa = info[1];
	}
	/* The program's buffer, most likely: the VMM's own try tells. */
	if (!event_pending(vcpu) && tk_shim_unwind(vcpu) == TK_SHIM_BEGUN)
		from_syscall(vcpu, TK_STOP_USER, exit);
	else
		from_between(vcpu);
}

static void decode(struct tk_vcpu *vcpu, struct tk_exit *exit)
{
	exit->kvm_reason = vcpu->run->exit_reason;
	switch (exit->kvm_reason) {
	case KVM_EXIT_IO:
		from_io(vcpu, exit);
		break;
	case KVM_EXIT_DIRTY_RING_FULL:
		exit->kind = TK_EXIT_RING_FULL;
		from_between(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		exit->kind = TK_EXIT_SHUTDOWN;
		vcpu->broken = true;
		break;
	case KVM_EXIT_UNKNOWN:
	case KVM_EXIT_EXCEPTION:
	case KVM_EXIT_FAIL_ENTRY:
	case KVM_EXIT_INTERNAL_ERROR:
		set_failed(vcpu, exit);
		break;
	default:
		from_alien(vcpu, exit);
	}
}

static void decode_error(struct tk_vcpu *vcpu, int error, struct tk_exit *exit)
{
	exit->kvm_reason = vcpu->run->exit_reason;
	exit->error = error;
	switch (error) {
	case EINTR:
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
		exit->kind = TK_EXIT_INTERRUPTED;
		from_between(vcpu);
		break;
	case EFAULT:
	case EHWPOISON:
		from_no_memory(vcpu, exit);
		break;
	default:
		set_failed(vcpu, exit);
	}
}

void tk_vcpu_run(struct tk_vcpu *vcpu, struct tk_exit *exit)
{
	int rc;

	*exit = (struct tk_exit){0};
	if (vcpu->broken) {
		exit->kind = TK_EXIT_FAILED;
		return;
	}
	if (!vcpu->in_entry && !load_program(vcpu)) {
		vcpu->after_syscall = false;
		set_fault(exit, VECTOR_GP, 0);
		return;
	}
	vcpu->in_entry = false;
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN; /* some errors leave it as it was */
	rc = ioctl(vcpu->fd, KVM_RUN, 0) ? errno : 0;
	if (rc)
		decode_error(vcpu, rc, exit);
	else
		decode(vcpu, exit);
	if (vcpu->reloading)
		clear_reload(vcpu);
	vcpu->reloading = false;
	if (!vcpu->reload)
		vcpu->xsave = NULL;
	vcpu->shim_kept &= vcpu->in_entry;
}

bool tk_vcpu_in_entry(struct tk_vcpu *vcpu)
{
	return vcpu->in_entry;
}

void tk_vcpu_resume_full(struct tk_vcpu *vcpu)
{
	vcpu->after_syscall = false;
}

void tk_vcpu_kick(struct tk_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
}
