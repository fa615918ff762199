/* SPDX-License-Identifier: MIT */
/*
 * Sequential reads of regular files answered inside the guest: what VMM and shim (entry.S) share,
 * and how much is read ahead. See docs/internals/readahead.md.
 */
#ifndef TK_GUEST_AHEAD_H
#define TK_GUEST_AHEAD_H

#include "base/types.h"
#include "guest/layout.h"

/* Written by the VMM, read by the guest; the data follows at TK_AHEAD_DATA. */
struct tk_ahead_page {
	u32 fd;	      /* the descriptor that it was read from */
	u32 given;    /* bytes of it; 0: none */
	u64 deadline; /* guest TSC from which on it is not used */
};

/* Written by the guest: believe nothing of it. */
struct tk_shim_page {
	u64 taken; /* bytes, and in the upper half how many reads took them */
	u64 rcx, rdx, rsi, rdi;
	u64 next, result; /* the fast path's: see guest/fast.h */
	u64 regs[16];	  /* in the order of struct kvm_regs */
	u64 undo, old;	  /* address of a word that a call is about to change, and its value */
};

/* What the shim took, as far as it can be true. */
struct tk_ahead_taken {
	u32 bytes, reads;
};
struct tk_ahead_taken tk_ahead_take(u64 word, u32 given);

/* How much to read ahead, from how it went before. All zero to begin with. */
struct tk_ahead_pace {
	u32 window; /* bytes; 0: not known yet */
	u32 pause;  /* reads to let pass */
	u32 penalty;
};

/*
 * A read of @n bytes went on where the one before it ended, @left bytes before the end of the file.
 * How much to read ahead; 0: nothing.
 */
u32 tk_ahead_window(struct tk_ahead_pace *pace, u64 n, u64 left);

/* Of @given bytes, of which each read took about @n, the guest took @taken. */
void tk_ahead_learn(struct tk_ahead_pace *pace, u64 n, u32 given, u32 taken);

#endif
