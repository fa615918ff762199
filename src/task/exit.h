/* SPDX-License-Identifier: MIT */
/* The end of a thread. */
#ifndef TK_TASK_EXIT_H
#define TK_TASK_EXIT_H

#include "task/task.h"

/*
 * @task leaves: exit(2). Robust futexes are marked, clear_child_tid is cleared and its futex
 * woken (set_tid_address(2)). The last one to go ends the process with the leader's status.
 * The object stays, TK_TASK_DEAD, until the run loop frees it; the leader's until the end.
 */
void tk_task_exit(struct tk_task *task, int status);

#endif
