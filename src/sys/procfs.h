/* SPDX-License-Identifier: MIT */
/*
 * Synthetic trees: /proc, /sys, /dev. Each is a table of rows, paths relative to the tree's root;
 * a directory is there because a row lies in it. /proc/PID and /proc/PID/task/TID are one tree
 * with numbered directories (fd, fdinfo, task) on top.
 */
#ifndef TK_SYS_PROCFS_H
#define TK_SYS_PROCFS_H

#include "task/task.h"

/* What a generator is asked for. */
struct tk_synth_at {
	struct tk_proc *proc;
	struct tk_task *task; /* /proc/PID and below: whose */
	bool whole;	      /* of the process; false below task/TID */
	int number;	      /* fdinfo/N: the descriptor */
	const char *path;     /* guest path asked for */
};

struct tk_synth_row {
	const char *path;
	enum tk_synth_kind kind;
	mode_t mode;
	/* One of the two gives the content, or a link's target. */
	const char *text;
	int (*read)(const struct tk_synth_at *at, struct tk_buf *out);
	ssize_t (*write)(const struct tk_synth_at *at, const char *data, size_t len);
	u64 (*size)(void); /* what stat(2) says; NULL: 0 */
	bool whole_only;   /* not below task/TID */
	bool if_host;	   /* only if the host has it under the same path */
};

/* Readable files: with a fixed text, with one of our own making, with the host's if it has any. */
#define TK_SYNTH_FIXED(path, content)                                                              \
	{                                                                                          \
		path, TK_SYNTH_FILE, 0444, .text = content "\n"                                    \
	}
#define TK_SYNTH_OURS(path, generator)                                                             \
	{                                                                                          \
		path, TK_SYNTH_FILE, 0444, .read = generator                                       \
	}
#define TK_SYNTH_HOSTS(path)                                                                       \
	{                                                                                          \
		path, TK_SYNTH_FILE, 0444, .read = tk_synth_host, .if_host = true                  \
	}

struct tk_synth_tree {
	const struct tk_synth_row *rows;
	size_t n;
};

extern const struct tk_synth_tree tk_tree_proc, tk_tree_sysctl, tk_tree_pid, tk_tree_sys,
	tk_tree_dev;
extern const struct tk_synth_row tk_guest_library_row;

/* Make @synth show the files of @proc, which must outlive it. */
void tk_procfs_init(struct tk_synth *synth, struct tk_proc *proc);

/* Content of the host's file of the same name, for facts about the host itself. */
int tk_synth_host(const struct tk_synth_at *at, struct tk_buf *out);

/* Generators that fill a file of their own. */
int tk_procfs_stat(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_status(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_statm(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_maps(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_smaps(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_rollup(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_mountinfo(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_mounts(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_fdinfo(const struct tk_synth_at *at, struct tk_buf *out);
int tk_procfs_limits(const struct tk_synth_at *at, struct tk_buf *out);

/* The id of the one mount that fdinfo and mountinfo agree on. */
#define TK_MOUNT_ID 21

/* A thread's name with newline and backslash escaped, as stat and status show it. */
void tk_procfs_name(const char *comm, struct tk_buf *out);

#endif
