/* SPDX-License-Identifier: MIT */
/*
 * Every exit reason of x86 KVM: X(number, NAME). Numbers, since the headers that this is built
 * with may be older than the kernel that it runs on.
 */
/* clang-format off */
X(0, UNKNOWN)
X(1, EXCEPTION)
X(2, IO)
X(3, HYPERCALL)
X(4, DEBUG)
X(5, HLT)
X(6, MMIO)
X(7, IRQ_WINDOW_OPEN)
X(8, SHUTDOWN)
X(9, FAIL_ENTRY)
X(10, INTR)
X(11, SET_TPR)
X(12, TPR_ACCESS)
X(16, NMI)
X(17, INTERNAL_ERROR)
X(24, SYSTEM_EVENT)
X(26, IOAPIC_EOI)
X(27, HYPERV)
X(29, X86_RDMSR)
X(30, X86_WRMSR)
X(31, DIRTY_RING_FULL)
X(32, AP_RESET_HOLD)
X(33, X86_BUS_LOCK)
X(34, XEN)
X(37, NOTIFY)
X(39, MEMORY_FAULT)
X(40, TDX)
/* clang-format on */
