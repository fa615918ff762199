/* SPDX-License-Identifier: MIT */
/*
 * capget(2) and capset(2). The sets are what the program was told and what it dropped; nothing
 * on the host depends on them, and some calls of other files ask tk_capable() to fail as Linux
 * would. The three versions of the interface differ in how many 32-bit words a set has.
 */
#include <errno.h>
#include <string.h>

#include "sys/identity.h"
#include "sys/sys.h"

/* Words per set for the version in the header, 0 if the version is unknown. */
static int words_of(u32 version)
{
	switch (version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return _LINUX_CAPABILITY_U32S_1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return _LINUX_CAPABILITY_U32S_3;
	default:
		return 0;
	}
}

/* Stores the number of words; an unknown version is answered with the one to use. */
static long read_header(struct tk_task *task, gva_t header, int *words)
{
	u32 version, current = _LINUX_CAPABILITY_VERSION_3;

	if (tk_copy_in(task->proc->mm, &version, header, sizeof(version)))
		return -EFAULT;
	*words = words_of(version);
	if (!*words) {
		if (tk_copy_out(task->proc->mm, header, &current, sizeof(current)))
			return -EFAULT;
		return -EINVAL;
	}
	return 0;
}

static long read_pid(struct tk_task *task, gva_t header, int *pid)
{
	gva_t at = header + offsetof(struct __user_cap_header_struct, pid);

	return tk_copy_in(task->proc->mm, pid, at, sizeof(*pid)) ? -EFAULT : 0;
}

long tk_sys_capget(struct tk_task *task, const u64 a[6])
{
	const struct tk_privileges *priv = tk_privileges(task->proc);
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int words, pid;
	long rc = read_header(task, a[0], &words);

	if (!a[1])
		return rc == -EINVAL ? 0 : rc;
	if (!rc)
		rc = read_pid(task, a[0], &pid);
	if (rc)
		return rc;
	if (pid < 0)
		return -EINVAL;
	if (!tk_is_own_pid(task->proc, pid))
		return -ESRCH;
	for (int i = 0; i < words; i++)
		data[i] = (struct __user_cap_data_struct){
			.effective = (u32)(priv->cap_effective >> 32 * i),
			.permitted = (u32)(priv->cap_permitted >> 32 * i),
			.inheritable = (u32)(priv->cap_inheritable >> 32 * i),
		};
	return tk_copy_out(task->proc->mm, a[1], data, sizeof(data[0]) * (size_t)words);
}

/* capabilities(7), "Programmatically adjusting capability sets". */
static bool change_is_allowed(const struct tk_privileges *priv, u64 effective, u64 permitted,
			      u64 inheritable)
{
	bool setpcap = priv->cap_effective >> CAP_SETPCAP & 1;
	u64 bounding = TK_CAP_ALL & ~priv->cap_dropped;

	if (!setpcap && inheritable & ~(priv->cap_inheritable | priv->cap_permitted))
		return false;
	if (inheritable & ~(priv->cap_inheritable | bounding))
		return false;
	return !(permitted & ~priv->cap_permitted) && !(effective & ~permitted);
}

long tk_sys_capset(struct tk_task *task, const u64 a[6])
{
	struct tk_privileges *priv = tk_privileges(task->proc);
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	u64 effective = 0, permitted = 0, inheritable = 0;
	int words, pid;
	long rc = read_header(task, a[0], &words);

	if (!rc)
		rc = read_pid(task, a[0], &pid);
	if (rc)
		return rc;
	if (pid && pid != task->tid)
		return -EPERM;
	if (tk_copy_in(task->proc->mm, data, a[1], sizeof(data[0]) * (size_t)words))
		return -EFAULT;
	for (int i = 0; i < words; i++) {
		effective |= (u64)data[i].effective << 32 * i & TK_CAP_ALL;
		permitted |= (u64)data[i].permitted << 32 * i & TK_CAP_ALL;
		inheritable |= (u64)data[i].inheritable << 32 * i & TK_CAP_ALL;
	}
	if (!change_is_allowed(priv, effective, permitted, inheritable))
		return -EPERM;
	priv->cap_effective = effective;
	priv->cap_permitted = permitted;
	priv->cap_inheritable = inheritable;
	return 0;
}
