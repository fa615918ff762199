/* SPDX-License-Identifier: MIT */
/*
 * Finding synthetic files by path and listing their directories: the operations that the
 * namespace calls (fs/synth.h). Contents come from the rows' generators.
 *
 * /proc and /dev are ours entirely: what has no row is absent, so the host's are never seen. Of
 * /sys only the directories of our rows are ours; around them the policy decides about the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/identity.h"
#include "sys/procfs.h"

/* What is at a path. */
struct place {
	struct tk_synth_at at;
	enum {
		NOTHING,
		ALIEN,	   /* the host's, if the policy permits */
		ROW,	   /* @row */
		DIRECTORY, /* @tree below @rest */
		FD_LINK,   /* .../fd/N */
		FD_INFO,   /* .../fdinfo/N */
	} what;
	const struct tk_synth_tree *tree;
	const char *rest; /* path within @tree, "" for its root */
	const struct tk_synth_row *row;
};

/* If @path is @prefix or lies below it, what follows (without the slash); else NULL. */
static const char *below(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(path, prefix, len))
		return NULL;
	if (!path[len])
		return path + len;
	return path[len] == '/' ? path + len + 1 : NULL;
}

/* Take a decimal number, as the kernel writes them, off the front of @path. */
static const char *take_number(const char *path, int *number)
{
	size_t digits = strspn(path, "0123456789");
	unsigned long value;

	if (!digits || digits > 9 || (path[0] == '0' && digits > 1))
		return NULL;
	if (path[digits] && path[digits] != '/')
		return NULL;
	value = strtoul(path, NULL, 10);
	*number = (int)value;
	return path + digits + (path[digits] == '/');
}

static bool row_exists(const struct place *place, const struct tk_synth_row *row)
{
	if (row->whole_only && !place->at.whole)
		return false;
	return !row->if_host || access(place->at.path, F_OK) == 0;
}

/* Find place->rest in place->tree. */
static void find_row(struct place *place)
{
	const struct tk_synth_tree *tree = place->tree;

	if (!place->rest[0]) {
		place->what = DIRECTORY;
		return;
	}
	for (size_t i = 0; i < tree->n; i++) {
		const struct tk_synth_row *row = &tree->rows[i];

		if (!strcmp(row->path, place->rest)) {
			place->row = row;
			place->what = row_exists(place, row) ? ROW : NOTHING;
			return;
		}
		if (below(row->path, place->rest))
			place->what = DIRECTORY;
		else if (row->kind == TK_SYNTH_NONE && below(place->rest, row->path))
			place->what = ALIEN;
	}
}

/* fd, fdinfo: the descriptor must be open. */
static void find_fd(struct place *place, const char *number, int what)
{
	const char *end = take_number(number, &place->at.number);
	struct tk_file *file = NULL;

	if (end && !*end)
		file = tk_fd_get(&place->at.proc->files, (u64)place->at.number);
	if (!file)
		return;
	(void)tk_file_name(file);
	place->what = what;
}

static void find_in_task(struct place *place)
{
	const char *rest;

	place->tree = &tk_tree_pid;
	if ((rest = below(place->rest, "fd")) && *rest)
		find_fd(place, rest, FD_LINK);
	else if ((rest = below(place->rest, "fdinfo")) && *rest)
		find_fd(place, rest, FD_INFO);
	else
		find_row(place);
}

/* The task with that id; the process's own id finds a task even when its leader is gone. */
static struct tk_task *task_of(struct tk_proc *proc, int tid)
{
	struct tk_task *task = tk_task_by_tid(proc, tid);

	if (!task && tk_proc_is(proc, tid))
		task = proc->leader ? proc->leader : proc->current;
	return task;
}

static void find_in_pid(struct place *place, int pid)
{
	const char *rest;
	int tid;

	place->at.task = task_of(place->at.proc, pid);
	place->at.whole = true;
	if (!place->at.task)
		return;
	rest = below(place->rest, "task");
	rest = rest && *rest ? take_number(rest, &tid) : NULL;
	if (!rest) {
		find_in_task(place);
		return;
	}
	place->at.task = task_of(place->at.proc, tid);
	place->at.whole = false;
	place->rest = rest;
	if (place->at.task)
		find_in_task(place);
}

static void find_in_sys(struct place *place)
{
	const struct tk_proc *proc = place->at.proc;

	place->tree = &tk_tree_sys;
	find_row(place);
	if (place->what == ROW)
		return;
	/* A directory on the way to ours is the host's where that may be seen. */
	if (place->what == DIRECTORY && !tk_policy_may(proc->policy, place->at.path, TK_MAY_READ))
		return;
	for (const char *const *own =
		     (const char *const[]){"/sys/devices/system/cpu", "/sys/devices/system/node",
					   "/sys/fs/cgroup", NULL};
	     *own; own++)
		if (below(place->at.path, *own))
			return;
	place->what = ALIEN;
}

static void locate(struct tk_proc *proc, const char *path, struct place *place)
{
	const char *rest;
	int pid;

	*place = (struct place){.at = {.proc = proc, .path = path}, .what = NOTHING};
	if ((place->rest = below(path, "/proc"))) {
		place->tree = &tk_tree_proc;
		if ((rest = take_number(place->rest, &pid))) {
			place->rest = rest;
			find_in_pid(place, pid);
		} else if ((rest = below(place->rest, "sys"))) {
			place->tree = &tk_tree_sysctl;
			place->rest = rest;
			find_row(place);
		} else {
			find_row(place);
		}
	} else if ((place->rest = below(path, "/sys"))) {
		find_in_sys(place);
	} else if ((place->rest = below(path, "/dev"))) {
		place->tree = &tk_tree_dev;
		find_row(place);
	} else if (!strcmp(path, TK_GUEST_LIBRARY)) {
		place->row = &tk_guest_library_row;
		place->what = ROW;
	} else {
		place->what = ALIEN;
	}
}

/* Inode numbers only have to differ and to stay: a hash (FNV-1a) of the path. */
static u64 inode(const char *path)
{
	u64 hash = 0xcbf29ce484222325;

	for (; *path; path++)
		hash = (hash ^ (u8)*path) * 0x100000001b3;
	return (hash ^ hash >> 32) & 0x7fffffff ?: 1;
}

static mode_t fd_mode(const struct tk_file *file)
{
	return 0100u | (tk_file_may_read(file) ? 0400 : 0) | (tk_file_may_write(file) ? 0200 : 0);
}

static void describe(const struct place *place, struct tk_synth_entry *entry)
{
	*entry = (struct tk_synth_entry){.kind = TK_SYNTH_ABSENT, .fd = -1};
	switch (place->what) {
	case NOTHING:
		return;
	case ALIEN:
		entry->kind = TK_SYNTH_NONE;
		return;
	case ROW:
		entry->kind = place->row->kind;
		entry->mode = place->row->mode;
		entry->size = place->row->size ? place->row->size() : 0;
		break;
	case DIRECTORY:
		entry->kind = TK_SYNTH_DIR;
		entry->mode = 0555;
		break;
	case FD_LINK:
		entry->kind = TK_SYNTH_FD;
		entry->fd = place->at.number;
		entry->mode = fd_mode(tk_fd_get(&place->at.proc->files, (u64)place->at.number));
		break;
	case FD_INFO:
		entry->kind = TK_SYNTH_FILE;
		entry->mode = 0444;
		break;
	}
	entry->ino = inode(place->at.path);
}

static void lookup(void *ctx, const char *path, struct tk_synth_entry *entry)
{
	struct place place;

	locate(ctx, path, &place);
	describe(&place, entry);
}

static int read_row(const struct place *place, struct tk_buf *out)
{
	if (place->row->text) {
		tk_buf_add(out, place->row->text, strlen(place->row->text));
		return 0;
	}
	return place->row->read ? place->row->read(&place->at, out) : -EISDIR;
}

static int read_fd_link(const struct place *place, struct tk_buf *out)
{
	const struct tk_file *file = tk_fd_get(&place->at.proc->files, (u64)place->at.number);

	tk_buf_printf(out, "%s", file->path ? file->path : "anon_inode:[unknown]");
	return 0;
}

static int read_content(void *ctx, const char *path, struct tk_buf *out)
{
	struct place place;
	int rc;

	locate(ctx, path, &place);
	switch (place.what) {
	case ROW:
		rc = read_row(&place, out);
		break;
	case FD_LINK:
		rc = read_fd_link(&place, out);
		break;
	case FD_INFO:
		rc = tk_procfs_fdinfo(&place.at, out);
		break;
	case DIRECTORY:
		rc = -EISDIR;
		break;
	default:
		rc = -ENOENT;
	}
	return !rc && out->failed ? -ENOMEM : rc;
}

static ssize_t write_content(void *ctx, const char *path, const char *data, size_t len)
{
	struct place place;

	locate(ctx, path, &place);
	if (place.what != ROW)
		return place.what == NOTHING ? -ENOENT : -EACCES;
	return place.row->write ? place.row->write(&place.at, data, len) : -EACCES;
}

int tk_synth_host(const struct tk_synth_at *at, struct tk_buf *out)
{
	int fd = open(at->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char piece[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, piece, sizeof(piece))) > 0 && out->len < TK_KIB(256))
		tk_buf_add(out, piece, (size_t)n);
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

/* Listing: emit each name once, described as lookup() would. */
struct listing {
	struct tk_proc *proc;
	const char *dir;
	bool (*emit)(void *arg, const char *name, const struct tk_synth_entry *entry);
	void *arg;
	bool stopped;
};

static void emit(struct listing *listing, const char *name, size_t len)
{
	struct tk_synth_entry entry;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%.*s", listing->dir, (int)len, name);

	if (listing->stopped || n < 0 || (size_t)n >= sizeof(path))
		return;
	lookup(listing->proc, path, &entry);
	if (entry.kind == TK_SYNTH_ABSENT)
		return;
	if (entry.kind == TK_SYNTH_NONE && !tk_policy_may(listing->proc->policy, path, TK_MAY_READ))
		return;
	listing->stopped = !listing->emit(listing->arg, path + strlen(listing->dir) + 1, &entry);
}

static void emit_number(struct listing *listing, int number)
{
	char name[16];

	emit(listing, name, (size_t)snprintf(name, sizeof(name), "%d", number));
}

/* The component of row @i that lies directly in @dir; NULL if none, or if a row before has it. */
static const char *child(const struct tk_synth_tree *tree, size_t i, const char *dir, size_t *len)
{
	const char *name = *dir ? below(tree->rows[i].path, dir) : tree->rows[i].path;

	if (!name || !*name)
		return NULL;
	*len = strcspn(name, "/");
	for (size_t j = 0; j < i; j++) {
		const char *other = *dir ? below(tree->rows[j].path, dir) : tree->rows[j].path;

		if (other && strcspn(other, "/") == *len && !memcmp(other, name, *len))
			return NULL;
	}
	return name;
}

static void list_rows(struct listing *listing, const struct place *place)
{
	size_t len;

	for (size_t i = 0; i < place->tree->n; i++) {
		const char *name = child(place->tree, i, place->rest, &len);

		if (name)
			emit(listing, name, len);
	}
}

static void list_fds(struct listing *listing)
{
	const struct tk_fdtable *files = &listing->proc->files;

	for (unsigned int fd = 0; fd < files->size && !listing->stopped; fd++)
		if (files->fds[fd].file)
			emit_number(listing, (int)fd);
}

static void list_tasks(struct listing *listing)
{
	struct tk_task *task;

	tk_list_for_each (task, &listing->proc->tasks, link)
		if (task->state != TK_TASK_DEAD)
			emit_number(listing, task->tid);
}

static int list(void *ctx, const char *path,
		bool (*emit_fn)(void *arg, const char *name, const struct tk_synth_entry *entry),
		void *arg)
{
	struct listing listing = {.proc = ctx, .dir = path, .emit = emit_fn, .arg = arg};
	struct place place;

	locate(ctx, path, &place);
	if (place.what == NOTHING || place.what == ALIEN)
		return -ENOENT;
	if (place.what != DIRECTORY && (place.what != ROW || place.row->kind != TK_SYNTH_DIR))
		return -ENOTDIR;
	if (place.tree == &tk_tree_pid &&
	    (!strcmp(place.rest, "fd") || !strcmp(place.rest, "fdinfo")))
		list_fds(&listing);
	else if (place.tree == &tk_tree_pid && !strcmp(place.rest, "task"))
		list_tasks(&listing);
	else
		list_rows(&listing, &place);
	if (place.tree == &tk_tree_proc && !place.rest[0])
		emit_number(&listing, listing.proc->pid);
	return 0;
}

static const struct tk_synth_ops procfs_ops = {
	.lookup = lookup,
	.read = read_content,
	.write = write_content,
	.list = list,
};

void tk_procfs_init(struct tk_synth *synth, struct tk_proc *proc)
{
	*synth = (struct tk_synth){.ops = &procfs_ops, .ctx = proc};
}
