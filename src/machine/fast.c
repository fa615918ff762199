/* SPDX-License-Identifier: MIT */
/*
 * What the fast path is given. Invariant: from tk_fast_give() to tk_fast_settle() there is one run
 * of one vCPU and nothing else, so what is given stays as it is but for what the guest itself does
 * (which is on record), and for what arrives from outside, which then has arrived a little later.
 *
 * Anything that is not as simple as usual (two connections, two registrations) is not given: the
 * calls about it leave the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fs/fdtable.h"
#include "machine/fast.h"
#include "machine/replay.h"
#include "net/gate.h"
#include "net/opts.h"
#include "sys/sys.h"
#include "tinykvm/server.h"

#define MAX_BUDGET TK_MIB(1)

void tk_fast_init(struct tk_fast *fast, struct tk_vm *vm)
{
	u8 *shim = (u8 *)tk_vm_shim(vm);

	*fast = (struct tk_fast){.given = tk_vm_given(vm)};
	if (!fast->given)
		return;
	fast->record = (struct tk_record *)(void *)(shim + TK_RECORD_AT);
	fast->shim = tk_vm_shim(vm);
	fast->in = (u8 *)fast->given + TK_GIVEN_IN;
	fast->out = shim + TK_OUT_AT;
}

/* A listening socket. False: not as simple as usual. */
static bool see_gate(struct tk_fast *fast, struct tk_sock *sock, unsigned int fd)
{
	struct tk_follow follow;
	unsigned int n;
	int offered;

	if (tk_gate_is_shut(sock))
		return true;
	n = tk_gate_first(sock, &follow, &offered);
	if (!n && sock->file.flags & O_NONBLOCK)
		fast->given->class[fd] = TK_FAST_IDLE;
	if (!n)
		return true;
	if (n > 1 || (fast->listener && fast->listener != sock))
		return false;
	fast->listener = sock;
	fast->given->class[fd] = TK_FAST_LISTENER;
	return true;
}

/* The connection that was accepted, if it is one. */
static bool see_conn(struct tk_fast *fast, struct tk_sock *sock, unsigned int fd)
{
	if (!sock->follow.ops)
		return true;
	if (fast->conn && fast->conn != sock)
		return false;
	fast->conn = sock;
	fast->given->conn_fd = fd;
	return true;
}

/* Which connection it is about. False: none, or several. */
static bool find_conn(struct tk_fast *fast, const struct tk_fdtable *files)
{
	unsigned int size = TK_MIN(files->size, (unsigned int)TK_FAST_FDS);

	fast->listener = fast->conn = NULL;
	fast->epoll = NULL;
	memset(fast->given->class, TK_FAST_OTHER, sizeof(fast->given->class));
	for (unsigned int fd = 0; fd < size; fd++) {
		struct tk_file *file = files->fds[fd].file;
		struct tk_sock *sock = file ? tk_sock_of(file) : NULL;

		if (sock && !(sock->gate ? see_gate(fast, sock, fd) : see_conn(fast, sock, fd)))
			return false;
	}
	return !fast->listener != !fast->conn;
}

static bool is_plain(const struct tk_epoll_item *item)
{
	return !(item->events & EPOLLEXCLUSIVE) && (!item->idle || item->events & EPOLLONESHOT);
}

/* The epoll object that watches the connection, or else the first that watches a listener. */
static struct tk_epoll *find_epoll(const struct tk_fast *fast, const struct tk_fdtable *files)
{
	const struct tk_epoll_item *item;

	if (fast->listener)
		return fast->listener->file.watches ? fast->listener->file.watches->epoll : NULL;
	item = fast->conn->file.watches;
	if (item)
		return is_plain(item) && !item->next && item->fd == fast->given->conn_fd
			       ? item->epoll
			       : NULL;
	for (unsigned int fd = 0; fd < TK_MIN(files->size, (unsigned int)TK_FAST_FDS); fd++) {
		const struct tk_file *file = files->fds[fd].file;

		if (file && fast->given->class[fd] == TK_FAST_IDLE && file->watches)
			return file->watches->epoll;
	}
	return NULL;
}

static void give_epoll(struct tk_fast *fast, const struct tk_proc *proc)
{
	const struct tk_fdtable *files = &proc->files;
	struct tk_given *given = fast->given;
	struct tk_epoll *epoll = find_epoll(fast, files);
	struct pollfd fd = {.events = POLLIN};

	bool plain = given->may_tell;

	fast->epoll = epoll;
	given->quiet = given->may_tell = 0;
	if (epoll && fast->listener)
		given->quiet =
			epoll->alone == &fast->listener->file && epoll->run == proc->stats.exits;
	if (!epoll)
		return;
	for (unsigned int i = 0; i < TK_MIN(files->size, (unsigned int)TK_FAST_FDS); i++)
		if (files->fds[i].file == &epoll->file)
			given->class[i] = TK_FAST_EPOLL;
	/* Of two looks the second would find the listener, too: what the first found is above. */
	if (fast->conn) {
		fd.fd = epoll->file.hostfd;
		given->quiet = !poll(&fd, 1, 0);
	}
	given->quiet = given->quiet && plain;
	/* What else is ready has its turn by the next collection: told twice, the first is all. */
	given->may_tell = plain && !epoll->partly;
}

/*
 * How much can be sent without the host refusing, and with room for more left to be told of: it
 * counts more than the bytes. Unix sockets have room up to a quarter of the buffer, and may count
 * twice as much as was sent.
 */
static u32 budget_of(int hostfd, bool tcp)
{
	socklen_t len = sizeof(int);
	int size = 0, queued = 0;

	if (getsockopt(hostfd, SOL_SOCKET, SO_SNDBUF, &size, &len) ||
	    ioctl(hostfd, SIOCOUTQ, &queued) || queued || size < 0)
		return 0;
	return TK_MIN((u32)size / (tcp ? 2 : 8), (u32)MAX_BUDGET);
}

static u8 name_of(int hostfd, int (*get)(int, struct sockaddr *, socklen_t *), u8 *to)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	if (get(hostfd, (struct sockaddr *)&name, &len) || len > TK_FAST_NAME)
		return 0;
	memcpy(to, &name, len);
	return (u8)len;
}

static int get_peer(int fd, struct sockaddr *name, socklen_t *len)
{
	return getpeername(fd, name, len);
}

static int get_local(int fd, struct sockaddr *name, socklen_t *len)
{
	return getsockname(fd, name, len);
}

/* What had been received when @n bytes of it were seen, or just behind that. */
static u32 all_of(int hostfd, u32 n)
{
	int there = 0;

	return !ioctl(hostfd, FIONREAD, &there) && there > (int)n ? (u32)there : n;
}

/*
 * What has been received. Of what is held back the guest gets nothing, and "no more than that" it
 * is not told then: it has to ask, so that the rest is hidden from epoll(7) as well (net/follow.c).
 * Nor if there is something behind the bytes, the end or a byte out of band, at which MSG_PEEK
 * stops.
 */
static void give_input(struct tk_fast *fast, const struct tk_follow *follow, int hostfd, int events)
{
	struct tk_given *given = fast->given;
	size_t may = TK_IN_SIZE - 1;
	ssize_t n = 0;

	given->in_len = 0;
	given->in_all = !events && (!fast->conn || fast->conn->rcvlowat == 1);
	if (!(events & POLLIN) ||
	    (fast->conn && (fast->conn == fast->drained || fast->conn->rcvlowat != 1)))
		return;
	if (follow->ops->input)
		may = TK_MIN(follow->ops->input(follow->ctx, hostfd, may), may);
	if (may)
		n = recv(hostfd, fast->in, may + 1, MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return;
	given->in_all = (size_t)n <= may && !(events & (POLLRDHUP | POLLPRI));
	given->in_len = (u32)TK_MIN((size_t)n, may);
	fast->in_there = (size_t)n <= may ? (u32)n : all_of(hostfd, (u32)n);
	fast->in[given->in_len] = 0;
	fast->used = TK_MAX(fast->used, (u32)n);
}

/* The connection itself. False: there is nothing to be said of it. */
static bool give_conn(struct tk_fast *fast, const struct tk_fdtable *files)
{
	const struct tk_sock *sock = fast->conn ? fast->conn : fast->listener;
	struct tk_follow follow = sock->follow;
	struct tk_given *given = fast->given;
	struct pollfd state = {.events = POLLIN | POLLPRI | POLLRDHUP};
	int hostfd = sock->file.hostfd;

	if (fast->listener) {
		int fd = tk_fd_next(files);

		tk_gate_first(sock, &follow, &hostfd);
		if (fd < 0 || sock->rcvlowat != 1 || !tk_sock_fits(sock, hostfd))
			return false;
		given->conn_fd = (u32)fd;
	}
	/* Other flags the shim does not know. */
	if (fast->conn && fast->conn->file.flags & ~(O_RDWR | O_NONBLOCK))
		return false;
	state.fd = hostfd;
	/* An error is the program's to find, and recv(2) would take it. */
	if (poll(&state, 1, 0) < 0 || state.revents & (POLLERR | POLLHUP))
		return false;
	given->tcp = sock->family == AF_INET || sock->family == AF_INET6;
	given->plain = given->tcp && !tk_opts_stamp(sock);
	given->may_close = !fast->conn || fast->conn->file.refs == 1;
	given->accept_waits = !(sock->file.flags & O_NONBLOCK);
	given->peer_len = given->tcp ? name_of(hostfd, get_peer, given->peer) : 0;
	given->local_len = given->tcp ? name_of(hostfd, get_local, given->local) : 0;
	given->budget = budget_of(hostfd, given->tcp);
	/*
	 * The end and what is urgent only the host tells: the program may know of it by poll(2).
	 * Behind an urgent byte that was read may be more, which nothing tells of.
	 */
	if (fast->conn && fast->conn->marked)
		state.revents |= POLLPRI;
	given->may_tell = !(state.revents & (POLLRDHUP | POLLPRI));
	give_input(fast, &follow, hostfd, state.revents);
	return true;
}

static void give_state(struct tk_fast *fast)
{
	const struct tk_sock *conn = fast->conn;
	const struct tk_epoll_item *item = conn && fast->epoll ? conn->file.watches : NULL;
	struct tk_fast_state *state = &fast->given->state;

	*state = (struct tk_fast_state){.conn = conn ? TK_CONN_OPEN : TK_CONN_OFFERED};
	if (!conn)
		return;
	state->nonblock = (conn->file.flags & O_NONBLOCK) != 0;
	state->shut = conn->shut;
	if (!item)
		return;
	state->registered = 1;
	state->events = item->events;
	state->data = item->data;
	state->armed = item->events & EPOLLONESHOT && !item->spent;
}

/* What the program is, apart from all that. */
static void give_program(struct tk_given *given, struct tk_task *task)
{
	const struct tk_proc *proc = task->proc;

	given->alone = proc->n_tasks == 1;
	given->n_fds = TK_MAX((proc->files.size + 63) & ~63u, 64u);
	given->fd_limit = proc->files.limit;
	given->ids[TK_FAST_PID] = (u32)proc->pid;
	given->ids[TK_FAST_TID] = (u32)task->tid;
	given->ids[TK_FAST_PPID] = (u32)tk_sys_getppid(task, NULL);
	given->ids[TK_FAST_UID] = proc->cred.uid;
	given->ids[TK_FAST_EUID] = proc->cred.euid;
	given->ids[TK_FAST_GID] = proc->cred.gid;
	given->ids[TK_FAST_EGID] = proc->cred.egid;
}

void tk_fast_give(struct tk_fast *fast, struct tk_task *task, const struct tk_clock *clock)
{
	struct tk_proc *proc = task->proc;
	const struct tk_fdtable *files = &proc->files;

	if (!fast->given || !proc->net.n_gates)
		return;
	if (!find_conn(fast, files) || !give_conn(fast, files))
		return;
	give_epoll(fast, proc);
	give_state(fast);
	give_program(fast->given, task);
	tk_fast_give_file(fast, proc, clock);
	fast->record->count = fast->shim->undo = 0;
	fast->given->on = 1;
}

/*
 * A call that changes what it was passed was stopped before it had happened, or just may have been:
 * it is made once more, so all is to be as it was. Wherever the program says that this is, it could
 * write there itself.
 */
static void undo(struct tk_fast *fast, struct tk_proc *proc, u32 count)
{
	u64 addr = __atomic_load_n(&fast->shim->undo, __ATOMIC_RELAXED), old = fast->shim->old;

	if (addr && (u32)fast->shim->next != count)
		(void)!tk_copy_out(proc->mm, addr, &old, sizeof(old));
}

static void forget_given(struct tk_fast *fast)
{
	fast->listener = fast->conn = NULL;
	fast->epoll = NULL;
	fast->file = NULL;
}

int tk_fast_settle(struct tk_fast *fast, struct tk_proc *proc)
{
	struct tk_fast_entry entries[TK_FAST_CALLS];
	u32 count;
	int rc = 0;

	if (!fast->given || !fast->given->on)
		return 0;
	fast->given->on = 0;
	count = __atomic_load_n(&fast->record->count, __ATOMIC_RELAXED);
	undo(fast, proc, count);
	if (count > TK_FAST_CALLS) {
		rc = -EPROTO;
	} else if (count) {
		memcpy(entries, fast->record->entries, count * sizeof(*entries));
		rc = tk_replay(fast, proc, entries, count);
	}
	forget_given(fast);
	return rc;
}

void tk_fast_reset(struct tk_fast *fast)
{
	if (!fast->given)
		return;
	memset(fast->given, 0, sizeof(*fast->given));
	memset(fast->in, 0, fast->used);
	memset((u8 *)fast->given + TK_GIVEN_FILE, 0, fast->file_used);
	fast->used = fast->file_used = 0;
	fast->opened = false;
	fast->opened_fd = 0;
	fast->drained = NULL;
	forget_given(fast);
}
