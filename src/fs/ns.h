/* SPDX-License-Identifier: MIT */
/* Inside src/fs: canonical guest paths to host descriptors. See fs/path.h for the rules. */
#ifndef TK_FS_NS_H
#define TK_FS_NS_H

#include "fs/path.h"

/* Part of the namespace in which one host directory shows: index into volumes, or the root. */
#define TK_MOUNT_ROOT (-1)

/* openat2(2) that follows no link of any kind and never leaves @dirfd. fd or -errno. */
int tk_open_beneath(int dirfd, const char *path, int flags, mode_t mode) TK_MUST_CHECK;

/* Open what canonical @guest names on the host, links not followed (-ELOOP). fd or -errno. */
int tk_ns_open_canonical(const struct tk_ns *ns, const char *guest, int flags) TK_MUST_CHECK;

/* True if @guest is where a volume starts, or "/". */
bool tk_ns_is_mount(const struct tk_ns *ns, const char *guest);

/* True if a volume starts at @guest or below it. */
bool tk_ns_leads_to_volume(const struct tk_ns *ns, const char *guest);

/* True if synthetic files or other mounts may be at or below @guest: names must be looked up. */
bool tk_ns_is_spliced(const struct tk_ns *ns, const char *guest);

/* What the synthetic trees have at canonical @guest. */
void tk_ns_synth(const struct tk_ns *ns, const char *guest, struct tk_synth_entry *entry);
/* The name under which the generators know it: one file shows in /lib and /usr/lib. */
const char *tk_ns_synth_name(const char *guest);
int tk_ns_synth_link(const struct tk_ns *ns, const char *guest, struct tk_buf *text) TK_MUST_CHECK;
void tk_ns_synth_stat(const struct tk_ns *ns, const char *guest, const struct tk_synth_entry *entry,
		      struct stat *st);

/* enum tk_may bits on canonical @guest, and whether it may at least be passed through. */
unsigned int tk_ns_rights(const struct tk_ns *ns, const char *guest,
			  const struct tk_synth_entry *entry);
bool tk_ns_may_pass(const struct tk_ns *ns, const char *guest);

/* The host's own process file system: never to be reached, wherever it is mounted. */
bool tk_is_host_proc(int fd);

/* Append "/@name" (of @len bytes) to canonical @path of PATH_MAX bytes. 0 or -ENAMETOOLONG. */
int tk_path_push(char *path, const char *name, size_t len) TK_MUST_CHECK;
/* Cut the last component; "/" stays. */
void tk_path_pop(char *path);
/* @path relative to directory @dir that it lies below (or is: ""). */
const char *tk_path_below(const char *path, const char *dir);

/*
 * The slow way (fs/walk.c): component by component from canonical directory @base, links
 * followed as text. Leaves the canonical path in out->guest, and synth, file, want_dir, last.
 */
int tk_walk(const struct tk_ns *ns, const struct tk_fdtable *files, const char *base,
	    const char *path, unsigned int flags, struct tk_path *out) TK_MUST_CHECK;

#endif
