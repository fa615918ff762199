/* SPDX-License-Identifier: MIT */
/* Try an access and tell which signal it raised: for tests of what memory permits. */
#ifndef MEM_FAULT_H
#define MEM_FAULT_H

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "check.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf fault_jump;
static volatile int fault_signo, fault_code;
static void *volatile fault_addr;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	fault_signo = signo;
	fault_code = info->si_code;
	fault_addr = info->si_addr;
	siglongjmp(fault_jump, 1);
}

static inline void catch_faults(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

enum access { READ, WRITE, RUN };

/* True if the access goes through. */
static inline int try(volatile char *p, enum access how)
{
	fault_signo = fault_code = 0;
	if (sigsetjmp(fault_jump, 1))
		return 0;
	if (how == READ)
		(void)*p;
	else if (how == WRITE)
		*p = *p ? *p : 1;
	else
		((void (*)(void))p)();
	return 1;
}

static inline int faults(volatile char *p, enum access how, int signo, int code)
{
	return !try(p, how) && fault_signo == signo && fault_code == code && fault_addr == p;
}

static inline char *map(size_t len, int prot)
{
	return mmap(NULL, len, prot, ANON, -1, 0);
}

#endif
