/* SPDX-License-Identifier: MIT */
/*
 * The calls that Linux does not have: remote calls between machines, made through
 * libkvmserverguest.so. What they do is the machine's business (machine/remote.c).
 */
#include <errno.h>

#include "sys/sys.h"

static const struct tk_remote_ops *remote(const struct tk_task *task)
{
	return task->proc->ops ? task->proc->ops->remote : NULL;
}

long tk_sys_remote_resume(struct tk_task *task, const u64 a[6])
{
	return remote(task) ? remote(task)->resume(task, a[0], a[1]) : -ENOSYS;
}

long tk_sys_storage_wait_paused(struct tk_task *task, const u64 a[6])
{
	return remote(task) ? remote(task)->wait(task, a[0], (s64)a[1]) : -ENOSYS;
}
