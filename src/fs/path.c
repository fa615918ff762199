/* SPDX-License-Identifier: MIT */
/*
 * Path resolution: fs/path.h tells the rule. Three ways, the first that applies:
 *
 * 1. relative to an open directory that the policy grants already: by the kernel, from that
 *    directory's own descriptor, so that a renamed directory is followed as an inode;
 * 2. a clean absolute path (no "." or "..") that the policy grants as it stands;
 * 3. anything else: walk it (walk.c) to a canonical path, then as 2.
 *
 * In 1 and 2 a symbolic link on the way shows as ELOOP from the kernel and leads to 3. Nothing but
 * the result of one openat2() is ever used to reach the object, so there is no window between
 * check and use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/dir.h"
#include "fs/ns.h"

#define RACE_RETRIES 16

/* Neither "." nor ".." nor empty components, nor a trailing slash: what the kernel is given. */
static bool is_clean(const char *path)
{
	size_t len;

	if (*path == '/')
		path++;
	for (; *path; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		if (!len || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[len] == '/' && !path[len + 1])
			return false;
	}
	return true;
}

static int set_name(struct tk_path *out, const char *name)
{
	size_t len = strlen(name);

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(out->name, name, len + 1);
	return 0;
}

static int dup_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

static bool is_link(int dirfd, const char *name)
{
	char c;

	return *name && readlinkat(dirfd, name, &c, 1) >= 0;
}

static bool follows(unsigned int flags)
{
	return !(flags & (TK_WALK_NOFOLLOW | TK_WALK_PARENT));
}

/*
 * The parent was opened as @dirfd (owned): complete @out unless the last component is a link to
 * be followed (-ELOOP). @dirfd may be an error.
 */
static int finish(struct tk_path *out, int dirfd, const char *name, unsigned int flags)
{
	int rc;

	if (dirfd < 0)
		return dirfd;
	rc = set_name(out, name);
	if (!rc && tk_is_host_proc(dirfd))
		rc = -EACCES;
	if (!rc && follows(flags) && is_link(dirfd, name))
		rc = -ELOOP;
	if (rc)
		close(dirfd);
	else
		out->dirfd = dirfd;
	return rc;
}

/* Open the parent of canonical out->guest. */
static int pin_canonical(const struct tk_ns *ns, unsigned int flags, struct tk_path *out)
{
	char parent[PATH_MAX];

	if (tk_ns_is_mount(ns, out->guest))
		return finish(out, tk_ns_open_canonical(ns, out->guest, O_PATH), "", flags);
	strcpy(parent, out->guest);
	tk_path_pop(parent);
	return finish(out, tk_ns_open_canonical(ns, parent, O_PATH | O_DIRECTORY),
		      strrchr(out->guest, '/') + 1, flags);
}

/* -EROFS where a volume is the reason, else -EACCES. */
static int refusal(const struct tk_ns *ns, const char *guest, unsigned int may, unsigned int have)
{
	if ((may & ~have) == TK_MAY_WRITE && tk_policy_find_volume(ns->policy, guest) >= 0)
		return -EROFS;
	return -EACCES;
}

/* Way 1. -ELOOP: a link, try another way; 1: does not apply. */
static int try_from_dir(const struct tk_ns *ns, const struct tk_file *dir, const char *path,
			unsigned int flags, unsigned int may, struct tk_path *out)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	if (dir->hostfd < 0 || !dir->may || (may & ~dir->may) || !dir->path)
		return 1;
	strcpy(out->guest, dir->path);
	if (tk_path_push(out->guest, path, strlen(path)))
		return -ENAMETOOLONG;
	if (tk_ns_is_spliced(ns, out->guest) ||
	    tk_policy_find_volume(ns->policy, out->guest) !=
		    tk_policy_find_volume(ns->policy, dir->path))
		return 1;
	out->may = dir->may | tk_policy_rights(ns->policy, out->guest);
	if (!slash)
		return finish(out, dup_fd(dir->hostfd), path, flags);
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	return finish(out, tk_open_beneath(dir->hostfd, parent, O_PATH | O_DIRECTORY, 0), slash + 1,
		      flags);
}

/* Way 2. -ELOOP: a link; 1: does not apply. */
static int try_absolute(const struct tk_ns *ns, const char *path, unsigned int flags,
			unsigned int may, struct tk_path *out)
{
	if (tk_ns_is_spliced(ns, path))
		return 1;
	out->may = tk_policy_rights(ns->policy, path);
	if (!out->may || (may & ~out->may))
		return 1;
	strcpy(out->guest, path);
	return pin_canonical(ns, flags, out);
}

/*
 * A host device that everybody may open (/dev/null) is not everybody's to change: a caller that
 * names what it needs, which open() does not, gets what the policy grants.
 */
static int check_rights(const struct tk_ns *ns, unsigned int may, struct tk_path *out)
{
	out->may = tk_ns_rights(ns, out->guest, &out->synth);
	if (out->synth.kind == TK_SYNTH_HOST && may & TK_MAY_WRITE)
		out->may = tk_policy_rights(ns->policy, out->guest);
	if (!may && !out->may && !tk_ns_may_pass(ns, out->guest))
		return -EACCES;
	return may & ~out->may ? refusal(ns, out->guest, may, out->may) : 0;
}

/* Way 3, again as long as what was walked changes under us. */
static int walk_and_pin(const struct tk_ns *ns, const struct tk_fdtable *files, const char *base,
			const char *path, unsigned int flags, unsigned int may, struct tk_path *out)
{
	int rc = -EAGAIN;

	for (int i = 0; i < RACE_RETRIES && rc == -EAGAIN; i++) {
		rc = tk_walk(ns, files, base, path, flags, out);
		if (rc == -EAGAIN)
			continue;
		if (rc || out->file)
			return rc;
		rc = check_rights(ns, may, out);
		if (rc || (out->synth.kind != TK_SYNTH_NONE && out->synth.kind != TK_SYNTH_HOST))
			return rc;
		rc = pin_canonical(ns, flags, out);
		if (rc == -ELOOP)
			rc = -EAGAIN;
	}
	return rc == -EAGAIN ? -ELOOP : rc;
}

/* The directory that relative paths start from; NULL in *@dir: an absolute path, or no matter. */
static int start(const struct tk_ns *ns, const struct tk_fdtable *files, int dirfd,
		 const char *path, unsigned int flags, const struct tk_file **dir)
{
	*dir = NULL;
	if (*path == '/' && !(flags & TK_WALK_IN_ROOT))
		return flags & TK_WALK_BENEATH ? -EXDEV : 0;
	*dir = ns->cwd;
	if (dirfd != AT_FDCWD)
		*dir = files ? tk_fd_get(files, (u32)dirfd) : NULL;
	if (!*dir)
		return dirfd == AT_FDCWD ? 0 : -EBADF;
	return tk_is_dir(*dir) ? 0 : -ENOTDIR;
}

/* AT_EMPTY_PATH: the open file itself. */
static int from_file(const struct tk_ns *ns, const struct tk_fdtable *files, int dirfd,
		     struct tk_path *out)
{
	struct tk_file *file = dirfd == AT_FDCWD ? ns->cwd : tk_fd_get(files, (u32)dirfd);

	if (!file)
		return -EBADF;
	out->file = tk_file_get(file);
	out->may = file->may;
	snprintf(out->guest, sizeof(out->guest), "%s", tk_file_name(file) ? file->path : "");
	return 0;
}

/* "." from a directory: itself, even if it was removed. 1: does not apply. */
static int try_dot(const struct tk_ns *ns, const struct tk_file *dir, const char *path,
		   unsigned int flags, unsigned int may, struct tk_path *out)
{
	if (strcmp(path, ".") != 0 || flags & TK_WALK_PARENT || dir->hostfd < 0 || !dir->may ||
	    may & ~dir->may)
		return 1;
	out->may = dir->may;
	if (tk_ns_file_path(ns, dir, out->guest))
		snprintf(out->guest, sizeof(out->guest), "%s", dir->path);
	return finish(out, dup_fd(dir->hostfd), "", flags);
}

static int try_fast(const struct tk_ns *ns, const struct tk_file *dir, const char *path,
		    unsigned int flags, unsigned int may, struct tk_path *out)
{
	if (!dir)
		return is_clean(path) ? try_absolute(ns, path, flags, may, out) : 1;
	if (path[0] == '.' && path[1] == '/' && path[2] && path[2] != '/')
		path += 2;
	if (is_clean(path))
		return try_from_dir(ns, dir, path, flags, may, out);
	return try_dot(ns, dir, path, flags, may, out);
}

static int resolve(const struct tk_ns *ns, const struct tk_fdtable *files, int dirfd,
		   const char *path, unsigned int flags, unsigned int may, struct tk_path *out)
{
	const unsigned int special = TK_WALK_NO_XDEV | TK_WALK_IN_ROOT | TK_WALK_BENEATH |
				     TK_WALK_NO_SYMLINKS | TK_WALK_NO_MAGICLINKS;
	const struct tk_file *dir;
	char base[PATH_MAX] = "/";
	int rc;

	rc = start(ns, files, dirfd, path, flags, &dir);
	if (rc)
		return rc;
	if (!(flags & special)) {
		rc = try_fast(ns, dir, path, flags, may, out);
		if (rc != 1 && rc != -ELOOP)
			return rc;
		out->may = 0;
		out->name[0] = '\0';
	}
	if (dir) {
		rc = tk_ns_file_path(ns, dir, base);
		if (rc)
			return rc;
	}
	return walk_and_pin(ns, files, base, path, flags, may, out);
}

int tk_path_resolve(struct tk_ns *ns, const struct tk_fdtable *files, int dirfd, const char *path,
		    unsigned int flags, unsigned int may, struct tk_path *out)
{
	int rc;

	out->dirfd = -1;
	out->guest[0] = out->name[0] = '\0';
	out->synth = (struct tk_synth_entry){.kind = TK_SYNTH_NONE};
	out->want_dir = false;
	out->last = TK_LAST_NORM;
	out->may = 0;
	out->file = NULL;
	if (!*path)
		return flags & TK_WALK_EMPTY ? from_file(ns, files, dirfd, out) : -ENOENT;
	rc = resolve(ns, files, dirfd, path, flags, may, out);
	if (rc)
		tk_path_done(out);
	return rc;
}

void tk_path_done(struct tk_path *path)
{
	if (path->dirfd >= 0)
		close(path->dirfd);
	path->dirfd = -1;
	if (path->file)
		tk_file_put(path->file);
	path->file = NULL;
}
