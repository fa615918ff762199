/* SPDX-License-Identifier: MIT */
/*
 * A VM with page tables of the test's own and a few pages for hand-written guest code:
 *
 *	RIG_CODE   one page, user, executable, read-only
 *	RIG_DATA   four pages, user, writable
 *	RIG_RO     one page, user, read-only
 *	RIG_HOLE   nothing mapped
 *	RIG_NOSLOT one page, user, writable, of physical memory that does not exist
 *	RIG_FILE   one page, user, writable, for rig_map_file()
 */
#ifndef TEST_KVM_RIG_H
#define TEST_KVM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "guest/layout.h"
#include "kvm/vcpu.h"

#define RIG_CODE   0x400000ull
#define RIG_DATA   0x401000ull
#define RIG_RO	   0x405000ull
#define RIG_NOSLOT 0x406000ull
#define RIG_FILE   0x407000ull
#define RIG_HOLE   0x500000ull
#define RIG_PAGES  6 /* code, data, ro */

#define RIG_GPA_FILE   (TK_GPA_MEMORY + 0x10000000ull)
#define RIG_GPA_NOSLOT 0x3000000000ull

#define PTE_P  1ull
#define PTE_W  2ull
#define PTE_U  4ull
#define PTE_AD 0x60ull
#define PTE_NX (1ull << 63)

#define ENTRY_VA  ((u64)TK_KERNEL_VA + TK_AREA_ENTRY)
#define STUBS_VA  ((u64)TK_KERNEL_VA + TK_AREA_STUBS)
#define RELOAD_VA ((u64)TK_KERNEL_VA + TK_AREA_RELOAD)

/* Guest code, assembled in place: GUEST(name, "instructions") declares name[] and name_end[]. */
#define GUEST(name, text)                                                                          \
	extern const u8 name[], name##_end[];                                                      \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection\n")

struct rig {
	struct tk_vm *vm;
	struct tk_vcpu *vcpu;
	struct tk_uregs *r;
	struct tk_exit exit;
	u64 *tables; /* PML4, kernel PDPT PD PT, user PDPT PD PT */
	u8 *mem;     /* RIG_PAGES pages */
};

static inline void rig_set_pte(struct rig *rig, gva_t va, u64 pte)
{
	bool kernel = va >= TK_KERNEL_VA;

	rig->tables[(kernel ? 3 : 6) * 512 + (va >> 12 & 511)] = pte;
}

static inline int rig_map_kernel(void *arg, const struct tk_kernel_range *range)
{
	for (u64 off = 0; off < range->size; off += TK_PAGE_SIZE)
		rig_set_pte(arg, range->va + off,
			    (range->gpa + off) | PTE_P | PTE_AD | (range->user ? PTE_U : 0) |
				    (range->write ? PTE_W : 0) | (range->exec ? 0 : PTE_NX));
	return 0;
}

static inline void rig_fill_tables(struct rig *rig)
{
	const u64 link = PTE_P | PTE_W | PTE_U | PTE_AD;
	const gva_t base[2] = {TK_KERNEL_VA, RIG_CODE};

	for (u64 half = 0; half < 2; half++) {
		u64 first = 1 + 3 * half;

		rig->tables[base[half] >> 39 & 511] = (TK_GPA_PT + first * 4096) | link;
		rig->tables[first * 512 + (base[half] >> 30 & 511)] =
			(TK_GPA_PT + (first + 1) * 4096) | link;
		rig->tables[(first + 1) * 512 + (base[half] >> 21 & 511)] =
			(TK_GPA_PT + (first + 2) * 4096) | link;
	}
	for (u64 i = 0; i < RIG_PAGES; i++)
		rig_set_pte(rig, RIG_CODE + i * 4096,
			    (TK_GPA_MEMORY + i * 4096) | PTE_P | PTE_U | PTE_AD | (i ? PTE_NX : 0) |
				    (i && i < 5 ? PTE_W : 0));
	rig_set_pte(rig, RIG_NOSLOT, RIG_GPA_NOSLOT | PTE_P | PTE_U | PTE_W | PTE_AD | PTE_NX);
	rig_set_pte(rig, RIG_FILE, RIG_GPA_FILE | PTE_P | PTE_U | PTE_W | PTE_AD | PTE_NX);
}

static inline void *rig_alloc(size_t pages)
{
	void *mem = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	assert_true(mem != MAP_FAILED);
	return mem;
}

static inline void rig_new_vcpu(struct rig *rig)
{
	struct tkvm_error err = {0};
	struct tk_uregs regs = {.rip = RIG_CODE, .rsp = RIG_DATA + 0x1000};

	if (tk_vcpu_create(&rig->vcpu, rig->vm, TK_GPA_PT, &regs, 0, &err))
		fail_msg("%s", err.message);
	rig->r = tk_vcpu_regs(rig->vcpu);
}

/* @ring_bytes: of the dirty rings, and memory is logged; 0: neither. */
static inline void rig_open_with(struct rig *rig, const struct tk_kvm *kvm, unsigned int ring_bytes)
{
	struct tkvm_error err = {0};

	memset(rig, 0, sizeof(*rig));
	rig->tables = rig_alloc(7);
	rig->mem = rig_alloc(RIG_PAGES);
	if (tk_vm_create(&rig->vm, kvm, ring_bytes, &err))
		fail_msg("%s", err.message);
	rig_fill_tables(rig);
	assert_int_equal(tk_vm_for_each_kernel_range(rig->vm, rig_map_kernel, rig), 0);
	assert_int_equal(tk_vm_slot_add(rig->vm, TK_GPA_PT, 7 * 4096, rig->tables, 0), 0);
	assert_int_equal(tk_vm_slot_add(rig->vm, TK_GPA_MEMORY, RIG_PAGES * 4096, rig->mem,
					ring_bytes ? TK_SLOT_LOG : 0),
			 0);
	rig_new_vcpu(rig);
}

static inline void rig_open(struct rig *rig, const struct tk_kvm *kvm)
{
	rig_open_with(rig, kvm, 0);
}

static inline void rig_close(struct rig *rig)
{
	tk_vcpu_destroy(rig->vcpu);
	tk_vm_destroy(rig->vm);
	munmap(rig->tables, 7 * 4096);
	munmap(rig->mem, RIG_PAGES * 4096);
}

/* Put code at RIG_CODE and let every register have a value of its own. */
#define rig_load(rig, name) rig_load_code(rig, name, (size_t)(name##_end - name))
static inline void rig_load_code(struct rig *rig, const u8 *code, size_t len)
{
	u64 *gpr = (u64 *)rig->r;

	assert_true(len <= 4096);
	memset(rig->mem, 0xcc, 4096);
	memcpy(rig->mem, code, len);
	for (u64 i = 0; i < 16; i++)
		gpr[i] = 0x1111111111111111ull * i + 0x0123456789abcdefull;
	rig->r->rsp = RIG_DATA + 0x1000;
	rig->r->rip = RIG_CODE;
	rig->r->rflags = 0x202;
	tk_vcpu_resume_full(rig->vcpu);
}

/* Run to an exit that nobody caused from outside. */
static inline enum tk_exit_kind rig_run(struct rig *rig)
{
	do
		tk_vcpu_run(rig->vcpu, &rig->exit);
	while (rig->exit.kind == TK_EXIT_INTERRUPTED);
	return rig->exit.kind;
}

/* Why not? The whole report. */
static inline void rig_expect(struct rig *rig, enum tk_exit_kind kind)
{
	struct tk_buf buf = {0};

	if (rig_run(rig) == kind)
		return;
	tk_vcpu_report(rig->vcpu, &rig->exit, &buf);
	print_error("expected: %s\n%s", tk_exit_name(kind), buf.data);
	tk_buf_free(&buf);
	fail();
}

/* What every test of the group uses. */
static struct tk_kvm kvm;
static struct rig rig;

#define PVM (kvm.flavour == TK_FLAVOUR_PVM)

static inline int rig_open_kvm(void **state)
{
	struct tkvm_error err = {0};

	if (!tk_kvm_open(&kvm, &err))
		return 0;
	print_error("%s\n", err.message);
	return -1;
}

static inline int rig_close_kvm(void **state)
{
	tk_kvm_close(&kvm);
	return 0;
}

static inline int rig_set_up(void **state)
{
	rig_open(&rig, &kvm);
	return 0;
}

static inline int rig_tear_down(void **state)
{
	rig_close(&rig);
	return 0;
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

static inline void expect_fault(unsigned int vector, u64 error_code)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	if (rig.exit.vector != vector || rig.exit.error_code != error_code)
		fail_msg("vector %u error 0x%llx, expected %u 0x%llx, rip 0x%llx", rig.exit.vector,
			 (unsigned long long)rig.exit.error_code, vector,
			 (unsigned long long)error_code, (unsigned long long)rig.r->rip);
}

static inline void expect_vector(unsigned int vector)
{
	rig_expect(&rig, TK_EXIT_FAULT);
	assert_int_equal(rig.exit.vector, vector);
}

static inline void expect_page_fault(u64 error_code, gva_t cr2)
{
	expect_fault(14, error_code);
	assert_int_equal(rig.exit.cr2, cr2);
}

/* Each register but RAX, RCX and R11 survives; those three are as SYSCALL defines. */
GUEST(syscall_twice, "syscall\nsyscall\nsyscall\n");

GUEST(undefined, "ud2\n");
GUEST(read_rbx, "mov (%rbx), %r15\nsyscall\n");
GUEST(write_rbx, "mov %r15, (%rbx)\nsyscall\n");
GUEST(jump_rbx, "jmp *%rbx\n");

static inline void load_with_rbx(const u8 *code, const u8 *end, u64 rbx)
{
	rig_load_code(&rig, code, (size_t)(end - code));
	rig.r->rbx = rbx;
}
#define LOAD_WITH_RBX(name, rbx) load_with_rbx(name, name##_end, rbx)

#endif
