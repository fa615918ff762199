/* SPDX-License-Identifier: MIT */
/*
 * The guest's file-system namespace: host root and volumes, synthetic files, cwd, umask; and the
 * one way from a guest path to a host directory descriptor plus a name.
 *
 * The rule that makes the policy hold under races: the string that was checked is the string the
 * kernel follows. Resolution turns a guest path into a canonical one (no symbolic links, no "."
 * or ".."), checks that against the policy, and opens its parent from the root descriptor with
 * openat2(RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH). If a component turned
 * into a link meanwhile the kernel says ELOOP and the resolution starts over (a few times, then
 * -EAGAIN becomes -ELOOP).
 */
#ifndef TK_FS_PATH_H
#define TK_FS_PATH_H

#include <limits.h>

#include "fs/fdtable.h"
#include "fs/synth.h"
#include "policy/policy.h"

struct tk_ns {
	const struct tk_policy *policy;
	struct tk_synth synth;
	struct tk_file *cwd; /* a directory */
	mode_t umask;
	int rootfd;	/* O_PATH of the host's "/" */
	int *volume_fds; /* O_PATH, parallel to policy->volumes */
};

enum tk_walk_flags {
	TK_WALK_NOFOLLOW = 1,	 /* a final symbolic link is the object */
	TK_WALK_CREATE = 2,	 /* the last component need not exist */
	TK_WALK_EMPTY = 4,	 /* AT_EMPTY_PATH */
	TK_WALK_NO_SYMLINKS = 8, /* openat2's RESOLVE_NO_SYMLINKS ... */
	TK_WALK_BENEATH = 16,
	TK_WALK_IN_ROOT = 32,
	TK_WALK_NO_MAGICLINKS = 64,
	TK_WALK_NO_XDEV = 128,
};

struct tk_path {
	char guest[PATH_MAX];	     /* canonical guest path */
	int dirfd;		     /* host descriptor of the parent, owned; -1 for synthetic files */
	char name[NAME_MAX + 1];     /* last component; "": the object is @dirfd itself */
	struct tk_synth_entry synth; /* kind NONE or HOST: on the host */
	bool want_dir;		     /* the guest wrote a trailing slash */
	unsigned int may;	     /* enum tk_may bits the policy grants on @guest */
};

int tk_ns_init(struct tk_ns *ns, const struct tk_policy *policy, const char *cwd,
	       struct tkvm_error *err) TK_MUST_CHECK;
void tk_ns_destroy(struct tk_ns *ns);

/*
 * Resolve @path (already copied from the guest) relative to guest descriptor @dirfd (or
 * AT_FDCWD). @may: what the caller needs on the object; without it -EACCES (or -ENOENT where
 * even its existence is not to be told). On success the caller ends with tk_path_done().
 */
int tk_path_resolve(struct tk_ns *ns, const struct tk_fdtable *files, int dirfd, const char *path,
		    unsigned int flags, unsigned int may, struct tk_path *out) TK_MUST_CHECK;
void tk_path_done(struct tk_path *path);

/*
 * open(2): resolve and open. @how_resolve: openat2's RESOLVE_* of the guest. Stores a new
 * reference in *@ret. Handles every kind of object, synthetic ones included.
 */
int tk_ns_open(struct tk_ns *ns, struct tk_fdtable *files, int dirfd, const char *path, int flags,
	       mode_t mode, u64 how_resolve, struct tk_file **ret) TK_MUST_CHECK;

#endif
