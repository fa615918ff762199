/* SPDX-License-Identifier: MIT */
/* setsockopt(2) and getsockopt(2): copies in and out; what may be set is net/sockopt.h's. */
#include <errno.h>

#include "net/opts.h"
#include "sys/sock.h"

long tk_sys_setsockopt(struct tk_task *task, const u64 a[6])
{
	int level = (int)a[1], name = (int)a[2], len = (int)a[4], size;
	u8 value[TK_OPT_MAX] = {0};
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	if (rc)
		return rc;
	if (len < 0)
		return -EINVAL;
	size = tk_opt_set_size(sock, level, name);
	if (size < 0)
		return size;
	len = TK_MIN(len, size);
	if (tk_copy_in(task->proc->mm, value, a[3], (size_t)len))
		return -EFAULT;
	return tk_opt_set(sock, level, name, value, (socklen_t)len);
}

long tk_sys_getsockopt(struct tk_task *task, const u64 a[6])
{
	struct tk_net_ids ids = tk_net_ids_of(task);
	struct tk_mm *mm = task->proc->mm;
	u8 value[TK_OPT_MAX] = {0};
	struct tk_sock *sock;
	socklen_t len;
	int room, rc = tk_arg_sock(task, a[0], &sock);

	if (rc)
		return rc;
	if (tk_copy_in(mm, &room, a[4], sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	len = (socklen_t)TK_MIN(room, TK_OPT_MAX);
	rc = tk_opt_get(sock, &ids, (int)a[1], (int)a[2], value, &len);
	if (rc)
		return rc;
	if (tk_copy_out(mm, a[3], value, len))
		return -EFAULT;
	return tk_copy_out(mm, a[4], &len, sizeof(len));
}
