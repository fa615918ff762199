/* SPDX-License-Identifier: MIT */
/*
 * A process with a connection that is offered to it, and the fast path's pages, for tests and
 * fuzzing of what the fast path gives and replays.
 */
#ifndef FAST_RIG_H
#define FAST_RIG_H

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "loopback.h"
#include "machine/fast.h"
#include "net/gate.h"
#include "sysproc.h"

/* What the client has sent. */
#define FAST_TEXT "GET / HTTP/1.1\r\nHost: fuzz\r\n\r\n"

static u8 fast_shim[TK_SHIM_SIZE] __attribute__((aligned(4096)));
static u8 fast_given[TK_GIVEN_SIZE] __attribute__((aligned(4096)));

struct fast_rig {
	struct fakeproc fake;
	struct tk_fast fast;
	struct tk_file *tmpl;
	int listener, epoll, theirs, ours; /* ours: the host's socket of the connection */
	int offered, accepted, shut, released;
	size_t told; /* bytes that were sent, as who follows it knows */

	/* While it is being replayed that the connection was accepted; what was sent early is out.
	 */
	void (*meanwhile)(struct fast_rig *rig);
};

static void fast_on_accepted(void *ctx)
{
	struct fast_rig *rig = ctx;

	rig->accepted++;
	if (rig->meanwhile)
		rig->meanwhile(rig);
}

static void fast_on_shut(void *ctx, int how)
{
	((struct fast_rig *)ctx)->shut++;
}

static void fast_on_sent(void *ctx, const struct iovec *iov, int n, size_t len, unsigned int how)
{
	((struct fast_rig *)ctx)->told += len;
}

static void fast_on_released(void *ctx, int fd, enum tkvm_release how)
{
	((struct fast_rig *)ctx)->released++;
	close(fd);
}

static const struct tkvm_connection_ops fast_ops = {
	.size = sizeof(fast_ops),
	.accepted = fast_on_accepted,
	.sent = fast_on_sent,
	.shut = fast_on_shut,
	.released = fast_on_released,
};

static inline void fast_offer(struct fast_rig *rig)
{
	struct tk_sock *gate = tk_sock_of(tk_fd_get(&rig->fake.proc.files, (u64)rig->listener));
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd;

	tk_assert(!getsockname(tk_sock_host(gate), (struct sockaddr *)&addr, &len));
	rig->theirs = socket(gate->family, SOCK_STREAM, 0);
	tk_assert(!loopback_connect(rig->theirs, (struct sockaddr *)&addr, len));
	fd = loopback_accept(tk_sock_host(gate));
	tk_assert(fd >= 0 && write(rig->theirs, FAST_TEXT, sizeof(FAST_TEXT) - 1) > 0);
	tk_assert(!tk_gate_offer(gate, fd, &fast_ops, rig));
	rig->ours = fd;
	rig->offered++;
}

/* The listening socket's: a port of the host's choice, or an abstract name. */
static inline int fast_real_listener(int family)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	addr.sin_family = (sa_family_t)family;
	tk_assert(!bind(fd, (struct sockaddr *)&addr,
			family == AF_INET ? sizeof(addr) : sizeof(addr.sin_family)));
	tk_assert(!listen(fd, 8));
	return fd;
}

/* @family: AF_INET, AF_UNIX. */
static inline void fast_begin(struct fast_rig *rig, int family)
{
	struct fakeproc *fake = &rig->fake;
	struct epoll_event event = {.events = EPOLLIN};
	struct tk_file *file;

	tk_policy_init(&fake->policy);
	tk_assert(!tk_policy_allow_net(&fake->policy, NULL, TK_NET_LISTEN, NULL));
	fake_start(fake, "/");
	tk_assert(!tk_sock_new(&rig->tmpl, &fake->proc.net, &fake->policy,
			       fast_real_listener(family), family, SOCK_STREAM, 0, O_NONBLOCK));
	tk_sock_of(rig->tmpl)->listening = true;
	tk_assert(!tk_gate_new(&file, tk_sock_of(rig->tmpl), &fake->proc.net, &fake->policy));
	rig->listener = tk_fd_install(&fake->proc.files, file, 0, false);
	rig->epoll = (int)fake_call(fake, SYS_epoll_create1, 0, 0, 0, 0, 0, 0);
	tk_assert(!tk_epoll_ctl(tk_epoll_of(tk_fd_get(&fake->proc.files, (u64)rig->epoll)),
				EPOLL_CTL_ADD, (u32)rig->listener, file, &event));
	memset(fast_given, 0, sizeof(fast_given));
	memset(fast_shim, 0, sizeof(fast_shim));
	rig->fast = (struct tk_fast){
		.given = (struct tk_given *)(void *)fast_given,
		.record = (struct tk_record *)(void *)(fast_shim + TK_RECORD_AT),
		.shim = (struct tk_shim_page *)(void *)fast_shim,
		.in = fast_given + TK_GIVEN_IN,
		.out = fast_shim + TK_OUT_AT,
	};
	fast_offer(rig);
}

static u64 fast_no_time(void *ctx)
{
	return 0;
}

/* False: there is nothing that could be given. */
static inline bool fast_give(struct fast_rig *rig)
{
	static const struct tk_clock still = {.source = {.tsc = fast_no_time}, .mono = {.rate = 1}};

	tk_fast_give(&rig->fast, rig->fake.task, &still);
	rig->fake.proc.stats.exits++; /* as by the run that follows */
	return rig->fast.given->on;
}

/* The client's end stays open. */
static inline void fast_end(struct fast_rig *rig)
{
	fake_end(&rig->fake);
	tk_file_put(rig->tmpl);
	tk_assert(rig->released == rig->offered);
}

#endif
