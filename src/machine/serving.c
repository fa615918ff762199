/* SPDX-License-Identifier: MIT */
/*
 * Machines that serve connections (tinykvm/server.h): whether the program waits for one, what it
 * waits for otherwise and for how long, which sockets it listens on, and putting connections into
 * their queues.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "fs/epoll.h"
#include "fs/timerfd.h"
#include "machine/machine.h"
#include "net/gate.h"
#include "sys/paced.h"
#include "sys/sys.h"
#include "task/timer.h"
#include "tinykvm/server.h"

/* Epoll objects in epoll objects: Linux allows five. */
#define NESTING 5

static struct tk_sock *listening(struct tk_file *file)
{
	struct tk_sock *sock = file ? tk_sock_of(file) : NULL;

	return sock && sock->listening && tk_sock_is_stream(sock) ? sock : NULL;
}

/* The first descriptor of its file: what is counted must be counted once. */
static bool is_first(const struct tk_fdtable *files, unsigned int fd)
{
	for (unsigned int i = 0; i < fd; i++)
		if (files->fds[i].file == files->fds[fd].file)
			return false;
	return true;
}

static struct tk_sock *listener_at(const struct tkvm_machine *machine, unsigned int n)
{
	const struct tk_fdtable *files = &machine->proc.files;

	for (unsigned int fd = 0; fd < files->size; fd++) {
		struct tk_sock *sock = listening(files->fds[fd].file);

		if (sock && is_first(files, fd) && !n--)
			return sock;
	}
	return NULL;
}

static bool epoll_has_listener(struct tk_epoll *epoll, int depth)
{
	struct tk_epoll_item *item;

	tk_list_for_each (item, &epoll->items, link) {
		struct tk_epoll *inner = tk_epoll_of(item->file);

		if (listening(item->file) && item->events & EPOLLIN && !item->spent)
			return true;
		if (inner && depth && epoll_has_listener(inner, depth - 1))
			return true;
	}
	return false;
}

/* Would a connection make host descriptor @hostfd ready? */
static bool brings_connections(const struct tk_proc *proc, int hostfd)
{
	const struct tk_fdtable *files = &proc->files;

	for (unsigned int fd = 0; fd < files->size; fd++) {
		struct tk_file *file = files->fds[fd].file;

		if (!file || file->hostfd != hostfd)
			continue;
		if (listening(file))
			return true;
		if (tk_epoll_of(file) && epoll_has_listener(tk_epoll_of(file), NESTING))
			return true;
	}
	return false;
}

static bool waits_for_connections(const struct tk_task *task)
{
	for (unsigned int i = 0; i < task->wait.nfds; i++)
		if (task->wait.fds[i].events & POLLIN &&
		    brings_connections(task->proc, task->wait.fds[i].fd))
			return true;
	return false;
}

/* NULL: such a call is not about connections. */
static const char *kind_of_call(u64 nr)
{
	switch (nr) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		return "epoll";
	case SYS_poll:
	case SYS_ppoll:
		return "poll";
	case SYS_select:
	case SYS_pselect6:
		return "select";
	case SYS_accept:
	case SYS_accept4:
		return "accept";
	default:
		return NULL;
	}
}

int tkvm_machine_ready(struct tkvm_machine *machine, const char **call)
{
	const struct tk_task *task;
	const char *found = NULL;

	if (machine->phase != TK_PHASE_LOADED || machine->proc.stopped)
		return 0;
	tk_list_for_each (task, &machine->proc.tasks, link) {
		if (task->state == TK_TASK_DEAD)
			continue;
		if (task->state != TK_TASK_BLOCKED)
			return 0;
		if (!found && kind_of_call(task->nr) && waits_for_connections(task))
			found = kind_of_call(task->nr);
	}
	if (call && found)
		*call = found;
	return found != NULL;
}

static s64 earliest_timerfd(const struct tk_fdtable *files)
{
	struct itimerspec left;
	s64 when = TK_FOREVER;

	for (unsigned int fd = 0; fd < files->size; fd++) {
		struct tk_file *file = files->fds[fd].file;

		if (!file || !tk_is_timerfd(file) || tk_timerfd_gettime(file, &left) ||
		    (!left.it_value.tv_sec && !left.it_value.tv_nsec))
			continue;
		when = TK_MIN(when, tk_later(tk_now_ns(), tk_timespec_ns(&left.it_value)));
	}
	return when;
}

uint64_t tkvm_machine_rest(struct tkvm_machine *machine)
{
	struct tk_proc *proc = &machine->proc;
	const struct tk_task *task;
	s64 when, now;

	if (machine->phase != TK_PHASE_LOADED)
		return 0;
	when = TK_MIN(tk_timers_deadline(proc), earliest_timerfd(&proc->files));
	tk_list_for_each (task, &proc->tasks, link) {
		if (task->state == TK_TASK_RUNNABLE)
			return 0;
		if (task->state == TK_TASK_BLOCKED)
			when = TK_MIN(when, tk_own_deadline(task));
	}
	if (when == TK_FOREVER)
		return UINT64_MAX;
	now = tk_now_ns();
	return when > now ? (uint64_t)(when - now) : 0;
}

static void describe(const struct tk_task *task, char *text, size_t size)
{
	const char *name = tk_syscall_name(task->nr);

	if (task->proc->stopped)
		snprintf(text, size, "is stopped");
	else if (task->state != TK_TASK_BLOCKED)
		snprintf(text, size, "runs");
	else
		snprintf(text, size, "waits in %s", name ? name : "an unknown call");
}

void tkvm_machine_threads(struct tkvm_machine *machine,
			  void (*fn)(void *ctx, int tid, const char *name, const char *doing),
			  void *ctx)
{
	const struct tk_task *task;
	char text[64];

	tk_list_for_each (task, &machine->proc.tasks, link) {
		if (task->state == TK_TASK_DEAD)
			continue;
		describe(task, text, sizeof(text));
		fn(ctx, task->tid, task->comm, text);
	}
}

unsigned int tkvm_machine_connections(struct tkvm_machine *machine)
{
	const struct tk_fdtable *files = &machine->proc.files;
	unsigned int n = 0;

	for (unsigned int fd = 0; fd < files->size; fd++) {
		struct tk_file *file = files->fds[fd].file;
		struct tk_sock *sock = file ? tk_sock_of(file) : NULL;

		n += sock && sock->accepted && is_first(files, fd);
	}
	return n;
}

int tkvm_machine_listener(struct tkvm_machine *machine, unsigned int n,
			  struct tkvm_listener *listener)
{
	struct tk_sock *sock = listener_at(machine, n);

	if (listener->size != sizeof(*listener))
		return -EINVAL;
	if (!sock)
		return -ENOENT;
	listener->fd = tk_sock_host(sock);
	listener->dev = sock->bind_dev;
	listener->ino = sock->bind_ino;
	listener->addr = (struct sockaddr_storage){0};
	listener->addr_len = sizeof(listener->addr);
	if (getsockname(listener->fd, (struct sockaddr *)&listener->addr, &listener->addr_len))
		return -errno;
	return 0;
}

int tkvm_machine_offer(struct tkvm_machine *machine, unsigned int n, int fd,
		       const struct tkvm_connection_ops *ops, void *ctx)
{
	struct tk_sock *sock = listener_at(machine, n);

	if (!ops || ops->size != sizeof(*ops))
		return -EINVAL;
	if (!sock)
		return -ENOENT;
	return sock->gate ? tk_gate_offer(sock, fd, ops, ctx) : -EINVAL;
}
