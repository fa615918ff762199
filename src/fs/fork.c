/* SPDX-License-Identifier: MIT */
/*
 * Copies of descriptor tables: which file belongs where. What a copy of a kind of file is, that
 * kind knows (struct tk_file_ops); the interest lists of epoll objects come last, since they name
 * other files. Templates are shared by threads that fork: nothing here writes to one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/epoll.h"
#include "fs/fork.h"
#include "fs/locks.h"
#include "fs/memfds.h"
#include "fs/timerfd.h"

int tk_fork_dup(const struct tk_file *tmpl)
{
	int fd = fcntl(tmpl->hostfd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int memfd_copy(const struct tk_file *tmpl, const struct tk_fork_ctx *ctx)
{
	struct stat st;

	if (!ctx->n_memfds || fstat(tmpl->hostfd, &st))
		return -1;
	for (unsigned int i = 0; i < ctx->n_memfds; i++)
		if (ctx->memfds[i].ino == st.st_ino && ctx->memfds[i].dev == st.st_dev)
			return ctx->memfds[i].fd;
	return -1;
}

static int reopen(int fd, int flags)
{
	const int keep =
		O_ACCMODE | O_APPEND | O_DIRECT | O_NOATIME | O_SYNC | O_DIRECTORY | O_PATH;
	char link[TK_FD_LINK_SIZE];

	/* O_TMPFILE has O_DIRECTORY in it, for what is no directory. */
	if ((flags & O_TMPFILE) == O_TMPFILE)
		flags &= ~O_TMPFILE;
	fd = open(tk_fd_link(link, fd), (flags & keep) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int tk_fork_reopen(const struct tk_file *tmpl, const struct tk_fork_ctx *ctx)
{
	int fd = memfd_copy(tmpl, ctx);

	/* Not every file system's O_DIRECT is also that of memfds. */
	return fd < 0 ? reopen(tmpl->hostfd, tmpl->flags) : reopen(fd, tmpl->flags & ~O_DIRECT);
}

int tk_fork_reopenable(const struct tk_file *tmpl)
{
	return reopen(tmpl->hostfd, tmpl->memfd ? O_RDONLY : tmpl->flags);
}

int tk_fork_reset_plain(struct tk_file *file, const struct tk_file *tmpl)
{
	return 0;
}

/* What struct tk_file itself says, of every kind. */
static void copy_common(struct tk_file *file, const struct tk_file *tmpl)
{
	file->flags = tmpl->flags;
	file->seekable = tmpl->seekable;
	file->pollable = tmpl->pollable;
	file->writable = tmpl->writable;
	file->may = tmpl->may;
	file->pos = tmpl->pos;
}

int tk_fork_fdinfo(int fd, const char *key, int base, u64 *value)
{
	char path[40], text[1024];
	const char *at;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	text[n] = '\0';
	at = strstr(text, key);
	if (!at)
		return -ENOTSUP;
	*value = strtoull(at + strlen(key), NULL, base);
	return 0;
}

/* Give @file a slot, if it has none yet. */
static int collect(struct tk_frozen_files *frozen, struct tk_file *file)
{
	struct tk_file **tmpl;

	if (!file || file->slot)
		return 0;
	tmpl = reallocarray(frozen->tmpl, frozen->n + 1, sizeof(struct tk_file *));
	if (!tmpl)
		return -ENOMEM;
	frozen->tmpl = tmpl;
	frozen->tmpl[frozen->n++] = file;
	file->slot = frozen->n;
	return 0;
}

static int note(struct tk_file *file, struct tkvm_error *err)
{
	int rc = file->ops->fork ? 0 : -ENOTSUP;

	if (!rc && file->ops->freeze)
		rc = file->ops->freeze(file);
	if (rc)
		return tk_fail_errno(err, -rc, "freeze: %s %s", file->ops->kind,
				     file->path ? file->path : "");
	return 0;
}

int tk_files_freeze(struct tk_frozen_files *frozen, struct tk_fdtable *table, struct tk_ns *ns,
		    struct tkvm_error *err)
{
	int rc;

	*frozen = (struct tk_frozen_files){.table = table, .ns = ns};
	tk_memfds_mark(table);
	rc = collect(frozen, ns->cwd);
	for (unsigned int fd = 0; fd < table->size && !rc; fd++)
		rc = collect(frozen, table->fds[fd].file);
	if (rc)
		tk_fail_errno(err, -rc, "freeze: open files");
	for (unsigned int i = 0; i < frozen->n && !rc; i++) {
		rc = note(frozen->tmpl[i], err);
		frozen->timers |= !rc && tk_timerfd_is_armed(frozen->tmpl[i]);
	}
	if (rc)
		tk_files_thaw(frozen);
	return rc;
}

void tk_files_thaw(struct tk_frozen_files *frozen)
{
	for (unsigned int i = 0; i < frozen->n; i++)
		frozen->tmpl[i]->slot = 0;
	free(frozen->tmpl);
	*frozen = (struct tk_frozen_files){0};
}

/* A new copy has one reference, which is the slot's until the descriptors have theirs. */
static void settle(struct tk_forked_files *forked, unsigned int i, struct tk_file *file)
{
	forked->now[i] = file;
	copy_common(file, forked->frozen->tmpl[i]);
	file->home = &forked->now[i];
	file->used = file->altered = false;
}

static bool lacks_path(const struct tk_file *file, const struct tk_file *tmpl)
{
	return tmpl->path && !file->path;
}

static int make(struct tk_forked_files *forked, unsigned int i, bool *fresh)
{
	const struct tk_file *tmpl = forked->frozen->tmpl[i], *mate = tmpl->mate;
	struct tk_file *made[2] = {NULL, NULL};
	int rc;

	if (mate && !mate->slot)
		mate = NULL;
	rc = tmpl->ops->fork(tmpl, mate, &forked->ctx, made);
	if (rc)
		return rc;
	if (lacks_path(made[0], tmpl) || (mate && lacks_path(made[1], mate))) {
		tk_file_put(made[0]);
		if (mate)
			tk_file_put(made[1]);
		return -ENOMEM;
	}
	settle(forked, i, made[0]);
	fresh[i] = true;
	if (!mate)
		return 0;
	settle(forked, mate->slot - 1, made[1]);
	fresh[mate->slot - 1] = true;
	return 0;
}

/* Both ends of a pair are made together: what is left of an old one has to go first. */
static int make_missing(struct tk_forked_files *forked, bool *fresh)
{
	int rc = 0;

	for (unsigned int i = 0; i < forked->frozen->n && !rc; i++)
		if (!forked->now[i])
			rc = make(forked, i, fresh);
	return rc;
}

static void drop_fresh(struct tk_forked_files *forked, const bool *fresh)
{
	for (unsigned int i = 0; i < forked->frozen->n; i++)
		if (fresh[i])
			tk_file_put(forked->now[i]);
}

static struct tk_file *copy_of(const struct tk_forked_files *forked, const struct tk_file *tmpl)
{
	return tmpl ? forked->now[tmpl->slot - 1] : NULL;
}

static const struct tk_fd *frozen_entry(const struct tk_forked_files *forked, unsigned int fd)
{
	static const struct tk_fd none;
	const struct tk_fdtable *table = forked->frozen->table;

	return fd < table->size ? &table->fds[fd] : &none;
}

/* Every descriptor of the image that is closed now gets its file. */
static int fill_table(struct tk_forked_files *forked)
{
	const struct tk_fdtable *from = forked->frozen->table;
	struct tk_fdtable *table = forked->table;
	unsigned int limit = table->limit;
	int rc = 0;

	table->limit = from->limit > from->size ? from->limit : from->size;
	for (unsigned int fd = 0; fd < from->size && rc >= 0; fd++) {
		struct tk_file *file = copy_of(forked, from->fds[fd].file);

		if (!file)
			continue;
		if (!(fd < table->size && table->fds[fd].file)) {
			rc = tk_fd_install_at(table, file, fd, from->fds[fd].cloexec);
			if (rc >= 0)
				tk_file_get(file);
		}
		if (rc >= 0)
			table->fds[fd].cloexec = from->fds[fd].cloexec;
	}
	table->limit = limit;
	return rc < 0 ? rc : 0;
}

/* Descriptors are handed out as in the image, and the table's size can be seen in /proc. */
static void shape_table(struct tk_fdtable *table, const struct tk_fdtable *from)
{
	struct tk_fd *fds;

	table->limit = from->limit;
	table->lowest = from->lowest;
	if (table->size <= from->size || !from->size)
		return;
	fds = realloc(table->fds, from->size * sizeof(*fds));
	if (fds) {
		table->fds = fds;
		table->size = from->size;
	}
}

static void set_cwd(struct tk_forked_files *forked)
{
	struct tk_file *cwd = copy_of(forked, forked->frozen->ns->cwd), *old;

	old = forked->ctx.ns->cwd;
	if (old == cwd)
		return;
	forked->ctx.ns->cwd = tk_file_get(cwd);
	if (old)
		tk_file_put(old);
}

static int restore_epolls(struct tk_forked_files *forked)
{
	int rc = 0;

	for (unsigned int i = 0; i < forked->frozen->n && !rc; i++) {
		struct tk_epoll *epoll = tk_epoll_of(forked->now[i]);

		if (epoll)
			rc = tk_epoll_restore(epoll, tk_epoll_of(forked->frozen->tmpl[i]),
					      forked->now, forked->stirred);
	}
	return rc;
}

/* Make what is missing and put everything in its place. */
static int complete(struct tk_forked_files *forked)
{
	bool *fresh = calloc(forked->frozen->n + 1, sizeof(*fresh));
	int rc;

	if (!fresh)
		return -ENOMEM;
	rc = make_missing(forked, fresh);
	if (!rc)
		rc = fill_table(forked);
	if (!rc)
		set_cwd(forked);
	if (!rc)
		rc = restore_epolls(forked);
	drop_fresh(forked, fresh);
	free(fresh);
	return rc;
}

static bool any_missing(const struct tk_forked_files *forked)
{
	for (unsigned int i = 0; i < forked->frozen->n; i++)
		if (!forked->now[i])
			return true;
	return false;
}

/* The list of what counts against the limit: the image's, and nothing else. */
static int restore_memfds(struct tk_forked_files *forked)
{
	int rc = 0;

	tk_memfds_destroy(forked->table);
	for (unsigned int i = 0; i < forked->ctx.n_memfds && !rc; i++)
		rc = tk_memfds_add(forked->table, forked->ctx.memfds[i].fd);
	return rc;
}

int tk_files_fork(struct tk_forked_files *forked, const struct tk_frozen_files *frozen,
		  struct tk_fdtable *table, const struct tk_fork_ctx *ctx, struct tkvm_error *err)
{
	int rc;

	*forked = (struct tk_forked_files){.frozen = frozen, .table = table, .ctx = *ctx};
	forked->now = calloc(frozen->n + 1, sizeof(*forked->now));
	if (!forked->now)
		return tk_fail_errno(err, ENOMEM, "fork: open files");
	rc = complete(forked);
	if (!rc)
		rc = restore_memfds(forked);
	if (rc)
		return tk_fail_errno(err, -rc, "fork: open files");
	shape_table(table, frozen->table);
	return 0;
}

/* Including second descriptors of a copy, and copies that were moved elsewhere. */
static void close_misplaced(struct tk_forked_files *forked)
{
	struct tk_fdtable *table = forked->table;

	for (unsigned int fd = 0; fd < table->size; fd++) {
		struct tk_file *file = table->fds[fd].file;

		if (file && file != copy_of(forked, frozen_entry(forked, fd)->file))
			tk_fd_close(table, fd);
	}
}

/* Nothing of the program's refers to the copy in slot @i any more: it is to be made anew. */
static void discard(struct tk_forked_files *forked, unsigned int i)
{
	struct tk_file *file = forked->now[i];
	struct tk_fdtable *table = forked->table;

	if (!file)
		return;
	tk_file_get(file);
	for (unsigned int fd = 0; fd < table->size; fd++)
		if (table->fds[fd].file == file)
			tk_fd_close(table, fd);
	if (forked->ctx.ns->cwd == file) {
		forked->ctx.ns->cwd = NULL;
		tk_file_put(file);
	}
	file->home = NULL;
	forked->now[i] = NULL;
	tk_file_put(file);
}

static bool is_used(const struct tk_file *file)
{
	return file->used || file->altered || (file->mate && file->mate->used);
}

/* -ESTALE: the copy, and its other end, cannot stay. */
static int put_right(struct tk_forked_files *forked, unsigned int i)
{
	const struct tk_file *tmpl = forked->frozen->tmpl[i];
	struct tk_file *file = forked->now[i];
	int rc;

	if (!file)
		return 0;
	if (!!tmpl->mate != !!file->mate)
		return -ESTALE;
	if (!is_used(file) && !tk_epoll_of(file))
		return 0;
	if (!tmpl->ops->reset || file->altered)
		return -ESTALE;
	rc = tmpl->ops->reset(file, tmpl);
	if (rc < 0)
		return rc;
	copy_common(file, tmpl);
	forked->stirred |= rc > 0;
	return 0;
}

static void put_all_right(struct tk_forked_files *forked)
{
	const struct tk_frozen_files *frozen = forked->frozen;

	for (unsigned int i = 0; i < frozen->n; i++) {
		const struct tk_file *mate = frozen->tmpl[i]->mate;

		if (!put_right(forked, i))
			continue;
		discard(forked, i);
		forked->renewed++;
		if (!mate || !mate->slot)
			continue;
		discard(forked, mate->slot - 1);
		forked->renewed++;
	}
	for (unsigned int i = 0; i < frozen->n; i++)
		if (forked->now[i])
			forked->now[i]->used = false;
}

/* What the program may have written into memfds of the image. */
static int restore_memfd_contents(const struct tk_forked_files *forked)
{
	int rc = 0;

	for (unsigned int i = 0; i < forked->frozen->n && !rc; i++) {
		const struct tk_file *tmpl = forked->frozen->tmpl[i];

		if (tmpl->memfd && (!forked->now[i] || forked->now[i]->used))
			rc = tk_memfd_restore(memfd_copy(tmpl, &forked->ctx), tmpl->hostfd);
	}
	return rc;
}

static int reset(struct tk_forked_files *forked)
{
	struct tk_fdtable *table = forked->table;
	int rc;

	if (restore_memfd_contents(forked))
		return -ESTALE;
	forked->stirred = false;
	tk_locks_destroy(table);
	close_misplaced(forked);
	put_all_right(forked);
	if (any_missing(forked) || table->open != forked->frozen->table->open) {
		rc = complete(forked);
	} else {
		rc = fill_table(forked);
		set_cwd(forked);
		if (!rc)
			rc = restore_epolls(forked);
	}
	if (rc || restore_memfds(forked))
		return -ESTALE;
	shape_table(table, forked->frozen->table);
	return 0;
}

/* What the program still maps is no reason for the image's files not to come back. */
int tk_files_reset(struct tk_forked_files *forked)
{
	struct tk_fdtable *table = forked->table;
	u64 most_fds = table->host_fds.most, most_memory = table->host_memory.most;
	int rc;

	table->host_fds.most = table->host_memory.most = 0;
	rc = reset(forked);
	table->host_fds.most = most_fds;
	table->host_memory.most = most_memory;
	return rc;
}

int tk_files_start(struct tk_forked_files *forked, const struct tk_clock_lag *lag)
{
	const struct tk_frozen_files *frozen = forked->frozen;
	int rc = 0;

	for (unsigned int i = 0; frozen->timers && i < frozen->n && !rc; i++)
		if (tk_timerfd_is_armed(frozen->tmpl[i]) && forked->now[i])
			rc = tk_timerfd_start(forked->now[i], frozen->tmpl[i], lag);
	return rc;
}

void tk_files_unfork(struct tk_forked_files *forked)
{
	if (!forked->frozen || !forked->now)
		return;
	for (unsigned int i = 0; i < forked->frozen->n; i++)
		if (forked->now[i])
			forked->now[i]->home = NULL;
	free(forked->now);
	forked->now = NULL;
}
