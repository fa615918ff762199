/* SPDX-License-Identifier: MIT */
/* What can be asked of a resolved path without opening it: a descriptor, stat, link text. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/dir.h"
#include "fs/ns.h"

static bool on_host(const struct tk_path *path)
{
	return path->dirfd >= 0;
}

int tk_path_pin(const struct tk_path *path)
{
	int fd;

	if (path->file && path->file->hostfd >= 0)
		fd = fcntl(path->file->hostfd, F_DUPFD_CLOEXEC, 0);
	else if (!on_host(path))
		return -EOPNOTSUPP;
	else if (!path->name[0])
		fd = fcntl(path->dirfd, F_DUPFD_CLOEXEC, 0);
	else
		fd = openat(path->dirfd, path->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int tk_path_stat(const struct tk_ns *ns, const struct tk_path *path, struct stat *st)
{
	if (path->file)
		return tk_file_stat(path->file, st);
	if (on_host(path))
		return fstatat(path->dirfd, path->name, st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
			       ? -errno
			       : 0;
	tk_ns_synth_stat(ns, path->guest, &path->synth, st);
	return 0;
}

static ssize_t copy_text(char *buf, size_t size, const char *text)
{
	size_t len = TK_MIN(strlen(text), size);

	memcpy(buf, text, len);
	return (ssize_t)len;
}

/* Of a magic link: where the file is now. */
static ssize_t fd_text(const struct tk_ns *ns, const struct tk_fdtable *files, int fd, char *buf,
		       size_t size)
{
	const struct tk_file *file = tk_fd_get(files, (u32)fd);
	char text[PATH_MAX];

	if (!file)
		return -ENOENT;
	if (tk_ns_file_path(ns, file, text))
		return copy_text(buf, size, file->path ? file->path : "anon_inode:[unknown]");
	return copy_text(buf, size, text);
}

static ssize_t synth_text(const struct tk_ns *ns, const struct tk_fdtable *files,
			  const struct tk_synth_entry *entry, const char *guest, char *buf,
			  size_t size)
{
	struct tk_buf text = {0};
	ssize_t n;
	int rc;

	if (entry->kind == TK_SYNTH_FD)
		return fd_text(ns, files, entry->fd, buf, size);
	if (entry->kind != TK_SYNTH_LINK)
		return entry->kind == TK_SYNTH_ABSENT ? -ENOENT : -EINVAL;
	rc = tk_ns_synth_link(ns, guest, &text);
	if (rc)
		return rc;
	n = copy_text(buf, size, text.data);
	tk_buf_free(&text);
	return n;
}

/* readlinkat(fd, "") of a link that was opened with O_PATH | O_NOFOLLOW */
static ssize_t open_link_text(const struct tk_ns *ns, const struct tk_fdtable *files,
			      const struct tk_file *file, char *buf, size_t size)
{
	struct tk_synth_entry entry = {.kind = TK_SYNTH_NONE};
	ssize_t n;

	if (file->hostfd < 0) {
		if (file->path && *file->path == '/')
			tk_ns_synth(ns, file->path, &entry);
		return synth_text(ns, files, &entry, file->path, buf, size);
	}
	n = readlinkat(file->hostfd, "", buf, size);
	return n >= 0 ? n : errno == ENOENT ? -EINVAL : -errno;
}

ssize_t tk_path_readlink(const struct tk_ns *ns, const struct tk_fdtable *files,
			 const struct tk_path *path, char *buf, size_t size)
{
	ssize_t n;

	if (path->file)
		return open_link_text(ns, files, path->file, buf, size);
	if (!on_host(path))
		return synth_text(ns, files, &path->synth, path->guest, buf, size);
	n = readlinkat(path->dirfd, path->name, buf, size);
	/* With an empty name the kernel calls "no link" ENOENT. */
	return n < 0 ? (path->name[0] ? -errno : -EINVAL) : n;
}
