/* SPDX-License-Identifier: MIT */
/* libkvmserverguest.so as data of the VMM. */
	.section .rodata, "a", @progbits
	.balign 16
	.globl tk_guest_library, tk_guest_library_end
	.hidden tk_guest_library, tk_guest_library_end
tk_guest_library:
	.incbin "libkvmserverguest.so"
tk_guest_library_end:

	.section .note.GNU-stack, "", @progbits
