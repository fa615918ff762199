/* SPDX-License-Identifier: MIT */
/* What is asked of KVM: X(KVM_CAP_ name, needed, what lacking it means). */
/* clang-format off */
X(USER_MEMORY, true, "guests have no memory")
X(DESTROY_MEMORY_REGION_WORKS, true, "memory slots cannot be trusted (Linux before 2.6.30)")
X(JOIN_MEMORY_REGIONS_WORKS, true, "memory slots cannot be trusted (Linux before 2.6.30)")
X(SYNC_MMU, true, "changes of guest mappings would not reach the guest")
X(EXT_CPUID, true, "guests cannot be told their processor's features")
X(XSAVE, true, "floating-point state cannot be saved")
X(XCRS, true, "AVX state cannot be enabled")
X(VCPU_EVENTS, true, "pending exceptions cannot be seen (Linux before 2.6.33)")
X(NR_MEMSLOTS, true, "guest memory cannot be placed")
X(READONLY_MEM, true, "the kernel area cannot be protected (Linux before 3.7)")
X(SYNC_REGS, true, "every exit would cost two more calls (Linux before 4.17)")
X(IMMEDIATE_EXIT, true, "a guest could not be stopped without a race (Linux before 4.11)")
X(XSAVE2, false, "AMX-sized state is not saved (Linux before 5.17)")
X(VCPU_ATTRIBUTES, false, "the guest's clock cannot read the TSC directly (Linux before 5.16)")
X(DIRTY_LOG_RING, false, "programs cannot be forked and reset (Linux before 5.11)")
X(MEMORY_FAULT_INFO, false, "a truncated mapped file is found by looking at all of them (Linux before 6.8)")
/* clang-format on */
