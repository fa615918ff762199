/* SPDX-License-Identifier: MIT */
/*
 * Owns the VM's descriptor, its memslots and the two pieces of kernel memory that are per VM:
 * exception stacks and the shim's page (written by the guest), the vDSO's data and what was read
 * ahead (written by the VMM).
 *
 * Slots of a VM's own memory are only ever added. vCPUs cannot be deleted from a VM by KVM, so
 * destroyed ones wait in vm->idle to be used again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/area.h"
#include "kvm/internal.h"

/* Two purposes each: a slot costs more than its pages. */
#define VVAR_SLOT   (TK_VVAR_SIZE + TK_AHEAD_SIZE + TK_GIVEN_SIZE)
#define STACKS_SLOT (TK_STACKS_SIZE + TK_SHIM_SIZE)

static int make_room(struct tk_vm *vm)
{
	unsigned int cap = vm->cap_slots ? vm->cap_slots * 2 : 16;
	struct tk_slot *slots;

	if (vm->n_slots < vm->cap_slots)
		return 0;
	slots = reallocarray(vm->slots, cap, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	vm->slots = slots;
	vm->cap_slots = cap;
	return 0;
}

/* The number of a slot that begins at @gpa and is @size large; n_slots: none. */
static unsigned int find_slot(const struct tk_vm *vm, gpa_t gpa, bool empty)
{
	unsigned int i = 0;

	while (i < vm->n_slots &&
	       (empty ? vm->slots[i].size != 0 : !vm->slots[i].size || vm->slots[i].gpa != gpa))
		i++;
	return i;
}

int tk_vm_slot_add(struct tk_vm *vm, gpa_t gpa, u64 size, void *hva, unsigned int flags)
{
	unsigned int nr = vm->removed ? find_slot(vm, 0, true) : vm->n_slots;
	struct kvm_userspace_memory_region region = {
		.slot = nr,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (u64)(uintptr_t)hva,
		.flags = (flags & TK_SLOT_READONLY ? KVM_MEM_READONLY : 0) |
			 (flags & TK_SLOT_LOG && vm->ring_bytes ? KVM_MEM_LOG_DIRTY_PAGES : 0),
	};

	if (nr >= vm->kvm->max_slots)
		return -ENOSPC;
	if (make_room(vm))
		return -ENOMEM;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		return -errno;
	vm->slots[nr] = (struct tk_slot){gpa, size, hva};
	if (nr == vm->n_slots)
		vm->n_slots++;
	else
		vm->removed--;
	return 0;
}

int tk_vm_slot_remove(struct tk_vm *vm, gpa_t gpa)
{
	unsigned int nr = find_slot(vm, gpa, false);
	struct kvm_userspace_memory_region region = {.slot = nr, .guest_phys_addr = gpa};

	if (nr == vm->n_slots)
		return -ENOENT;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		return -errno;
	vm->slots[nr].size = 0;
	vm->removed++;
	return 0;
}

static void *map_memory(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
}

static int enable_ring(struct tk_vm *vm, unsigned int bytes)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_DIRTY_LOG_RING, .args = {bytes}};

	if (bytes && ioctl(vm->fd, KVM_ENABLE_CAP, &cap))
		return -errno;
	vm->ring_bytes = bytes;
	return 0;
}

static int add_kernel_slots(struct tk_vm *vm)
{
	int rc = tk_vm_slot_add(vm, TK_GPA_AREA, TK_AREA_SIZE, (void *)vm->kvm->area,
				TK_SLOT_READONLY);

	if (!rc)
		rc = tk_vm_slot_add(vm, TK_GPA_VVAR, VVAR_SLOT, vm->vvar, TK_SLOT_READONLY);
	if (!rc)
		rc = tk_vm_slot_add(vm, TK_GPA_STACKS, STACKS_SLOT, vm->stacks, 0);
	return rc;
}

/* KVM_CREATE_VM waits for memory and can be interrupted by any signal: then it is asked again. */
static int create_fd(const struct tk_kvm *kvm)
{
	int fd;

	do
		fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
	while (fd < 0 && errno == EINTR);
	return fd;
}

struct tk_vm *tk_vm_take_spare(const struct tk_kvm *kvm)
{
	struct tk_vm *vm = NULL;

	if (kvm->spare)
		vm = __atomic_exchange_n(kvm->spare, NULL, __ATOMIC_ACQ_REL);
	if (vm)
		vm->kvm = kvm; /* the probe's was on its stack */
	return vm;
}

static int create(struct tk_vm **ret, const struct tk_kvm *kvm, unsigned int ring_bytes,
		  struct tkvm_error *err)
{
	struct tk_vm *vm = calloc(1, sizeof(*vm));
	int rc;

	if (!vm)
		return tk_fail_errno(err, ENOMEM, "vm: allocate");
	vm->kvm = kvm;
	tk_list_init(&vm->idle);
	tk_list_init(&vm->rings);
	vm->fd = create_fd(kvm);
	if (vm->fd < 0) {
		rc = tk_fail_errno(err, errno, "vm: KVM_CREATE_VM");
		goto out_free;
	}
	rc = enable_ring(vm, ring_bytes);
	if (rc) {
		tk_fail_errno(err, -rc, "vm: dirty ring of %u bytes", ring_bytes);
		goto out_close;
	}
	vm->stacks = map_memory(STACKS_SLOT);
	if (vm->stacks == MAP_FAILED) {
		rc = tk_fail_errno(err, errno, "vm: map the exception stacks");
		goto out_close;
	}
	vm->vvar = map_memory(VVAR_SLOT);
	if (vm->vvar == MAP_FAILED) {
		rc = tk_fail_errno(err, errno, "vm: map the vDSO's data");
		goto out_stacks;
	}
	rc = add_kernel_slots(vm);
	if (rc) {
		tk_fail_errno(err, -rc, "vm: memory slot %u", vm->n_slots);
		goto out_vvar;
	}
	*ret = vm;
	return 0;
out_vvar:
	munmap(vm->vvar, VVAR_SLOT);
out_stacks:
	munmap(vm->stacks, STACKS_SLOT);
out_close:
	close(vm->fd);
	free(vm->slots);
out_free:
	free(vm);
	return rc;
}

int tk_vm_create(struct tk_vm **ret, const struct tk_kvm *kvm, unsigned int ring_bytes,
		 struct tkvm_error *err)
{
	/* A dirty ring has to be asked for before the first vCPU is made. */
	struct tk_vm *spare = ring_bytes ? NULL : tk_vm_take_spare(kvm);

	if (!spare)
		return create(ret, kvm, ring_bytes, err);
	*ret = spare;
	return 0;
}

void tk_vm_destroy(struct tk_vm *vm)
{
	struct tk_vcpu *vcpu, *tmp;

	if (!vm)
		return;
	tk_list_for_each_safe (vcpu, tmp, &vm->idle, link)
		tk_vcpu_close(vcpu);
	close(vm->fd);
	munmap(vm->vvar, VVAR_SLOT);
	munmap(vm->stacks, STACKS_SLOT);
	free(vm->slots);
	free(vm);
}

int tk_vm_for_each_kernel_range(struct tk_vm *vm,
				int (*fn)(void *arg, const struct tk_kernel_range *range),
				void *arg)
{
	u64 vdso = tk_area_vdso_size();
	bool pvm = vm->kvm->flavour == TK_FLAVOUR_PVM;
	const struct tk_kernel_range ranges[] = {
		{.va = TK_KERNEL_VA + TK_AREA_ENTRY,
		 .gpa = TK_GPA_AREA + TK_AREA_ENTRY,
		 .size = TK_PAGE_SIZE,
		 .user = true,
		 .exec = true},
		{.va = TK_KERNEL_VA + TK_AREA_STUBS,
		 .gpa = TK_GPA_AREA + TK_AREA_STUBS,
		 .size = TK_PAGE_SIZE,
		 .exec = true},
		{.va = TK_KERNEL_VA + TK_AREA_GDT, /* and the IDT, in the same page */
		 .gpa = TK_GPA_AREA + TK_AREA_GDT,
		 .size = TK_PAGE_SIZE},
		{.va = TK_KERNEL_VA + TK_AREA_RELOAD,
		 .gpa = TK_GPA_AREA + TK_AREA_RELOAD,
		 .size = vdso ? TK_PAGE_SIZE : 0,
		 .user = true,
		 .exec = true},
		{.va = TK_KERNEL_VA + TK_AREA_TSS,
		 .gpa = TK_GPA_AREA + TK_AREA_TSS,
		 .size = TK_MAX_VCPUS * TK_TSS_SIZE},
		{.va = TK_STACKS_VA, .gpa = TK_GPA_STACKS, .size = TK_STACKS_SIZE, .write = true},
		{.va = TK_VVAR_VA,
		 .gpa = TK_GPA_VVAR,
		 .size = vdso ? TK_VVAR_SIZE : 0,
		 .user = true},
		{.va = TK_VDSO_VA,
		 .gpa = TK_GPA_AREA + TK_AREA_VDSO,
		 .size = vdso,
		 .user = true,
		 .exec = true},
		{.va = TK_AHEAD_VA,
		 .gpa = TK_GPA_AHEAD,
		 .size = pvm ? TK_AHEAD_SIZE : 0,
		 .user = true},
		{.va = TK_KERNEL_VA + TK_AREA_FAST,
		 .gpa = TK_GPA_AREA + TK_AREA_FAST,
		 .size = TK_FAST_MAX,
		 .user = true,
		 .exec = true},
		{.va = TK_GIVEN_VA, .gpa = TK_GPA_GIVEN, .size = TK_GIVEN_SIZE, .user = true},
		{.va = TK_GIVEN_ALIAS_VA, .gpa = TK_GPA_GIVEN, .size = pvm ? 0 : TK_PAGE_SIZE},
		{.va = TK_SHIM_ALIAS_VA,
		 .gpa = TK_GPA_SHIM,
		 .size = pvm ? 0 : TK_PAGE_SIZE,
		 .write = true},
		{.va = TK_SHIM_VA,
		 .gpa = TK_GPA_SHIM,
		 .size = TK_SHIM_SIZE,
		 .user = true,
		 .write = true},
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(ranges); i++) {
		int rc = ranges[i].size ? fn(arg, &ranges[i]) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

unsigned int tk_vm_vcpus(const struct tk_vm *vm)
{
	return vm->n_vcpus;
}

gva_t tk_vm_vdso(const struct tk_vm *vm)
{
	return tk_area_vdso_size() ? TK_VDSO_VA : 0;
}

void *tk_vm_vvar(struct tk_vm *vm)
{
	return vm->vvar;
}

struct tk_ahead_page *tk_vm_ahead(struct tk_vm *vm)
{
	if (vm->kvm->flavour != TK_FLAVOUR_PVM)
		return NULL;
	return (struct tk_ahead_page *)(void *)(vm->vvar + TK_VVAR_SIZE);
}

struct tk_given *tk_vm_given(struct tk_vm *vm)
{
	return (struct tk_given *)(void *)(vm->vvar + TK_VVAR_SIZE + TK_AHEAD_SIZE);
}

struct tk_shim_page *tk_vm_shim(struct tk_vm *vm)
{
	return (struct tk_shim_page *)(void *)(vm->stacks + TK_STACKS_SIZE);
}
