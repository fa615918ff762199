/* SPDX-License-Identifier: MIT */
/*
 * open(2) in the guest's namespace. An existing object is first pinned with O_PATH, which has no
 * side effects on devices and FIFOs, then looked at, and only then reopened through the pinned
 * descriptor: what was judged is what is opened. Everything is opened O_NONBLOCK, so that no
 * FIFO, lease or terminal can stop the VMM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/dir.h"
#include "fs/ns.h"
#include "fs/regular.h"
#include "fs/stream.h"
#include "fs/synthfile.h"

#define RACE_RETRIES 16
#define LARGEFILE    0100000 /* the kernel's O_LARGEFILE; glibc says 0 on 64-bit machines */

#define PATH_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define VALID_FLAGS                                                                                \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |      \
	 O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE)

struct request {
	const struct tk_ns *ns;
	const struct tk_fdtable *files;
	int flags;
	mode_t mode;
	struct tk_path path;
	struct tk_file **ret;
};

static bool has(const struct request *rq, int flags)
{
	return (rq->flags & flags) == flags;
}

/* What F_GETFL shows. */
static int shown_flags(const struct request *rq)
{
	int flags = rq->flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);

	return flags & O_PATH ? flags : flags | LARGEFILE;
}

static unsigned int needed(int flags)
{
	unsigned int may = 0;

	if (flags & O_PATH)
		return 0;
	if ((flags & O_ACCMODE) != O_WRONLY)
		may |= TK_MAY_READ;
	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)
		may |= TK_MAY_WRITE;
	return may;
}

static int check_may(const struct request *rq, unsigned int may)
{
	unsigned int lacks = may & ~rq->path.may;

	if (lacks == TK_MAY_WRITE && tk_policy_find_volume(rq->ns->policy, rq->path.guest) >= 0)
		return -EROFS;
	return lacks ? -EACCES : 0;
}

/* A description of the pinned object for the guest. fd or -errno. */
static int reopen(const struct request *rq, int fd)
{
	char link[TK_FD_LINK_SIZE];
	int flags = rq->flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW | O_DIRECTORY);
	int opened;

	opened = open(tk_fd_link(link, fd), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return opened < 0 ? -errno : opened;
}

/* Note in the new file what the policy says, and hand it out. */
static int publish(const struct request *rq, struct tk_file *file)
{
	file->may = rq->path.synth.kind == TK_SYNTH_HOST
			    ? tk_policy_rights(rq->ns->policy, rq->path.guest)
			    : rq->path.may;
	file->writable = file->may & TK_MAY_WRITE;
	*rq->ret = file;
	return 0;
}

typedef int make_fn(int hostfd, int flags, const char *path, struct tk_file **ret);

static int make(const struct request *rq, int hostfd, make_fn *fn)
{
	struct tk_file *file;
	int rc;

	if (hostfd < 0)
		return hostfd;
	rc = fn(hostfd, shown_flags(rq), rq->path.guest, &file);
	return rc ? rc : publish(rq, file);
}

static int make_own_stream(int hostfd, int flags, const char *path, struct tk_file **ret)
{
	return tk_stream_new(hostfd, flags, path, TK_STREAM_OWN, ret);
}

static int open_regular(const struct request *rq, int fd)
{
	int rc = check_may(rq, needed(rq->flags));

	return rc ? rc : make(rq, reopen(rq, fd), tk_regular_new);
}

/* -EAGAIN: the guest has to wait for a reader. */
static int open_fifo(const struct request *rq, int fd)
{
	int rc = check_may(rq, needed(rq->flags));

	if (!rc)
		rc = reopen(rq, fd);
	if (rc == -ENXIO && !has(rq, O_NONBLOCK))
		return -EAGAIN;
	return make(rq, rc, make_own_stream);
}

/* A terminal that the guest has already, as one of its standard descriptors. */
static bool is_own_terminal(const struct request *rq, dev_t rdev)
{
	struct tk_file *file;
	struct stat st;

	for (unsigned int fd = 0; rq->files && fd <= 2; fd++) {
		file = tk_fd_get(rq->files, fd);
		if (file && file->hostfd >= 0 && !fstat(file->hostfd, &st) && S_ISCHR(st.st_mode) &&
		    st.st_rdev == rdev)
			return true;
	}
	return false;
}

/* Devices whose opening and use has no effect on anybody: memory devices, and /dev/tty. */
static bool is_harmless(dev_t rdev)
{
	static const unsigned char minors[] = {3, 5, 7, 8, 9}; /* null zero full random urandom */

	if (rdev == makedev(5, 0))
		return true;
	return major(rdev) == 1 && minor(rdev) < 10 &&
	       memchr(minors, (int)minor(rdev), sizeof(minors));
}

static int open_device(const struct request *rq, int fd, dev_t rdev)
{
	int rc, tty;

	if (!is_harmless(rdev) && !is_own_terminal(rq, rdev))
		return -EACCES;
	rc = check_may(rq, needed(rq->flags));
	if (rc)
		return rc;
	fd = reopen(rq, fd);
	tty = fd >= 0 && isatty(fd);
	return make(rq, fd, tty ? make_own_stream : tk_shared_new);
}

/* The VMM's own umask took away what the guest's leaves. */
static void undo_host_umask(const struct request *rq, int fd)
{
	mode_t lost = rq->mode & 0777 & ~rq->ns->umask & rq->ns->host_umask;
	struct stat st;

	if (lost && !fstat(fd, &st))
		fchmod(fd, (st.st_mode | lost) & 07777);
}

static int open_tmpfile(const struct request *rq, int fd)
{
	char link[TK_FD_LINK_SIZE];
	int rc, made;

	rc = check_may(rq, needed(rq->flags) | TK_MAY_WRITE);
	if (rc)
		return rc;
	made = open(tk_fd_link(link, fd), (rq->flags & ~O_NOFOLLOW) | O_CLOEXEC,
		    rq->mode & ~rq->ns->umask);
	if (made < 0)
		return -errno;
	undo_host_umask(rq, made);
	return make(rq, made, tk_regular_new);
}

static int open_dir(const struct request *rq, int fd)
{
	int rc;

	if (has(rq, O_CREAT))
		return -EISDIR;
	if (has(rq, O_TMPFILE))
		return open_tmpfile(rq, fd);
	if (needed(rq->flags) & TK_MAY_WRITE)
		return -EISDIR;
	rc = check_may(rq, needed(rq->flags));
	if (rc)
		return rc;
	if (has(rq, O_PATH))
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	else
		fd = reopen(rq, fd);
	if (fd < 0)
		return has(rq, O_PATH) ? -errno : fd;
	return tk_dir_new(rq->ns, &rq->path, fd, shown_flags(rq), rq->ret);
}

static int open_opath(const struct request *rq, int fd)
{
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return make(rq, fd < 0 ? -errno : fd, tk_opath_new);
}

/* Open the object pinned as @fd, which stays the caller's. -ESTALE: a link where none was. */
static int open_object(const struct request *rq, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISLNK(st.st_mode) && !has(rq, O_NOFOLLOW) && !has(rq, O_CREAT | O_EXCL))
		return -ESTALE;
	if (has(rq, O_CREAT | O_EXCL))
		return -EEXIST;
	if (tk_is_host_proc(fd))
		return -EACCES;
	if (S_ISDIR(st.st_mode))
		return open_dir(rq, fd);
	if (has(rq, O_DIRECTORY))
		return -ENOTDIR;
	if (has(rq, O_PATH))
		return open_opath(rq, fd);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return open_regular(rq, fd);
	case S_IFLNK:
		return -ELOOP;
	case S_IFIFO:
		return open_fifo(rq, fd);
	case S_IFCHR:
		return open_device(rq, fd, st.st_rdev);
	case S_IFBLK:
		return -EACCES;
	default:
		return -ENXIO;
	}
}

/* -ESTALE: there is something by that name now. */
static int create(const struct request *rq)
{
	int flags = rq->flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int rc, fd;

	rc = check_may(rq, needed(rq->flags) | TK_MAY_WRITE);
	if (rc)
		return rc;
	fd = openat(rq->path.dirfd, rq->path.name, flags & ~O_TRUNC, rq->mode & ~rq->ns->umask);
	if (fd < 0)
		return errno == EEXIST && !has(rq, O_EXCL) ? -ESTALE : -errno;
	undo_host_umask(rq, fd);
	return make(rq, fd, tk_regular_new);
}

static int open_host(const struct request *rq)
{
	int fd = tk_path_pin(&rq->path), rc;

	if (fd == -ENOENT && has(rq, O_CREAT))
		return create(rq);
	if (fd < 0)
		return fd;
	rc = open_object(rq, fd);
	close(fd);
	return rc;
}

static int open_synth_dir(const struct request *rq)
{
	if (has(rq, O_CREAT))
		return has(rq, O_EXCL) ? -EEXIST : -EISDIR;
	if (has(rq, O_TMPFILE))
		return -EOPNOTSUPP;
	if (needed(rq->flags) & TK_MAY_WRITE)
		return -EISDIR;
	return tk_dir_new(rq->ns, &rq->path, -1, shown_flags(rq), rq->ret);
}

static int open_synth_link(const struct request *rq)
{
	if (has(rq, O_CREAT | O_EXCL))
		return -EEXIST;
	if (has(rq, O_DIRECTORY))
		return -ENOTDIR;
	if (!has(rq, O_PATH))
		return -ELOOP;
	return tk_synthfile_new(rq->ns, &rq->path, shown_flags(rq), rq->ret);
}

/* What the policy, or nature, permits beyond what the open file itself stands for. */
static void add_rights(struct request *rq, const struct stat *st)
{
	char path[PATH_MAX];

	if (S_ISCHR(st->st_mode) && is_harmless(st->st_rdev))
		rq->path.may = TK_MAY_READ | TK_MAY_WRITE;
	else if (!tk_ns_file_path(rq->ns, rq->path.file, path) && *path == '/')
		rq->path.may |= tk_policy_rights(rq->ns->policy, path);
}

/* /proc/self/fd/N: a new description of what has a name, the same one of what has not. */
static int open_again(struct request *rq)
{
	struct tk_file *file = rq->path.file;
	unsigned int may = needed(rq->flags);
	struct stat st;
	int rc;

	rq->flags &= ~(O_CREAT | O_NOFOLLOW);
	if (tk_is_dir(file) && file->hostfd < 0) {
		rq->path.synth.kind = TK_SYNTH_DIR;
		return open_synth_dir(rq);
	}
	rc = tk_file_stat(file, &st);
	if (rc)
		return rc;
	if (!S_ISDIR(st.st_mode) && has(rq, O_DIRECTORY))
		return -ENOTDIR;
	if (file->hostfd < 0 || !(st.st_mode & S_IFMT) || S_ISSOCK(st.st_mode))
		return -ENXIO;
	add_rights(rq, &st);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || has(rq, O_PATH) ||
	    (S_ISCHR(st.st_mode) && is_harmless(st.st_rdev)))
		return open_object(rq, file->hostfd);
	if ((may & TK_MAY_READ && !tk_file_may_read(file)) ||
	    (may & TK_MAY_WRITE && !tk_file_may_write(file)))
		return file->flags & O_PATH ? open_object(rq, file->hostfd) : -EACCES;
	*rq->ret = tk_file_get(file);
	return 0;
}

static int open_resolved(struct request *rq)
{
	if (rq->path.file)
		return open_again(rq);
	switch (rq->path.synth.kind) {
	case TK_SYNTH_NONE:
	case TK_SYNTH_HOST:
		return open_host(rq);
	case TK_SYNTH_DIR:
		return open_synth_dir(rq);
	case TK_SYNTH_FILE:
		if (has(rq, O_CREAT | O_EXCL))
			return -EEXIST;
		if (has(rq, O_DIRECTORY))
			return -ENOTDIR;
		return tk_synthfile_new(rq->ns, &rq->path, shown_flags(rq), rq->ret);
	case TK_SYNTH_ABSENT:
		return -ENOENT;
	default:
		return open_synth_link(rq);
	}
}

int tk_open_check(u64 how_flags)
{
	int flags = (int)how_flags;

	flags &= flags & O_PATH ? PATH_FLAGS : VALID_FLAGS;
	if ((flags & __O_TMPFILE) == __O_TMPFILE) {
		if ((flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE)
			return -EINVAL;
		return (flags & O_ACCMODE) == O_RDONLY ? -EINVAL : 0;
	}
	return (flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) ? -EINVAL : 0;
}

static unsigned int walk_flags(int flags, u64 resolve)
{
	unsigned int walk = 0;

	if (flags & O_NOFOLLOW || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		walk |= TK_WALK_NOFOLLOW;
	if (flags & O_CREAT)
		walk |= TK_WALK_CREATE;
	if (resolve & RESOLVE_NO_SYMLINKS)
		walk |= TK_WALK_NO_SYMLINKS;
	if (resolve & RESOLVE_NO_MAGICLINKS)
		walk |= TK_WALK_NO_MAGICLINKS;
	if (resolve & RESOLVE_BENEATH)
		walk |= TK_WALK_BENEATH;
	if (resolve & RESOLVE_IN_ROOT)
		walk |= TK_WALK_IN_ROOT;
	if (resolve & RESOLVE_NO_XDEV)
		walk |= TK_WALK_NO_XDEV;
	return walk;
}

/* O_CREAT of "name/": Linux resolves the parent and then says that it is a directory's name. */
static int create_with_slash(struct tk_ns *ns, const struct tk_fdtable *files, int dirfd,
			     const char *path, unsigned int walk)
{
	struct tk_path parent;
	int rc;

	rc = tk_path_resolve(ns, files, dirfd, path, walk | TK_WALK_PARENT, 0, &parent);
	if (rc)
		return rc;
	rc = parent.last == TK_LAST_NORM && parent.want_dir ? -EISDIR : 0;
	tk_path_done(&parent);
	return rc;
}

int tk_ns_open(struct tk_ns *ns, struct tk_fdtable *files, int dirfd, const char *path, int flags,
	       mode_t mode, u64 how_resolve, struct tk_file **ret)
{
	struct request rq = {.ns = ns, .files = files, .mode = mode & 07777, .ret = ret};
	unsigned int walk;
	size_t len = strlen(path);
	int rc;

	rq.flags = flags & (flags & O_PATH ? PATH_FLAGS : VALID_FLAGS);
	rc = tk_open_check((u64)flags);
	if (rc)
		return rc;
	walk = walk_flags(rq.flags, how_resolve);
	if (has(&rq, O_CREAT) && len && path[len - 1] == '/') {
		rc = create_with_slash(ns, files, dirfd, path, walk);
		if (rc)
			return rc;
	}
	rc = -ESTALE;
	for (int i = 0; i < RACE_RETRIES && rc == -ESTALE; i++) {
		rc = tk_path_resolve(ns, files, dirfd, path, walk, 0, &rq.path);
		if (rc)
			return rc;
		rc = open_resolved(&rq);
		tk_path_done(&rq.path);
	}
	return rc == -ESTALE ? -ELOOP : rc;
}
