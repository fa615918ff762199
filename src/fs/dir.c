/* SPDX-License-Identifier: MIT */
/*
 * Open directories. The host's entries come straight from its getdents64(2), at an offset of
 * ours. Behind them come the names that only the guest sees (volumes and synthetic trees mounted
 * here), kept as ready-made records in @own; a synthetic directory has nothing but such records.
 * An offset from OWN_BASE up is OWN_BASE plus a position in @own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/dir.h"
#include "fs/fork.h"
#include "fs/ns.h"

/* Host file systems use either small offsets or 63-bit hashes; none ends in this region. */
#define OWN_BASE 0x7ffffff000000000ll

struct tk_dir {
	struct tk_file file; /* first member */
	struct tk_buf own;
	struct tk_synth synth; /* ops NULL: @own is all there is, or follows the host's */
	struct stat st;	       /* if there is no host directory */
};

static struct tk_dir *dir_of(struct tk_file *file)
{
	return tk_container_of(file, struct tk_dir, file);
}

static unsigned char dirent_type(enum tk_synth_kind kind)
{
	switch (kind) {
	case TK_SYNTH_DIR:
		return DT_DIR;
	case TK_SYNTH_LINK:
	case TK_SYNTH_FD:
		return DT_LNK;
	case TK_SYNTH_HOST:
		return DT_UNKNOWN;
	default:
		return DT_REG;
	}
}

static void add_record(struct tk_buf *own, s64 base, const char *name, u64 ino, unsigned char type)
{
	size_t len = strlen(name), fixed = offsetof(struct dirent64, d_name);
	size_t reclen = (fixed + len + 1 + 7) & ~7ull;
	struct dirent64 record = {.d_ino = ino ? ino : 1, .d_type = type};

	if (len > NAME_MAX)
		return;
	record.d_reclen = (unsigned short)reclen;
	record.d_off = base + (s64)(own->len + reclen);
	memcpy(record.d_name, name, len + 1);
	tk_buf_add(own, &record, reclen);
}

static bool emit_synth(void *arg, const char *name, const struct tk_synth_entry *entry)
{
	struct tk_buf *own = arg;

	add_record(own, 0, name, entry->ino, dirent_type(entry->kind));
	return !own->failed;
}

/* The entries of a synthetic directory, as they are now. */
static int list_synth(struct tk_dir *dir)
{
	int rc;

	tk_buf_free(&dir->own);
	add_record(&dir->own, 0, ".", dir->st.st_ino, DT_DIR);
	add_record(&dir->own, 0, "..", dir->st.st_ino, DT_DIR);
	rc = dir->synth.ops->list(dir->synth.ctx, dir->file.path, emit_synth, &dir->own);
	return rc ? rc : dir->own.failed ? -ENOMEM : 0;
}

static bool has_record(const struct tk_buf *own, const char *name)
{
	const struct dirent64 *record;

	for (size_t at = 0; at < own->len; at += record->d_reclen) {
		record = (const void *)(own->data + at);
		if (!strcmp(record->d_name, name))
			return true;
	}
	return false;
}

/* @path, something mounted in the guest's tree: if below @dir, its next component is an entry. */
static void add_mounted(struct tk_dir *dir, s64 base, const char *path)
{
	const char *below;
	char name[NAME_MAX + 1];
	struct stat st;
	size_t len;

	if (!tk_path_under(path, dir->file.path))
		return;
	below = tk_path_below(path, dir->file.path);
	len = strcspn(below, "/");
	if (!len || len > NAME_MAX)
		return;
	memcpy(name, below, len);
	name[len] = '\0';
	if (has_record(&dir->own, name))
		return;
	if (dir->file.hostfd >= 0 && !fstatat(dir->file.hostfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	add_record(&dir->own, base, name, 0, DT_UNKNOWN);
}

static void add_mounts(struct tk_dir *dir, const struct tk_ns *ns)
{
	s64 base = dir->file.hostfd >= 0 ? OWN_BASE : 0;

	if (dir->file.hostfd < 0) {
		add_record(&dir->own, 0, ".", dir->st.st_ino, DT_DIR);
		add_record(&dir->own, 0, "..", dir->st.st_ino, DT_DIR);
	}
	for (size_t i = 0; i < ns->policy->n_volumes; i++)
		add_mounted(dir, base, ns->policy->volumes[i].guest);
	if (!ns->synth.ops)
		return;
	add_mounted(dir, base, "/proc");
	add_mounted(dir, base, "/sys");
	add_mounted(dir, base, "/dev");
}

static ssize_t own_getdents(struct tk_dir *dir, s64 base, void *buf, size_t size)
{
	size_t at = (size_t)(dir->file.pos - base), n = 0;
	const struct dirent64 *record;

	while (at < dir->own.len) {
		record = (const void *)(dir->own.data + at);
		/* The guest may have sought into the middle of a record. */
		if (at % 8 || dir->own.len - at < 24 || record->d_reclen < 24 ||
		    record->d_off != base + (s64)at + record->d_reclen)
			return -EINVAL;
		if (record->d_reclen > size - n)
			return n ? (ssize_t)n : -EINVAL;
		memcpy((char *)buf + n, record, record->d_reclen);
		n += record->d_reclen;
		at += record->d_reclen;
		dir->file.pos = record->d_off;
	}
	return (ssize_t)n;
}

static ssize_t host_getdents(struct tk_file *file, void *buf, size_t size)
{
	const struct dirent64 *record = NULL;
	long n;

	if (lseek(file->hostfd, file->pos, SEEK_SET) < 0)
		return -errno;
	n = syscall(SYS_getdents64, file->hostfd, buf, size);
	if (n < 0)
		return -errno;
	for (long at = 0; at < n; at += record->d_reclen)
		record = (const void *)((char *)buf + at);
	if (record)
		file->pos = record->d_off;
	return n;
}

static ssize_t dir_getdents(struct tk_file *file, void *buf, size_t size)
{
	struct tk_dir *dir = dir_of(file);
	ssize_t n;

	if (file->hostfd < 0) {
		n = file->pos == 0 && dir->synth.ops ? list_synth(dir) : 0;
		return n ? n : own_getdents(dir, 0, buf, size);
	}
	if (file->pos < OWN_BASE || file->pos - OWN_BASE > (s64)dir->own.len) {
		n = host_getdents(file, buf, size);
		if (n || !dir->own.len)
			return n;
		file->pos = OWN_BASE;
	}
	return own_getdents(dir, OWN_BASE, buf, size);
}

static s64 dir_seek(struct tk_file *file, s64 offset, int whence)
{
	struct tk_dir *dir = dir_of(file);
	s64 pos = offset;

	if (whence == SEEK_CUR) {
		if (__builtin_add_overflow(file->pos, offset, &pos))
			return -EINVAL;
	} else if (whence == SEEK_END && file->hostfd >= 0) {
		pos = lseek(file->hostfd, offset, SEEK_END);
		if (pos < 0)
			return -errno;
	} else if (whence != SEEK_SET) {
		return -EINVAL;
	}
	if (pos < 0)
		return -EINVAL;
	if (file->hostfd >= 0 && whence != SEEK_END && pos < OWN_BASE &&
	    lseek(file->hostfd, pos, SEEK_SET) < 0)
		return -errno;
	if (file->hostfd < 0 && pos > (s64)dir->own.len)
		pos = (s64)dir->own.len;
	file->pos = pos;
	return pos;
}

static ssize_t dir_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	return -EISDIR;
}

static int dir_stat(struct tk_file *file, struct stat *st)
{
	if (file->hostfd >= 0)
		return fstat(file->hostfd, st) ? -errno : 0;
	*st = dir_of(file)->st;
	return 0;
}

static void dir_release(struct tk_file *file)
{
	tk_buf_free(&dir_of(file)->own);
}

static int copy_own(struct tk_buf *to, const struct tk_buf *from)
{
	tk_buf_free(to);
	if (from->len)
		tk_buf_add(to, from->data, from->len);
	return to->failed ? -ENOMEM : 0;
}

static int dir_fork(const struct tk_file *tmpl, const struct tk_file *mate,
		    const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	const struct tk_dir *from = tk_container_of(tmpl, struct tk_dir, file);
	struct tk_dir *dir;
	int fd = -1;

	if (tmpl->hostfd >= 0)
		fd = tmpl->flags & O_PATH ? tk_fork_dup(tmpl) : tk_fork_reopen(tmpl, ctx);
	if (tmpl->hostfd >= 0 && fd < 0)
		return fd;
	dir = calloc(1, sizeof(*dir));
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	tk_file_init(&dir->file, tmpl->ops, fd, tmpl->flags, tmpl->path);
	dir->st = from->st;
	if (from->synth.ops)
		dir->synth = ctx->ns->synth;
	if (!dir->file.path || copy_own(&dir->own, &from->own)) {
		tk_file_put(&dir->file);
		return -ENOMEM;
	}
	ret[0] = &dir->file;
	return 0;
}

static int dir_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	const struct tk_dir *from = tk_container_of(tmpl, struct tk_dir, file);
	struct tk_dir *dir = dir_of(file);

	if (dir->synth.ops && copy_own(&dir->own, &from->own))
		return -ESTALE;
	return 0;
}

static const struct tk_file_ops dir_ops = {
	.kind = "directory",
	.readv = dir_readv,
	.seek = dir_seek,
	.stat = dir_stat,
	.getdents = dir_getdents,
	.release = dir_release,
	.fork = dir_fork,
	.reset = dir_reset,
};

bool tk_is_dir(const struct tk_file *file)
{
	return file->ops == &dir_ops;
}

int tk_dir_new(const struct tk_ns *ns, const struct tk_path *path, int hostfd, int flags,
	       struct tk_file **ret)
{
	struct tk_synth_entry entry;
	struct tk_dir *dir;
	struct stat st;
	int rc = 0;

	if (hostfd >= 0 && fstat(hostfd, &st))
		rc = -errno;
	else if (hostfd >= 0 && !S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	dir = rc ? NULL : calloc(1, sizeof(*dir));
	if (!dir) {
		if (hostfd >= 0)
			close(hostfd);
		return rc ? rc : -ENOMEM;
	}
	tk_file_init(&dir->file, &dir_ops, hostfd, flags, path->guest);
	dir->file.seekable = true;
	dir->file.may = path->may;
	dir->file.writable = path->may & TK_MAY_WRITE;
	if (hostfd < 0) {
		tk_ns_synth(ns, path->guest, &entry);
		if (entry.kind == TK_SYNTH_DIR)
			dir->synth = ns->synth;
		tk_ns_synth_stat(ns, path->guest, &path->synth, &dir->st);
	}
	if (dir->file.path && !dir->synth.ops && (hostfd < 0 || tk_ns_is_spliced(ns, path->guest)))
		add_mounts(dir, ns);
	if (!dir->file.path || dir->own.failed) {
		tk_file_put(&dir->file);
		return -ENOMEM;
	}
	*ret = &dir->file;
	return 0;
}
