/* SPDX-License-Identifier: MIT */
/*
 * Unix socket addresses. The kernel takes paths, the policy is about resolved objects; what joins
 * them without a race is /proc/self/fd:
 *  - connecting goes to /proc/self/fd/N, N being an O_PATH descriptor of the very socket file;
 *  - binding creates /proc/self/fd/N/name, N being the resolved directory (the kernel does not
 *    follow a link in the last component). N stays open as long as the socket, so the host's
 *    address of a bound socket is unique and can be translated back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/gate.h"
#include "net/unix.h"

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* The address's own form: a path is NUL-terminated in @path; abstract names give @path "". */
static int parse(const struct sockaddr_storage *name, socklen_t len, char path[PATH_MAX])
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)name;

	if (len <= PATH_AT || len > sizeof(*un) || un->sun_family != AF_UNIX)
		return -EINVAL;
	memcpy(path, un->sun_path, len - PATH_AT);
	path[len - PATH_AT] = '\0';
	return 0;
}

static int abstract(const struct tk_policy *policy, unsigned int use,
		    const struct sockaddr_storage *name, socklen_t len, struct tk_unix_target *out)
{
	if (!tk_net_unrestricted(policy, use))
		return -EACCES;
	memcpy(&out->addr, name, len);
	out->len = len;
	out->fd = -1;
	return 0;
}

static int open_object(const struct tk_path *path)
{
	int fd;

	if (path->file || path->dirfd < 0)
		return -ECONNREFUSED; /* no socket */
	if (path->name[0])
		fd = openat(path->dirfd, path->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	else
		fd = fcntl(path->dirfd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int tk_unix_lookup(struct tk_ns *ns, const struct tk_fdtable *files,
		   const struct sockaddr_storage *name, socklen_t len, struct tk_unix_target *out)
{
	char text[PATH_MAX];
	struct tk_path path;
	int rc = parse(name, len, text);

	if (rc)
		return rc;
	if (!text[0])
		return abstract(ns->policy, TK_NET_CONNECT, name, len, out);
	rc = tk_path_resolve(ns, files, AT_FDCWD, text, 0, TK_MAY_WRITE, &path);
	if (rc)
		return rc;
	out->fd = open_object(&path);
	tk_path_done(&path);
	if (out->fd < 0)
		return out->fd;
	out->addr.sun_family = AF_UNIX;
	rc = snprintf(out->addr.sun_path, sizeof(out->addr.sun_path), "/proc/self/fd/%d", out->fd);
	out->len = (socklen_t)(PATH_AT + (size_t)rc + 1);
	return 0;
}

void tk_unix_done(struct tk_unix_target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	target->fd = -1;
}

/* The kernel applied the VMM's umask on top of the guest's; open it up again where that differs. */
static void fix_mode(int dirfd, const char *name, mode_t mode)
{
	int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[40];
	struct stat st;

	if (fd < 0)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!fstat(fd, &st) && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) != mode)
		(void)!chmod(self, mode);
	close(fd);
}

/* @dirfd is consumed. */
static void has_name(struct tk_sock *sock, int dirfd, const struct tk_unix_name *host)
{
	sock->bind_dir = dirfd;
	tk_budget_charge(sock->net->host_fds, 1);
	sock->host_local = *host;
	tk_list_add_tail(&sock->net->bound, &sock->bound);
}

static int bind_in(struct tk_sock *sock, int dirfd, const char *name, mode_t mode)
{
	struct tk_unix_name host = {.addr.sun_family = AF_UNIX};
	struct stat st;
	int fd, n;

	/* A second bind(2): the kernel makes the file first, and only then looks at the socket. */
	if (sock->bind_dir >= 0)
		return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) ? -EINVAL : -EADDRINUSE;
	if (!tk_budget_fits(sock->net->host_fds, 1))
		return -ENOMEM;
	fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	n = snprintf(host.addr.sun_path, sizeof(host.addr.sun_path), "/proc/self/fd/%d/%s", fd,
		     name);
	if ((size_t)n >= sizeof(host.addr.sun_path)) {
		close(fd);
		return -ENAMETOOLONG;
	}
	host.len = (socklen_t)(PATH_AT + (size_t)n + 1);
	/* Never more open than the guest asked, not even for a moment. */
	fchmod(sock->file.hostfd, mode);
	if (bind(sock->file.hostfd, (struct sockaddr *)&host.addr, host.len)) {
		n = -errno;
		close(fd);
		return n;
	}
	fix_mode(fd, name, mode);
	if (!fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		sock->bind_dev = st.st_dev;
		sock->bind_ino = st.st_ino;
	}
	has_name(sock, fd, &host);
	return 0;
}

/*
 * The path is taken: by a listening socket that the program is to have (see net->adopt)? The host's
 * address of that goes through a directory of the machine before, and is no path any more.
 */
static int adopt_in(struct tk_sock *sock, int dirfd, const char *name)
{
	struct tk_unix_name host = {.len = sizeof(host.addr)};
	struct stat st;
	int fd, rc;

	if (sock->gate || !tk_sock_is_stream(sock) || !sock->net->n_adopt ||
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = tk_gate_adopt_file(sock, st.st_dev, st.st_ino);
	if (rc <= 0 || getsockname(tk_sock_host(sock), (struct sockaddr *)&host.addr, &host.len)) {
		close(fd);
		return rc < 0 ? rc : -EADDRINUSE;
	}
	sock->bind_dev = st.st_dev;
	sock->bind_ino = st.st_ino;
	has_name(sock, fd, &host);
	return 0;
}

static int bind_path(struct tk_sock *sock, struct tk_ns *ns, const struct tk_fdtable *files,
		     const char *text)
{
	struct tk_path path;
	int rc = tk_path_resolve(ns, files, AT_FDCWD, text, TK_WALK_PARENT, TK_MAY_WRITE, &path);

	if (rc)
		return rc;
	if (path.last != TK_LAST_NORM || !path.name[0])
		rc = -EADDRINUSE;
	else if (path.want_dir)
		rc = -ENOENT;
	else if (path.dirfd < 0)
		rc = -EACCES;
	else
		rc = bind_in(sock, path.dirfd, path.name, 0777 & ~ns->umask);
	if (rc == -EADDRINUSE && sock->bind_dir < 0 && path.last == TK_LAST_NORM && path.name[0])
		rc = adopt_in(sock, path.dirfd, path.name);
	tk_path_done(&path);
	if (rc)
		return rc;
	sock->local.addr.sun_family = AF_UNIX;
	strcpy(sock->local.addr.sun_path, text);
	sock->local.len = (socklen_t)(PATH_AT + strlen(text) + 1);
	return 0;
}

int tk_unix_bind(struct tk_sock *sock, struct tk_ns *ns, const struct tk_fdtable *files,
		 const struct sockaddr_storage *name, socklen_t len)
{
	char text[PATH_MAX] = "";
	int rc = 0;

	if (sock->gate)
		return -EINVAL; /* it has a name */
	/* The family alone asks for an abstract name of the kernel's choice (unix(7), autobind). */
	if (len != PATH_AT || name->ss_family != AF_UNIX)
		rc = parse(name, len, text);
	if (rc)
		return rc;
	/* A last byte that is not NUL leaves no room for ours in the guest's own view. */
	if (text[0] && strlen(text) < sizeof(sock->local.addr.sun_path))
		return bind_path(sock, ns, files, text);
	if (text[0])
		return -ENAMETOOLONG;
	if (!tk_net_unrestricted(sock->policy, TK_NET_LISTEN))
		return -EACCES;
	rc = tk_gate_adopt(sock, name, len);
	if (rc)
		return rc < 0 ? rc : 0;
	return bind(sock->file.hostfd, (const struct sockaddr *)name, len) ? -errno : 0;
}

bool tk_unix_translate(const struct tk_net *net, struct sockaddr_storage *name, socklen_t *len)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)name;
	struct tk_sock *sock;

	if (*len <= PATH_AT || !un->sun_path[0])
		return false;
	tk_list_for_each (sock, &net->bound, bound) {
		if (strncmp(un->sun_path, sock->host_local.addr.sun_path, *len - PATH_AT))
			continue;
		memcpy(name, &sock->local.addr, sock->local.len);
		*len = sock->local.len;
		return true;
	}
	return false;
}
