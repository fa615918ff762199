/* SPDX-License-Identifier: MIT */
/* The fast path's code as data of the VMM. */
	.section .rodata, "a", @progbits
	.balign 16
	.globl tk_fast_code, tk_fast_code_end
	.hidden tk_fast_code, tk_fast_code_end
tk_fast_code:
	.incbin "fast.bin"
tk_fast_code_end:

	.section .note.GNU-stack, "", @progbits
