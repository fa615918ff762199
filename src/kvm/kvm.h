/* SPDX-License-Identifier: MIT */
/* /dev/kvm: opening it, what it can do, and which flavour it is. */
#ifndef TK_KVM_KVM_H
#define TK_KVM_KVM_H

#include "base/error.h"
#include "base/types.h"

struct kvm_cpuid2;

/* How CPL 3 enters the VMM; found by running three instructions, never by module names. */
enum tk_flavour {
	TK_FLAVOUR_HARDWARE, /* VMX or SVM: SYSCALL reaches CPL 0 */
	TK_FLAVOUR_PVM,	     /* SYSCALL stays at CPL 3 */
};

struct tk_kvm {
	int fd;
	enum tk_flavour flavour;
	size_t run_size;	  /* bytes of struct kvm_run to map */
	struct kvm_cpuid2 *cpuid; /* given to every vCPU */
	u64 xcr0;		  /* extended states enabled in guests */
	size_t xsave_size;	  /* bytes of KVM_GET_XSAVE(2) */
	size_t image_size;	  /* of @xcr0's states in it; 0: not to be had by XRSTOR */
	bool xsave2;
	bool readonly_slots;
	bool memory_fault_info;	     /* KVM_RUN's EFAULT says which page (Linux 6.8) */
	unsigned int ring_max_bytes; /* dirty ring, 0 = none */
	unsigned int max_vcpus, max_slots;
	bool host_tsc;	      /* RDTSC in a guest reads the host's TSC */
	bool tsc_offset;      /* KVM_VCPU_TSC_OFFSET can be set */
	bool sync_sregs;      /* segment registers can be set by KVM_RUN itself */
	u64 cr4;	      /* control register 4 of every vCPU */
	const void *area;     /* the kernel area, shared by all VMs (guest/area.h) */
	struct tk_vm **spare; /* the VM that the probe ran in, for whoever creates the first; may be
				 NULL */
};

/*
 * Open /dev/kvm, check what is needed, probe the flavour. On failure *@kvm is not to be closed.
 *   -ENOENT, -EACCES, -ENODEV  /dev/kvm missing, not permitted, no KVM behind it
 *   -EOPNOTSUPP                a needed capability is missing (named in the message)
 */
int tk_kvm_open(struct tk_kvm *kvm, struct tkvm_error *err) TK_MUST_CHECK;
void tk_kvm_close(struct tk_kvm *kvm);

const char *tk_flavour_name(enum tk_flavour flavour);

/*
 * For `doctor`: one line each of what the host's KVM offers. Works on any descriptor of
 * /dev/kvm, also when tk_kvm_open() refuses it.
 */
struct tk_kvm_capability {
	const char *name; /* "KVM_CAP_SYNC_REGS" */
	const char *cost; /* what lacking it means, as the end of "without it ..." */
	bool needed;
	bool present;
	int value; /* what KVM_CHECK_EXTENSION answered */
};

/* Open /dev/kvm alone. Returns a descriptor (close-on-exec), or -errno as tk_kvm_open(). */
int tk_kvm_open_device(struct tkvm_error *err) TK_MUST_CHECK;

/* Fill up to @max of them; returns how many there are. */
size_t tk_kvm_capabilities(int fd, struct tk_kvm_capability *caps, size_t max);

/* Nanoseconds, the median of many tries on this host now. */
struct tk_kvm_costs {
	s64 exit_ns;  /* a system call's way out of the guest and back, nothing done in between */
	s64 fault_ns; /* the first touch of a page of guest memory */
};
int tk_kvm_measure(const struct tk_kvm *kvm, struct tk_kvm_costs *costs,
		   struct tkvm_error *err) TK_MUST_CHECK;

#endif
