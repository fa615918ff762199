/* SPDX-License-Identifier: MIT */
/*
 * Telling people what happened: names of exits, vectors and KVM's reasons, and the report that
 * follows an unexpected one. Never fails: what cannot be had is said to be missing.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm/internal.h"

const char *tk_exit_name(enum tk_exit_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		TK_EXIT_LIST(X)
#undef X
	};

	return (unsigned int)kind < TK_ARRAY_SIZE(names) ? names[kind] : "unknown exit";
}

const char *tk_kvm_exit_name(unsigned int reason)
{
	static const char *const names[] = {
#define X(number, name) [number] = "KVM_EXIT_" #name,
#include "kvm/exits.h"
#undef X
	};

	if (reason >= TK_ARRAY_SIZE(names) || !names[reason])
		return "KVM_EXIT_?";
	return names[reason];
}

const char *tk_vector_name(unsigned int vector)
{
	static const char *const names[32] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9",  "#TS",
		"#NP", "#SS", "#GP", "#PF", "#15", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
		"#22", "#23", "#24", "#25", "#26", "#27", "#HV", "#VC", "#SX", "#31",
	};

	return vector < TK_ARRAY_SIZE(names) ? names[vector] : "#?";
}

static void report_fault(const struct tk_exit *exit, struct tk_buf *out)
{
	tk_buf_printf(out, ": %s, vector %u, error code 0x%llx", tk_vector_name(exit->vector),
		      exit->vector, (unsigned long long)exit->error_code);
	if (exit->vector != 14)
		return;
	/* SDM 3A figure 4-12 */
	tk_buf_printf(out, " (%s%s, %s), CR2 0x%llx",
		      exit->error_code & 1 ? "protection" : "absent",
		      exit->error_code & 4 ? "" : ", not user",
		      exit->error_code & 16  ? "fetch"
		      : exit->error_code & 2 ? "write"
					     : "read",
		      (unsigned long long)exit->cr2);
}

static void report_kvm(const struct kvm_run *run, const struct tk_exit *exit, struct tk_buf *out)
{
	tk_buf_printf(out, ": %s (%u)", tk_kvm_exit_name(exit->kvm_reason), exit->kvm_reason);
	if (exit->error)
		tk_buf_printf(out, ", KVM_RUN: %s", strerrordesc_np(exit->error));
	switch (exit->kvm_reason) {
	case KVM_EXIT_IO:
		tk_buf_printf(out, ", %s port 0x%x, %u bytes, %u times",
			      run->io.direction == KVM_EXIT_IO_OUT ? "out to" : "in from",
			      run->io.port, run->io.size, run->io.count);
		break;
	case KVM_EXIT_MMIO:
		tk_buf_printf(out, ", %s of %u bytes at physical 0x%llx",
			      run->mmio.is_write ? "write" : "read", run->mmio.len,
			      (unsigned long long)run->mmio.phys_addr);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		tk_buf_printf(out, ", hardware reason 0x%llx",
			      (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		tk_buf_printf(out, ", suberror %u, data", run->internal.suberror);
		for (u32 i = 0; i < TK_MIN(run->internal.ndata, 16u); i++)
			tk_buf_printf(out, " 0x%llx", (unsigned long long)run->internal.data[i]);
		break;
	}
}

static void report_reason(const struct kvm_run *run, const struct tk_exit *exit, struct tk_buf *out)
{
	tk_buf_printf(out, "exit: %s", tk_exit_name(exit->kind));
	switch (exit->kind) {
	case TK_EXIT_FAULT:
		report_fault(exit, out);
		break;
	case TK_EXIT_NO_MEMORY_BEHIND:
		tk_buf_printf(out, ": physical 0x%llx", (unsigned long long)exit->gpa);
		break;
	case TK_EXIT_ALIEN:
	case TK_EXIT_SHUTDOWN:
	case TK_EXIT_FAILED:
		report_kvm(run, exit, out);
		break;
	default:
		break;
	}
	tk_buf_printf(out, "\n");
}

static void report_regs(const struct kvm_regs *r, struct tk_buf *out)
{
	const struct {
		const char *name;
		u64 value;
	} regs[] = {
		{"rip", r->rip}, {"rsp", r->rsp}, {"rflags", r->rflags}, {"rax", r->rax},
		{"rbx", r->rbx}, {"rcx", r->rcx}, {"rdx", r->rdx},	 {"rsi", r->rsi},
		{"rdi", r->rdi}, {"rbp", r->rbp}, {"r8", r->r8},	 {"r9", r->r9},
		{"r10", r->r10}, {"r11", r->r11}, {"r12", r->r12},	 {"r13", r->r13},
		{"r14", r->r14}, {"r15", r->r15},
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(regs); i++)
		tk_buf_printf(out, "%-6s %016llx%s", regs[i].name,
			      (unsigned long long)regs[i].value, i % 3 == 2 ? "\n" : "  ");
}

static void report_sregs(const struct kvm_sregs *s, struct tk_buf *out)
{
	tk_buf_printf(out, "cr0 %llx  cr2 %llx  cr3 %llx  cr4 %llx  efer %llx\n", s->cr0, s->cr2,
		      s->cr3, s->cr4, s->efer);
	tk_buf_printf(out, "cs %x  ss %x  ds %x  es %x  fs %x base %llx  gs %x base %llx  cpl %u\n",
		      s->cs.selector, s->ss.selector, s->ds.selector, s->es.selector,
		      s->fs.selector, s->fs.base, s->gs.selector, s->gs.base, s->ss.dpl);
}

/* Where @gpa is in the VMM, or NULL. */
static void *host_address(const struct tk_vm *vm, gpa_t gpa)
{
	for (unsigned int i = 0; i < vm->n_slots; i++) {
		const struct tk_slot *slot = &vm->slots[i];

		if (gpa >= slot->gpa && gpa - slot->gpa < slot->size)
			return (u8 *)slot->hva + (gpa - slot->gpa);
	}
	return NULL;
}

/* Copy from guest-physical memory by a system call: the page may be beyond the end of its file. */
static bool read_physical(const struct tk_vm *vm, gpa_t gpa, void *dst, size_t len)
{
	struct iovec local = {dst, len}, remote = {host_address(vm, gpa), len};

	return remote.iov_base &&
	       process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/* Walk the page tables (KVM_TRANSLATE does not work on PVM). */
static bool translate(const struct tk_vm *vm, gpa_t cr3, gva_t va, gpa_t *gpa)
{
	const u64 frame = 0x000ffffffffff000;
	u64 entry = cr3;

	for (int shift = 39; shift >= 12; shift -= 9) {
		gpa_t slot = (entry & frame) + (va >> shift & 511) * 8;
		u64 low = (1ull << shift) - 1;

		if (!read_physical(vm, slot, &entry, sizeof(entry)) || !(entry & 1))
			return false;
		*gpa = (entry & frame & ~low) | (va & low);
		if (entry & 0x80 && shift < 39) /* a large page */
			return true;
	}
	return true;
}

static void report_code(struct tk_vcpu *vcpu, gpa_t cr3, struct tk_buf *out)
{
	u64 rip = tk_vcpu_kregs(vcpu)->rip;
	gpa_t gpa;
	u8 byte;

	tk_buf_printf(out, "code  ");
	for (int i = -16; i < 16; i++) {
		bool ok = translate(vcpu->vm, cr3, rip + (u64)(s64)i, &gpa) &&
			  read_physical(vcpu->vm, gpa, &byte, 1);

		tk_buf_printf(out, i ? " " : " <");
		if (ok)
			tk_buf_printf(out, "%02x", byte);
		else
			tk_buf_printf(out, "??");
		tk_buf_printf(out, i ? "" : ">");
	}
	tk_buf_printf(out, "\n");
}

void tk_vcpu_report(struct tk_vcpu *vcpu, const struct tk_exit *exit, struct tk_buf *out)
{
	struct kvm_sregs sregs;

	report_reason(vcpu->run, exit, out);
	tk_buf_printf(out, "vcpu %u, %s%s%s\n", vcpu->index,
		      tk_flavour_name(vcpu->vm->kvm->flavour),
		      vcpu->in_entry ? ", in entry code" : "", vcpu->broken ? ", broken" : "");
	report_regs(tk_vcpu_kregs(vcpu), out);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs)) {
		tk_buf_printf(out, "control registers: %s\n", strerrordesc_np(errno));
		return;
	}
	report_sregs(&sregs, out);
	report_code(vcpu, sregs.cr3, out);
}
