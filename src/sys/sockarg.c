/* SPDX-License-Identifier: MIT */
/* Arguments, addresses and waiting of the socket system calls, see sock.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "sys/paced.h"
#include "sys/sock.h"

int tk_arg_sock(struct tk_task *task, u64 fd, struct tk_sock **sock)
{
	struct tk_file *file;
	int rc = tk_arg_file(task, (u32)fd, &file);

	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	*sock = tk_sock_of(file);
	return *sock ? 0 : -ENOTSOCK;
}

int tk_addr_in(struct tk_task *task, gva_t addr, int len, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (len < 0 || (size_t)len > sizeof(*out))
		return -EINVAL;
	return tk_copy_in(task->proc->mm, out, addr, (size_t)len);
}

int tk_addr_out(struct tk_task *task, const struct sockaddr_storage *name, socklen_t len,
		gva_t addr, gva_t lenp)
{
	struct tk_mm *mm = task->proc->mm;
	int room;

	if (!addr)
		return 0;
	if (tk_copy_in(mm, &room, lenp, sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	room = TK_MIN(room, (int)len);
	room = TK_MIN(room, (int)sizeof(*name));
	if (tk_copy_out(mm, addr, name, (size_t)room))
		return -EFAULT;
	return tk_copy_out(mm, lenp, &len, sizeof(len));
}

long tk_sock_wait(struct tk_task *task, struct tk_sock *sock, short events)
{
	int opt = events & POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO;
	s64 rel = tk_sock_timeout(sock, opt);
	s64 deadline = tk_paced_deadline(task, rel);

	if (tk_paced_expired(task, deadline))
		return -EAGAIN;
	tk_block_restart(task, rel == TK_FOREVER ? TK_RESTART_SYS : TK_RESTART_NEVER);
	/* Ready may mean nothing: the full queue is a peer's, or an unread error is up. */
	return tk_block_ready(task, sock->file.hostfd, events, deadline);
}

long tk_file_wait(struct tk_task *task, struct tk_file *file, short events)
{
	struct tk_sock *sock = tk_sock_of(file);

	if (sock)
		return tk_sock_wait(task, sock, events);
	return tk_block_ready(task, file->hostfd, events, TK_FOREVER);
}

void tk_raise_sigpipe(struct tk_task *task, struct tk_file *file)
{
	struct tk_sock *sock = tk_sock_of(file);
	struct tk_siginfo info;

	if (sock && !tk_sock_is_stream(sock))
		return;
	info = tk_siginfo_user(SIGPIPE, SI_USER, task->proc->pid, task->proc->cred.uid);
	tk_signal_task(task, &info);
}

bool tk_sock_nonblocking(const struct tk_sock *sock, int flags)
{
	return (sock->file.flags & O_NONBLOCK) || (flags & MSG_DONTWAIT);
}

struct tk_net_ids tk_net_ids_of(const struct tk_task *task)
{
	const struct tk_cred *cred = &task->proc->cred;

	return (struct tk_net_ids){
		.pid = task->proc->pid,
		.uid = cred->uid,
		.euid = cred->euid,
		.suid = cred->suid,
		.gid = cred->gid,
		.egid = cred->egid,
		.sgid = cred->sgid,
	};
}
