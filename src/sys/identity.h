/* SPDX-License-Identifier: MIT */
/*
 * Who the program believes it is. Changing identity changes the program's view only: the host
 * files and sockets behind it are used with the VMM's own identity, within the policy.
 */
#ifndef TK_SYS_IDENTITY_H
#define TK_SYS_IDENTITY_H

#include <linux/capability.h>

#include "task/task.h"

#define TK_CAP_ALL ((1ull << (CAP_LAST_CAP + 1)) - 1)

/* proc's privileges, made from the VMM's own at first use. */
struct tk_privileges *tk_privileges(struct tk_proc *proc);

/* True if the program sees capability @cap (CAP_*) as effective. */
bool tk_capable(struct tk_proc *proc, int cap);

/* True if @pid, as a guest passed it, is this process or one of its threads (0: the caller). */
bool tk_is_own_pid(struct tk_proc *proc, int pid);

#endif
