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
#include <time.h>

#include "fs/fdtable.h"
#include "fs/synth.h"
#include "policy/policy.h"

struct tk_ns {
	const struct tk_policy *policy;
	struct tk_synth synth;
	struct tk_file *cwd; /* a directory */
	mode_t umask;
	int rootfd;	      /* O_PATH of the host's "/" */
	int *volume_fds;      /* O_PATH, parallel to policy->volumes */
	struct timespec born; /* time stamps of synthetic files */
	mode_t host_umask; /* of the VMM: it applies to what is created, whether we like it or not
			    */
	u64 host_fsize;	   /* RLIMIT_FSIZE of the VMM: to exceed it would cost the VMM a SIGXFSZ */
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
	/*
	 * The last component is a name to be made, removed or renamed: it is not looked up, a
	 * trailing slash is only reported (@want_dir), and "." and ".." are told by @last.
	 */
	TK_WALK_PARENT = 256,
};

enum tk_last { TK_LAST_NORM, TK_LAST_DOT, TK_LAST_DOTDOT, TK_LAST_ROOT };

struct tk_path {
	char guest[PATH_MAX];	 /* canonical guest path */
	int dirfd;		 /* host descriptor of the parent, owned; -1 for synthetic files */
	char name[NAME_MAX + 1]; /* last component; "": the object is @dirfd itself */
	struct tk_synth_entry synth; /* kind NONE or HOST: on the host */
	bool want_dir;		     /* the guest wrote a trailing slash */
	enum tk_last last;	     /* with TK_WALK_PARENT: what the last component was */
	unsigned int may;	     /* enum tk_may bits the policy grants on @guest */
	/*
	 * The object is what this open file refers to (AT_EMPTY_PATH, /proc/self/fd/N): a
	 * reference, and @dirfd is -1. NULL otherwise.
	 */
	struct tk_file *file;
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
 * A host descriptor (O_PATH, to be closed by the caller) of the object itself, links not followed.
 * -ENOENT; -EOPNOTSUPP if it is not on the host. Through tk_fd_link() every call that lacks
 * an *at() form works on exactly this object.
 */
int tk_path_pin(const struct tk_path *path) TK_MUST_CHECK;

#define TK_FD_LINK_SIZE 32
/* "/proc/self/fd/@fd" for the VMM's own system calls; returns @buf. */
const char *tk_fd_link(char buf[TK_FD_LINK_SIZE], int fd);

/* stat(2) of what was resolved, synthetic or not. */
int tk_path_stat(const struct tk_ns *ns, const struct tk_path *path, struct stat *st) TK_MUST_CHECK;

/* The text of a symbolic link (magic links included) into @buf: length, or -EINVAL (no link) ... */
ssize_t tk_path_readlink(const struct tk_ns *ns, const struct tk_fdtable *files,
			 const struct tk_path *path, char *buf, size_t size) TK_MUST_CHECK;

/*
 * Where an open file or directory is now, in guest terms: @file->path unless it is on the host
 * and was renamed since. 0, -ENOENT (removed, or moved out of the guest's sight), -ENAMETOOLONG.
 */
int tk_ns_file_path(const struct tk_ns *ns, const struct tk_file *file,
		    char buf[PATH_MAX]) TK_MUST_CHECK;

/* sync(2), of the file systems that the guest may write to. */
void tk_ns_sync(const struct tk_ns *ns);

/* -EINVAL for open(2) flags that make no sense together: told before anything is looked at. */
int tk_open_check(u64 flags) TK_MUST_CHECK;

/*
 * open(2): resolve and open. @how_resolve: openat2's RESOLVE_* of the guest. Stores a new
 * reference in *@ret. Handles every kind of object, synthetic ones included. -EAGAIN: Linux would
 * wait, for a FIFO's reader or the end of a lease.
 */
int tk_ns_open(struct tk_ns *ns, struct tk_fdtable *files, int dirfd, const char *path, int flags,
	       mode_t mode, u64 how_resolve, struct tk_file **ret) TK_MUST_CHECK;

#endif
