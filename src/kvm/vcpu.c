/* SPDX-License-Identifier: MIT */
/*
 * Owns a vCPU's descriptor, its shared page and its processor state outside of the general
 * registers. Creating one sets *all* state that a program can see, since the vCPU may have run
 * another guest thread before (vm->idle).
 *
 * FS and GS bases go by MSR, not by KVM_SET_SREGS: one ioctl instead of two, and it leaves the
 * MMU alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "kvm/internal.h"
#include "kvm/kick.h"

/* tk_vcpu_regs() hands out KVM's own structure. */
#define SAME(field)                                                                                \
	_Static_assert(offsetof(struct tk_uregs, field) == offsetof(struct kvm_regs, field), #field)
SAME(rax);
SAME(rsp);
SAME(r8);
SAME(r15);
SAME(rip);
SAME(rflags);
_Static_assert(sizeof(struct tk_uregs) == sizeof(struct kvm_regs), "tk_uregs");

#define SEG_ACCESSED_CODE 11
#define SEG_ACCESSED_DATA 3
#define SEG_BUSY_TSS	  11

static struct kvm_segment flat(u16 selector, u8 type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.dpl = selector & 3,
		.db = type == SEG_ACCESSED_DATA,
		.s = 1,
		.l = type == SEG_ACCESSED_CODE,
		.g = 1,
	};
}

static const struct kvm_segment null_segment = {.unusable = 1};

static void fill_sregs(const struct tk_vcpu *vcpu, gpa_t cr3, u64 fs_base, struct kvm_sregs *s)
{
	s->cs = flat(TK_SEL_USER_CS, SEG_ACCESSED_CODE);
	s->ss = flat(TK_SEL_USER_SS, SEG_ACCESSED_DATA);
	s->ds = s->es = s->fs = s->gs = null_segment; /* as Linux starts programs */
	s->fs.base = fs_base;
	s->ldt = null_segment;
	s->tr = (struct kvm_segment){
		.base = TK_KERNEL_VA + TK_AREA_TSS + (u64)vcpu->index * TK_TSS_SIZE,
		.limit = TK_TSS_SIZE - 1,
		.selector = TK_SEL_TSS,
		.type = SEG_BUSY_TSS,
		.present = 1,
	};
	s->gdt = (struct kvm_dtable){.base = TK_KERNEL_VA + TK_AREA_GDT, .limit = TK_SEL_TSS + 15};
	s->idt = (struct kvm_dtable){.base = TK_KERNEL_VA + TK_AREA_IDT, .limit = 32 * 16 - 1};
	s->cr0 = TK_CR0;
	s->cr2 = 0;
	s->cr3 = cr3;
	s->cr4 = vcpu->vm->kvm->cr4;
	s->efer = TK_EFER;
	memset(s->interrupt_bitmap, 0, sizeof(s->interrupt_bitmap));
}

static int set_sregs(struct tk_vcpu *vcpu, gpa_t cr3, u64 fs_base)
{
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &vcpu->sregs))
		return -errno;
	fill_sregs(vcpu, cr3, fs_base, &vcpu->sregs);
	return ioctl(vcpu->fd, KVM_SET_SREGS, &vcpu->sregs) ? -errno : 0;
}

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[8];
};

static int set_msrs(const struct tk_vcpu *vcpu, struct msr_list *list)
{
	int n = ioctl(vcpu->fd, KVM_SET_MSRS, &list->head);

	if (n < 0)
		return -errno;
	/* KVM stops at the first that it refuses. */
	return (u32)n == list->head.nmsrs ? 0 : -EINVAL;
}

static int set_entry_msrs(const struct tk_vcpu *vcpu)
{
	bool pvm = vcpu->vm->kvm->flavour == TK_FLAVOUR_PVM;
	u64 stubs = TK_KERNEL_VA + TK_AREA_STUBS;
	struct msr_list list = {
		.head.nmsrs = 5,
		.entries =
			{
				/* SYSRETQ's base selector: SS = base + 8, CS = base + 16 */
				{.index = MSR_STAR,
				 .data = (u64)TK_SEL_KERNEL_CS << 32 | (u64)TK_SEL_USER32_CS << 48},
				{.index = MSR_LSTAR,
				 .data = pvm ? TK_KERNEL_VA + TK_AREA_ENTRY + TK_ENTRY_SHIM
					     : stubs + TK_STUB_SYSCALL},
				{.index = MSR_CSTAR, .data = stubs + TK_STUB_COMPAT},
				{.index = MSR_FMASK, .data = 0x47700}, /* AC NT IOPL DF IF TF */
				{.index = MSR_KERNEL_GS_BASE, .data = 0},
			},
	};

	return set_msrs(vcpu, &list);
}

static int set_xcr0(const struct tk_vcpu *vcpu)
{
	struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs[0].value = vcpu->vm->kvm->xcr0};

	return ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs) ? -errno : 0;
}

/* During KVM_RUN the thread's own mask holds, but for the kick. */
static int set_signal_mask(const struct tk_vcpu *vcpu)
{
	struct {
		struct kvm_signal_mask head;
		u64 bits; /* the kernel's sigset_t */
	} mask = {.head.len = 8};
	sigset_t set;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	sigdelset(&set, TK_KICK_SIGNAL);
	memcpy(&mask.head.sigset, &set, 8);
	return ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask) ? -errno : 0;
}

static void set_tsc_offset(const struct tk_vcpu *vcpu)
{
	u64 zero = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (u64)(uintptr_t)&zero,
	};

	/* tk_kvm.host_tsc was measured with this in effect; failing here changes nothing else */
	if (vcpu->vm->kvm->tsc_offset)
		ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr);
}

static int open_vcpu(struct tk_vcpu *vcpu, struct tkvm_error *err)
{
	struct tk_vm *vm = vcpu->vm;
	int rc;

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)vcpu->index);
	if (vcpu->fd < 0)
		return tk_fail_errno(err, errno, "vcpu %u: KVM_CREATE_VCPU", vcpu->index);
	vm->n_vcpus++; /* the number is used up even if the rest fails */
	vcpu->run = mmap(NULL, vm->kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		rc = tk_fail_errno(err, errno, "vcpu %u: map kvm_run", vcpu->index);
		goto out_close;
	}
	rc = tk_ring_map(vcpu);
	if (rc) {
		tk_fail_errno(err, -rc, "vcpu %u: map its dirty ring", vcpu->index);
		goto out_unmap;
	}
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	/* Linux 5.17 and later refuse to change it once the vCPU has run: now or never. */
	if (ioctl(vcpu->fd, KVM_SET_CPUID2, vm->kvm->cpuid)) {
		rc = tk_fail_errno(err, errno, "vcpu %u: KVM_SET_CPUID2", vcpu->index);
		goto out_unmap;
	}
	set_tsc_offset(vcpu);
	if (vcpu->ring)
		tk_list_add_tail(&vm->rings, &vcpu->ring_link);
	return 0;
out_unmap:
	tk_ring_unmap(vcpu);
	munmap(vcpu->run, vm->kvm->run_size);
out_close:
	close(vcpu->fd);
	return rc;
}

void tk_vcpu_close(struct tk_vcpu *vcpu)
{
	tk_ring_unmap(vcpu);
	munmap(vcpu->run, vcpu->vm->kvm->run_size);
	close(vcpu->fd);
	free(vcpu);
}

static struct tk_vcpu *new_vcpu(struct tk_vm *vm, int *rc, struct tkvm_error *err)
{
	struct tk_vcpu *vcpu;

	if (vm->n_vcpus >= vm->kvm->max_vcpus) {
		*rc = tk_fail(err, EAGAIN, "vcpu: the VM has its %u already", vm->n_vcpus);
		return NULL;
	}
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu) {
		*rc = tk_fail_errno(err, ENOMEM, "vcpu: allocate");
		return NULL;
	}
	vcpu->vm = vm;
	vcpu->index = vm->n_vcpus;
	*rc = open_vcpu(vcpu, err);
	if (!*rc)
		return vcpu;
	free(vcpu);
	return NULL;
}

/* Undo what the previous user left: half-done instructions, pending events, FPU, debug registers.
 */
static int scrub(struct tk_vcpu *vcpu)
{
	struct kvm_vcpu_events events = {0};
	struct kvm_debugregs debug = {.dr6 = 0xffff0ff0, .dr7 = 0x400};
	struct kvm_xsave *xsave;
	int rc = 0;

	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
	ioctl(vcpu->fd, KVM_RUN, 0);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
	xsave = calloc(1, vcpu->vm->kvm->xsave_size);
	if (!xsave)
		return -ENOMEM;
	xsave->region[0] = 0x37f;  /* FCW: the ABI's initial control words */
	xsave->region[6] = 0x1f80; /* MXCSR */
	xsave->region[128] = 3;	   /* XSTATE_BV: x87 and SSE as given, the rest initial */
	if (ioctl(vcpu->fd, KVM_SET_XSAVE, xsave) || ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &debug) ||
	    ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events))
		rc = -errno;
	free(xsave);
	return rc;
}

static struct tk_vcpu *take_idle(struct tk_vm *vm, int *rc, struct tkvm_error *err)
{
	struct tk_vcpu *vcpu = tk_list_entry(vm->idle.next, struct tk_vcpu, link);

	*rc = scrub(vcpu);
	if (*rc) {
		tk_fail_errno(err, -*rc, "vcpu %u: reset", vcpu->index);
		return NULL;
	}
	tk_list_del(&vcpu->link);
	return vcpu;
}

/* What every user of a vCPU finds. */
static int set_up(struct tk_vcpu *vcpu, gpa_t cr3, u64 fs_base, struct tkvm_error *err)
{
	const char *what = "KVM_SET_SREGS";
	int rc = set_sregs(vcpu, cr3, fs_base);

	if (!rc) {
		what = "KVM_SET_XCRS";
		rc = set_xcr0(vcpu);
	}
	if (!rc) {
		what = "KVM_SET_MSRS";
		rc = set_entry_msrs(vcpu);
	}
	if (!rc) {
		what = "KVM_SET_SIGNAL_MASK";
		rc = set_signal_mask(vcpu);
	}
	if (rc)
		tk_fail_errno(err, -rc, "vcpu %u: %s", vcpu->index, what);
	return rc;
}

int tk_vcpu_create(struct tk_vcpu **ret, struct tk_vm *vm, gpa_t cr3, const struct tk_uregs *regs,
		   u64 fs_base, struct tkvm_error *err)
{
	bool used = !tk_list_empty(&vm->idle);
	struct tk_vcpu *vcpu;
	int rc = 0;

	vcpu = used ? take_idle(vm, &rc, err) : new_vcpu(vm, &rc, err);
	if (!vcpu)
		return rc;
	rc = set_up(vcpu, cr3, fs_base, err);
	if (rc) {
		tk_vcpu_destroy(vcpu);
		return rc;
	}
	memcpy(tk_vcpu_kregs(vcpu), regs, sizeof(*regs));
	vcpu->stop = TK_STOP_USER;
	vcpu->after_syscall = vcpu->in_entry = vcpu->broken = vcpu->shim_kept = false;
	vcpu->xsave = NULL;
	/* On PVM even a new one may find another's selectors. RCX shows who can bear the cure. */
	vcpu->reload = (used || regs->rcx == regs->rip) && vm->kvm->sync_sregs &&
		       vm->kvm->cr4 & CR4_FSGSBASE;
	*ret = vcpu;
	return 0;
}

int tk_vcpu_restore(struct tk_vcpu *vcpu, const struct tk_uregs *regs, u64 fs_base, u64 gs_base,
		    const void *xsave)
{
	const struct tk_kvm *kvm = vcpu->vm->kvm;

	if (vcpu->broken || vcpu->in_entry || !kvm->sync_sregs || !(kvm->cr4 & CR4_FSGSBASE))
		return -ESTALE;
	vcpu->xsave = kvm->image_size ? xsave : NULL;
	if (!vcpu->xsave && ioctl(vcpu->fd, KVM_SET_XSAVE, xsave))
		return -ESTALE;
	memcpy(tk_vcpu_kregs(vcpu), regs, sizeof(*regs));
	vcpu->sregs.fs.base = fs_base;
	vcpu->sregs.gs.base = gs_base;
	vcpu->stop = TK_STOP_USER;
	vcpu->after_syscall = false;
	vcpu->reload = true;
	return vcpu->xsave ? 0 : 1;
}

void tk_vcpu_destroy(struct tk_vcpu *vcpu)
{
	if (vcpu)
		tk_list_add_tail(&vcpu->vm->idle, &vcpu->link);
}

struct tk_uregs *tk_vcpu_regs(struct tk_vcpu *vcpu)
{
	return (struct tk_uregs *)(void *)tk_vcpu_kregs(vcpu);
}

static u32 segbase_msr(enum tk_segbase which)
{
	return which == TK_FS_BASE ? MSR_FS_BASE : MSR_GS_BASE;
}

/* Of a vCPU that was put back and has not run since. */
static u64 *next_base(struct tk_vcpu *vcpu, enum tk_segbase which)
{
	struct kvm_segment *segment = which == TK_FS_BASE ? &vcpu->sregs.fs : &vcpu->sregs.gs;

	return (u64 *)(void *)&segment->base;
}

int tk_vcpu_get_segbase(struct tk_vcpu *vcpu, enum tk_segbase which, u64 *base)
{
	struct msr_list list = {.head.nmsrs = 1, .entries[0].index = segbase_msr(which)};

	if (vcpu->reload) {
		*base = *next_base(vcpu, which);
		return 0;
	}
	if (ioctl(vcpu->fd, KVM_GET_MSRS, &list.head) != 1)
		return -EIO;
	*base = list.entries[0].data;
	return 0;
}

int tk_vcpu_set_segbase(struct tk_vcpu *vcpu, enum tk_segbase which, u64 base)
{
	struct msr_list list = {
		.head.nmsrs = 1,
		.entries[0] = {.index = segbase_msr(which), .data = base},
	};

	if (vcpu->reload) {
		*next_base(vcpu, which) = base;
		return 0;
	}
	return set_msrs(vcpu, &list);
}

int tk_vcpu_get_xsave(struct tk_vcpu *vcpu, void *area, size_t size)
{
	const struct tk_kvm *kvm = vcpu->vm->kvm;

	if (size < kvm->xsave_size)
		return -EINVAL;
	if (vcpu->xsave) {
		memcpy(area, vcpu->xsave, kvm->xsave_size);
		return 0;
	}
	return ioctl(vcpu->fd, kvm->xsave2 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area) ? -errno : 0;
}

int tk_vcpu_set_xsave(struct tk_vcpu *vcpu, const void *area, size_t size)
{
	if (size < vcpu->vm->kvm->xsave_size)
		return -EINVAL;
	if (ioctl(vcpu->fd, KVM_SET_XSAVE, area))
		return -errno;
	vcpu->xsave = NULL;
	return 0;
}
