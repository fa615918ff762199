/* SPDX-License-Identifier: MIT */
/*
 * A VM, its memslots and its vCPUs. One guest thread = one vCPU; all vCPUs of a VM are run by
 * one host thread (except where a function says otherwise).
 *
 * Every exit leaves the *program's* registers in tk_vcpu_regs(): for a system call RIP is behind
 * the SYSCALL instruction and RAX is the call's number, for a fault RIP is the faulting
 * instruction. What the caller leaves there is what the program continues with. Entry stubs,
 * flavours and privilege levels stay behind this interface.
 */
#ifndef TK_KVM_VCPU_H
#define TK_KVM_VCPU_H

#include "base/buf.h"
#include "base/uregs.h"
#include "guest/ahead.h"
#include "guest/fast.h"
#include "kvm/kvm.h"

/* X(NAME, "text") */
#define TK_EXIT_LIST(X)                                                                            \
	X(SYSCALL, "system call")                                                                  \
	X(FAULT, "processor exception in the program")                                             \
	X(INTERRUPTED, "interrupted by a signal or a kick")                                        \
	X(NO_MEMORY_BEHIND, "host cannot supply the page (file truncated, memory gone)")           \
	X(RING_FULL, "dirty ring full")                                                            \
	X(ALIEN, "the program left by a door that is not ours (port, MMIO, HLT, ...)")             \
	X(SHUTDOWN, "triple fault")                                                                \
	X(FAILED, "KVM gave up (entry failure, internal error, unknown reason)")

enum tk_exit_kind {
#define X(name, text) TK_EXIT_##name,
	TK_EXIT_LIST(X)
#undef X
};

struct tk_exit {
	enum tk_exit_kind kind;
	/* TK_EXIT_FAULT */
	unsigned int vector; /* SDM 3A table 6-1 */
	u64 error_code;
	u64 cr2; /* vector 14 only */
	/* TK_EXIT_NO_MEMORY_BEHIND: ~0 if the kernel does not say */
	gpa_t gpa;
	/* TK_EXIT_ALIEN, TK_EXIT_FAILED */
	unsigned int kvm_reason; /* KVM_EXIT_* */
	int error;		 /* errno of KVM_RUN, 0 if none */
};

enum tk_slot_flags {
	TK_SLOT_READONLY = 1, /* the guest cannot write it */
	TK_SLOT_LOG = 2,      /* writes go to the dirty ring */
};

struct tk_vm;
struct tk_vcpu;

/*
 * Create a VM with its kernel area (descriptor tables, entry code, vDSO pages) in memory of its
 * own. @kvm must outlive it. @ring_bytes: dirty ring per vCPU, 0 = no dirty tracking.
 */
int tk_vm_create(struct tk_vm **ret, const struct tk_kvm *kvm, unsigned int ring_bytes,
		 struct tkvm_error *err) TK_MUST_CHECK;
void tk_vm_destroy(struct tk_vm *vm);

/* vCPUs that it has, those that nobody uses included: they cannot be given back. */
unsigned int tk_vm_vcpus(const struct tk_vm *vm);

/*
 * The size that suits forks: some 8000 pages, then TK_EXIT_RING_FULL; 128 KiB of kernel memory for
 * each vCPU.
 */
#define TK_RING_BYTES (128u << 10)

/*
 * Give @fn each page of TK_SLOT_LOG memory that a vCPU may have written since it was given to it
 * last. A page comes once; it comes again only after tk_vm_reset_rings(), or after its host
 * mapping changed. Returns true if a ring is more than half full of such pages.
 */
bool tk_vm_harvest(struct tk_vm *vm, void (*fn)(void *arg, gpa_t gpa), void *arg);
/* Write-protect all pages harvested so far, and empty the rings. 0 or -errno. */
int tk_vm_reset_rings(struct tk_vm *vm) TK_MUST_CHECK;

/*
 * Give the guest [@gpa, @gpa + @size) backed by host memory at @hva, which must stay mapped as
 * a reservation until the VM is gone. Returns 0 or -errno of KVM_SET_USER_MEMORY_REGION.
 */
int tk_vm_slot_add(struct tk_vm *vm, gpa_t gpa, u64 size, void *hva,
		   unsigned int flags) TK_MUST_CHECK;

/*
 * Take the slot that begins at @gpa away. Any vCPU of the VM may go on running; none reaches the
 * memory when this returns, which may then be unmapped. Dear: KVM forgets all of the VM's
 * translations. 0 or -errno.
 */
int tk_vm_slot_remove(struct tk_vm *vm, gpa_t gpa) TK_MUST_CHECK;

/*
 * A page range of the kernel area that page tables must map for the entry to work, given to
 * the callback once each by tk_vm_for_each_kernel_range().
 */
struct tk_kernel_range {
	gva_t va;
	gpa_t gpa;
	u64 size;
	bool user, write, exec;
};
int tk_vm_for_each_kernel_range(struct tk_vm *vm,
				int (*fn)(void *arg, const struct tk_kernel_range *range),
				void *arg) TK_MUST_CHECK;

/* The vDSO's ELF header in guest memory (AT_SYSINFO_EHDR), and the host's view of its data page. */
gva_t tk_vm_vdso(const struct tk_vm *vm);
void *tk_vm_vvar(struct tk_vm *vm);

/*
 * The host's view of what is read ahead (guest/ahead.h), TK_AHEAD_SIZE bytes; NULL: this flavour
 * reads nothing ahead. Of the pages that the shim writes, TK_SHIM_SIZE. Of what the fast path goes
 * by (guest/fast.h), TK_GIVEN_SIZE.
 */
struct tk_ahead_page *tk_vm_ahead(struct tk_vm *vm);
struct tk_shim_page *tk_vm_shim(struct tk_vm *vm);
struct tk_given *tk_vm_given(struct tk_vm *vm);

/*
 * Create a vCPU that will start at CPL 3 with *@regs, page-table root @cr3 and FS base @fs_base.
 * -EAGAIN: the VM has as many as it may have.
 */
int tk_vcpu_create(struct tk_vcpu **ret, struct tk_vm *vm, gpa_t cr3, const struct tk_uregs *regs,
		   u64 fs_base, struct tkvm_error *err) TK_MUST_CHECK;
void tk_vcpu_destroy(struct tk_vcpu *vcpu);

/*
 * Give a vCPU that ran the state of one that was just created with these, and @xsave (as
 * tk_vcpu_get_xsave() gives it), which is kept until it has run. Returns how many ioctls that took.
 * -ESTALE: it stopped where that cannot be; destroy it and create another.
 */
int tk_vcpu_restore(struct tk_vcpu *vcpu, const struct tk_uregs *regs, u64 fs_base, u64 gs_base,
		    const void *xsave) TK_MUST_CHECK;

/* The program's registers; valid until the next tk_vcpu_run(). Changes are taken up by it. */
struct tk_uregs *tk_vcpu_regs(struct tk_vcpu *vcpu);

/*
 * After a system call the program continues with RCX = RIP and R11 = RFLAGS, as SYSCALL defines.
 * Call this when all of tk_vcpu_regs() must arrive as they are (rt_sigreturn, signal delivery).
 */
void tk_vcpu_resume_full(struct tk_vcpu *vcpu);

/*
 * Run until the next exit, described in *@exit. Never fails: KVM's failures are exits too.
 *
 * The registers need no checking by the caller: flags that are not a program's are dropped, and a
 * RIP that is not canonical is TK_EXIT_FAULT (#GP) at once. After TK_EXIT_SHUTDOWN and
 * TK_EXIT_FAILED every further run is TK_EXIT_FAILED.
 */
void tk_vcpu_run(struct tk_vcpu *vcpu, struct tk_exit *exit);

/*
 * True if the last exit (TK_EXIT_INTERRUPTED, TK_EXIT_RING_FULL, TK_EXIT_NO_MEMORY_BEHIND) caught
 * the vCPU on its way out with another exit: tk_vcpu_regs() is then not the program's, is not to
 * be changed, and the next tk_vcpu_run() brings the pending exit first, at once.
 */
bool tk_vcpu_in_entry(struct tk_vcpu *vcpu);

/* Any thread: the current or next tk_vcpu_run() of @vcpu ends soon (with a signal sent after). */
void tk_vcpu_kick(struct tk_vcpu *vcpu);

int tk_vcpu_get_segbase(struct tk_vcpu *vcpu, enum tk_segbase which, u64 *base) TK_MUST_CHECK;
int tk_vcpu_set_segbase(struct tk_vcpu *vcpu, enum tk_segbase which, u64 base) TK_MUST_CHECK;

/* XSAVE image in the standard (non-compacted) format; @size from tk_kvm.xsave_size. */
int tk_vcpu_get_xsave(struct tk_vcpu *vcpu, void *area, size_t size) TK_MUST_CHECK;
int tk_vcpu_set_xsave(struct tk_vcpu *vcpu, const void *area, size_t size) TK_MUST_CHECK;

const char *tk_exit_name(enum tk_exit_kind kind);
const char *tk_vector_name(unsigned int vector); /* "#PF" */

/* One-line reason, registers, code bytes, control registers: for people, after the unexpected. */
void tk_vcpu_report(struct tk_vcpu *vcpu, const struct tk_exit *exit, struct tk_buf *out);

#endif
