/* SPDX-License-Identifier: MIT */
/*
 * The kernel area: what the processor needs to run a program at CPL 3 and to leave it. Built
 * once per process and never written again, by the VMM or by any guest; VMs share it.
 */
#ifndef TK_GUEST_AREA_H
#define TK_GUEST_AREA_H

#include "base/types.h"
#include "guest/layout.h"

/*
 * Fill @area, TK_AREA_SIZE bytes of zeroes. @user_entry: SYSCALL lands on a user page and the
 * entry port is open to CPL 3 (PVM); otherwise no port is.
 */
void tk_area_build(void *area, bool user_entry);

/* Bytes of the vDSO image in the area. */
u64 tk_area_vdso_size(void);

#endif
