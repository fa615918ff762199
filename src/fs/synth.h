/* SPDX-License-Identifier: MIT */
/*
 * Files that exist only inside guests: /proc, parts of /sys and /dev, libkvmserverguest.so.
 * The namespace (fs/path.h) asks for every canonical path under /proc, /sys, /dev and for
 * /lib/libkvmserverguest.so; generators live above (src/sys/procfs*.c), where the process is known.
 */
#ifndef TK_FS_SYNTH_H
#define TK_FS_SYNTH_H

#include "base/buf.h"
#include "base/types.h"

/* The library of guests (guestlib/), by the name that generators know it by. */
#define TK_GUEST_LIBRARY "/lib/libkvmserverguest.so"

enum tk_synth_kind {
	TK_SYNTH_NONE,	 /* not ours: the host's file of that name, if the policy permits */
	TK_SYNTH_ABSENT, /* ours, and there is no such file: -ENOENT */
	TK_SYNTH_FILE,	 /* content from read(), generated at open and again at a read from 0 */
	TK_SYNTH_DIR,	 /* entries from list() */
	TK_SYNTH_LINK,	 /* target from read(), followed as text */
	TK_SYNTH_FD,	 /* magic link to descriptor @fd (/proc/self/fd/N): opening is like dup or
			    reopen */
	TK_SYNTH_HOST,	 /* the host's file of that name, whatever the policy (/dev/null) */
};

struct tk_synth_entry {
	enum tk_synth_kind kind;
	mode_t mode; /* permission bits */
	int fd;	     /* TK_SYNTH_FD */
	u64 size;    /* what stat(2) says */
	u64 ino;
};

struct tk_synth_ops {
	void (*lookup)(void *ctx, const char *path, struct tk_synth_entry *entry);
	int (*read)(void *ctx, const char *path, struct tk_buf *out);
	/* write(2) to a synthetic file (oom_score_adj, comm); NULL or -EACCES, -EINVAL */
	ssize_t (*write)(void *ctx, const char *path, const char *data, size_t len);
	/* @emit returns false to stop */
	int (*list)(void *ctx, const char *path,
		    bool (*emit)(void *arg, const char *name, const struct tk_synth_entry *entry),
		    void *arg);
};

struct tk_synth {
	const struct tk_synth_ops *ops; /* NULL: no synthetic files */
	void *ctx;
};

#endif
