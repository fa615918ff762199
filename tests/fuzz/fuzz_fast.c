/* SPDX-License-Identifier: MIT */
/*
 * What a hostile program may put on the fast path's record, replayed. The input's first byte says
 * how things are (a connection offered, or accepted, registered or not); the rest are runs of
 * entries, each settled as an exit would. Afterwards the objects must agree with each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../unit/loopback.h"
#include "../unit/sysproc.h"
#include "base/error.h"
#include "fuzz.h"
#include "fs/regular.h"
#include "machine/fast.h"
#include "net/gate.h"

#define TEXT "GET / HTTP/1.1\r\nHost: fuzz\r\n\r\n"

static u64 no_time(void *ctx)
{
	return 0;
}

static const struct tk_clock still = {.source = {.tsc = no_time}, .mono = {.rate = 1}};
static u8 shim[TK_SHIM_SIZE] __attribute__((aligned(4096)));
static u8 given[TK_GIVEN_SIZE] __attribute__((aligned(4096)));

struct rig {
	struct fakeproc fake;
	struct tk_fast fast;
	struct tk_file *tmpl;
	int listener, epoll, theirs;
	int accepted, released;
	size_t told; /* bytes that were sent, as who follows it knows */
};

static void on_accepted(void *ctx)
{
	((struct rig *)ctx)->accepted++;
}

static void on_sent(void *ctx, const struct iovec *iov, int n, size_t len, unsigned int how)
{
	((struct rig *)ctx)->told += len;
}

static void on_released(void *ctx, int fd, enum tkvm_release how)
{
	((struct rig *)ctx)->released++;
	close(fd);
}

static const struct tkvm_connection_ops ops = {
	.size = sizeof(ops),
	.accepted = on_accepted,
	.sent = on_sent,
	.released = on_released,
};

static void offer(struct rig *rig)
{
	struct tk_sock *gate = tk_sock_of(tk_fd_get(&rig->fake.proc.files, (u64)rig->listener));
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd;

	tk_assert(!getsockname(tk_sock_host(gate), (struct sockaddr *)&addr, &len));
	rig->theirs = socket(AF_INET, SOCK_STREAM, 0);
	tk_assert(!loopback_connect(rig->theirs, (struct sockaddr *)&addr, len));
	fd = loopback_accept(tk_sock_host(gate));
	tk_assert(fd >= 0 && write(rig->theirs, TEXT, sizeof(TEXT) - 1) > 0);
	tk_assert(!tk_gate_offer(gate, fd, &ops, rig));
}

static void begin(struct rig *rig)
{
	struct fakeproc *fake = &rig->fake;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int real = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event event = {.events = EPOLLIN};
	struct tk_file *file;

	tk_policy_init(&fake->policy);
	tk_assert(!tk_policy_allow_net(&fake->policy, NULL, TK_NET_LISTEN, NULL));
	fake_start(fake, "/");
	tk_assert(!bind(real, (struct sockaddr *)&addr, sizeof(addr)) && !listen(real, 8));
	tk_assert(!tk_sock_new(&rig->tmpl, &fake->proc.net, &fake->policy, real, AF_INET,
			       SOCK_STREAM, 0, O_NONBLOCK));
	tk_sock_of(rig->tmpl)->listening = true;
	tk_assert(!tk_gate_new(&file, tk_sock_of(rig->tmpl), &fake->proc.net, &fake->policy));
	rig->listener = tk_fd_install(&fake->proc.files, file, 0, false);
	rig->epoll = (int)fake_call(fake, SYS_epoll_create1, 0, 0, 0, 0, 0, 0);
	tk_assert(!tk_epoll_ctl(tk_epoll_of(tk_fd_get(&fake->proc.files, (u64)rig->epoll)),
				EPOLL_CTL_ADD, (u32)rig->listener, file, &event));
	memset(given, 0, sizeof(given));
	memset(shim, 0, sizeof(shim));
	rig->fast = (struct tk_fast){
		.given = (struct tk_given *)(void *)given,
		.record = (struct tk_record *)(void *)(shim + TK_RECORD_AT),
		.shim = (struct tk_shim_page *)(void *)shim,
		.in = given + TK_GIVEN_IN,
		.out = shim + TK_OUT_AT,
	};
	offer(rig);
}

/* The program has opened a file, if it has not one open. */
static void open_file(struct rig *rig)
{
	struct tk_fdtable *files = &rig->fake.proc.files;
	struct tk_file *file;
	int fd;

	for (unsigned int i = 0; i < files->size; i++)
		if (files->fds[i].file && tk_is_regular(files->fds[i].file))
			return;
	fd = memfd_create("text", MFD_CLOEXEC);
	tk_assert(fd >= 0 && write(fd, TEXT, sizeof(TEXT)) == sizeof(TEXT));
	tk_assert(!tk_regular_new(fd, O_RDONLY, "/text", &file));
	rig->fast.opened_fd = (u32)tk_fd_install(files, file, 0, false);
	rig->fast.opened = true;
}

static u64 take(const u8 **data, size_t *left, size_t bytes)
{
	u64 value = 0;

	for (size_t i = 0; i < bytes && *left; i++, (*left)--)
		value |= (u64) * (*data)++ << 8 * i;
	return value;
}

/* Small numbers mostly, which may be right. */
static u64 number(const u8 **data, size_t *left)
{
	u64 size = take(data, left, 1);

	return size < 128 ? size : take(data, left, size % 9);
}

/* One exit: entries from the input. False: the machine has ended. */
static bool one_exit(struct rig *rig, const u8 **data, size_t *left)
{
	u64 n = number(data, left);

	rig->fast.record->count = (u32)n;
	rig->fast.shim->undo = n >> 32;
	for (u64 i = 0; i < n && i < TK_FAST_CALLS && *left; i++)
		rig->fast.record->entries[i] = (struct tk_fast_entry){
			.deed = (u32)number(data, left),
			.nr = (u32)number(data, left),
			.a = number(data, left) | number(data, left) << 32,
			.b = number(data, left),
		};
	return !tk_fast_settle(&rig->fast, &rig->fake.proc);
}

/* At most one connection, one registration of it, and each where it belongs. */
static void check(struct rig *rig)
{
	const struct tk_fdtable *files = &rig->fake.proc.files;
	unsigned int conns = 0;

	for (unsigned int fd = 0; fd < files->size; fd++) {
		struct tk_sock *sock = files->fds[fd].file ? tk_sock_of(files->fds[fd].file) : NULL;

		if (files->fds[fd].file && tk_is_regular(files->fds[fd].file))
			tk_assert(files->fds[fd].file->refs == 1 &&
				  (u64)files->fds[fd].file->pos <= sizeof(TEXT));
		if (!sock || sock->gate)
			continue;
		conns++;
		tk_assert(sock->accepted && sock->file.refs == 1);
		tk_assert(!sock->file.watches ||
			  (!sock->file.watches->next && sock->file.watches->fd == fd));
	}
	tk_assert(conns <= 1 && rig->accepted + (int)!rig->accepted == 1);
	tk_assert((int)conns == rig->accepted - rig->released);
}

/* Nothing comes that nobody was told of; less may, if the connection broke. */
static void check_output(const struct rig *rig)
{
	size_t got = 0;
	u8 bytes[4096];
	ssize_t n;

	while ((n = recv(rig->theirs, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		got += (size_t)n;
	tk_assert(got <= rig->told);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	bool alive = true;

	begin(rig);
	while (alive && size) {
		open_file(rig);
		tk_fast_give(&rig->fast, rig->fake.task, &still);
		if (!rig->fast.given->on)
			break;
		alive = one_exit(rig, &data, &size);
		check(rig);
	}
	fake_end(&rig->fake);
	tk_file_put(rig->tmpl);
	tk_assert(rig->released == 1);
	check_output(rig);
	close(rig->theirs);
	free(rig);
	return 0;
}
