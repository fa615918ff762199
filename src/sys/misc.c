/* SPDX-License-Identifier: MIT */
/*
 * Calls that a guest of one process on one CPU can be answered in a line: memory barriers between
 * threads that never run at the same time, and the ones that are refused for good. Those fail the
 * way Linux fails where they are not permitted or not built in, so that programs fall back.
 */
#include <errno.h>
#include <linux/membarrier.h>

#include "sys/sys.h"

#define BARRIERS                                                                                   \
	(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                                 \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)
#define REGISTRATIONS                                                                              \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |    \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

/*
 * One host thread runs all threads of the guest, and changing from one to another is a full
 * barrier (and serialises): there is nothing to do but keep the books.
 */
long tk_sys_membarrier(struct tk_task *task, const u64 a[6])
{
	u32 *registered = &task->proc->attrs.membarrier;
	int cmd = (int)a[0];

	if ((u32)a[1])
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return BARRIERS | REGISTRATIONS;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		*registered |= (u32)cmd;
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		/* Each one's registration is the next bit: linux/membarrier.h. */
		return *registered & (u32)cmd << 1 ? 0 : -EPERM;
	default:
		return -EINVAL;
	}
}

#define REFUSE(name, error)                                                                        \
	long tk_sys_##name(struct tk_task *task, const u64 a[6])                                   \
	{                                                                                          \
		return -(error);                                                                   \
	}

/* Tracing other processes. */
REFUSE(ptrace, EPERM)
/* Restartable sequences need the kernel to look into the program at every preemption. */
REFUSE(rseq, ENOSYS)
/* What only a machine's administrator may do, and a guest is none. */
REFUSE(vhangup, EPERM)
REFUSE(pivot_root, EPERM)
REFUSE(chroot, EPERM)
REFUSE(acct, EPERM)
REFUSE(settimeofday, EPERM)
REFUSE(mount, EPERM)
REFUSE(umount2, EPERM)
REFUSE(swapon, EPERM)
REFUSE(swapoff, EPERM)
REFUSE(reboot, EPERM)
REFUSE(sethostname, EPERM)
REFUSE(setdomainname, EPERM)
REFUSE(iopl, EPERM)
REFUSE(ioperm, EPERM)
REFUSE(init_module, EPERM)
REFUSE(delete_module, EPERM)
REFUSE(quotactl, EPERM)
REFUSE(kexec_load, EPERM)
REFUSE(unshare, EPERM)
REFUSE(open_by_handle_at, EPERM)
REFUSE(setns, EPERM)
REFUSE(finit_module, EPERM)
REFUSE(bpf, EPERM)
/* As with kernel.perf_event_paranoid at its strictest. */
REFUSE(perf_event_open, EACCES)
