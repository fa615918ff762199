/* SPDX-License-Identifier: MIT */
/*
 * Where everything is in guest address spaces. One table, used by the C code, the entry
 * assembly and the vDSO's linker script: keep it to #defines of plain integers.
 *
 * Virtual: programs own [TK_USER_MIN, TK_USER_TOP). Above it, still in the lower canonical
 * half (PVM runs CPL 3 code there natively, see docs/internals), lies the kernel area.
 *
 * Physical: [0, 256 KiB) descriptor tables, TSSs, entry code, vDSO: read-only memslot;
 * 16 MiB up exception stacks; 256 MiB up page tables, never mapped at any virtual address;
 * 1 GiB up guest memory, one 64 MiB memslot per chunk.
 */
#ifndef TK_GUEST_LAYOUT_H
#define TK_GUEST_LAYOUT_H

#define TK_USER_MIN 0x10000
#define TK_USER_TOP 0x7fffc0000000

#define TK_KERNEL_VA 0x7fffc0000000

#define TK_GPA_AREA    0x0
#define TK_AREA_SIZE   0x80000
#define TK_GPA_STACKS  0x1000000
#define TK_GPA_PT      0x10000000
#define TK_PT_MAX_SIZE 0x20000000
#define TK_GPA_MEMORY  0x40000000

#define TK_CHUNK_SHIFT 26
#define TK_CHUNK_SIZE  0x4000000

#endif
