/* SPDX-License-Identifier: MIT */
/* The dump of everything but open files (dump_files.c). */
#include "dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/machine.h"
#include "mm/access.h"
#include "task/timer.h"

#define say(...) tk_buf_printf(out, __VA_ARGS__)
typedef unsigned long long ull;

static u64 hash(const void *data, size_t len)
{
	const u64 *p = data;
	u64 h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len / 8; i++)
		h = (h ^ p[i]) * 0x100000001b3 ^ h >> 29;
	return h;
}

static void dump_bytes(struct tk_buf *out, const char *name, const void *data, size_t len)
{
	const u8 *p = data;

	say("%s", name);
	for (size_t i = 0; i < len; i++)
		say(" %02x", p[i]);
	say("\n");
}

struct pages {
	struct tk_mm *mm;
	struct tk_buf *out;
};

static int dump_vma(void *arg, const struct tk_vma_info *vma)
{
	struct pages *pages = arg;
	struct tk_buf *out = pages->out;
	u8 page[TK_PAGE_SIZE];

	say("vma %llx-%llx prot %d shared %d down %d offset %llx %s %s\n", (ull)vma->start,
	    (ull)vma->end, vma->prot, vma->shared, vma->grows_down, (ull)vma->offset,
	    vma->backing ? vma->backing->name : "-", vma->name ? vma->name : "-");
	if (!(vma->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
		return 0;
	for (gva_t at = vma->start; at < vma->end; at += TK_PAGE_SIZE) {
		int rc = tk_copy_in(pages->mm, page, at, sizeof(page));

		if (rc)
			say("page %llx: %d\n", (ull)at, rc);
		else
			say("page %llx: %llx\n", (ull)at, (ull)hash(page, sizeof(page)));
	}
	return 0;
}

static void dump_mm(struct tk_mm *mm, struct tk_buf *out)
{
	const struct tk_mm_rlimits *limits = tk_mm_rlimits(mm);
	struct pages pages = {mm, out};
	const char *wrong = tk_mm_check(mm, true);
	struct tk_mm_usage usage;

	say("check %s\n", wrong ? wrong : "fine");
	say("rlimits %llx %llx %llx %llx\n", (ull)limits->as, (ull)limits->data, (ull)limits->stack,
	    (ull)limits->memlock);
	say("brk %llx over %d\n", (ull)tk_mm_brk(mm, 0), tk_mm_over_limit(mm));
	tk_mm_usage(mm, &usage);
	say("usage %llx %llx %llx %llx %llx %u\n", (ull)usage.virtual_bytes, (ull)usage.data_bytes,
	    (ull)usage.stack_bytes, (ull)usage.text_bytes, (ull)usage.shared_bytes, usage.vmas);
	tk_mm_for_each(mm, dump_vma, &pages);
}

static void dump_siginfo(const struct tk_siginfo *info, struct tk_buf *out)
{
	say("  signal %d %d %d", info->signo, info->err, info->code);
	dump_bytes(out, "", info->fields, 32);
}

static void dump_queue(const char *name, const struct tk_sigqueue *queue, struct tk_buf *out)
{
	const struct tk_sigentry *entry;

	say("%s pending %llx n %u\n", name, (ull)queue->pending, queue->n);
	tk_list_for_each (entry, &queue->list, link) {
		dump_siginfo(&entry->info, out);
		say("  timer %d\n", entry->timer ? entry->timer->id : -1);
	}
}

static void dump_cpu(struct tk_task *task, struct tk_buf *out)
{
	const struct tk_uregs *r = task->regs;
	u8 *xsave = calloc(1, task->xsave_size);
	u64 fs = 0, gs = 0;

	say("rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx rsp %llx rbp %llx\n",
	    (ull)r->rax, (ull)r->rbx, (ull)r->rcx, (ull)r->rdx, (ull)r->rsi, (ull)r->rdi,
	    (ull)r->rsp, (ull)r->rbp);
	say("r8 %llx %llx %llx %llx %llx %llx %llx %llx rip %llx flags %llx\n", (ull)r->r8,
	    (ull)r->r9, (ull)r->r10, (ull)r->r11, (ull)r->r12, (ull)r->r13, (ull)r->r14,
	    (ull)r->r15, (ull)r->rip, (ull)r->rflags & ~2ull);
	if (task->cpu_ops->get_segbase(task->cpu, TK_FS_BASE, &fs) ||
	    task->cpu_ops->get_segbase(task->cpu, TK_GS_BASE, &gs) ||
	    task->cpu_ops->get_xsave(task->cpu, xsave, task->xsave_size))
		say("cpu unreadable\n");
	memset(xsave + 464, 0, 48); /* software bytes */
	/* what is in its initial state may be told either way, as the header says */
	memset(xsave + 512, 0, 64);
	say("fs %llx gs %llx xsave %llx\n", (ull)fs, (ull)gs, (ull)hash(xsave, task->xsave_size));
	free(xsave);
}

static void dump_wait(const struct tk_task *task, struct tk_buf *out)
{
	const struct tk_wait *wait = &task->wait;

	say("wait begun %d deadline %lld restart %d progress %llx priv %d cancel %d\n", wait->begun,
	    (long long)wait->deadline, wait->restart, (ull)wait->progress, wait->priv != NULL,
	    wait->cancel != NULL);
}

static void dump_task(struct tk_task *task, struct tk_buf *out)
{
	const struct tk_task_signals *sig = &task->sig;

	say("task %d dead %d leader %d in_call %d nr %llu", task->tid, task->state == TK_TASK_DEAD,
	    task == task->proc->leader, task->in_call, (ull)task->nr);
	for (int i = 0; i < 6; i++)
		say(" %llx", (ull)task->args[i]);
	say("\ninterrupted %d fault %d\n", task->interrupted, task->fault.pending);
	dump_siginfo(&task->fault.info, out);
	say("trap %llx %llx %llx\n", (ull)task->trap.trapno, (ull)task->trap.err,
	    (ull)task->trap.cr2);
	dump_wait(task, out);
	dump_cpu(task, out);
	say("comm %.16s clear %llx robust %llx cpu %lld vtime %lld exit %d\n", task->comm,
	    (ull)task->clear_child_tid, (ull)task->robust_list, (long long)task->cpu_ns,
	    (long long)task->vtime_shift, task->exit_status);
	say("blocked %llx saved %llx restore %d awaited %llx alt %llx %llx %x\n", (ull)sig->blocked,
	    (ull)sig->saved, sig->restore_saved, (ull)sig->awaited, (ull)sig->alt_sp,
	    (ull)sig->alt_size, sig->alt_flags);
	dump_queue("own", &sig->own, out);
	say("nice %d ioprio %d slack %llu policy %d prio %d reset %d\n", task->attrs.nice,
	    task->attrs.ioprio, (ull)task->attrs.timer_slack_ns, task->attrs.policy,
	    task->attrs.rt_priority, task->attrs.reset_on_fork);
}

static void dump_signals(const struct tk_proc *proc, struct tk_buf *out)
{
	for (int i = 1; i <= TK_NSIG; i++) {
		const struct tk_sigaction *a = &proc->sig.actions[i];

		say("action %d %llx %llx %llx %llx\n", i, (ull)a->handler, (ull)a->flags,
		    (ull)a->restorer, (ull)a->mask);
	}
	dump_queue("shared", &proc->sig.shared, out);
	say("queued %u\n", proc->sig.queued);
}

static void dump_timers(const struct tk_proc *proc, struct tk_buf *out)
{
	const struct tk_timer *t;

	tk_list_for_each (t, &proc->timers, link)
		say("timer %d clock %d base %d notify %d signo %d value %llx tid %d cpu %d expiry "
		    "%lld interval %lld overrun %d queued %d\n",
		    t->id, t->clock, t->base, t->notify, t->signo, (ull)t->value, t->tid,
		    t->cpu_tid, (long long)t->expiry, (long long)t->interval, t->overrun_last,
		    t->queued);
	for (int i = 0; i < 3; i++)
		say("itimer %d %lld %lld\n", i, (long long)proc->itimers[i].expiry,
		    (long long)proc->itimers[i].interval);
	say("pause %lld next %d n %u\n", (long long)proc->timers_pause, proc->next_timer_id,
	    proc->n_timers);
}

static void dump_attrs(const struct tk_proc *proc, struct tk_buf *out)
{
	const struct tk_proc_attrs *a = &proc->attrs;
	const struct tk_privileges *p = &a->priv;

	say("priv %d %u %u %llx %llx %llx %llx %d groups", p->ready, p->fsuid, p->fsgid,
	    (ull)p->cap_effective, (ull)p->cap_permitted, (ull)p->cap_inheritable,
	    (ull)p->cap_dropped, p->keepcaps);
	for (unsigned int i = 0; i < p->n_groups; i++)
		say(" %u", p->groups[i]);
	say("\npersonality %x %d %d %d %d %d %d pdeathsig %d oom %d core %x membarrier %x\n",
	    a->personality, a->group, a->session, a->undumpable, a->no_new_privs, a->thp_disabled,
	    a->child_subreaper, a->pdeathsig, a->oom_score_adj, a->coredump_filter, a->membarrier);
	say("peak %llu measured %lld %llu\n", (ull)a->peak_resident, (long long)a->measured_ns,
	    (ull)a->resident);
}

static void dump_proc(struct tk_proc *proc, struct tk_buf *out)
{
	const struct tk_cred *c = &proc->cred;
	struct tk_task *task;

	say("cred %u %u %u %u %u %u\n", c->uid, c->euid, c->suid, c->gid, c->egid, c->sgid);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		say("rlimit %d %llx %llx\n", i, (ull)proc->rlimits[i].rlim_cur,
		    (ull)proc->rlimits[i].rlim_max);
	say("pid %d tasks %u of %u next %d dead cpu %lld\n", proc->pid, proc->n_tasks,
	    proc->max_tasks, proc->next_tid, (long long)proc->dead_cpu_ns);
	say("attention %d yielded %d current %d xcr0 %llx %zu\n", proc->attention, proc->yielded,
	    proc->current != NULL, (ull)proc->xcr0, proc->xstate_size);
	say("exe %s start %lld memory %llu host %s\n", proc->exe, (long long)proc->start_ns,
	    (ull)proc->total_memory, proc->hostname);
	say("generation drawn %d\n", proc->generation != 0);
	say("exiting %d stopped %d status %d signal %d limit %d\n", proc->exiting, proc->stopped,
	    proc->exit_status, proc->term_signal, proc->limit_hit);
	tk_list_for_each (task, &proc->tasks, link)
		dump_task(task, out);
	tk_list_for_each (task, &proc->futexes, futex.link)
		say("futex %d private %d offset %llx bitset %x queued %d\n", task->tid,
		    !task->futex.key.object, (ull)task->futex.key.offset, task->futex.bitset,
		    task->futex.queued);
	dump_signals(proc, out);
	dump_timers(proc, out);
	dump_attrs(proc, out);
}

static void dump_ahead(struct tkvm_machine *machine, struct tk_buf *out)
{
	const struct tk_ahead *ahead = &machine->ahead;

	say("ahead %d file %d end %lld n %llx fd %u want %d given %d pace %u %u %u\n",
	    machine->fast_path, ahead->file != NULL, (long long)ahead->end, (ull)ahead->n,
	    ahead->fd, ahead->want, ahead->given != NULL, ahead->pace.window, ahead->pace.pause,
	    ahead->pace.penalty);
	if (tk_vm_shim(machine->vm))
		say("shim %llx\n", (ull)hash(tk_vm_shim(machine->vm), TK_SHIM_SIZE));
	if (ahead->page)
		say("given %llx\n", (ull)hash(ahead->page, TK_AHEAD_SIZE));
}

static void dump_fast(struct tkvm_machine *machine, struct tk_buf *out)
{
	const struct tk_fast *fast = &machine->fast;

	say("fast %d listener %d conn %d epoll %d drained %d used %u\n", fast->given != NULL,
	    fast->listener != NULL, fast->conn != NULL, fast->epoll != NULL, fast->drained != NULL,
	    fast->used);
	say("fast file %d opened %d %u used %u\n", fast->file != NULL, fast->opened,
	    fast->opened_fd, fast->file_used);
	if (fast->given)
		say("fast %llx\n", (ull)hash(fast->given, TK_GIVEN_SIZE));
}

void dump_machine(struct tkvm_machine *machine, struct tk_buf *out)
{
	say("machine phase %d last %d vtime %lld turn %lld slice %lld fault %d %llx %llx failed "
	    "%d\n",
	    machine->phase, machine->last != NULL, (long long)machine->vtime,
	    (long long)machine->turn, (long long)machine->slice_end, machine->fault_signo,
	    (ull)machine->fault_rip, (ull)machine->fault_addr, machine->failed);
	say("outside %llx %d\n", (ull)atomic_load(&machine->signals),
	    atomic_load(&machine->interrupt));
	dump_proc(&machine->proc, out);
	dump_files(machine, out);
	dump_mm(machine->mm, out);
	dump_ahead(machine, out);
	dump_fast(machine, out);
}
