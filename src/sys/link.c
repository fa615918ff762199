/* SPDX-License-Identifier: MIT */
/*
 * Names: mkdir, mknod, symlink, link, unlink, rmdir, rename. Each works on a name in a directory
 * that resolution pinned (TK_WALK_PARENT), so the host call can reach no other directory. A
 * trailing slash is handed on: the host knows best what it means to each call.
 *
 * Giving a file a second or a new name must not widen what may be done with it: between places
 * of different rights the answer is EXDEV, as between file systems. Nor may a link come to be
 * where a grant was named: at the next start it would be followed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/ns.h"
#include "sys/fsargs.h"

struct name {
	struct tk_path path;
	char text[NAME_MAX + 2]; /* with the guest's trailing slash */
};

static int resolve_name(struct tk_task *task, u64 dirfd, gva_t addr, struct name *name)
{
	int rc = tk_arg_resolve(task, dirfd, addr, TK_WALK_PARENT, 0, &name->path);

	if (!rc)
		snprintf(name->text, sizeof(name->text), "%s%s", name->path.name,
			 name->path.want_dir ? "/" : "");
	return rc;
}

/* May the name be given or taken away? */
static int may_change(const struct tk_ns *ns, const struct tk_path *path)
{
	if (path->synth.kind == TK_SYNTH_ABSENT)
		return tk_path_under(path->guest, "/proc") ? -ENOENT : -EACCES;
	if (path->synth.kind != TK_SYNTH_NONE)
		return -EPERM;
	if (path->may & TK_MAY_WRITE)
		return 0;
	return tk_policy_find_volume(ns->policy, path->guest) >= 0 ? -EROFS : -EACCES;
}

static bool exists(const struct tk_path *path)
{
	struct stat st;

	if (path->dirfd < 0)
		return path->synth.kind != TK_SYNTH_NONE && path->synth.kind != TK_SYNTH_ABSENT;
	return !fstatat(path->dirfd, path->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
}

/* May @to become the name of something of @mode? See tk_policy_named(). */
static int check_kind(const struct tk_ns *ns, const struct tk_path *to, mode_t mode)
{
	enum tk_named named = S_ISLNK(mode) || S_ISDIR(mode)
				      ? tk_policy_named(ns->policy, to->guest)
				      : TK_NAMED_NOT;

	/* In a directory that comes as a whole there may be links. */
	if (named == TK_NAMED_NOT || (named == TK_NAMED_HERE && S_ISDIR(mode)))
		return 0;
	return -EACCES;
}

/* Resolve a name that is to come into being. That it exists is told before that one may not. */
static int resolve_new(struct tk_task *task, u64 dirfd, gva_t addr, struct name *name)
{
	int rc = resolve_name(task, dirfd, addr, name);

	if (rc)
		return rc;
	if (name->path.last != TK_LAST_NORM || exists(&name->path) ||
	    tk_ns_leads_to_volume(&task->proc->ns, name->path.guest))
		rc = -EEXIST;
	else
		rc = may_change(&task->proc->ns, &name->path);
	if (rc)
		tk_path_done(&name->path);
	return rc;
}

/* What the guest's umask leaves but the VMM's own took away. */
static void undo_host_umask(const struct tk_ns *ns, const struct tk_path *path, mode_t mode)
{
	mode_t lost = mode & 0777 & ~ns->umask & ns->host_umask;
	char link[TK_FD_LINK_SIZE];
	struct stat st;
	int fd;

	if (!lost)
		return;
	fd = tk_path_pin(path);
	if (fd < 0)
		return;
	if (!fstat(fd, &st) && !S_ISLNK(st.st_mode))
		chmod(tk_fd_link(link, fd), (st.st_mode | lost) & 07777);
	close(fd);
}

static long make_dir(struct tk_task *task, u64 dirfd, gva_t addr, mode_t mode)
{
	const struct tk_ns *ns = &task->proc->ns;
	struct name name;
	long rc;

	rc = resolve_new(task, dirfd, addr, &name);
	if (rc)
		return rc;
	mode &= 01777;
	rc = tk_host_result(mkdirat(name.path.dirfd, name.text, mode & ~ns->umask));
	if (!rc)
		undo_host_umask(ns, &name.path, mode);
	tk_path_done(&name.path);
	return rc;
}

long tk_sys_mkdir(struct tk_task *task, const u64 a[6])
{
	return make_dir(task, (u64)AT_FDCWD, a[0], (mode_t)a[1]);
}

long tk_sys_mkdirat(struct tk_task *task, const u64 a[6])
{
	return make_dir(task, a[0], a[1], (mode_t)a[2]);
}

static int check_node_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static long make_node(struct tk_task *task, u64 dirfd, gva_t addr, mode_t mode)
{
	const struct tk_ns *ns = &task->proc->ns;
	struct name name;
	long rc;

	mode &= S_IFMT | 07777;
	rc = check_node_type(mode);
	if (!rc)
		rc = resolve_new(task, dirfd, addr, &name);
	if (rc)
		return rc;
	rc = tk_host_result(mknodat(name.path.dirfd, name.text, mode & ~ns->umask, 0));
	if (!rc)
		undo_host_umask(ns, &name.path, mode);
	tk_path_done(&name.path);
	return rc;
}

long tk_sys_mknod(struct tk_task *task, const u64 a[6])
{
	return make_node(task, (u64)AT_FDCWD, a[0], (mode_t)a[1]);
}

long tk_sys_mknodat(struct tk_task *task, const u64 a[6])
{
	return make_node(task, a[0], a[1], (mode_t)a[2]);
}

static long make_symlink(struct tk_task *task, gva_t text_addr, u64 dirfd, gva_t addr)
{
	char text[PATH_MAX];
	struct name name;
	long rc;

	rc = tk_arg_path(task, text_addr, text);
	if (!rc && !*text)
		rc = -ENOENT;
	if (!rc)
		rc = resolve_new(task, dirfd, addr, &name);
	if (rc)
		return rc;
	rc = check_kind(&task->proc->ns, &name.path, S_IFLNK);
	if (!rc)
		rc = tk_host_result(symlinkat(text, name.path.dirfd, name.text));
	tk_path_done(&name.path);
	return rc;
}

long tk_sys_symlink(struct tk_task *task, const u64 a[6])
{
	return make_symlink(task, a[0], (u64)AT_FDCWD, a[1]);
}

long tk_sys_symlinkat(struct tk_task *task, const u64 a[6])
{
	return make_symlink(task, a[0], a[1], a[2]);
}

/* Would the new name give rights that the old one does not? */
static bool widens(const struct tk_ns *ns, const struct tk_path *from, const struct tk_path *to)
{
	unsigned int at = to->may | tk_policy_rights_below(ns->policy, to->guest);

	return at & ~from->may;
}

static int link_object(const struct tk_ns *ns, const struct tk_path *old, const struct name *new)
{
	char link[TK_FD_LINK_SIZE];
	int fd = tk_path_pin(old), rc;
	struct stat st;

	if (fd < 0)
		return fd == -EOPNOTSUPP ? -EXDEV : fd;
	rc = fstat(fd, &st) ? -errno : check_kind(ns, &new->path, st.st_mode);
	if (!rc &&
	    linkat(AT_FDCWD, tk_fd_link(link, fd), new->path.dirfd, new->text, AT_SYMLINK_FOLLOW))
		rc = -errno;
	close(fd);
	return rc;
}

static long make_link(struct tk_task *task, u64 old_dirfd, gva_t old_addr, u64 new_dirfd,
		      gva_t new_addr, int flags)
{
	unsigned int walk = flags & AT_SYMLINK_FOLLOW ? 0 : TK_WALK_NOFOLLOW;
	struct tk_path old;
	struct name new;
	long rc;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH)
		walk |= TK_WALK_EMPTY;
	rc = tk_arg_resolve(task, old_dirfd, old_addr, walk, 0, &old);
	if (rc)
		return rc;
	rc = resolve_new(task, new_dirfd, new_addr, &new);
	if (!rc) {
		if (old.synth.kind != TK_SYNTH_NONE || widens(&task->proc->ns, &old, &new.path))
			rc = -EXDEV;
		else
			rc = link_object(&task->proc->ns, &old, &new);
		tk_path_done(&new.path);
	}
	tk_path_done(&old);
	return rc;
}

long tk_sys_link(struct tk_task *task, const u64 a[6])
{
	return make_link(task, (u64)AT_FDCWD, a[0], (u64)AT_FDCWD, a[1], 0);
}

long tk_sys_linkat(struct tk_task *task, const u64 a[6])
{
	return make_link(task, a[0], a[1], a[2], a[3], (int)a[4]);
}

static int last_error(enum tk_last last, bool dir)
{
	static const int as_dir[] = {
		[TK_LAST_DOT] = -EINVAL,
		[TK_LAST_DOTDOT] = -ENOTEMPTY,
		[TK_LAST_ROOT] = -EBUSY,
	};

	if (last == TK_LAST_NORM)
		return 0;
	return dir ? as_dir[last] : -EISDIR;
}

static long remove_name(struct tk_task *task, u64 dirfd, gva_t addr, bool dir)
{
	const struct tk_ns *ns = &task->proc->ns;
	struct name name;
	long rc;

	rc = resolve_name(task, dirfd, addr, &name);
	if (rc)
		return rc;
	rc = last_error(name.path.last, dir);
	if (!rc && name.path.dirfd >= 0 && !exists(&name.path))
		rc = -ENOENT;
	if (!rc && tk_ns_leads_to_volume(ns, name.path.guest))
		rc = -EBUSY;
	if (!rc)
		rc = may_change(ns, &name.path);
	if (!rc)
		rc = tk_host_result(unlinkat(name.path.dirfd, name.text, dir ? AT_REMOVEDIR : 0));
	tk_path_done(&name.path);
	return rc;
}

long tk_sys_unlink(struct tk_task *task, const u64 a[6])
{
	return remove_name(task, (u64)AT_FDCWD, a[0], false);
}

long tk_sys_rmdir(struct tk_task *task, const u64 a[6])
{
	return remove_name(task, (u64)AT_FDCWD, a[0], true);
}

long tk_sys_unlinkat(struct tk_task *task, const u64 a[6])
{
	if ((int)a[2] & ~AT_REMOVEDIR)
		return -EINVAL;
	return remove_name(task, a[0], a[1], (int)a[2] & AT_REMOVEDIR);
}

/*
 * An open directory keeps its rights wherever it goes. Where it had more than its new place gives,
 * what is then moved into it would have them, too.
 */
static bool narrows(const struct tk_ns *ns, const struct tk_path *from, const struct tk_path *to)
{
	return (from->may | tk_policy_rights_below(ns->policy, from->guest)) & ~to->may;
}

static int check_moved(const struct tk_ns *ns, const struct tk_path *from, const struct tk_path *to)
{
	struct stat st;

	if (fstatat(from->dirfd, from->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -errno;
	if (S_ISDIR(st.st_mode) && narrows(ns, from, to))
		return -EXDEV;
	return check_kind(ns, to, st.st_mode);
}

static int check_rename(const struct tk_ns *ns, const struct name *from, const struct name *to,
			unsigned int flags)
{
	int rc;

	if (from->path.synth.kind != TK_SYNTH_NONE && to->path.synth.kind == TK_SYNTH_NONE)
		return -EXDEV;
	if (to->path.synth.kind != TK_SYNTH_NONE && from->path.synth.kind == TK_SYNTH_NONE)
		return -EXDEV;
	if (from->path.last != TK_LAST_NORM)
		return -EBUSY;
	if (to->path.last != TK_LAST_NORM)
		return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (from->path.dirfd >= 0 && !exists(&from->path))
		return -ENOENT;
	if (flags & RENAME_NOREPLACE && exists(&to->path))
		return -EEXIST;
	if (tk_ns_leads_to_volume(ns, from->path.guest) ||
	    tk_ns_leads_to_volume(ns, to->path.guest))
		return -EBUSY;
	rc = may_change(ns, &from->path);
	if (!rc)
		rc = may_change(ns, &to->path);
	if (rc)
		return rc;
	if (widens(ns, &from->path, &to->path) ||
	    (flags & RENAME_EXCHANGE && widens(ns, &to->path, &from->path)))
		return -EXDEV;
	rc = check_moved(ns, &from->path, &to->path);
	if (!rc && flags & RENAME_EXCHANGE)
		rc = check_moved(ns, &to->path, &from->path);
	return rc;
}

static long do_rename(struct tk_task *task, const u64 a[4], unsigned int flags)
{
	struct name from, to;
	long rc;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) ||
	    (flags & RENAME_EXCHANGE && flags & ~RENAME_EXCHANGE))
		return -EINVAL;
	if (flags & RENAME_WHITEOUT)
		return -EPERM; /* it would make a device node */
	rc = resolve_name(task, a[0], a[1], &from);
	if (rc)
		return rc;
	rc = resolve_name(task, a[2], a[3], &to);
	if (!rc) {
		rc = check_rename(&task->proc->ns, &from, &to, flags);
		if (!rc)
			rc = tk_host_result(renameat2(from.path.dirfd, from.text, to.path.dirfd,
						      to.text, flags));
		tk_path_done(&to.path);
	}
	tk_path_done(&from.path);
	return rc;
}

long tk_sys_rename(struct tk_task *task, const u64 a[6])
{
	return do_rename(task, (const u64[]){(u64)AT_FDCWD, a[0], (u64)AT_FDCWD, a[1]}, 0);
}

long tk_sys_renameat(struct tk_task *task, const u64 a[6])
{
	return do_rename(task, a, 0);
}

long tk_sys_renameat2(struct tk_task *task, const u64 a[6])
{
	return do_rename(task, a, (unsigned int)a[4]);
}
