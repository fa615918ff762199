/* SPDX-License-Identifier: MIT */
/*
 * User and group ids: credentials(7). The rules are the kernel's (kernel/sys.c's man pages
 * setuid(2), setreuid(2), setresuid(2), setfsuid(2), and capabilities(7) for what a change of
 * user ids does to capabilities), applied to the program's view alone.
 *
 * Not here: capget and capset (caps.c), process ids (pids.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/identity.h"
#include "sys/sys.h"

/* Capabilities that follow fsuid: capabilities(7), "Effect of user ID changes". */
#define FS_CAPS                                                                                    \
	(1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH |              \
	 1ull << CAP_FOWNER | 1ull << CAP_FSETID | 1ull << CAP_LINUX_IMMUTABLE |                   \
	 1ull << CAP_MKNOD | 1ull << CAP_MAC_OVERRIDE)

static int by_number(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return (x > y) - (x < y);
}

static void adopt_host_groups(struct tk_privileges *priv)
{
	int n = getgroups(0, NULL);
	gid_t *all = n > 0 ? calloc((size_t)n, sizeof(*all)) : NULL;

	if (all && (n = getgroups(n, all)) > 0) {
		priv->n_groups = TK_MIN((unsigned int)n, TK_NGROUPS_MAX);
		for (unsigned int i = 0; i < priv->n_groups; i++)
			priv->groups[i] = all[i];
		qsort(priv->groups, priv->n_groups, sizeof(gid_t), by_number);
	}
	free(all);
}

/* What the program would have had, were it run instead of the VMM. */
static void adopt_host_caps(struct tk_privileges *priv)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	priv->cap_effective = data[0].effective | (u64)data[1].effective << 32;
	priv->cap_permitted = data[0].permitted | (u64)data[1].permitted << 32;
	priv->cap_inheritable = data[0].inheritable | (u64)data[1].inheritable << 32;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_READ, cap) == 0)
			priv->cap_dropped |= 1ull << cap;
}

struct tk_privileges *tk_privileges(struct tk_proc *proc)
{
	struct tk_privileges *priv = &proc->attrs.priv;

	if (priv->ready)
		return priv;
	priv->ready = true;
	priv->fsuid = proc->cred.euid;
	priv->fsgid = proc->cred.egid;
	adopt_host_caps(priv);
	adopt_host_groups(priv);
	return priv;
}

bool tk_capable(struct tk_proc *proc, int cap)
{
	return tk_privileges(proc)->cap_effective >> cap & 1;
}

/* Capabilities after the real, effective or saved user id changed: capabilities(7). */
static void fix_caps(struct tk_privileges *priv, const struct tk_cred *old,
		     const struct tk_cred *new)
{
	bool was_root = !old->uid || !old->euid || !old->suid;
	bool is_root = !new->uid || !new->euid || !new->suid;

	if (was_root && !is_root) {
		if (!priv->keepcaps)
			priv->cap_permitted = 0;
		priv->cap_effective = 0;
	}
	if (!old->euid && new->euid)
		priv->cap_effective = 0;
	if (old->euid && !new->euid)
		priv->cap_effective = priv->cap_permitted;
}

static long commit(struct tk_proc *proc, const struct tk_cred *new)
{
	struct tk_privileges *priv = tk_privileges(proc);
	struct tk_cred old = proc->cred;

	fix_caps(priv, &old, new);
	/* prctl(2), PR_SET_DUMPABLE and PR_SET_PDEATHSIG: both end with a change of identity. */
	if (old.euid != new->euid || old.egid != new->egid || priv->fsuid != new->euid ||
	    priv->fsgid != new->egid) {
		proc->attrs.undumpable = true;
		proc->attrs.pdeathsig = 0;
	}
	proc->cred = *new;
	return 0;
}

static long commit_uids(struct tk_proc *proc, const struct tk_cred *new)
{
	long rc = commit(proc, new);

	proc->attrs.priv.fsuid = new->euid;
	return rc;
}

static long commit_gids(struct tk_proc *proc, const struct tk_cred *new)
{
	long rc = commit(proc, new);

	proc->attrs.priv.fsgid = new->egid;
	return rc;
}

/* The ids of one sort, uid or gid, so that each rule is written once. */
struct ids {
	u32 real, effective, saved;
};

#define KEEP 0xffffffffu /* -1: leave it as it is */

static bool among(const struct ids *ids, u32 id)
{
	return id == KEEP || id == ids->real || id == ids->effective || id == ids->saved;
}

static long set_one(struct ids *ids, bool capable, u32 id)
{
	if (id == KEEP)
		return -EINVAL;
	if (capable)
		ids->real = ids->saved = id;
	else if (id != ids->real && id != ids->saved)
		return -EPERM;
	ids->effective = id;
	return 0;
}

static long set_two(struct ids *ids, bool capable, u32 real, u32 effective)
{
	struct ids old = *ids;

	if (real != KEEP) {
		if (!capable && real != old.real && real != old.effective)
			return -EPERM;
		ids->real = real;
	}
	if (effective != KEEP) {
		if (!capable && !among(&old, effective))
			return -EPERM;
		ids->effective = effective;
	}
	if (real != KEEP || (effective != KEEP && effective != old.real))
		ids->saved = ids->effective;
	return 0;
}

static long set_three(struct ids *ids, bool capable, u32 real, u32 effective, u32 saved)
{
	if (!capable && (!among(ids, real) || !among(ids, effective) || !among(ids, saved)))
		return -EPERM;
	if (real != KEEP)
		ids->real = real;
	if (effective != KEEP)
		ids->effective = effective;
	if (saved != KEEP)
		ids->saved = saved;
	return 0;
}

static struct ids uids(const struct tk_proc *proc)
{
	return (struct ids){proc->cred.uid, proc->cred.euid, proc->cred.suid};
}

static struct ids gids(const struct tk_proc *proc)
{
	return (struct ids){proc->cred.gid, proc->cred.egid, proc->cred.sgid};
}

static long store_uids(struct tk_proc *proc, const struct ids *ids, long rc)
{
	struct tk_cred cred = proc->cred;

	if (rc)
		return rc;
	cred.uid = ids->real;
	cred.euid = ids->effective;
	cred.suid = ids->saved;
	return commit_uids(proc, &cred);
}

static long store_gids(struct tk_proc *proc, const struct ids *ids, long rc)
{
	struct tk_cred cred = proc->cred;

	if (rc)
		return rc;
	cred.gid = ids->real;
	cred.egid = ids->effective;
	cred.sgid = ids->saved;
	return commit_gids(proc, &cred);
}

long tk_sys_setuid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = uids(task->proc);
	long rc = set_one(&ids, tk_capable(task->proc, CAP_SETUID), (u32)a[0]);

	return store_uids(task->proc, &ids, rc);
}

long tk_sys_setgid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = gids(task->proc);
	long rc = set_one(&ids, tk_capable(task->proc, CAP_SETGID), (u32)a[0]);

	return store_gids(task->proc, &ids, rc);
}

long tk_sys_setreuid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = uids(task->proc);
	long rc = set_two(&ids, tk_capable(task->proc, CAP_SETUID), (u32)a[0], (u32)a[1]);

	return store_uids(task->proc, &ids, rc);
}

long tk_sys_setregid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = gids(task->proc);
	long rc = set_two(&ids, tk_capable(task->proc, CAP_SETGID), (u32)a[0], (u32)a[1]);

	return store_gids(task->proc, &ids, rc);
}

long tk_sys_setresuid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = uids(task->proc);
	bool capable = tk_capable(task->proc, CAP_SETUID);
	long rc = set_three(&ids, capable, (u32)a[0], (u32)a[1], (u32)a[2]);

	return store_uids(task->proc, &ids, rc);
}

long tk_sys_setresgid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = gids(task->proc);
	bool capable = tk_capable(task->proc, CAP_SETGID);
	long rc = set_three(&ids, capable, (u32)a[0], (u32)a[1], (u32)a[2]);

	return store_gids(task->proc, &ids, rc);
}

/* Both setfs*id calls cannot fail: they return the id that was in force before. */
long tk_sys_setfsuid(struct tk_task *task, const u64 a[6])
{
	struct tk_privileges *priv = tk_privileges(task->proc);
	struct ids ids = uids(task->proc);
	uid_t old = priv->fsuid, new = (uid_t)a[0];

	if (new == KEEP || (!among(&ids, new) && !tk_capable(task->proc, CAP_SETUID)))
		return old;
	priv->fsuid = new;
	if (!old && new)
		priv->cap_effective &= ~FS_CAPS;
	if (old && !new)
		priv->cap_effective |= priv->cap_permitted & FS_CAPS;
	return old;
}

long tk_sys_setfsgid(struct tk_task *task, const u64 a[6])
{
	struct tk_privileges *priv = tk_privileges(task->proc);
	struct ids ids = gids(task->proc);
	gid_t old = priv->fsgid, new = (gid_t)a[0];

	if (new != KEEP && (among(&ids, new) || tk_capable(task->proc, CAP_SETGID)))
		priv->fsgid = new;
	return old;
}

long tk_sys_getuid(struct tk_task *task, const u64 a[6])
{
	return task->proc->cred.uid;
}

long tk_sys_geteuid(struct tk_task *task, const u64 a[6])
{
	return task->proc->cred.euid;
}

long tk_sys_getgid(struct tk_task *task, const u64 a[6])
{
	return task->proc->cred.gid;
}

long tk_sys_getegid(struct tk_task *task, const u64 a[6])
{
	return task->proc->cred.egid;
}

static long put_ids(struct tk_task *task, const u64 a[6], const struct ids *ids)
{
	struct tk_mm *mm = task->proc->mm;

	if (tk_copy_out(mm, a[0], &ids->real, sizeof(u32)) ||
	    tk_copy_out(mm, a[1], &ids->effective, sizeof(u32)) ||
	    tk_copy_out(mm, a[2], &ids->saved, sizeof(u32)))
		return -EFAULT;
	return 0;
}

long tk_sys_getresuid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = uids(task->proc);

	return put_ids(task, a, &ids);
}

long tk_sys_getresgid(struct tk_task *task, const u64 a[6])
{
	struct ids ids = gids(task->proc);

	return put_ids(task, a, &ids);
}

long tk_sys_getgroups(struct tk_task *task, const u64 a[6])
{
	const struct tk_privileges *priv = tk_privileges(task->proc);
	int size = (int)a[0];

	if (size < 0)
		return -EINVAL;
	if (!size)
		return priv->n_groups;
	if (priv->n_groups > (unsigned int)size)
		return -EINVAL;
	if (tk_copy_out(task->proc->mm, a[1], priv->groups, priv->n_groups * sizeof(gid_t)))
		return -EFAULT;
	return priv->n_groups;
}

long tk_sys_setgroups(struct tk_task *task, const u64 a[6])
{
	struct tk_privileges *priv = tk_privileges(task->proc);
	gid_t groups[TK_NGROUPS_MAX];
	u32 n = (u32)a[0];

	if (!tk_capable(task->proc, CAP_SETGID))
		return -EPERM;
	if (n > TK_NGROUPS_MAX)
		return -EINVAL;
	if (tk_copy_in(task->proc->mm, groups, a[1], n * sizeof(gid_t)))
		return -EFAULT;
	for (u32 i = 0; i < n; i++)
		if (groups[i] == KEEP)
			return -EINVAL;
	qsort(groups, n, sizeof(gid_t), by_number);
	for (u32 i = 0; i < n; i++)
		priv->groups[i] = groups[i];
	priv->n_groups = n;
	return 0;
}
