/* SPDX-License-Identifier: MIT */
/* signalfd(2): pending signals as a file. */
#ifndef TK_TASK_SIGNALFD_H
#define TK_TASK_SIGNALFD_H

#include "task/task.h"

/* @flags: SFD_NONBLOCK or 0. 0, -EMFILE, -ENFILE, -ENOMEM. */
int tk_signalfd_new(struct tk_file **ret, struct tk_proc *proc, tk_sigset mask, int flags);

bool tk_is_signalfd(const struct tk_file *file);
void tk_signalfd_set_mask(struct tk_file *file, tk_sigset mask);

/* To be called whenever the pending signals of @proc have changed: some files may be readable. */
void tk_signalfds_update(struct tk_proc *proc);

#endif
