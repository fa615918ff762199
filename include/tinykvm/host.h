/* SPDX-License-Identifier: MIT */
/* What this host's KVM can do: for a program that wants to tell before it makes machines. */
#ifndef TINYKVM_HOST_H
#define TINYKVM_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "tinykvm/error.h"
#include "tinykvm/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One thing that is asked of KVM. The strings are constants. */
struct tkvm_host_capability {
	const char *name; /* as in linux/kvm.h */
	const char *cost; /* what it means to lack it, as the end of "without it, ..." */
	int needed;	  /* no machine can be made without it */
	int value;	  /* KVM's answer; 0: missing */
};

/*
 * Ask /dev/kvm for its capabilities and fill up to @max of them; @caps may be NULL if @max is 0.
 * Returns how many there are, or -errno: -ENOENT, -EACCES, -ENODEV as tkvm_machine_create().
 */
TKVM_API int tkvm_host_capabilities(struct tkvm_host_capability *caps, size_t max,
				    struct tkvm_error *err);

struct tkvm_host {
	size_t size; /* sizeof(struct tkvm_host), set by the caller */

	const char *flavour;	/* "hardware" or "pvm": how a guest reaches the VMM */
	unsigned int max_vcpus; /* of a machine */
	unsigned int max_slots; /* pieces of guest memory of a machine */
	int clock_in_guest;	/* clock_gettime(2) is answered without leaving the guest */
	uint64_t exit_ns;	/* out of the guest and back, median of many */
	uint64_t fault_ns;	/* first touch of a page */
};

/*
 * Try out and measure this host, in some ten milliseconds, with a machine that runs a few
 * instructions. Fills *@host up to host->size. Errors as tkvm_machine_create().
 */
TKVM_API int tkvm_host_probe(struct tkvm_host *host, struct tkvm_error *err);

#ifdef __cplusplus
}
#endif
#endif
