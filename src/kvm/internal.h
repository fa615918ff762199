/* SPDX-License-Identifier: MIT */
/* What the files of src/kvm share and nobody else sees. */
#ifndef TK_KVM_INTERNAL_H
#define TK_KVM_INTERNAL_H

#include <linux/kvm.h>
#include <pthread.h>

#include "base/list.h"
#include "guest/ahead.h"
#include "guest/layout.h"
#include "kvm/vcpu.h"

/* Linux 6.8; newer than the headers of the oldest system that this is built on. */
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#define KVM_EXIT_MEMORY_FAULT	  39
#endif

#define MSR_STAR	   0xc0000081
#define MSR_LSTAR	   0xc0000082
#define MSR_CSTAR	   0xc0000083
#define MSR_FMASK	   0xc0000084
#define MSR_FS_BASE	   0xc0000100
#define MSR_GS_BASE	   0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX	   0xc0000103

#define TK_CR0	     0x80050033ull /* PG AM WP NE ET MP PE */
#define TK_EFER	     0xd01ull	   /* NXE LMA LME SCE */
#define CR4_BASE     0x40620ull	   /* OSXSAVE OSXMMEXCPT OSFXSR PAE */
#define CR4_UMIP     (1ull << 11)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_SMEP     (1ull << 20)
#define CR4_SMAP     (1ull << 21)

/* How to get from where the vCPU stopped back to the program. */
enum tk_stop {
	TK_STOP_USER,	/* it is at CPL 3: load the registers */
	TK_STOP_KERNEL, /* it is in a stub at CPL 0: SYSRETQ or IRETQ */
};

struct tk_slot {
	gpa_t gpa;
	u64 size;
	void *hva;
};

struct tk_vm {
	const struct tk_kvm *kvm;
	int fd;
	struct tk_slot *slots; /* by slot number; n_slots of cap_slots, for reports */
	unsigned int n_slots, cap_slots;
	unsigned int removed; /* of n_slots: to be used again */
	unsigned int n_vcpus; /* ever created: KVM cannot delete one */
	unsigned int ring_bytes;
	u8 *stacks;	      /* TK_STACKS_SIZE, and the shim's page */
	u8 *vvar;	      /* TK_VVAR_SIZE, and TK_AHEAD_SIZE of what was read ahead */
	struct tk_list idle;  /* vCPUs whose owner destroyed them */
	struct tk_list rings; /* all vCPUs that have one */
};

struct tk_vcpu {
	struct tk_vm *vm;
	struct tk_list link; /* in vm->idle */
	struct tk_list ring_link;
	struct kvm_dirty_gfn *ring; /* NULL: none */
	u32 ring_next;		    /* the entry to look at next */
	u32 ring_held;		    /* entries collected, but not handed back */
	int fd;
	unsigned int index;
	struct kvm_run *run;
	enum tk_stop stop;
	bool after_syscall;	/* RCX and R11 may be clobbered on the way back */
	bool in_entry;		/* stopped on its way to us: the registers are not the program's */
	bool broken;		/* no way back to the program is known */
	bool reload;		/* the next run sets the segment registers */
	bool reloading;		/* this run began on the reload page */
	const void *xsave;	/* and this, the FPU; NULL: it has its state */
	struct kvm_sregs sregs; /* what it was set up with */
	bool shim_kept;		/* @shim is what the shim's page said when in_entry became true */
	struct tk_shim_page shim;
};

/* One iretq frame, at the top of the exception stack (SDM 3A figure 6-9). */
struct tk_iret_frame {
	u64 rip, cs, rflags, rsp, ss;
};

/* cpuid.c */
int tk_cpuid_get(struct tk_kvm *kvm, struct tkvm_error *err) TK_MUST_CHECK;
bool tk_cpuid_bit(const struct kvm_cpuid2 *cpuid, u32 leaf, int reg, unsigned int bit);
u64 tk_cpuid_xcr0(const struct kvm_cpuid2 *cpuid);

/* probe.c: fills flavour, cr4, host_tsc, spare and rebuilds the area to suit. */
int tk_probe(struct tk_kvm *kvm, struct tkvm_error *err) TK_MUST_CHECK;

/* vcpu.c */
void tk_vcpu_close(struct tk_vcpu *vcpu);

/* ring.c: 0 or -errno; nothing to do without a ring. */
int tk_ring_map(struct tk_vcpu *vcpu) TK_MUST_CHECK;
void tk_ring_unmap(struct tk_vcpu *vcpu);
/* shim.c: a vCPU that stopped at CPL 3 with RIP in the entry page or the fast path. */
enum tk_shim_place {
	TK_SHIM_OUTSIDE,
	TK_SHIM_BEGUN, /* before the call; registers are the program's, RIP is behind its SYSCALL */
	TK_SHIM_DONE,  /* after the call; the same */
};
enum tk_shim_place tk_shim_unwind(struct tk_vcpu *vcpu);
/*
 * The same on hardware at CPL 0, on the way to the fast path; false: it is elsewhere. The call is
 * not made.
 */
bool tk_shim_unwind_stub(struct tk_vcpu *vcpu);
/* RCX and R11 are as the program's SYSCALL left them, also if a second one followed. */
void tk_shim_unwrap(struct tk_vcpu *vcpu);
/* The vCPU goes on in the entry code later, when the shim's page may be another thread's. */
void tk_shim_keep(struct tk_vcpu *vcpu);

/* vm.c: the spare VM, which is then the caller's, or NULL. */
struct tk_vm *tk_vm_take_spare(const struct tk_kvm *kvm);

/* report.c */
const char *tk_kvm_exit_name(unsigned int reason);

static inline struct kvm_regs *tk_vcpu_kregs(struct tk_vcpu *vcpu)
{
	return &vcpu->run->s.regs.regs;
}

#endif
