/* SPDX-License-Identifier: MIT */
/*
 * What a guest sees of mounts and of its open descriptors: mountinfo, mounts, fdinfo. The host's
 * tree shown to guests is one file system to them, plus a mount for each volume.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/procfs.h"

/* Everything that is mounted besides "/" and the volumes: X(id, device, where, type). */
#define MOUNTS(X)                                                                                  \
	X(22, 20, "/proc", "proc")                                                                 \
	X(23, 21, "/sys", "sysfs")                                                                 \
	X(24, 22, "/sys/fs/cgroup", "cgroup2")                                                     \
	X(25, 23, "/dev", "devtmpfs")

#define FIRST_VOLUME_ID 40

/* Blanks in names separate fields: octal escapes, as in fstab(5). */
static void print_escaped(struct tk_buf *out, const char *name)
{
	for (; *name; name++) {
		if (*name == ' ' || *name == '\t' || *name == '\n' || *name == '\\')
			tk_buf_printf(out, "\\%03o", (u8)*name);
		else
			tk_buf_add(out, name, 1);
	}
}

static const char *access_of(const struct tk_policy *policy, const char *path)
{
	return tk_policy_may(policy, path, TK_MAY_WRITE) ? "rw" : "ro";
}

static void print_volume(struct tk_buf *out, const struct tk_volume *volume, unsigned int id)
{
	const char *access = volume->may & TK_MAY_WRITE ? "rw" : "ro";
	struct stat st;

	if (stat(volume->host, &st) < 0)
		return;
	tk_buf_printf(out, "%u %d %u:%u / ", id, TK_MOUNT_ID, major(st.st_dev), minor(st.st_dev));
	print_escaped(out, volume->guest);
	tk_buf_printf(out, " %s,relatime - kvmserver kvmserver %s\n", access, access);
}

int tk_procfs_mountinfo(const struct tk_synth_at *at, struct tk_buf *out)
{
	const struct tk_policy *policy = at->proc->policy;
	const char *access = access_of(policy, "/");
	struct stat st;

	if (stat("/", &st) == 0)
		tk_buf_printf(out, "%d 1 %u:%u / / %s,relatime - kvmserver kvmserver %s\n",
			      TK_MOUNT_ID, major(st.st_dev), minor(st.st_dev), access, access);
#define X(id, device, where, type)                                                                 \
	tk_buf_printf(out, "%d %d 0:%d / %s rw,nosuid,nodev,noexec,relatime - %s %s rw\n", id,     \
		      TK_MOUNT_ID, device, where, type, type);
	MOUNTS(X)
#undef X
	for (size_t i = 0; i < policy->n_volumes; i++)
		print_volume(out, &policy->volumes[i], FIRST_VOLUME_ID + (unsigned int)i);
	return 0;
}

int tk_procfs_mounts(const struct tk_synth_at *at, struct tk_buf *out)
{
	const struct tk_policy *policy = at->proc->policy;

	tk_buf_printf(out, "kvmserver / kvmserver %s,relatime 0 0\n", access_of(policy, "/"));
#define X(id, device, where, type)                                                                 \
	tk_buf_printf(out, "%s %s %s rw,nosuid,nodev,noexec,relatime 0 0\n", type, where, type);
	MOUNTS(X)
#undef X
	for (size_t i = 0; i < policy->n_volumes; i++) {
		tk_buf_printf(out, "kvmserver ");
		print_escaped(out, policy->volumes[i].guest);
		tk_buf_printf(out, " kvmserver %s,relatime 0 0\n",
			      policy->volumes[i].may & TK_MAY_WRITE ? "rw" : "ro");
	}
	return 0;
}

int tk_procfs_fdinfo(const struct tk_synth_at *at, struct tk_buf *out)
{
	const struct tk_fdtable *files = &at->proc->files;
	struct tk_file *file = tk_fd_get(files, (u64)at->number);
	struct stat st = {0};
	int flags = file->flags | (files->fds[at->number].cloexec ? O_CLOEXEC : 0);

	if (file->ops->stat ? file->ops->stat(file, &st) : fstat(file->hostfd, &st))
		st.st_ino = 0;
	tk_buf_printf(out, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n",
		      (long long)file->pos, (unsigned int)flags, TK_MOUNT_ID,
		      (unsigned long long)st.st_ino);
	return 0;
}
