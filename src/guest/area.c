/* SPDX-License-Identifier: MIT */
/*
 * Owns the content of the kernel area: GDT, IDT, one TSS per possible vCPU, entry code, vDSO.
 *
 * Invariant: the processor never writes here. Accessed and busy bits are preset, every gate uses
 * IST 1 (so that no stack switch reads RSP0), and the memslot is read-only besides. The IST
 * stacks, the only memory that the processor does write, lie elsewhere (TK_STACKS_VA).
 */
#include <string.h>

#include "base/error.h"
#include "guest/area.h"

extern const u8 tk_entry_page[], tk_entry_page_end[];
extern const u8 tk_reload_page[], tk_reload_page_end[];
extern const u8 tk_stubs[], tk_stubs_end[];
extern const u8 tk_fast_code[], tk_fast_code_end[];
extern const u8 tk_vdso_start[], tk_vdso_end[]; /* [data pages][vDSO image] */

/* SDM 3A figure 3-8: code and data descriptors of flat segments, accessed bit set. */
#define GDT_CODE64(dpl) (0x00af9b000000ffffull | (u64)(dpl) << 45)
#define GDT_DATA(dpl)	(0x00cf93000000ffffull | (u64)(dpl) << 45)

static void build_gdt(u64 *gdt)
{
	gdt[TK_SEL_KERNEL_CS / 8] = GDT_CODE64(0);
	gdt[TK_SEL_KERNEL_SS / 8] = GDT_DATA(0);
	gdt[TK_SEL_USER_SS / 8] = GDT_DATA(3);
	gdt[TK_SEL_USER_CS / 8] = GDT_CODE64(3);
	/* TR is loaded by the VMM, never from here: one descriptor does for all vCPUs. */
	gdt[TK_SEL_TSS / 8] = 0;
}

/* SDM 3A 6.14.1: interrupt gates, so that TF, NT and RF are clear in the stub. */
static void build_idt(u64 *idt)
{
	for (unsigned int v = 0; v < 32; v++) {
		u64 handler = TK_KERNEL_VA + TK_AREA_STUBS + v * TK_STUB_STRIDE;
		u64 dpl = v == 3 || v == 4 ? 3 : 0; /* INT3 and INTO are the program's to use */

		idt[2 * v] = (handler & 0xffff) | TK_SEL_KERNEL_CS << 16 | 1ull << 32 |
			     (0x8e | dpl << 5) << 40 | (handler >> 16 & 0xffff) << 48;
		idt[2 * v + 1] = handler >> 32;
	}
}

/*
 * SDM 3A 8.7 and 1 19.5.2. The I/O bitmap follows the 104 bytes of the TSS and covers ports 0 to
 * 183; the segment limit closes the rest. The last byte must be all ones.
 */
static void build_tss(u8 *tss, unsigned int index, bool user_entry)
{
	const u16 iomap = 0x68;
	u64 stack_top = TK_STACKS_VA + (index + 1) * TK_STACK_SIZE;

	memcpy(tss + 0x04, &stack_top, 8); /* RSP0 */
	memcpy(tss + 0x24, &stack_top, 8); /* IST1 */
	memcpy(tss + 0x66, &iomap, 2);
	memset(tss + iomap, 0xff, TK_TSS_SIZE - iomap);
	if (user_entry)
		tss[iomap + TK_PORT_SYSCALL / 8] &= (u8) ~(1u << TK_PORT_SYSCALL % 8);
}

u64 tk_area_vdso_size(void)
{
	return (u64)(tk_vdso_end - tk_vdso_start) - TK_VVAR_SIZE;
}

/* The entry page begins with how it leaves: an OUT, or a jump to where it says SYSCALL again. */
static void leave_by_syscall(u8 *entry)
{
	const int distance = TK_ENTRY_AGAIN - 5;

	entry[0] = 0xe9; /* JMP rel32 */
	memcpy(entry + 1, &distance, sizeof(distance));
}

void tk_area_build(void *area, bool user_entry)
{
	u8 *base = area;
	u64 vdso_size = tk_area_vdso_size();

	tk_assert(vdso_size <= TK_VDSO_MAX);
	/* INT3 wherever nothing is: a stray jump is a SIGTRAP of the program. */
	memset(base + TK_AREA_ENTRY, 0xcc, TK_PAGE_SIZE);
	memset(base + TK_AREA_STUBS, 0xcc, TK_PAGE_SIZE);
	memset(base + TK_AREA_RELOAD, 0xcc, TK_PAGE_SIZE);
	memcpy(base + TK_AREA_ENTRY, tk_entry_page, (size_t)(tk_entry_page_end - tk_entry_page));
	if (!user_entry)
		leave_by_syscall(base + TK_AREA_ENTRY);
	memset(base + TK_AREA_FAST, 0xcc, TK_FAST_MAX);
	memcpy(base + TK_AREA_FAST, tk_fast_code, (size_t)(tk_fast_code_end - tk_fast_code));
	memcpy(base + TK_AREA_STUBS, tk_stubs, (size_t)(tk_stubs_end - tk_stubs));
	memcpy(base + TK_AREA_RELOAD, tk_reload_page,
	       (size_t)(tk_reload_page_end - tk_reload_page));
	build_gdt((u64 *)(void *)(base + TK_AREA_GDT));
	build_idt((u64 *)(void *)(base + TK_AREA_IDT));
	for (unsigned int i = 0; i < TK_MAX_VCPUS; i++)
		build_tss(base + TK_AREA_TSS + i * TK_TSS_SIZE, i, user_entry);
	if (vdso_size)
		memcpy(base + TK_AREA_VDSO, tk_vdso_start + TK_VVAR_SIZE, vdso_size);
}
