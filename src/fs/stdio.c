/* SPDX-License-Identifier: MIT */
/*
 * Inherited descriptors. Regular files keep sharing the offset (and O_APPEND) with whoever else
 * writes to them, so that "(a; b) > file" works. Pipes and terminals get a description of their
 * own, non-blocking, where the host lets us reopen them; if not, the shared one is used with care
 * (fs/stream.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/path.h"
#include "fs/regular.h"
#include "fs/stdio.h"
#include "fs/stream.h"

#define LARGEFILE 0100000

static int reopen_stream(int hostfd, int flags)
{
	char link[TK_FD_LINK_SIZE];

	return open(tk_fd_link(link, hostfd),
		    (flags & (O_ACCMODE | O_APPEND)) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int make_stream(int hostfd, int flags, const char *path, mode_t type, struct tk_file **ret)
{
	enum tk_stream_kind kind = type == S_IFSOCK ? TK_STREAM_SOCKET : TK_STREAM_SHARED;
	int own = kind == TK_STREAM_SOCKET ? -1 : reopen_stream(hostfd, flags);

	if (own >= 0)
		kind = TK_STREAM_OWN;
	else
		own = fcntl(hostfd, F_DUPFD_CLOEXEC, 0);
	return own < 0 ? -errno : tk_stream_new(own, flags, path, kind, ret);
}

static int make_file(int hostfd, struct tk_file **ret)
{
	int flags = fcntl(hostfd, F_GETFL), fd;
	char link[TK_FD_LINK_SIZE], path[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (flags < 0 || fstat(hostfd, &st))
		return -errno;
	n = readlink(tk_fd_link(link, hostfd), path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (!S_ISREG(st.st_mode) && !(S_ISCHR(st.st_mode) && !isatty(hostfd)) &&
	    !S_ISDIR(st.st_mode))
		return make_stream(hostfd, flags & ~O_NONBLOCK, path, st.st_mode & S_IFMT, ret);
	fd = fcntl(hostfd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return tk_opath_new(fd, flags | O_PATH, path, ret);
	return tk_shared_new(fd, flags, path, ret);
}

/*
 * A closed standard descriptor's number may have gone to something of the VMM's own, which must
 * never come into a guest's hands. All of those are close-on-exec; what was inherited is not.
 */
static bool is_inherited(int hostfd)
{
	int flags = fcntl(hostfd, F_GETFD);

	return flags >= 0 && !(hostfd <= 2 && flags & FD_CLOEXEC);
}

int tk_stdio_install(struct tk_fdtable *files, unsigned int fd, int hostfd, struct tkvm_error *err)
{
	struct tk_file *file;
	int rc;

	if (hostfd < 0 || !is_inherited(hostfd))
		return 0;
	rc = make_file(hostfd, &file);
	if (rc)
		return tk_fail_errno(err, -rc, "standard descriptor %u", fd);
	if (tk_file_may_read(file))
		file->may |= TK_MAY_READ;
	if (tk_file_may_write(file))
		file->may |= TK_MAY_WRITE;
	file->writable = file->may & TK_MAY_WRITE;
	rc = tk_fd_install_at(files, file, fd, false);
	if (rc < 0) {
		tk_file_put(file);
		return tk_fail_errno(err, -rc, "standard descriptor %u", fd);
	}
	return 0;
}
