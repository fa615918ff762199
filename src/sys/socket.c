/* SPDX-License-Identifier: MIT */
/*
 * Making, naming and connecting sockets: socket(2), socketpair(2), bind(2), listen(2), accept(2),
 * connect(2), getsockname(2), getpeername(2), shutdown(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "net/addr.h"
#include "net/follow.h"
#include "net/gate.h"
#include "net/unix.h"
#include "sys/newfd.h"
#include "sys/sock.h"

#define TYPE_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

/* The host socket of a guest's new one. */
static int host_socket(struct tk_task *task, int family, int type, int protocol)
{
	int rc = tk_sock_check(task->proc->policy, family, type, protocol);

	if (rc)
		return rc;
	rc = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	return rc < 0 ? -errno : rc;
}

static int wrap(struct tk_task *task, int hostfd, const struct tk_sock *like, int flags,
		struct tk_file **ret)
{
	struct tk_proc *proc = task->proc;

	return tk_sock_new(ret, &proc->net, proc->policy, hostfd, like->family, like->type,
			   like->protocol, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
}

long tk_sys_socket(struct tk_task *task, const u64 a[6])
{
	int flags = (int)a[1] & ~0xf, fd, rc;
	struct tk_sock kind = {.family = (int)a[0], .type = (int)a[1] & 0xf, .protocol = (int)a[2]};
	struct tk_file *file;

	if (flags & ~TYPE_FLAGS)
		return -EINVAL;
	fd = host_socket(task, kind.family, kind.type, kind.protocol);
	if (fd < 0)
		return fd;
	rc = wrap(task, fd, &kind, flags, &file);
	if (rc)
		return rc;
	return tk_fd_install_or_put(&task->proc->files, file, flags & SOCK_CLOEXEC);
}

static int wrap_pair(struct tk_task *task, const int fds[2], const struct tk_sock *kind, int flags,
		     struct tk_file *files[2])
{
	int rc = wrap(task, fds[0], kind, flags, &files[0]);

	if (rc) {
		close(fds[1]);
		return rc;
	}
	rc = wrap(task, fds[1], kind, flags, &files[1]);
	if (rc) {
		tk_file_put(files[0]);
		return rc;
	}
	tk_sock_of(files[0])->pair = tk_sock_of(files[1])->pair = true;
	tk_file_join(files[0], files[1]);
	return 0;
}

long tk_sys_socketpair(struct tk_task *task, const u64 a[6])
{
	int flags = (int)a[1] & ~0xf, fds[2], rc;
	struct tk_sock kind = {.family = (int)a[0], .type = (int)a[1] & 0xf, .protocol = (int)a[2]};
	struct tk_file *files[2];

	if (flags & ~TYPE_FLAGS)
		return -EINVAL;
	rc = tk_sock_check(task->proc->policy, kind.family, kind.type, kind.protocol);
	if (rc)
		return rc;
	if (kind.family != AF_UNIX)
		return -EOPNOTSUPP;
	if (socketpair(kind.family, kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, kind.protocol, fds))
		return -errno;
	rc = wrap_pair(task, fds, &kind, flags, files);
	return rc ? rc : tk_new_fd_pair(task, files, flags & SOCK_CLOEXEC, a[3]);
}

long tk_sys_bind(struct tk_task *task, const u64 a[6])
{
	struct sockaddr_storage addr;
	socklen_t len = (socklen_t)a[2];
	struct tk_proc *proc = task->proc;
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	if (!rc)
		rc = tk_addr_in(task, a[1], (int)a[2], &addr);
	if (rc)
		return rc;
	if (sock->family == AF_UNIX)
		return tk_unix_bind(sock, &proc->ns, &proc->files, &addr, len);
	rc = tk_addr_check(sock, TK_ADDR_BIND, &addr, &len);
	if (rc)
		return rc;
	rc = tk_gate_adopt(sock, &addr, len);
	if (rc)
		return rc < 0 ? rc : 0;
	return bind(tk_sock_host(sock), (struct sockaddr *)&addr, len) ? -errno : 0;
}

long tk_sys_listen(struct tk_task *task, const u64 a[6])
{
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	if (!rc && tk_sock_is_stream(sock))
		rc = tk_addr_check_listen(sock);
	if (rc)
		return rc;
	if (sock->gate && !tk_gate_is_own(sock->gate))
		return 0; /* it listens; the backlog is shared with others */
	if (listen(tk_sock_host(sock), (int)a[1]))
		return -errno;
	sock->listening = true;
	sock->backlog = (int)a[1];
	if (task->proc->net.gated && !sock->gate && tk_sock_is_stream(sock))
		return tk_gate_make(sock);
	return 0;
}

/* Fill in an accepted connection, tell its address, give it a descriptor. */
static long accepted(struct tk_task *task, const struct tk_sock *sock, struct tk_file *file,
		     int flags, const u64 a[6], struct sockaddr_storage *name, socklen_t len)
{
	long rc;

	if (sock->family == AF_UNIX)
		tk_unix_translate(&task->proc->net, name, &len);
	rc = tk_addr_out(task, name, len, a[1], a[2]);
	if (rc) {
		tk_file_put(file);
		return rc;
	}
	return tk_fd_install_or_put(&task->proc->files, file, flags & SOCK_CLOEXEC);
}

/* A connection, from the host or from who offers them; the address of the other end. */
static int take_connection(struct tk_task *task, struct tk_sock *sock, int flags,
			   struct tk_file **file, struct sockaddr_storage *name, socklen_t *len)
{
	int rc, fd;

	if (sock->gate) {
		rc = tk_gate_accept(sock, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0, file);
		if (!rc && getpeername((*file)->hostfd, (struct sockaddr *)name, len))
			*len = 0; /* it is gone already */
		return rc;
	}
	fd = accept4(sock->file.hostfd, (struct sockaddr *)name, len, TYPE_FLAGS);
	rc = fd < 0 ? -errno : wrap(task, fd, sock, flags, file);
	if (!rc)
		tk_sock_inherit(tk_sock_of(*file), sock);
	return rc;
}

static long do_accept(struct tk_task *task, const u64 a[6], int flags)
{
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof(name);
	struct tk_sock *sock;
	struct tk_file *file;
	int rc;

	if (flags & ~TYPE_FLAGS)
		return -EINVAL;
	rc = tk_arg_sock(task, a[0], &sock);
	if (rc)
		return rc;
	if (tk_fds_full(task))
		return -EMFILE;
	rc = take_connection(task, sock, flags, &file, &name, &len);
	if (!rc)
		return accepted(task, sock, file, flags, a, &name, len);
	if (rc != -EAGAIN || tk_sock_nonblocking(sock, 0))
		return rc;
	return tk_sock_wait(task, sock, POLLIN);
}

long tk_sys_accept(struct tk_task *task, const u64 a[6])
{
	return do_accept(task, a, 0);
}

long tk_sys_accept4(struct tk_task *task, const u64 a[6])
{
	return do_accept(task, a, (int)a[3]);
}

static int connect_unix(struct tk_task *task, struct tk_sock *sock,
			const struct sockaddr_storage *addr, socklen_t len)
{
	struct tk_proc *proc = task->proc;
	struct tk_unix_target target;
	int rc = tk_unix_lookup(&proc->ns, &proc->files, addr, len, &target);

	if (rc)
		return rc;
	if (connect(sock->file.hostfd, (struct sockaddr *)&target.addr, target.len))
		rc = -errno;
	tk_unix_done(&target);
	if (rc)
		return rc;
	sock->peer.len = len;
	memcpy(&sock->peer.addr, addr, len);
	/* getpeername(2) tells paths with their NUL and nothing after it. */
	if (sock->peer.addr.sun_path[0])
		sock->peer.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					     strnlen(sock->peer.addr.sun_path,
						     sizeof(sock->peer.addr.sun_path) - 1) +
					     1);
	return 0;
}

/* One try, on the checked copy of the address. */
static int try_connect(struct tk_task *task, struct tk_sock *sock, struct sockaddr_storage *addr,
		       socklen_t len)
{
	int rc;

	if (sock->gate)
		return sock->family == AF_UNIX ? -EINVAL : -EISCONN;
	if (sock->family == AF_UNIX && (len < 2 || addr->ss_family != AF_UNSPEC))
		return connect_unix(task, sock, addr, len);
	if (sock->family == AF_UNIX) {
		sock->peer.len = 0;
	} else {
		rc = tk_addr_check(sock, TK_ADDR_CONNECT, addr, &len);
		if (rc)
			return rc;
	}
	return connect(sock->file.hostfd, (struct sockaddr *)addr, len) ? -errno : 0;
}

/*
 * A blocking connect is repeated until it succeeds: on a socket that is connecting, connect(2)
 * answers EALREADY, then once the outcome, whichever it is.
 */
long tk_sys_connect(struct tk_task *task, const u64 a[6])
{
	struct sockaddr_storage addr;
	struct tk_sock *sock;
	long rc = tk_arg_sock(task, a[0], &sock);
	bool under_way;

	if (!rc)
		rc = tk_addr_in(task, a[1], (int)a[2], &addr);
	if (!rc)
		rc = try_connect(task, sock, &addr, (socklen_t)a[2]);
	under_way = rc == -EINPROGRESS || rc == -EALREADY;
	if ((!under_way && rc != -EAGAIN) || tk_sock_nonblocking(sock, 0))
		return rc;
	rc = tk_sock_wait(task, sock, POLLOUT);
	return rc == -EAGAIN && under_way ? -EINPROGRESS : rc;
}

typedef int name_fn(int fd, struct sockaddr *addr, socklen_t *len);

/* A unix address that is not one of the guest's own is told in the words it used for it. */
static long tell_name(struct tk_task *task, const u64 a[6], name_fn *ask, bool peer)
{
	struct sockaddr_storage name = {0};
	socklen_t len = sizeof(name);
	const struct tk_unix_name *own;
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	if (rc)
		return rc;
	if (ask(tk_sock_host(sock), (struct sockaddr *)&name, &len))
		return -errno;
	own = peer ? &sock->peer : &sock->local;
	if (sock->family == AF_UNIX && !tk_unix_translate(&task->proc->net, &name, &len) &&
	    own->len) {
		memset(&name, 0, sizeof(name));
		memcpy(&name, &own->addr, own->len);
		len = own->len;
	}
	/* Unlike elsewhere, a NULL address is a fault here. */
	if (!a[1] && len)
		return -EFAULT;
	return tk_addr_out(task, &name, len, a[1], a[2]);
}

long tk_sys_getsockname(struct tk_task *task, const u64 a[6])
{
	return tell_name(task, a, getsockname, false);
}

long tk_sys_getpeername(struct tk_task *task, const u64 a[6])
{
	return tell_name(task, a, getpeername, true);
}

/* The host's socket is shared with other forks: it goes on listening. */
static long shut_gate(struct tk_sock *sock, int how)
{
	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	if (how != SHUT_WR)
		tk_gate_shut(sock);
	return 0;
}

long tk_sys_shutdown(struct tk_task *task, const u64 a[6])
{
	struct tk_sock *sock;
	int rc = tk_arg_sock(task, a[0], &sock);

	if (rc)
		return rc;
	if (sock->gate)
		return shut_gate(sock, (int)a[1]);
	return tk_sock_shutdown(sock, (int)a[1]);
}
