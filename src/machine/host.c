/* SPDX-License-Identifier: MIT */
/*
 * What the host offers and what the library knows, as the public interface tells it. Keeps
 * nothing: every call opens /dev/kvm, asks and closes it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "sys/sys.h"
#include "tinykvm/host.h"
#include "tinykvm/machine.h"

/* More than src/kvm has rows; a larger table is cut, not overrun. */
#define CAPS_MAX 64

int tkvm_host_capabilities(struct tkvm_host_capability *caps, size_t max, struct tkvm_error *err)
{
	struct tk_kvm_capability all[CAPS_MAX];
	int fd = tk_kvm_open_device(err);
	size_t n;

	if (fd < 0)
		return fd;
	n = TK_MIN(tk_kvm_capabilities(fd, all, CAPS_MAX), (size_t)CAPS_MAX);
	close(fd);
	for (size_t i = 0; i < n && i < max; i++)
		caps[i] = (struct tkvm_host_capability){
			.name = all[i].name,
			.cost = all[i].cost,
			.needed = all[i].needed,
			.value = all[i].value,
		};
	return (int)n;
}

int tkvm_host_probe(struct tkvm_host *host, struct tkvm_error *err)
{
	struct tkvm_host found = {0};
	struct tk_kvm_costs costs;
	struct tk_kvm kvm;
	int rc;

	if (host->size < sizeof(host->size))
		return tk_fail(err, EINVAL, "host: size %zu", host->size);
	rc = tk_kvm_open(&kvm, err);
	if (rc)
		return rc;
	rc = tk_kvm_measure(&kvm, &costs, err);
	if (!rc) {
		found.size = host->size;
		found.flavour = tk_flavour_name(kvm.flavour);
		found.max_vcpus = kvm.max_vcpus;
		found.max_slots = kvm.max_slots;
		found.clock_in_guest = kvm.host_tsc || kvm.tsc_offset;
		found.exit_ns = (uint64_t)costs.exit_ns;
		found.fault_ns = (uint64_t)costs.fault_ns;
		memcpy(host, &found, TK_MIN(host->size, sizeof(found)));
	}
	tk_kvm_close(&kvm);
	return rc;
}

const char *tkvm_syscall_name(unsigned int nr)
{
	return tk_syscall_name(nr);
}
