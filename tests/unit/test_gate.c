/* SPDX-License-Identifier: MIT */
/* Gates: offered connections, and following them. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "net/gate.h"
#include "net/opts.h"

static struct fake_proc fake;
static int real;     /* a listening socket of the host */
static int listener; /* the guest's descriptor of a gate of it */
static struct tk_file *tmpl;

/* What the follower saw. */
static struct follower {
	size_t may; /* what input() answers */
	int accepted, inputs, shut, released, fd;
	size_t took, sent;
	enum tkvm_release how;
	char text[64];
} seen;

static void on_accepted(void *ctx)
{
	seen.accepted++;
}

static size_t on_input(void *ctx, int fd, size_t wanted)
{
	seen.inputs++;
	return seen.may;
}

static void on_took(void *ctx, size_t len)
{
	seen.took += len;
	if (seen.may != SIZE_MAX)
		seen.may -= len;
}

static void on_sent(void *ctx, const struct iovec *iov, int n, size_t len, unsigned int how)
{
	assert_true(seen.sent + len < sizeof(seen.text));
	memcpy(seen.text + seen.sent, iov[0].iov_base, len);
	seen.sent += len;
}

static void on_shut(void *ctx, int how)
{
	seen.shut = how + 1;
}

static void on_released(void *ctx, int fd, enum tkvm_release how)
{
	assert_ptr_equal(ctx, &seen);
	seen.released++;
	seen.fd = fd;
	seen.how = how;
}

static const struct tkvm_connection_ops ops = {
	.size = sizeof(ops),
	.accepted = on_accepted,
	.input = on_input,
	.took = on_took,
	.sent = on_sent,
	.shut = on_shut,
	.released = on_released,
};

static struct tk_sock *gate(void)
{
	return tk_sock_of(tk_fd_get(&fake.proc.files, (u64)listener));
}

static int setup(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct tk_file *file;

	fake_init(&fake);
	assert_int_equal(tk_policy_allow_net(&fake.policy, NULL, TK_NET_LISTEN, NULL), 0);
	real = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(real, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(real, 8), 0);
	assert_int_equal(tk_sock_new(&tmpl, &fake.proc.net, &fake.policy, real, AF_INET,
				     SOCK_STREAM, 0, O_NONBLOCK),
			 0);
	tk_sock_of(tmpl)->listening = true;
	assert_int_equal(tk_gate_new(&file, tk_sock_of(tmpl), &fake.proc.net, &fake.policy), 0);
	listener = tk_fd_install(&fake.proc.files, file, 0, false);
	seen = (struct follower){.may = SIZE_MAX, .fd = -2};
	return 0;
}

static int teardown(void **state)
{
	fake_destroy(&fake);
	if (seen.fd >= 0)
		close(seen.fd);
	tk_file_put(tmpl);
	return 0;
}

/* A connection to the host's socket; *@theirs is the client's end. */
static int connection(int *theirs)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd;

	assert_int_equal(getsockname(real, (struct sockaddr *)&addr, &len), 0);
	*theirs = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(*theirs, (struct sockaddr *)&addr, len), 0);
	fd = accept4(real, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

static int offer(int *theirs)
{
	int fd = connection(theirs);

	assert_int_equal(tk_gate_offer(gate(), fd, &ops, &seen), 0);
	return fd;
}

static long accept_one(void)
{
	return FAKE_ONCE(&fake, accept4, (u64)listener, 0, 0, SOCK_NONBLOCK);
}

static long receive(int fd, size_t len, int flags)
{
	return FAKE_ONCE(&fake, recvfrom, (u64)fd, fake_alloc(&fake, NULL, len), len, (u64)flags);
}

static void test_host_queue_is_not_seen(void **state)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int theirs = socket(AF_INET, SOCK_STREAM, 0), fd;
	gva_t name = fake_alloc(&fake, NULL, sizeof(addr)), size = fake_alloc(&fake, &len, 4);
	struct sockaddr_in got;

	getsockname(real, (struct sockaddr *)&addr, &len);
	assert_int_equal(connect(theirs, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(accept_one(), -EAGAIN);
	/* It has the host's socket's name, and cannot be made another one's. */
	assert_int_equal(FAKE(&fake, getsockname, (u64)listener, name, size), 0);
	fake_get(&fake, name, &got, sizeof(got));
	assert_int_equal(got.sin_port, addr.sin_port);
	assert_int_equal(FAKE(&fake, connect, (u64)listener, name, sizeof(addr)), -EISCONN);
	assert_int_equal(FAKE(&fake, listen, (u64)listener, 1), 0);
	assert_int_equal(receive(listener, 8, 0), -ENOTCONN);
	fd = accept(real, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	close(theirs);
}

static void test_offers_come_in_order(void **state)
{
	int theirs[3], fds[3];
	long got[3];

	for (int i = 0; i < 3; i++)
		fds[i] = offer(&theirs[i]);
	for (int i = 0; i < 3; i++) {
		got[i] = accept_one();
		assert_true(got[i] > 0);
		assert_int_equal(tk_fd_get(&fake.proc.files, (u64)got[i])->hostfd, fds[i]);
	}
	assert_int_equal(accept_one(), -EAGAIN);
	assert_int_equal(seen.accepted, 3);
	for (int i = 0; i < 3; i++) {
		FAKE(&fake, close, (u64)got[i]);
		assert_int_equal(seen.released, i + 1);
		assert_int_equal(seen.fd, fds[i]);
		assert_int_equal(fcntl(fds[i], F_GETFD), 0);
		close(fds[i]);
		close(theirs[i]);
	}
	seen.fd = -1;
}

static int epoll_on(int fd, u32 events)
{
	struct epoll_event event = {.events = events, .data.u64 = 7};
	long ep = FAKE(&fake, epoll_create1, 0);

	assert_true(ep >= 0);
	assert_int_equal(FAKE(&fake, epoll_ctl, (u64)ep, EPOLL_CTL_ADD, (u64)fd,
			      fake_alloc(&fake, &event, sizeof(event))),
			 0);
	return (int)ep;
}

/* The events that are there: at most one. */
static u32 epoll_events(int ep)
{
	gva_t at = fake_alloc(&fake, NULL, sizeof(struct epoll_event));
	struct epoll_event event;
	long n = FAKE(&fake, epoll_wait, (u64)ep, at, 1, 0);

	fake_get(&fake, at, &event, sizeof(event));
	return n ? event.events : 0;
}

/* Its name costs a host call and memory: who does not ask does not pay. */
static void test_connections_are_named_when_asked(void **state)
{
	int theirs, host = offer(&theirs);
	char want[40];
	struct tk_file *file = tk_fd_get(&fake.proc.files, (u64)accept_one());
	struct stat st;

	assert_null(file->path);
	assert_int_equal(fstat(host, &st), 0);
	snprintf(want, sizeof(want), "socket:[%lu]", (unsigned long)st.st_ino);
	assert_string_equal(tk_file_name(file), want);
	assert_string_equal(file->path, want);
	close(theirs);
}

static void test_edges_and_levels(void **state)
{
	int edge = epoll_on(listener, EPOLLIN | EPOLLOUT | EPOLLET), theirs[2];
	int level = epoll_on(listener, EPOLLIN | EPOLLOUT);

	assert_int_equal(epoll_events(edge), 0);
	assert_int_equal(epoll_events(level), 0);
	offer(&theirs[0]);
	assert_int_equal(epoll_events(edge), EPOLLIN);
	assert_int_equal(epoll_events(edge), 0);
	assert_int_equal(epoll_events(level), EPOLLIN);
	offer(&theirs[1]);
	assert_int_equal(epoll_events(edge), EPOLLIN);
	assert_true(accept_one() > 0);
	assert_int_equal(epoll_events(level), EPOLLIN);
	assert_true(accept_one() > 0);
	assert_int_equal(epoll_events(level), 0);
	close(theirs[0]);
	close(theirs[1]);
}

static void test_reset_hands_offers_back(void **state)
{
	int theirs, fd = offer(&theirs), level = epoll_on(listener, EPOLLIN);

	assert_int_equal(tk_gate_reset(gate()), 0);
	assert_int_equal(seen.released, 1);
	assert_int_equal(seen.fd, fd);
	assert_int_equal(seen.how, TKVM_REFUSED);
	assert_int_equal(epoll_events(level), 0);
	assert_int_equal(accept_one(), -EAGAIN);
	close(theirs);
}

static void test_shutdown_stays_here(void **state)
{
	int theirs, fd;

	assert_int_equal(FAKE(&fake, shutdown, (u64)listener, SHUT_RDWR), 0);
	assert_int_equal(accept_one(), -EINVAL);
	assert_int_equal(tk_gate_reset(gate()), -ESTALE);
	fd = connection(&theirs); /* the host's socket still listens */
	assert_int_equal(tk_gate_offer(gate(), fd, &ops, &seen), -ENOENT);
	close(fd);
	close(theirs);
}

static int nodelay(int fd)
{
	int len = 4, value = -1;
	gva_t at = fake_alloc(&fake, &value, 4), lenp = fake_alloc(&fake, &len, 4);

	assert_int_equal(FAKE(&fake, getsockopt, (u64)fd, IPPROTO_TCP, TCP_NODELAY, at, lenp), 0);
	fake_get(&fake, at, &value, 4);
	return value;
}

static void set_nodelay(int fd)
{
	int one = 1;

	assert_int_equal(FAKE(&fake, setsockopt, (u64)fd, IPPROTO_TCP, TCP_NODELAY,
			      fake_alloc(&fake, &one, 4), 4),
			 0);
}

static void test_options_stay_here(void **state)
{
	int value = -1;
	socklen_t len = sizeof(value);

	set_nodelay(listener);
	assert_int_equal(nodelay(listener), 1);
	getsockopt(real, IPPROTO_TCP, TCP_NODELAY, &value, &len);
	assert_int_equal(value, 0);
	assert_int_equal(tk_gate_reset(gate()), 0);
	assert_int_equal(nodelay(listener), 0);
}

static void test_options_of_connections_are_undone(void **state)
{
	int theirs, fd = offer(&theirs), value = -1, size = 65536;
	socklen_t len = sizeof(value);
	long got = accept_one();

	set_nodelay((int)got);
	FAKE(&fake, close, (u64)got);
	assert_int_equal(seen.how, TKVM_UNCHANGED);
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len);
	assert_int_equal(value, 0);
	/* One that cannot be undone. */
	assert_int_equal(tk_gate_offer(gate(), fd, &ops, &seen), 0);
	got = accept_one();
	FAKE(&fake, setsockopt, (u64)got, SOL_SOCKET, SO_RCVBUF, fake_alloc(&fake, &size, 4), 4);
	FAKE(&fake, close, (u64)got);
	assert_int_equal(seen.how, TKVM_CLOSED);
	close(theirs);
}

/* FIONREAD */
static int unread(int fd)
{
	gva_t at = fake_alloc(&fake, NULL, sizeof(int));
	int n = -1;

	assert_int_equal(FAKE(&fake, ioctl, (u64)fd, FIONREAD, at), 0);
	fake_get(&fake, at, &n, sizeof(n));
	return n;
}

static void test_input_is_held_back(void **state)
{
	int theirs, level, muted;
	struct pollfd pfd = {.events = POLLIN};
	gva_t at;
	long got;

	offer(&theirs);
	got = accept_one();
	level = epoll_on((int)got, EPOLLIN | EPOLLOUT);
	seen.may = 5;
	assert_int_equal(unread((int)got), 0);
	assert_int_equal(write(theirs, "firstsecond", 11), 11);
	assert_int_equal(unread((int)got), 5);
	assert_int_equal(receive((int)got, 3, 0), 3);
	assert_int_equal(unread((int)got), 2);
	assert_int_equal(receive((int)got, 100, MSG_PEEK), 2);
	assert_int_equal(receive((int)got, 100, 0), 2);
	assert_int_equal(seen.took, 5);
	/* The rest is not to be seen in any way. */
	assert_int_equal(unread((int)got), 0);
	assert_int_equal(epoll_events(level), EPOLLIN | EPOLLOUT);
	assert_int_equal(receive((int)got, 100, 0), -EAGAIN);
	assert_int_equal(epoll_events(level), EPOLLOUT);
	muted = epoll_on((int)got, EPOLLIN | EPOLLET);
	assert_int_equal(epoll_events(muted), 0);
	pfd.fd = (int)got;
	at = fake_alloc(&fake, &pfd, sizeof(pfd));
	assert_int_equal(FAKE(&fake, poll, at, 1, 0), 0);
	/* What opens the way again is the program's own answer. */
	seen.may = 6;
	assert_int_equal(FAKE(&fake, sendto, (u64)got, fake_str(&fake, "go on"), 5, 0, 0, 0), 5);
	assert_memory_equal(seen.text, "go on", 5);
	assert_int_equal(epoll_events(level), EPOLLIN | EPOLLOUT);
	assert_int_equal(epoll_events(muted), EPOLLIN);
	assert_int_equal(unread((int)got), 6);
	assert_int_equal(receive((int)got, 100, 0), 6);
	close(theirs);
}

/* Unix sockets ignore MSG_ERRQUEUE, and may look from further on. */
static void test_nothing_leads_round_the_limit(void **state)
{
	struct tk_sock *sock;
	int theirs, four = 4;
	long got;

	offer(&theirs);
	got = accept_one();
	sock = tk_sock_of(tk_fd_get(&fake.proc.files, (u64)got));
	assert_int_equal(tk_opt_set(sock, SOL_SOCKET, SO_PEEK_OFF, &four, sizeof(four)),
			 -EOPNOTSUPP);
	sock->family = AF_UNIX;
	assert_int_equal(tk_opt_set(sock, SOL_SOCKET, SO_PEEK_OFF, &four, sizeof(four)),
			 -EOPNOTSUPP);
	seen.may = 5;
	assert_int_equal(write(theirs, "firstsecond", 11), 11);
	assert_int_equal(receive((int)got, 100, 0), 5);
	seen.inputs = 0;
	assert_true(receive((int)got, 100, MSG_ERRQUEUE) < 0);
	assert_true(seen.inputs > 0); /* who follows has been asked */
	close(theirs);
}

/* Nothing is there to be held back: the end and errors are as ever, and nothing is hidden. */
static void test_end_is_seen(void **state)
{
	int theirs, level;
	long got;

	offer(&theirs);
	got = accept_one();
	level = epoll_on((int)got, EPOLLIN);
	seen.may = 0;
	assert_int_equal(receive((int)got, 100, 0), -EAGAIN);
	assert_false(tk_fd_get(&fake.proc.files, (u64)got)->muted);
	shutdown(theirs, SHUT_WR);
	assert_int_equal(epoll_events(level), EPOLLIN);
	assert_int_equal(receive((int)got, 100, 0), 0);
	close(theirs);
}

static void test_scattered_input_is_cut(void **state)
{
	struct iovec iov[3];
	gva_t at = fake_alloc(&fake, NULL, 64);
	int theirs;
	long got;
	char text[64] = "";

	offer(&theirs);
	got = accept_one();
	seen.may = 7;
	assert_int_equal(write(theirs, "0123456789", 10), 10);
	for (int i = 0; i < 3; i++)
		iov[i] = (struct iovec){(void *)(at + (u64)i * 16), 3};
	assert_int_equal(FAKE(&fake, readv, (u64)got, fake_alloc(&fake, iov, sizeof(iov)), 3), 7);
	fake_get(&fake, at, text, sizeof(text));
	assert_memory_equal(text + 32, "6\0\0", 3);
	close(theirs);
}

static void test_shutdown_and_splice(void **state)
{
	int theirs, fds[2];
	gva_t out = fake_alloc(&fake, NULL, 8);
	long got;

	offer(&theirs);
	got = accept_one();
	assert_int_equal(FAKE(&fake, pipe2, out, 0), 0);
	fake_get(&fake, out, fds, 8);
	/* What goes through the host alone would not be followed. */
	assert_int_equal(FAKE(&fake, splice, (u64)got, 0, (u64)fds[1], 0, 10, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, splice, (u64)listener, 0, (u64)fds[1], 0, 10, 0), -EINVAL);
	assert_int_equal(FAKE(&fake, shutdown, (u64)got, SHUT_WR), 0);
	assert_int_equal(seen.shut, SHUT_WR + 1);
	close(theirs);
}

/* A machine's own socket: connections come by offers from listen(2) on. */
static void test_own_listener_becomes_a_gate(void **state)
{
	long fd = FAKE(&fake, socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), got;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int theirs = socket(AF_INET, SOCK_STREAM, 0), conn, level = epoll_on((int)fd, EPOLLIN);
	socklen_t len = sizeof(addr);
	struct tk_sock *sock;

	fake.proc.net.gated = true;
	sock = tk_sock_of(tk_fd_get(&fake.proc.files, (u64)fd));
	assert_int_equal(bind(sock->file.hostfd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(sock->file.hostfd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(FAKE(&fake, listen, (u64)fd, 8), 0);
	assert_non_null(sock->gate);
	assert_int_equal(connect(theirs, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(epoll_events(level), 0);
	conn = accept4(tk_sock_host(sock), NULL, NULL, SOCK_NONBLOCK);
	assert_true(conn >= 0);
	assert_int_equal(tk_gate_offer(sock, conn, &ops, &seen), 0);
	assert_int_equal(epoll_events(level), EPOLLIN);
	got = FAKE_ONCE(&fake, accept4, (u64)fd, 0, 0, 0);
	assert_true(got > 0);
	/* Its options are the host's. */
	set_nodelay((int)fd);
	assert_int_equal(nodelay((int)fd), 1);
	close(theirs);
}

static void test_adopts_by_address(void **state)
{
	long fd = FAKE(&fake, socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), other;
	struct tkvm_listener known = {.fd = real, .addr_len = sizeof(known.addr)};
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	struct tk_sock *sock;
	gva_t name;

	assert_int_equal(getsockname(real, (struct sockaddr *)&known.addr, &known.addr_len), 0);
	memcpy(&addr, &known.addr, sizeof(addr));
	name = fake_alloc(&fake, &addr, sizeof(addr));
	assert_int_equal(FAKE(&fake, bind, (u64)fd, name, len), -EADDRINUSE);
	fake.proc.net.gated = true;
	fake.proc.net.adopt = &known;
	fake.proc.net.n_adopt = 1;
	assert_int_equal(FAKE(&fake, bind, (u64)fd, name, len), 0);
	assert_int_equal(FAKE(&fake, listen, (u64)fd, 8), 0);
	sock = tk_sock_of(tk_fd_get(&fake.proc.files, (u64)fd));
	assert_non_null(sock->gate);
	/* Another address is not there to be adopted. */
	other = FAKE(&fake, socket, AF_INET, SOCK_STREAM, 0);
	addr.sin_port = 0;
	name = fake_alloc(&fake, &addr, sizeof(addr));
	assert_int_equal(FAKE(&fake, bind, (u64)other, name, len), 0);
	assert_null(tk_sock_of(tk_fd_get(&fake.proc.files, (u64)other))->gate);
}

static long bind_abstract(const struct sockaddr_un *name, socklen_t len, long *fd)
{
	*fd = FAKE(&fake, socket, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	return FAKE(&fake, bind, (u64)*fd, fake_alloc(&fake, name, sizeof(*name)), len);
}

static void test_adopts_abstract_names(void **state)
{
	const socklen_t at = offsetof(struct sockaddr_un, sun_path), len = at + 20;
	int host = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct tkvm_listener known = {.fd = host, .addr_len = len};
	long fd;

	snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "tk-gate-%d", getpid());
	assert_int_equal(bind(host, (struct sockaddr *)&name, len), 0);
	assert_int_equal(listen(host, 8), 0);
	memcpy(&known.addr, &name, len);
	assert_int_equal(bind_abstract(&name, len, &fd), -EADDRINUSE);
	fake.proc.net.gated = true;
	fake.proc.net.adopt = &known;
	fake.proc.net.n_adopt = 1;
	assert_int_equal(bind_abstract(&name, len, &fd), 0);
	assert_int_equal(FAKE(&fake, listen, (u64)fd, 8), 0);
	assert_non_null(tk_sock_of(tk_fd_get(&fake.proc.files, (u64)fd))->gate);
	/* A NUL more is another name, and none is one of the kernel's choice. */
	assert_int_equal(bind_abstract(&name, len + 1, &fd), 0);
	assert_null(tk_sock_of(tk_fd_get(&fake.proc.files, (u64)fd))->gate);
	assert_int_equal(bind_abstract(&name, at, &fd), 0);
	assert_null(tk_sock_of(tk_fd_get(&fake.proc.files, (u64)fd))->gate);
	close(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_host_queue_is_not_seen),
		TEST(test_offers_come_in_order),
		TEST(test_connections_are_named_when_asked),
		TEST(test_edges_and_levels),
		TEST(test_reset_hands_offers_back),
		TEST(test_shutdown_stays_here),
		TEST(test_options_stay_here),
		TEST(test_options_of_connections_are_undone),
		TEST(test_input_is_held_back),
		TEST(test_nothing_leads_round_the_limit),
		TEST(test_end_is_seen),
		TEST(test_scattered_input_is_cut),
		TEST(test_shutdown_and_splice),
		TEST(test_own_listener_becomes_a_gate),
		TEST(test_adopts_by_address),
		TEST(test_adopts_abstract_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
