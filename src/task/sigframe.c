/* SPDX-License-Identifier: MIT */
/*
 * Signal frames of x86-64 (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h):
 *
 *	rsp -> return address (SA_RESTORER)
 *	       struct ucontext: flags, link, stack, registers, mask
 *	       siginfo_t
 *	       (padding to 64 bytes)
 *	       XSAVE image, standard format, with the software bytes; FP_XSTATE_MAGIC2
 *	       128 bytes that belong to the interrupted function
 *
 * A program may edit a frame in any way before rt_sigreturn. What it puts there is made harmless:
 * only the flags of FIX_EFLAGS change, selectors are the only ones there are, and the XSAVE image
 * is one that XRSTOR accepts; otherwise SIGSEGV, as on Linux. RIP may be anything: what is not
 * canonical faults when the program is resumed (kvm/vcpu.h).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "task/sigframe.h"
#include "task/xstate.h"

#define RED_ZONE       128
#define ALTSTACK_MIN   2048		 /* MINSIGSTKSZ of the kernel */
#define ALT_AUTODISARM ((int)(1u << 31)) /* SS_AUTODISARM */

/* What programs see as the selectors of 64-bit user code and data: those of Linux. */
#define USER_CS 0x33
#define USER_SS 0x2b

#define UC_FP_XSTATE	     1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4

/* AC OF DF TF SF ZF AF PF CF RF: the flags that rt_sigreturn loads (FIX_EFLAGS). */
#define LOADABLE_RFLAGS 0x50dd5ull

struct sigcontext_abi {
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2, fpstate;
	u64 reserved[8];
};

struct stack_abi {
	u64 sp;
	int flags, pad;
	u64 size;
};

struct ucontext_abi {
	u64 flags, link;
	struct stack_abi stack;
	struct sigcontext_abi mcontext;
	tk_sigset mask;
};

struct frame_abi {
	u64 restorer;
	struct ucontext_abi uc;
	struct tk_siginfo info;
};

_Static_assert(offsetof(struct frame_abi, uc) == TK_FRAME_UC, "ABI");
_Static_assert(offsetof(struct frame_abi, info) == TK_FRAME_INFO, "ABI");
_Static_assert(sizeof(struct frame_abi) == 440, "ABI");
_Static_assert(sizeof(struct tk_xstate_sw) == 48, "ABI");

bool tk_on_altstack(const struct tk_task *task, gva_t sp)
{
	const struct tk_task_signals *sig = &task->sig;

	/* With SS_AUTODISARM a handler may leave the stack and come back: never "on" it. */
	if (sig->alt_flags & ALT_AUTODISARM)
		return false;
	return sp > sig->alt_sp && sp - sig->alt_sp <= sig->alt_size;
}

int tk_altstack_set(struct tk_task *task, gva_t sp, int flags, u64 size)
{
	struct tk_task_signals *sig = &task->sig;
	int mode = flags & ~ALT_AUTODISARM;

	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE)
		sp = size = 0;
	else if (size < ALTSTACK_MIN)
		return -ENOMEM;
	sig->alt_sp = sp;
	sig->alt_size = size;
	sig->alt_flags = flags;
	return 0;
}

static bool inside_altstack(const struct tk_task *task, gva_t sp)
{
	return sp > task->sig.alt_sp && sp - task->sig.alt_sp <= task->sig.alt_size;
}

/* Find the places of the image and of the frame; false: they do not fit the alternate stack. */
static bool place(const struct tk_task *task, const struct tk_sigaction *action, gva_t *fpstate,
		  gva_t *frame)
{
	gva_t sp = task->regs->rsp;
	bool on_alt = tk_on_altstack(task, sp);

	sp -= RED_ZONE;
	if ((action->flags & SA_ONSTACK) && task->sig.alt_size && !tk_on_altstack(task, sp)) {
		sp = task->sig.alt_sp + task->sig.alt_size;
		on_alt = true;
	}
	sp = (sp - task->proc->xstate_size - sizeof(u32)) & ~63ull;
	*fpstate = sp;
	*frame = ((sp - sizeof(struct frame_abi)) & ~15ull) - 8;
	return !on_alt || inside_altstack(task, *frame);
}

static int put_xstate(struct tk_task *task, gva_t addr)
{
	size_t size = task->proc->xstate_size;
	u8 area[TK_XSTATE_MAX_SIZE + sizeof(u32)] __attribute__((aligned(64)));
	struct tk_xstate_header *header = (void *)(area + TK_FXSAVE_SIZE);
	u32 magic2 = TK_FP_XSTATE_MAGIC2;
	struct tk_xstate_sw sw = {
		.magic1 = TK_FP_XSTATE_MAGIC1,
		.extended_size = (u32)(size + sizeof(magic2)),
		.xfeatures = task->proc->xcr0,
		.xstate_size = (u32)size,
	};

	memset(area, 0, sizeof(area));
	if (task->cpu_ops->get_xsave(task->cpu, area, task->xsave_size))
		return -EFAULT;
	/* KVM may add states that the guest has not; FP and SSE are always said to be in use. */
	header->xstate_bv = (header->xstate_bv & task->proc->xcr0) | TK_XSTATE_FPSSE;
	memcpy(area + TK_XSTATE_SW, &sw, sizeof(sw));
	memcpy(area + size, &magic2, sizeof(magic2));
	if (tk_copy_out(task->proc->mm, addr, area, size + sizeof(magic2)))
		return -EFAULT;
	tk_xstate_init(area, sizeof(area));
	return task->cpu_ops->set_xsave(task->cpu, area, task->xsave_size) ? -EFAULT : 0;
}

static void save_regs(const struct tk_task *task, struct sigcontext_abi *sc)
{
	const struct tk_uregs *r = task->regs;

	*sc = (struct sigcontext_abi){
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.rdi = r->rdi,
		.rsi = r->rsi,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.rdx = r->rdx,
		.rax = r->rax,
		.rcx = r->rcx,
		.rsp = r->rsp,
		.rip = r->rip,
		.rflags = r->rflags,
		.cs = USER_CS,
		.ss = USER_SS,
		.err = task->trap.err,
		.trapno = task->trap.trapno,
		.cr2 = task->trap.cr2,
	};
}

static tk_sigset mask_to_return_to(const struct tk_task *task)
{
	return task->sig.restore_saved ? task->sig.saved : task->sig.blocked;
}

static void save_altstack(struct tk_task *task, struct stack_abi *stack)
{
	struct tk_task_signals *sig = &task->sig;

	*stack = (struct stack_abi){sig->alt_sp, sig->alt_flags, 0, sig->alt_size};
}

int tk_sigframe_push(struct tk_task *task, int signo, const struct tk_sigaction *action,
		     const struct tk_siginfo *info, gva_t *frame)
{
	struct frame_abi f = {.restorer = action->restorer};
	size_t size = action->flags & SA_SIGINFO ? sizeof(f) : offsetof(struct frame_abi, info);
	gva_t fpstate, at;

	if (!place(task, action, &fpstate, &at))
		return -EFAULT;
	f.uc.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	save_altstack(task, &f.uc.stack);
	save_regs(task, &f.uc.mcontext);
	f.uc.mcontext.oldmask = mask_to_return_to(task);
	f.uc.mcontext.fpstate = fpstate;
	f.uc.mask = mask_to_return_to(task);
	f.info = *info;
	if (tk_copy_out(task->proc->mm, at, &f, size) || put_xstate(task, fpstate))
		return -EFAULT;
	if (task->sig.alt_flags & ALT_AUTODISARM) {
		task->sig.alt_sp = task->sig.alt_size = 0;
		task->sig.alt_flags = SS_DISABLE;
	}
	*frame = at;
	return 0;
}

/*
 * How much of the image in the frame counts: the whole one if both magic numbers are in place,
 * otherwise the legacy region alone, as the kernel does for frames that programs made themselves.
 */
static void read_sw(struct tk_task *task, gva_t addr, const u8 *legacy, struct tk_xstate_sw *sw)
{
	u32 magic2;

	memcpy(sw, legacy + TK_XSTATE_SW, sizeof(*sw));
	if (sw->magic1 == TK_FP_XSTATE_MAGIC1 && sw->xstate_size >= TK_XSTATE_MIN_SIZE &&
	    sw->xstate_size <= task->proc->xstate_size && sw->xstate_size <= sw->extended_size &&
	    !tk_copy_in(task->proc->mm, &magic2, addr + sw->xstate_size, sizeof(magic2)) &&
	    magic2 == TK_FP_XSTATE_MAGIC2)
		return;
	*sw = (struct tk_xstate_sw){.xfeatures = TK_XSTATE_FPSSE, .xstate_size = TK_FXSAVE_SIZE};
}

static int load_xstate(struct tk_task *task, gva_t addr)
{
	u8 area[TK_XSTATE_MAX_SIZE] __attribute__((aligned(64)));
	struct tk_xstate_header *header = (void *)(area + TK_FXSAVE_SIZE);
	struct tk_xstate_sw sw;

	tk_xstate_init(area, sizeof(area));
	if (addr) {
		if (tk_copy_in(task->proc->mm, area, addr, TK_FXSAVE_SIZE))
			return -EFAULT;
		read_sw(task, addr, area, &sw);
		/* the kernel loads it in place, with FXRSTOR or XRSTOR */
		if (addr % (sw.xstate_size == TK_FXSAVE_SIZE ? 16 : 64) ||
		    tk_copy_in(task->proc->mm, area, addr, sw.xstate_size))
			return -EFAULT;
		memset(area + TK_XSTATE_SW, 0, sizeof(sw));
		if (sw.xstate_size == TK_FXSAVE_SIZE)
			header->xstate_bv = sw.xfeatures;
		if (!tk_xstate_check(area, sizeof(area), task->proc->xcr0))
			return -EFAULT;
		tk_xstate_select(area, sw.xfeatures);
	}
	return task->cpu_ops->set_xsave(task->cpu, area, task->xsave_size) ? -EFAULT : 0;
}

static bool loadable(const struct sigcontext_abi *sc, u64 flags)
{
	bool strict = flags & UC_STRICT_RESTORE_SS;

	return (sc->cs | 3) == USER_CS && (!strict || (sc->ss | 3) == USER_SS);
}

static void load_regs(struct tk_task *task, const struct sigcontext_abi *sc)
{
	*task->regs = (struct tk_uregs){
		.r8 = sc->r8,
		.r9 = sc->r9,
		.r10 = sc->r10,
		.r11 = sc->r11,
		.r12 = sc->r12,
		.r13 = sc->r13,
		.r14 = sc->r14,
		.r15 = sc->r15,
		.rdi = sc->rdi,
		.rsi = sc->rsi,
		.rbp = sc->rbp,
		.rbx = sc->rbx,
		.rdx = sc->rdx,
		.rax = sc->rax,
		.rcx = sc->rcx,
		.rsp = sc->rsp,
		.rip = sc->rip,
		.rflags = (task->regs->rflags & ~LOADABLE_RFLAGS) | (sc->rflags & LOADABLE_RFLAGS),
	};
}

/* As sigaltstack(2), but errors are forgotten (restore_altstack()). */
static void load_altstack(struct tk_task *task, const struct stack_abi *stack)
{
	if (!tk_on_altstack(task, task->regs->rsp))
		(void)tk_altstack_set(task, stack->sp, stack->flags, stack->size);
}

int tk_sigframe_pop(struct tk_task *task)
{
	gva_t at = task->regs->rsp - sizeof(u64);
	struct ucontext_abi uc;

	if (tk_copy_in(task->proc->mm, &uc, at + TK_FRAME_UC, sizeof(uc)))
		return -EFAULT;
	tk_sigmask_set(task, uc.mask);
	/* The kernel has loaded the registers, too, when it finds that the rest is no good. */
	load_regs(task, &uc.mcontext);
	task->cpu_ops->resume_full(task->cpu);
	if (!loadable(&uc.mcontext, uc.flags) || load_xstate(task, uc.mcontext.fpstate))
		return -EFAULT;
	load_altstack(task, &uc.stack);
	return 0;
}
