/* SPDX-License-Identifier: MIT */
/* The vDSO as data of the VMM: [TK_VVAR_SIZE bytes for the data page][image, whole pages]. */
#include "guest/layout.h"

	.section .rodata, "a", @progbits
	.balign 4096
	.globl tk_vdso_start, tk_vdso_end
	.hidden tk_vdso_start, tk_vdso_end
tk_vdso_start:
	.skip TK_VVAR_SIZE
	.incbin "vdso.image"
	.balign 4096
tk_vdso_end:

	.section .note.GNU-stack, "", @progbits
