/* SPDX-License-Identifier: MIT */
/*
 * Owns the descriptor of /dev/kvm and what was learnt about it. Everything here happens once per
 * process; the result is read-only and shared by all VMs.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/area.h"
#include "kvm/internal.h"

static const struct {
	const char *name;
	const char *cost;
	int cap;
	bool needed;
} caps_table[] = {
#define X(cap, needed, cost) {"KVM_CAP_" #cap, cost, KVM_CAP_##cap, needed},
#include "kvm/caps.h"
#undef X
};

const char *tk_flavour_name(enum tk_flavour flavour)
{
	return flavour == TK_FLAVOUR_PVM ? "pvm" : "hardware";
}

static int check(int fd, int cap)
{
	int value = ioctl(fd, KVM_CHECK_EXTENSION, cap);

	return value < 0 ? 0 : value;
}

int tk_kvm_open_device(struct tkvm_error *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0 && errno == ENOENT)
		return tk_fail(err, ENOENT,
			       "open /dev/kvm: no such file: load the kvm module, or enable "
			       "virtualisation (nested, in a virtual machine)");
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return tk_fail(err, EACCES,
			       "open /dev/kvm: permission denied: add this user to the group that "
			       "owns it (usually kvm)");
	if (fd < 0 && (errno == ENODEV || errno == ENXIO))
		return tk_fail(err, ENODEV,
			       "open /dev/kvm: no such device: no processor virtualisation that "
			       "KVM can use");
	if (fd < 0)
		return tk_fail_errno(err, errno, "open /dev/kvm");
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version == KVM_API_VERSION)
		return fd;
	close(fd);
	return tk_fail(err, ENODEV, "/dev/kvm: not KVM (API version %d, not %d)", version,
		       KVM_API_VERSION);
}

size_t tk_kvm_capabilities(int fd, struct tk_kvm_capability *caps, size_t max)
{
	for (size_t i = 0; i < TK_ARRAY_SIZE(caps_table) && i < max; i++) {
		caps[i].name = caps_table[i].name;
		caps[i].cost = caps_table[i].cost;
		caps[i].needed = caps_table[i].needed;
		caps[i].value = check(fd, caps_table[i].cap);
		caps[i].present = caps[i].value > 0;
	}
	return TK_ARRAY_SIZE(caps_table);
}

static int check_needed(int fd, struct tkvm_error *err)
{
	for (size_t i = 0; i < TK_ARRAY_SIZE(caps_table); i++)
		if (caps_table[i].needed && check(fd, caps_table[i].cap) <= 0)
			return tk_fail(err, EOPNOTSUPP, "kvm: %s is missing: without it, %s",
				       caps_table[i].name, caps_table[i].cost);
	if (!(check(fd, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS))
		return tk_fail(err, EOPNOTSUPP, "kvm: KVM_CAP_SYNC_REGS lacks general registers");
	return 0;
}

static int read_limits(struct tk_kvm *kvm, struct tkvm_error *err)
{
	int run_size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int xsave2 = check(kvm->fd, KVM_CAP_XSAVE2);
	int vcpus = check(kvm->fd, KVM_CAP_MAX_VCPUS);

	if (run_size < (int)sizeof(struct kvm_run))
		return tk_fail(err, EOPNOTSUPP, "kvm: KVM_GET_VCPU_MMAP_SIZE says %d", run_size);
	kvm->run_size = (size_t)run_size;
	kvm->xsave2 = xsave2 >= (int)sizeof(struct kvm_xsave);
	kvm->xsave_size = kvm->xsave2 ? (size_t)xsave2 : sizeof(struct kvm_xsave);
	kvm->readonly_slots = check(kvm->fd, KVM_CAP_READONLY_MEM) > 0;
	kvm->sync_sregs = check(kvm->fd, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_SREGS;
	kvm->tsc_offset = check(kvm->fd, KVM_CAP_VCPU_ATTRIBUTES) > 0;
	kvm->memory_fault_info = check(kvm->fd, KVM_CAP_MEMORY_FAULT_INFO) > 0;
	kvm->ring_max_bytes = (unsigned int)check(kvm->fd, KVM_CAP_DIRTY_LOG_RING);
	kvm->max_slots = (unsigned int)check(kvm->fd, KVM_CAP_NR_MEMSLOTS);
	/* KVM_CHECK_EXTENSION: 0 means the four that every KVM has */
	kvm->max_vcpus = TK_MIN((unsigned int)(vcpus > 0 ? vcpus : 4), (unsigned int)TK_MAX_VCPUS);
	return 0;
}

/* Extended states of the host that KVM supports, but those that a process must ask for (AMX). */
static u64 choose_xcr0(const struct kvm_cpuid2 *cpuid)
{
	const u64 wanted = 0xe7; /* x87, SSE, AVX, AVX-512: SDM 1 13.1 */
	u64 supported = tk_cpuid_xcr0(cpuid) & wanted;
	u32 lo, hi;

	if (__builtin_cpu_supports("avx")) {
		__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
		supported &= (u64)hi << 32 | lo;
	}
	if ((supported & 0xe0) != 0xe0)
		supported &= ~0xe0ull;
	return supported | 3;
}

/* Where the states of @xcr0 end in an XSAVE image (SDM 1 13.4.3). 0: too far for the reload page.
 */
static size_t image_size(u64 xcr0)
{
	unsigned int size, offset, ecx, edx;
	size_t end = 576; /* legacy region and header */

	for (unsigned int i = 2; i < 63; i++)
		if (xcr0 >> i & 1 && __get_cpuid_count(0xd, i, &size, &offset, &ecx, &edx))
			end = TK_MAX(end, (size_t)offset + size);
	return end <= TK_RELOAD_VA - TK_RELOAD_IMAGE_VA && tk_area_vdso_size() ? end : 0;
}

static int map_area(struct tk_kvm *kvm, struct tkvm_error *err)
{
	void *area = mmap(NULL, TK_AREA_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		return tk_fail_errno(err, errno, "kvm: map the kernel area");
	tk_area_build(area, true); /* as the probe needs it */
	kvm->area = area;
	return 0;
}

int tk_kvm_open(struct tk_kvm *ret, struct tkvm_error *err)
{
	struct tk_kvm kvm = {0};
	int rc;

	kvm.fd = tk_kvm_open_device(err);
	if (kvm.fd < 0)
		return kvm.fd;
	rc = check_needed(kvm.fd, err);
	if (rc)
		goto out_close;
	rc = read_limits(&kvm, err);
	if (rc)
		goto out_close;
	rc = tk_cpuid_get(&kvm, err);
	if (rc)
		goto out_close;
	kvm.xcr0 = choose_xcr0(kvm.cpuid);
	kvm.image_size = image_size(kvm.xcr0);
	rc = map_area(&kvm, err);
	if (rc)
		goto out_free;
	rc = tk_probe(&kvm, err);
	if (rc)
		goto out_unmap;
	*ret = kvm;
	return 0;
out_unmap:
	munmap((void *)kvm.area, TK_AREA_SIZE);
out_free:
	free(kvm.cpuid);
out_close:
	close(kvm.fd);
	return rc;
}

void tk_kvm_close(struct tk_kvm *kvm)
{
	tk_vm_destroy(tk_vm_take_spare(kvm));
	free(kvm->spare);
	munmap((void *)kvm->area, TK_AREA_SIZE);
	free(kvm->cpuid);
	close(kvm->fd);
	*kvm = (struct tk_kvm){.fd = -1};
}
