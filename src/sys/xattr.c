/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, by path, by link and by descriptor. Everything goes through a host
 * descriptor, pinned for paths; "security." and "trusted." attributes cannot be changed, since
 * they would lend the VMM's own privilege (file capabilities) to the guest's files.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/fsargs.h"

#define NAME_SIZE 256	/* XATTR_NAME_MAX + 1 */
#define VALUE_MAX 65536 /* XATTR_SIZE_MAX, XATTR_LIST_MAX */

static int arg_name(struct tk_task *task, gva_t addr, char name[NAME_SIZE])
{
	ssize_t len = tk_copy_str(task->proc->mm, name, addr, NAME_SIZE);

	if (len == -ENAMETOOLONG || len == 0)
		return -ERANGE;
	return len < 0 ? (int)len : 0;
}

static bool is_privileged(const char *name)
{
	return !strncmp(name, "security.", 9) || !strncmp(name, "trusted.", 8);
}

/* Whose attributes: a host descriptor that is closed afterwards if it is our own. */
struct object {
	int fd;
	bool ours;
};

static int object_of_path(struct tk_task *task, gva_t addr, bool follow, unsigned int may,
			  struct object *obj)
{
	obj->fd = tk_arg_object(task, (u64)AT_FDCWD, addr, follow ? 0 : TK_WALK_NOFOLLOW, may);
	obj->ours = true;
	if (obj->fd == -EPERM)
		return -EOPNOTSUPP;
	return obj->fd < 0 ? obj->fd : 0;
}

static int object_of_fd(struct tk_task *task, u64 fd, unsigned int may, struct object *obj)
{
	struct tk_file *file;
	int rc;

	if (may & TK_MAY_WRITE)
		rc = tk_arg_changeable(task, fd, &file);
	else
		rc = tk_arg_file(task, fd, &file);
	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	*obj = (struct object){.fd = file->hostfd};
	return obj->fd < 0 ? -EOPNOTSUPP : 0;
}

static void put_object(const struct object *obj)
{
	if (obj->ours)
		close(obj->fd);
}

/* How the calls name their object: PATH and LINK by path, FD by descriptor. */
enum by { BY_PATH, BY_LINK, BY_FD };

static int get_object(struct tk_task *task, enum by by, u64 arg, unsigned int may,
		      struct object *obj)
{
	if (by == BY_FD)
		return object_of_fd(task, arg, may, obj);
	return object_of_path(task, arg, by == BY_PATH, may, obj);
}

static long set_value(const struct object *obj, const char *name, const void *value, size_t size,
		      int flags)
{
	char link[TK_FD_LINK_SIZE];

	return tk_host_result(setxattr(tk_fd_link(link, obj->fd), name, value, size, flags));
}

static long set_attr(struct tk_task *task, enum by by, const u64 a[6])
{
	char name[NAME_SIZE];
	struct object obj;
	void *value;
	long rc;

	if ((int)a[4] & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	rc = arg_name(task, a[1], name);
	if (rc)
		return rc;
	if (a[3] > VALUE_MAX)
		return -E2BIG;
	value = malloc(a[3] + 1);
	if (!value)
		return -ENOMEM;
	rc = tk_copy_in(task->proc->mm, value, a[2], a[3]);
	if (!rc)
		rc = get_object(task, by, a[0], TK_MAY_WRITE, &obj);
	if (!rc) {
		rc = is_privileged(name) ? -EPERM : set_value(&obj, name, value, a[3], (int)a[4]);
		put_object(&obj);
	}
	free(value);
	return rc;
}

static long fetch(const struct object *obj, const char *name, void *buf, size_t size)
{
	char link[TK_FD_LINK_SIZE];

	tk_fd_link(link, obj->fd);
	return tk_host_result(name ? getxattr(link, name, buf, size) : listxattr(link, buf, size));
}

/* @name NULL: the list of names. */
static long read_attr(struct tk_task *task, enum by by, u64 arg, const char *name, gva_t out,
		      u64 size)
{
	size_t room = TK_MIN(size, (u64)VALUE_MAX);
	struct object obj;
	void *buf;
	long rc;

	rc = get_object(task, by, arg, 0, &obj);
	if (rc)
		return rc;
	buf = malloc(room + 1);
	rc = buf ? fetch(&obj, name, room ? buf : NULL, room) : -ENOMEM;
	put_object(&obj);
	if (rc > 0 && room && tk_copy_out(task->proc->mm, out, buf, (size_t)rc))
		rc = -EFAULT;
	free(buf);
	return rc;
}

static long get_attr(struct tk_task *task, enum by by, const u64 a[6])
{
	char name[NAME_SIZE];
	int rc = arg_name(task, a[1], name);

	return rc ? rc : read_attr(task, by, a[0], name, a[2], a[3]);
}

static long list_attrs(struct tk_task *task, enum by by, const u64 a[6])
{
	return read_attr(task, by, a[0], NULL, a[1], a[2]);
}

static long remove_attr(struct tk_task *task, enum by by, const u64 a[6])
{
	char name[NAME_SIZE], link[TK_FD_LINK_SIZE];
	struct object obj;
	long rc;

	rc = arg_name(task, a[1], name);
	if (!rc)
		rc = get_object(task, by, a[0], TK_MAY_WRITE, &obj);
	if (rc)
		return rc;
	if (is_privileged(name))
		rc = -EPERM;
	else
		rc = tk_host_result(removexattr(tk_fd_link(link, obj.fd), name));
	put_object(&obj);
	return rc;
}

long tk_sys_setxattr(struct tk_task *task, const u64 a[6])
{
	return set_attr(task, BY_PATH, a);
}

long tk_sys_lsetxattr(struct tk_task *task, const u64 a[6])
{
	return set_attr(task, BY_LINK, a);
}

long tk_sys_fsetxattr(struct tk_task *task, const u64 a[6])
{
	return set_attr(task, BY_FD, a);
}

long tk_sys_getxattr(struct tk_task *task, const u64 a[6])
{
	return get_attr(task, BY_PATH, a);
}

long tk_sys_lgetxattr(struct tk_task *task, const u64 a[6])
{
	return get_attr(task, BY_LINK, a);
}

long tk_sys_fgetxattr(struct tk_task *task, const u64 a[6])
{
	return get_attr(task, BY_FD, a);
}

long tk_sys_listxattr(struct tk_task *task, const u64 a[6])
{
	return list_attrs(task, BY_PATH, a);
}

long tk_sys_llistxattr(struct tk_task *task, const u64 a[6])
{
	return list_attrs(task, BY_LINK, a);
}

long tk_sys_flistxattr(struct tk_task *task, const u64 a[6])
{
	return list_attrs(task, BY_FD, a);
}

long tk_sys_removexattr(struct tk_task *task, const u64 a[6])
{
	return remove_attr(task, BY_PATH, a);
}

long tk_sys_lremovexattr(struct tk_task *task, const u64 a[6])
{
	return remove_attr(task, BY_LINK, a);
}

long tk_sys_fremovexattr(struct tk_task *task, const u64 a[6])
{
	return remove_attr(task, BY_FD, a);
}
