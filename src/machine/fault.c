/* SPDX-License-Identifier: MIT */
/*
 * Processor exceptions of the program as Linux reports them: arch/x86/kernel/traps.c and
 * mm/fault.c say which signal, si_code and si_addr belong to which vector.
 */
#include <signal.h>
#include <string.h>

#include "guest/layout.h"
#include "machine/machine.h"

#define VECTOR_DB 1
#define VECTOR_BP 3
#define VECTOR_OF 4
#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_PF 14
#define VECTOR_MF 16
#define VECTOR_XM 19

#define PF_PRESENT 1ull
#define PF_USER	   4ull

/* The end of user space on Linux with 4-level page tables. */
#define LINUX_TASK_SIZE 0x7ffffffff000ull
#define RFLAGS_TF	0x100ull

#ifndef SEGV_CPERR
#define SEGV_CPERR 10
#endif

/* si_addr: nothing, or the instruction. */
enum addr { ADDR_NONE, ADDR_RIP };

static const struct trap {
	int signo, code;
	enum addr addr;
} traps[32] = {
	[0] = {SIGFPE, FPE_INTDIV, ADDR_RIP}, /* #DE */
	[VECTOR_DB] = {SIGTRAP, TRAP_TRACE, ADDR_RIP},
	[VECTOR_BP] = {SIGTRAP, SI_KERNEL, ADDR_NONE}, /* #BP */
	[VECTOR_OF] = {SIGSEGV, SI_KERNEL, ADDR_NONE}, /* #OF */
	[5] = {SIGSEGV, SI_KERNEL, ADDR_NONE},	       /* #BR */
	[VECTOR_UD] = {SIGILL, ILL_ILLOPN, ADDR_RIP},  /* #UD */
	[9] = {SIGFPE, SI_KERNEL, ADDR_NONE},	       /* coprocessor segment overrun */
	[10] = {SIGSEGV, SI_KERNEL, ADDR_NONE},	       /* #TS */
	[11] = {SIGBUS, SI_KERNEL, ADDR_NONE},	       /* #NP */
	[12] = {SIGBUS, SI_KERNEL, ADDR_NONE},	       /* #SS */
	[VECTOR_GP] = {SIGSEGV, SI_KERNEL, ADDR_NONE},
	[VECTOR_MF] = {SIGFPE, 0, ADDR_RIP},
	[17] = {SIGBUS, BUS_ADRALN, ADDR_NONE}, /* #AC */
	[VECTOR_XM] = {SIGFPE, 0, ADDR_RIP},
	[21] = {SIGSEGV, SEGV_CPERR, ADDR_RIP}, /* #CP */
};

/* fpu__exception_code(): which floating-point exception was unmasked and happened. */
static int fpe_code(struct tk_task *task, unsigned int vector)
{
	u8 area[16384] __attribute__((aligned(64)));
	u16 cwd, swd;
	u32 mxcsr, err;

	if (task->xsave_size > sizeof(area) ||
	    task->cpu_ops->get_xsave(task->cpu, area, task->xsave_size))
		return FPE_FLTINV;
	memcpy(&cwd, area, sizeof(cwd));
	memcpy(&swd, area + 2, sizeof(swd));
	memcpy(&mxcsr, area + 24, sizeof(mxcsr));
	err = vector == VECTOR_MF ? swd & ~(u32)cwd : mxcsr & ~(mxcsr >> 7);
	if (err & 0x01)
		return FPE_FLTINV;
	if (err & 0x04)
		return FPE_FLTDIV;
	if (err & 0x08)
		return FPE_FLTOVF;
	if (err & 0x12)
		return FPE_FLTUND;
	return err & 0x20 ? FPE_FLTRES : 0;
}

static int code_of(struct tk_task *task, const struct tk_exit *exit)
{
	if (exit->vector == VECTOR_MF || exit->vector == VECTOR_XM)
		return fpe_code(task, exit->vector);
	/* INT1 is the only #DB without a trap flag that a program can cause. */
	if (exit->vector == VECTOR_DB && !(task->regs->rflags & RFLAGS_TF))
		return TRAP_BRKPT;
	return traps[exit->vector].code;
}

/* For the message, should the program die of it. */
static void remember(struct tkvm_machine *machine, const struct tk_task *task, int signo, u64 addr)
{
	machine->fault_signo = signo;
	machine->fault_rip = task->regs->rip;
	machine->fault_addr = addr;
}

/* Linux's own kernel half always looks present; our kernel area does not exist. */
static u64 error_code_for_program(u64 addr, u64 error_code)
{
	if (addr >= LINUX_TASK_SIZE)
		return error_code | PF_PRESENT | PF_USER;
	if (addr >= TK_USER_TOP)
		error_code &= ~PF_PRESENT;
	return error_code | PF_USER;
}

static void bad_access(struct tkvm_machine *machine, struct tk_task *task,
		       const struct tk_exit *exit, int signo, int code)
{
	remember(machine, task, signo, exit->cr2);
	tk_signal_fault(task, signo, code, exit->cr2, VECTOR_PF,
			error_code_for_program(exit->cr2, exit->error_code), exit->cr2);
}

static void page_fault(struct tkvm_machine *machine, struct tk_task *task,
		       const struct tk_exit *exit)
{
	task->proc->stats.faults++;
	switch (tk_mm_fault(machine->mm, exit->cr2, exit->error_code)) {
	case TK_FAULT_FIXED:
		break;
	case TK_FAULT_MAPERR:
		bad_access(machine, task, exit, SIGSEGV, SEGV_MAPERR);
		break;
	case TK_FAULT_ACCERR:
		bad_access(machine, task, exit, SIGSEGV, SEGV_ACCERR);
		break;
	case TK_FAULT_BUS:
		bad_access(machine, task, exit, SIGBUS, BUS_ADRERR);
		break;
	case TK_FAULT_LIMIT:
		tk_machine_limit(machine, TKVM_LIMIT_MEMORY);
		break;
	}
}

#define INT_N 0xcd

/*
 * PVM answers INT n with #UD. A processor goes through the gate (SDM 2A, INT n): 3 and 4 are open
 * to programs and leave RIP behind the instruction, all others are #GP with the gate as error code.
 */
static void undo_emulation(struct tkvm_machine *machine, struct tk_task *task, struct tk_exit *exit)
{
	u8 code[2];

	if (tk_copy_in(machine->mm, code, task->regs->rip, sizeof(code)) || code[0] != INT_N)
		return;
	exit->error_code = 0;
	if (code[1] == VECTOR_BP || code[1] == VECTOR_OF) {
		exit->vector = code[1];
		task->regs->rip += sizeof(code);
	} else {
		exit->vector = VECTOR_GP;
		exit->error_code = code[1] * 8u + 2;
	}
}

void tk_machine_fault(struct tkvm_machine *machine, struct tk_task *task,
		      const struct tk_exit *reported)
{
	struct tk_exit copy = *reported, *exit = &copy;
	const struct trap *trap;
	u64 rip;

	if (exit->vector == VECTOR_PF) {
		page_fault(machine, task, exit);
		return;
	}
	if (exit->vector == VECTOR_UD && machine->kvm.flavour == TK_FLAVOUR_PVM)
		undo_emulation(machine, task, exit);
	trap = &traps[exit->vector % TK_ARRAY_SIZE(traps)];
	rip = task->regs->rip;
	if (exit->vector >= TK_ARRAY_SIZE(traps) || !trap->signo) {
		tk_machine_fail(machine, tk_cpu_get(task, NULL), exit);
		return;
	}
	remember(machine, task, trap->signo, 0);
	tk_signal_fault(task, trap->signo, code_of(task, exit), trap->addr == ADDR_RIP ? rip : 0,
			exit->vector, exit->error_code, task->trap.cr2);
}

void tk_machine_forbidden(struct tk_task *task)
{
	remember(task->proc->machine, task, SIGSEGV, 0);
	tk_signal_fault(task, SIGSEGV, SI_KERNEL, 0, VECTOR_GP, 0, task->trap.cr2);
}

void tk_machine_no_memory(struct tkvm_machine *machine, struct tk_task *task,
			  const struct tk_exit *exit)
{
	/* A mapped file became shorter: the program's next try is a precise fault. */
	if (tk_mm_drop_beyond_eof(machine->mm, exit->gpa))
		return;
	if (machine->serves && tk_remote_blank(machine))
		return;
	remember(machine, task, SIGBUS, 0);
	tk_signal_fault(task, SIGBUS, BUS_ADRERR, 0, VECTOR_PF, PF_USER, 0);
}
