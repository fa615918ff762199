/* SPDX-License-Identifier: MIT */
/*
 * Memslots of the storage VM over the memory of its callers, at the same host addresses as in
 * their own VMs, made when a buffer first lies there. They stay: to remove one costs KVM all of the
 * VM's translations. What confines the storage program are its page tables (mm/window.c).
 *
 * A slot goes before the memory does, and when there are too many.
 */
#include <errno.h>
#include <sys/mman.h>

#include "guest/layout.h"
#include "machine/remote.h"
#include "mm/window.h"

static gpa_t blank_gpa(const struct tkvm_remote *remote)
{
	return tk_mm_gpa_end(remote->machine->mm);
}

static gpa_t gpa_of(const struct tkvm_remote *remote, const struct tk_alias *alias)
{
	return blank_gpa(remote) + (u64)(alias - remote->aliases + 1) * TK_SLOT_SIZE;
}

int tk_alias_init(struct tkvm_remote *remote)
{
	for (size_t i = 0; i < TK_MAX_ALIASES; i++)
		remote->aliases[i] = (struct tk_alias){0};
	return tk_vm_slot_add(remote->machine->vm, blank_gpa(remote), TK_PAGE_SIZE, remote->blank,
			      0);
}

bool tk_remote_blank(struct tkvm_machine *machine)
{
	struct tkvm_remote *remote = machine->serves;

	if (!tk_window_blank(machine->mm, blank_gpa(remote)))
		return false;
	remote->blanked = true;
	return true;
}

/* A new page: the host drops the old one, and KVM its translations. */
void tk_alias_renew_blank(struct tkvm_remote *remote)
{
	if (remote->blanked && madvise(remote->blank, TK_PAGE_SIZE, MADV_DONTNEED))
		tk_machine_fail_text(remote->machine, "a page cannot be given back");
	remote->blanked = false;
}

/* The one at @hva; if there is none, a free one, or else the one that was not used for longest. */
static struct tk_alias *find(struct tkvm_remote *remote, const void *hva)
{
	struct tk_alias *best = &remote->aliases[0];

	for (size_t i = 0; i < TK_MAX_ALIASES; i++) {
		struct tk_alias *alias = &remote->aliases[i];

		if (alias->hva == hva)
			return alias;
		if (best->hva && (!alias->hva || alias->used < best->used))
			best = alias;
	}
	return best;
}

gpa_t tk_alias_gpa(void *ctx, const struct tk_mm *lender, void *hva)
{
	struct tkvm_remote *remote = ctx;
	struct tk_mm_slot slot = tk_mm_slot_at(lender, hva);
	struct tk_alias *alias = find(remote, slot.hva);
	struct tk_vm *vm = remote->machine->vm;
	gpa_t gpa = gpa_of(remote, alias);

	if (alias->hva != slot.hva) {
		if (alias->hva && tk_vm_slot_remove(vm, gpa))
			return 0;
		alias->hva = NULL;
		if (tk_vm_slot_add(vm, gpa, slot.size, slot.hva, 0))
			return 0;
		alias->hva = slot.hva;
	}
	alias->used = remote->calls;
	return gpa + (u64)((u8 *)hva - (u8 *)slot.hva);
}

void tk_alias_drop(struct tkvm_remote *remote, const struct tk_mm *mm)
{
	if (!remote->machine)
		return;
	for (size_t i = 0; i < TK_MAX_ALIASES; i++) {
		struct tk_alias *alias = &remote->aliases[i];

		if (!alias->hva || !tk_mm_has(mm, alias->hva))
			continue;
		if (tk_vm_slot_remove(remote->machine->vm, gpa_of(remote, alias)))
			tk_machine_fail_text(remote->machine, "a memory slot cannot be removed");
		alias->hva = NULL;
	}
}
