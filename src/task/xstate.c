/* SPDX-License-Identifier: MIT */
/*
 * XSAVE images: sizes, initial state, and whether one that a program made may be loaded.
 * Only the standard format; compacted images are refused.
 */
#include <cpuid.h>
#include <string.h>

#include "task/xstate.h"

#define FCW_INIT   0x37f
#define MXCSR_INIT 0x1f80
#define OFF_MXCSR  24
#define OFF_MASK   28
#define OFF_ST	   32
#define OFF_XMM	   160
#define XMM_SIZE   256
#define MASK_OLD   0xffbf /* processors that report 0 */

size_t tk_xstate_size(u64 xcr0)
{
	unsigned int eax, ebx, ecx, edx;
	size_t size = TK_XSTATE_MIN_SIZE;

	for (unsigned int i = 2; i < 63; i++) {
		if (!(xcr0 & (1ull << i)) || !__get_cpuid_count(0xd, i, &eax, &ebx, &ecx, &edx))
			continue;
		if (!(ecx & 1))
			size = TK_MAX(size, (size_t)ebx + eax);
	}
	return TK_MIN(size, (size_t)TK_XSTATE_MAX_SIZE);
}

static void init_x87(u8 *area)
{
	u16 fcw = FCW_INIT;

	memset(area, 0, OFF_MXCSR);
	memset(area + OFF_ST, 0, OFF_XMM - OFF_ST);
	memcpy(area, &fcw, sizeof(fcw));
}

static void set_mxcsr(u8 *area, u32 mxcsr)
{
	memcpy(area + OFF_MXCSR, &mxcsr, sizeof(mxcsr));
}

void tk_xstate_init(void *area, size_t size)
{
	struct tk_xstate_header *header = (void *)((u8 *)area + TK_FXSAVE_SIZE);

	memset(area, 0, size);
	init_x87(area);
	set_mxcsr(area, MXCSR_INIT);
	header->xstate_bv = TK_XSTATE_FPSSE;
}

void tk_xstate_select(void *area, u64 features)
{
	struct tk_xstate_header *header = (void *)((u8 *)area + TK_FXSAVE_SIZE);
	u64 bv = header->xstate_bv & features;

	if (!(bv & TK_XSTATE_FP))
		init_x87(area);
	if (!(bv & TK_XSTATE_SSE))
		memset((u8 *)area + OFF_XMM, 0, XMM_SIZE);
	if (!(features & (TK_XSTATE_SSE | TK_XSTATE_AVX)))
		set_mxcsr(area, MXCSR_INIT);
	header->xstate_bv = bv | TK_XSTATE_FPSSE;
}

static u32 mxcsr_mask(void)
{
	char area[TK_FXSAVE_SIZE] __attribute__((aligned(16)));
	u32 mask;

	memset(area, 0, sizeof(area));
	__builtin_ia32_fxsave(area);
	memcpy(&mask, area + OFF_MASK, sizeof(mask));
	return mask ? mask : MASK_OLD;
}

bool tk_xstate_check(void *area, size_t size, u64 xcr0)
{
	struct tk_xstate_header *header = (void *)((char *)area + TK_FXSAVE_SIZE);
	u32 mxcsr;

	memcpy(&mxcsr, (char *)area + OFF_MXCSR, sizeof(mxcsr));
	if (mxcsr & ~mxcsr_mask())
		return false;
	if (size < TK_XSTATE_MIN_SIZE)
		return false;
	if ((header->xstate_bv & ~xcr0) || header->xcomp_bv || header->reserved[0])
		return false;
	memset(header->reserved, 0, sizeof(header->reserved));
	return true;
}
