/* SPDX-License-Identifier: MIT */
/*
 * Dirty rings (Documentation/virt/kvm/api.rst, 8.29): each vCPU's list of the pages that it made
 * writable, which is all that it can have written. Entries are marked as collected at once but
 * are given back to KVM, which write-protects their pages again, only when asked for.
 *
 * The thread that runs the vCPUs collects between runs, so no entry is added meanwhile.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kvm/internal.h"

static u32 entries(const struct tk_vm *vm)
{
	return vm->ring_bytes / (u32)sizeof(struct kvm_dirty_gfn);
}

int tk_ring_map(struct tk_vcpu *vcpu)
{
	long offset = (long)KVM_DIRTY_LOG_PAGE_OFFSET * (long)TK_PAGE_SIZE;
	void *p;

	if (!vcpu->vm->ring_bytes)
		return 0;
	p = mmap(NULL, vcpu->vm->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, offset);
	if (p == MAP_FAILED)
		return -errno;
	vcpu->ring = p;
	return 0;
}

void tk_ring_unmap(struct tk_vcpu *vcpu)
{
	if (vcpu->ring)
		munmap(vcpu->ring, vcpu->vm->ring_bytes);
	vcpu->ring = NULL;
}

static void harvest(struct tk_vcpu *vcpu, void (*fn)(void *arg, gpa_t gpa), void *arg)
{
	const struct tk_vm *vm = vcpu->vm;
	u32 mask = entries(vm) - 1;

	for (;; vcpu->ring_next++, vcpu->ring_held++) {
		struct kvm_dirty_gfn *entry = &vcpu->ring[vcpu->ring_next & mask];
		u32 slot = entry->slot & 0xffff; /* the address space above is 0 */

		if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
			return;
		if (slot < vm->n_slots && entry->offset < vm->slots[slot].size >> TK_PAGE_SHIFT)
			fn(arg, vm->slots[slot].gpa + (entry->offset << TK_PAGE_SHIFT));
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
}

bool tk_vm_harvest(struct tk_vm *vm, void (*fn)(void *arg, gpa_t gpa), void *arg)
{
	struct tk_vcpu *vcpu;
	bool filling = false;

	tk_list_for_each (vcpu, &vm->rings, ring_link) {
		harvest(vcpu, fn, arg);
		filling |= vcpu->ring_held > entries(vm) / 2;
	}
	return filling;
}

int tk_vm_reset_rings(struct tk_vm *vm)
{
	struct tk_vcpu *vcpu;

	if (ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, 0) < 0)
		return -errno;
	tk_list_for_each (vcpu, &vm->rings, ring_link)
		vcpu->ring_held = 0;
	return 0;
}
