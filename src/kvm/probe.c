/* SPDX-License-Identifier: MIT */
/*
 * What can only be learnt by running a guest: the flavour, the control bits that KVM takes, whether
 * the TSC is the host's, what an exit and a page fault cost. Owns a sandbox: a VM whose page tables
 * have one leaf, the kernel area's, in the upper part of which the guest's few instructions and
 * pages lie. Their memory is that of exception stacks which nobody uses yet.
 *
 * The flavour: three instructions, RDTSC, SYSCALL, OUT, the last on a page that CPL 0 and CPL 3
 * can both execute and on a port open to both. The level at which that exit arrives is the answer.
 *
 * Destroying a VM waits for RCU, some milliseconds: the probe's becomes the first real one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "guest/area.h"
#include "kvm/internal.h"

#define PTE_P  1ull
#define PTE_W  2ull
#define PTE_U  4ull
#define PTE_AD 0x60ull
#define PTE_NX (1ull << 63)

#define DATA_PAGES  32
#define TABLE_PAGES 4
#define BOX_PAGES   (TABLE_PAGES + 1 + DATA_PAGES)
#define BOX_OFFSET  0x10000 /* in the stacks: beyond those of the first 256 vCPUs */
#define TABLES_GPA  (TK_GPA_STACKS + BOX_OFFSET)
#define CODE_GPA    (TABLES_GPA + TABLE_PAGES * TK_PAGE_SIZE)
#define CODE_VA	    (TK_KERNEL_VA + 0xd0000ull)
#define DATA_VA	    (CODE_VA + TK_PAGE_SIZE)

_Static_assert(BOX_OFFSET + BOX_PAGES * TK_PAGE_SIZE <= TK_STACKS_SIZE, "the sandbox's memory");
_Static_assert(CODE_VA >> 21 == TK_KERNEL_VA >> 21, "one leaf");
_Static_assert(CODE_VA >= TK_SHIM_VA + TK_SHIM_SIZE, "behind the shim's page");
_Static_assert(DATA_VA + DATA_PAGES * TK_PAGE_SIZE <= TK_GIVEN_VA, "below what the fast path has");

struct sandbox {
	struct tk_vm *vm;
	struct tk_vcpu *vcpu;
};

static u8 *box_memory(const struct sandbox *box)
{
	return box->vm->stacks + BOX_OFFSET;
}

static int map_range(void *arg, const struct tk_kernel_range *range)
{
	u64 *pt = (u64 *)arg + 3 * 512;

	for (u64 off = 0; off < range->size; off += TK_PAGE_SIZE)
		pt[((range->va + off) >> 12) & 511] =
			(range->gpa + off) | PTE_P | PTE_AD | (range->user ? PTE_U : 0) |
			(range->write ? PTE_W : 0) | (range->exec ? 0 : PTE_NX);
	return 0;
}

static int fill_tables(const struct sandbox *box)
{
	const struct tk_kernel_range code = {CODE_VA, CODE_GPA, TK_PAGE_SIZE, true, false, true};
	const struct tk_kernel_range data = {
		DATA_VA, CODE_GPA + TK_PAGE_SIZE, DATA_PAGES * TK_PAGE_SIZE, true, true, false};
	u64 *tables = (u64 *)(void *)box_memory(box);

	for (int level = 0; level < 3; level++) {
		u64 index = (TK_KERNEL_VA >> (39 - 9 * level)) & 511;

		tables[level * 512 + index] = (TABLES_GPA + (u64)(level + 1) * TK_PAGE_SIZE) |
					      PTE_P | PTE_W | PTE_U | PTE_AD;
	}
	map_range(tables, &code);
	map_range(tables, &data);
	return tk_vm_for_each_kernel_range(box->vm, map_range, tables);
}

static void close_sandbox(struct sandbox *box)
{
	tk_vcpu_destroy(box->vcpu);
	tk_vm_destroy(box->vm);
}

static int start_vcpu(struct sandbox *box, struct tkvm_error *err)
{
	const struct tk_uregs regs = {.rip = CODE_VA, .rdi = DATA_VA};
	int rc = tk_vcpu_create(&box->vcpu, box->vm, TABLES_GPA, &regs, 0, err);

	/* A kick that is pending in this thread is somebody else's, and would never let this run.
	 */
	if (!rc && ioctl(box->vcpu->fd, KVM_SET_SIGNAL_MASK, NULL))
		rc = tk_fail_errno(err, errno, "kvm probe: KVM_SET_SIGNAL_MASK");
	return rc;
}

static int open_sandbox(struct sandbox *box, const struct tk_kvm *kvm, const u8 *code, size_t len,
			struct tkvm_error *err)
{
	int rc;

	*box = (struct sandbox){0};
	rc = tk_vm_create(&box->vm, kvm, 0, err);
	if (rc)
		return rc;
	memcpy(box_memory(box) + TABLE_PAGES * TK_PAGE_SIZE, code, len);
	fill_tables(box);
	rc = start_vcpu(box, err);
	if (rc)
		close_sandbox(box);
	return rc;
}

/* The sandbox's VM, empty again, for tk_vm_create(). */
static void keep_spare(struct tk_kvm *kvm, struct sandbox *box)
{
	kvm->spare = malloc(sizeof(*kvm->spare));
	if (!kvm->spare) {
		close_sandbox(box);
		return;
	}
	memset(box->vm->stacks, 0, TK_STACK_SIZE);
	memset(box_memory(box), 0, (TABLE_PAGES + 1) * TK_PAGE_SIZE);
	tk_vcpu_destroy(box->vcpu);
	*kvm->spare = box->vm;
}

/* Run to the next system call. */
static int run_to_syscall(struct sandbox *box, struct tkvm_error *err)
{
	struct tk_exit exit;

	do
		tk_vcpu_run(box->vcpu, &exit);
	while (exit.kind == TK_EXIT_INTERRUPTED);
	if (exit.kind == TK_EXIT_SYSCALL)
		return 0;
	return tk_fail(err, EOPNOTSUPP,
		       "kvm probe: a guest of three instructions ended with: %s (%s, vector %u)",
		       tk_exit_name(exit.kind), tk_kvm_exit_name(exit.kvm_reason), exit.vector);
}

static u64 read_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

/* Control bits that make the guest's CPL 0 harder to misuse; programs may use FSGSBASE. */
static u64 accepted_cr4(const struct tk_vcpu *vcpu)
{
	static const u64 bits[] = {CR4_FSGSBASE, CR4_UMIP, CR4_SMEP, CR4_SMAP};
	struct kvm_sregs sregs;
	u64 cr4 = CR4_BASE;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return cr4;
	for (size_t i = 0; i < TK_ARRAY_SIZE(bits); i++) {
		sregs.cr4 = cr4 | bits[i];
		if (!ioctl(vcpu->fd, KVM_SET_SREGS, &sregs))
			cr4 |= bits[i];
	}
	sregs.cr4 = CR4_BASE;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) ? CR4_BASE : cr4;
}

static int learn(struct tk_kvm *kvm, struct sandbox *box, struct tkvm_error *err)
{
	struct kvm_sregs sregs;
	u64 cr4 = accepted_cr4(box->vcpu);
	u64 before = read_tsc(), guest, after;
	int rc = run_to_syscall(box, err);

	if (rc)
		return rc;
	after = read_tsc();
	guest = tk_vcpu_regs(box->vcpu)->rdx << 32 | (u32)tk_vcpu_regs(box->vcpu)->rax;
	if (ioctl(box->vcpu->fd, KVM_GET_SREGS, &sregs))
		return tk_fail_errno(err, errno, "kvm probe: KVM_GET_SREGS");
	kvm->flavour = sregs.ss.dpl == 3 ? TK_FLAVOUR_PVM : TK_FLAVOUR_HARDWARE;
	kvm->host_tsc = before <= guest && guest <= after;
	kvm->cr4 = cr4;
	return 0;
}

int tk_probe(struct tk_kvm *kvm, struct tkvm_error *err)
{
	static const u8 code[] = {0x0f, 0x31, 0x0f, 0x05}; /* rdtsc; syscall */
	struct sandbox box;
	int rc;

	kvm->flavour = TK_FLAVOUR_PVM; /* SYSCALL enters at the page that all may execute */
	kvm->cr4 = CR4_BASE;	       /* without SMEP, so that CPL 0 may too */
	rc = open_sandbox(&box, kvm, code, sizeof(code), err);
	if (rc)
		return rc;
	rc = learn(kvm, &box, err);
	if (rc)
		goto out_close;
	if (kvm->flavour == TK_FLAVOUR_PVM && !(kvm->cr4 & CR4_SMEP)) {
		rc = tk_fail(err, EOPNOTSUPP, "kvm: PVM without SMEP: its entry page is not safe");
		goto out_close;
	}
	tk_area_build((void *)kvm->area, kvm->flavour == TK_FLAVOUR_PVM);
	if (mprotect((void *)kvm->area, TK_AREA_SIZE, PROT_READ)) {
		rc = tk_fail_errno(err, errno, "kvm probe: protect the kernel area");
		goto out_close;
	}
	keep_spare(kvm, &box);
	return 0;
out_close:
	close_sandbox(&box);
	return rc;
}

static int compare_ns(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;

	return (x > y) - (x < y);
}

/* The median of a round trip, touching another page each time or always the same one. */
static int time_rounds(struct sandbox *box, bool fresh, s64 *median, struct tkvm_error *err)
{
	s64 ns[DATA_PAGES - 1];

	for (unsigned int i = 0; i < DATA_PAGES - 1; i++) {
		s64 start = tk_now_ns();
		int rc;

		tk_vcpu_regs(box->vcpu)->rdi = DATA_VA + (fresh ? i + 1 : 0) * TK_PAGE_SIZE;
		rc = run_to_syscall(box, err);
		if (rc)
			return rc;
		ns[i] = tk_now_ns() - start;
	}
	qsort(ns, TK_ARRAY_SIZE(ns), sizeof(ns[0]), compare_ns);
	*median = ns[TK_ARRAY_SIZE(ns) / 2];
	return 0;
}

int tk_kvm_measure(const struct tk_kvm *kvm, struct tk_kvm_costs *costs, struct tkvm_error *err)
{
	static const u8 code[] = {
		0xc6, 0x07, 0x01, /* 1: movb $1, (%rdi) */
		0x0f, 0x05,	  /* syscall */
		0xeb, 0xf9,	  /* jmp 1b */
	};
	struct sandbox box;
	s64 same, fresh;
	int rc = open_sandbox(&box, kvm, code, sizeof(code), err);

	if (rc)
		return rc;
	rc = time_rounds(&box, false, &same, err);
	if (!rc)
		rc = time_rounds(&box, true, &fresh, err);
	close_sandbox(&box);
	if (rc)
		return rc;
	costs->exit_ns = same;
	costs->fault_ns = TK_MAX(fresh - same, (s64)0);
	return 0;
}
