/* SPDX-License-Identifier: MIT */
/* How a program ends, and what is said about it. */
#include <stdio.h>
#include <string.h>

#include "machine/machine.h"
#include "mm/mm.h"

void tk_machine_limit(struct tkvm_machine *machine, enum tkvm_limit limit)
{
	struct tk_proc *proc = &machine->proc;

	if (proc->exiting)
		return;
	proc->limit_hit = (int)limit;
	tk_proc_exit(proc, 0, 0);
}

void tk_machine_fail_text(struct tkvm_machine *machine, const char *text)
{
	if (machine->proc.exiting)
		return;
	machine->failed = true;
	tk_buf_printf(&machine->report, "%s\n", text);
	tk_proc_exit(&machine->proc, 0, 0);
}

static void report_walk(struct tkvm_machine *machine, const char *what, u64 addr)
{
	tk_buf_printf(&machine->report, "page walk of %s %#llx:\n", what, (unsigned long long)addr);
	tk_mm_report_walk(machine->mm, addr, &machine->report);
}

void tk_machine_fail(struct tkvm_machine *machine, struct tk_vcpu *vcpu, const struct tk_exit *exit)
{
	const struct tk_uregs *regs = tk_vcpu_regs(vcpu);

	if (machine->proc.exiting)
		return;
	machine->failed = true;
	tk_vcpu_report(vcpu, exit, &machine->report);
	report_walk(machine, "rip", regs->rip);
	report_walk(machine, "rsp", regs->rsp);
	if (exit->kind == TK_EXIT_FAULT && exit->vector == 14)
		report_walk(machine, "cr2", exit->cr2);
	tk_proc_exit(&machine->proc, 0, 0);
}

static void say_signal(const struct tkvm_machine *machine, struct tkvm_result *result)
{
	char name[32];

	tk_signal_name(result->signal, name, sizeof(name));
	if (machine->fault_signo == result->signal)
		snprintf(result->message, sizeof(result->message),
			 "killed by %s at %#llx, address %#llx", name,
			 (unsigned long long)machine->fault_rip,
			 (unsigned long long)machine->fault_addr);
	else
		snprintf(result->message, sizeof(result->message), "killed by %s", name);
}

static void say_failure(const struct tkvm_machine *machine, struct tkvm_result *result)
{
	const char *text = machine->report.data ? machine->report.data : "out of memory";
	size_t len = strcspn(text, "\n");

	snprintf(result->message, sizeof(result->message), "%.*s", (int)TK_MIN(len, (size_t)200),
		 text);
}

static void say_limit(struct tkvm_result *result)
{
	snprintf(result->message, sizeof(result->message), "%s limit reached",
		 result->limit == TKVM_LIMIT_TIME ? "time" : "memory");
}

/* The end of most runs, and of every request: not worth a format. */
static void say(struct tkvm_result *result, const char *text)
{
	memcpy(result->message, text, strlen(text) + 1);
}

void tk_machine_result(struct tkvm_machine *machine, struct tkvm_result *result)
{
	const struct tk_proc *proc = &machine->proc;

	*result = (struct tkvm_result){.status = proc->exit_status, .signal = proc->term_signal};
	if (!proc->exiting) {
		result->outcome = machine->suspended;
		say(result, machine->suspended == TKVM_IDLE ? "idle" : "interrupted");
	} else if (machine->failed) {
		result->outcome = TKVM_FAILED;
		say_failure(machine, result);
	} else if (proc->limit_hit) {
		result->outcome = TKVM_LIMIT;
		result->limit = (enum tkvm_limit)proc->limit_hit;
		say_limit(result);
	} else if (proc->term_signal) {
		result->outcome = TKVM_SIGNALLED;
		say_signal(machine, result);
	} else {
		result->outcome = TKVM_EXITED;
		snprintf(result->message, sizeof(result->message), "exited with status %d",
			 result->status);
	}
}

const char *tkvm_machine_report(const struct tkvm_machine *machine)
{
	return machine->failed && machine->report.data ? machine->report.data : "";
}
