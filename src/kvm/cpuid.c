/* SPDX-License-Identifier: MIT */
/*
 * The CPUID that guests get: what KVM supports, less what only an operating system could use and
 * what would tell programs about processors that the guest does not have.
 *
 * PVM runs CPUID at CPL 3 natively and ignores the table: it must be right where it is used and
 * nothing may rely on it being used.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "kvm/internal.h"

enum { EAX, EBX, ECX, EDX };

/* Bits cleared in every guest: leaf, subleaf, register, mask. */
static const struct {
	u32 leaf, subleaf;
	int reg;
	u32 mask;
} hidden[] = {
	{0x00000001, 0, ECX, 1u << 3},		   /* MONITOR */
	{0x00000001, 0, ECX, 1u << 15},		   /* PDCM */
	{0x00000007, 0, EBX, 1u << 2},		   /* SGX */
	{0x00000007, 0, ECX, 1u << 3},		   /* PKU: CR4.PKE is off */
	{0x00000007, 0, ECX, 1u << 7},		   /* CET_SS */
	{0x00000007, 0, ECX, 1u << 16},		   /* LA57 */
	{0x00000007, 0, EDX, 1u << 20},		   /* CET_IBT */
	{0x00000007, 0, EDX, 7u << 22 | 1u << 25}, /* AMX: needs XCR0 bits that are off */
	{0x40000001, 0, EAX, ~0u},		   /* KVM's paravirtual features */
};

static u32 *cpuid_reg(struct kvm_cpuid_entry2 *e, int reg)
{
	switch (reg) {
	case EAX:
		return &e->eax;
	case EBX:
		return &e->ebx;
	case ECX:
		return &e->ecx;
	default:
		return &e->edx;
	}
}

static void hide(struct kvm_cpuid2 *cpuid)
{
	for (u32 i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		for (size_t h = 0; h < TK_ARRAY_SIZE(hidden); h++)
			if (e->function == hidden[h].leaf && e->index == hidden[h].subleaf)
				*cpuid_reg(e, hidden[h].reg) &= ~hidden[h].mask;
		if (e->function == 1) /* APIC id 0, one logical processor */
			e->ebx = (e->ebx & 0xffff) | 1u << 16;
		if (e->function == 0xb || e->function == 0x1f)
			e->edx = 0; /* x2APIC id */
	}
}

bool tk_cpuid_bit(const struct kvm_cpuid2 *cpuid, u32 leaf, int reg, unsigned int bit)
{
	for (u32 i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 e = cpuid->entries[i];

		if (e.function == leaf && e.index == 0)
			return *cpuid_reg(&e, reg) >> bit & 1;
	}
	return false;
}

u64 tk_cpuid_xcr0(const struct kvm_cpuid2 *cpuid)
{
	for (u32 i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 0xd && e->index == 0)
			return (u64)e->edx << 32 | e->eax;
	}
	return 0;
}

int tk_cpuid_get(struct tk_kvm *kvm, struct tkvm_error *err)
{
	/* KVM answers E2BIG until the table is large enough; real ones have 30 to 60 entries. */
	for (u32 n = 128; n <= 4096; n *= 2) {
		struct kvm_cpuid2 *cpuid =
			calloc(1, sizeof(*cpuid) + n * sizeof(cpuid->entries[0]));

		if (!cpuid)
			return tk_fail_errno(err, ENOMEM, "kvm: CPUID table");
		cpuid->nent = n;
		if (!ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, cpuid)) {
			hide(cpuid);
			kvm->cpuid = cpuid;
			return 0;
		}
		free(cpuid);
		if (errno != E2BIG)
			return tk_fail_errno(err, errno, "kvm: KVM_GET_SUPPORTED_CPUID");
	}
	return tk_fail(err, E2BIG, "kvm: KVM_GET_SUPPORTED_CPUID: more entries than can be true");
}
