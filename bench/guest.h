/* SPDX-License-Identifier: MIT */
/* What bench/micro.c tells the program in its machine, bench/guest.c. */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <stdint.h>

#define GUEST_PAGES 4096 /* that can be changed */

enum {
	GUEST_DIRTY,	  /* change a word of each of n pages */
	GUEST_CALL,	  /* n times getppid(2) */
	GUEST_FAULT,	  /* n new pages, one write each */
	GUEST_FAULT_AGAIN /* the same, after they were used and given back */
};

/* Answered by nanoseconds, an uint64_t. */
struct guest_command {
	uint32_t what, n;
};

#endif
