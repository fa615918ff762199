/* SPDX-License-Identifier: MIT */
/*
 * XSAVE images in the standard format (SDM 1, 13.4) with the software bytes that Linux puts into
 * the ones on signal stacks (asm/sigcontext.h).
 */
#ifndef TK_TASK_XSTATE_H
#define TK_TASK_XSTATE_H

#include "base/types.h"

#define TK_XSTATE_FP	1ull
#define TK_XSTATE_SSE	2ull
#define TK_XSTATE_FPSSE 3ull
#define TK_XSTATE_AVX	4ull

#define TK_FXSAVE_SIZE	    512
#define TK_XSTATE_MIN_SIZE  576 /* legacy region and header */
#define TK_XSTATE_MAX_SIZE  16384
#define TK_FP_XSTATE_MAGIC1 0x46505853u
#define TK_FP_XSTATE_MAGIC2 0x46505845u

/* struct _fpx_sw_bytes, at TK_XSTATE_SW in the image. */
#define TK_XSTATE_SW 464
struct tk_xstate_sw {
	u32 magic1;
	u32 extended_size; /* including magic2 */
	u64 xfeatures;
	u32 xstate_size;
	u32 padding[7];
};

struct tk_xstate_header {
	u64 xstate_bv, xcomp_bv;
	u64 reserved[6];
};

/* Bytes of an image that holds the components of @xcr0: what guests find in their CPUID. */
size_t tk_xstate_size(u64 xcr0);

/*
 * The state that handlers and new programs start with. @size >= TK_XSTATE_MIN_SIZE. FP and SSE
 * are spelled out: "not in use" would leave it to the host's XRSTOR what becomes of MXCSR.
 */
void tk_xstate_init(void *area, size_t size);

/* What XRSTOR of @features would make of checked @area, the others being initial: spelled out. */
void tk_xstate_select(void *area, u64 features);

/*
 * Would XRSTOR take @area? Reserved header bytes that it ignores are cleared. The rules are
 * those of the processor (SDM 1, 13.8), so that loading the image into a vCPU cannot fail.
 */
bool tk_xstate_check(void *area, size_t size, u64 xcr0);

#endif
