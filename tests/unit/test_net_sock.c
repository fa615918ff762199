/* SPDX-License-Identifier: MIT */
/* Making, naming and connecting sockets, their options, and what the policy denies. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "net/sock.h"

static struct fake_proc fake;
static char dir[64];

static int setup(void **state)
{
	struct tkvm_error err;

	fake_init(&fake);
	snprintf(dir, sizeof(dir), "/tmp/tk-sock-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(tk_policy_allow_net(&fake.policy, "127.0.0.1",
					     TK_NET_CONNECT | TK_NET_LISTEN, &err),
			 0);
	assert_int_equal(tk_policy_allow_path(&fake.policy, dir, TK_MAY_READ | TK_MAY_WRITE, &err),
			 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	fake_destroy(&fake);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	assert_int_equal(system(cmd), 0);
	return 0;
}

static void allow_all(void)
{
	struct tkvm_error err;

	assert_int_equal(
		tk_policy_allow_net(&fake.policy, NULL, TK_NET_CONNECT | TK_NET_LISTEN, &err), 0);
}

static long new_sock(int family, int type)
{
	long fd = FAKE(&fake, socket, (u64)family, (u64)type, 0);

	assert_true(fd >= 0);
	return fd;
}

static gva_t in4(const char *ip, u16 port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, ip, &in.sin_addr);
	return fake_alloc(&fake, &in, sizeof(in));
}

static gva_t un(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name);
	return fake_alloc(&fake, &addr, sizeof(addr));
}

static u16 port_of(long fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	assert_int_equal(getsockname(tk_fd_get(&fake.proc.files, (u64)fd)->hostfd,
				     (struct sockaddr *)&in, &len),
			 0);
	return ntohs(in.sin_port);
}

static void test_kinds(void **state)
{
	const struct {
		int family, type, protocol, rc;
	} cases[] = {
		{AF_INET, SOCK_RAW, 0, -EPROTONOSUPPORT},
		{AF_INET, SOCK_RAW, IPPROTO_TCP, -EPERM},
		{AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, -EPERM},
		{AF_INET, SOCK_DGRAM, IPPROTO_ICMP, -EPROTONOSUPPORT},
		{AF_INET, SOCK_STREAM, IPPROTO_UDP, -EPROTONOSUPPORT},
		{AF_INET, SOCK_SEQPACKET, 0, -ESOCKTNOSUPPORT},
		{AF_INET, 13, 0, -EINVAL},
		{AF_INET, SOCK_STREAM | 0x100, 0, -EINVAL},
		{AF_INET, SOCK_DGRAM, 999, -EINVAL},
		{AF_INET, SOCK_DGRAM, -1, -EINVAL},
		{AF_UNIX, SOCK_RDM, 0, -ESOCKTNOSUPPORT},
		{AF_UNIX, SOCK_STREAM, 2, -EPROTONOSUPPORT},
		{AF_PACKET, SOCK_RAW, 0, -EAFNOSUPPORT},
		{AF_VSOCK, SOCK_STREAM, 0, -EAFNOSUPPORT},
		{AF_ALG, SOCK_SEQPACKET, 0, -EAFNOSUPPORT},
		{-1, SOCK_STREAM, 0, -EAFNOSUPPORT},
		{9999, SOCK_STREAM, 0, -EAFNOSUPPORT},
		{AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE, -ESOCKTNOSUPPORT},
		{AF_NETLINK, SOCK_RAW, NETLINK_AUDIT, -EPROTONOSUPPORT},
	};

	for (size_t i = 0; i < TK_ARRAY_SIZE(cases); i++)
		assert_int_equal(FAKE(&fake, socket, (u64)cases[i].family, (u64)cases[i].type,
				      (u64)cases[i].protocol),
				 cases[i].rc);
	assert_int_equal(fake.proc.files.open, 0);
	new_sock(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fake.proc.files.fds[0].cloexec);
	assert_int_equal(fake.proc.files.fds[0].file->flags, O_RDWR | O_NONBLOCK);
	new_sock(AF_INET6, SOCK_DGRAM);
	assert_int_equal(fake.proc.files.fds[1].file->flags, O_RDWR);
	new_sock(AF_UNIX, SOCK_RAW);
	assert_int_equal(tk_sock_of(fake.proc.files.fds[2].file)->type, SOCK_DGRAM);
}

/* Connect to @listener, which listens on @port, accept, and dissolve that: connect(2) with
 * AF_UNSPEC. */
static long dissolved(long listener, u16 port)
{
	long client = new_sock(AF_INET, SOCK_STREAM), conn;
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	assert_int_equal(FAKE(&fake, connect, (u64)client, in4("127.0.0.1", port), 16), 0);
	conn = FAKE(&fake, accept, (u64)listener, 0, 0);
	assert_true(conn >= 0);
	assert_int_equal(FAKE(&fake, connect, (u64)conn, fake_alloc(&fake, &none, sizeof(none)),
			      sizeof(none)),
			 0);
	return conn;
}

/* It still tells the listener's port, but listen(2) would take any. */
static void test_listen_dissolved(void **state)
{
	long l = new_sock(AF_INET, SOCK_STREAM), a, b;
	struct tkvm_error err;
	char only[32];
	u16 port;

	assert_int_equal(FAKE(&fake, bind, (u64)l, in4("127.0.0.1", 0), 16), 0);
	assert_int_equal(FAKE(&fake, listen, (u64)l, 5), 0);
	port = port_of(l);
	a = dissolved(l, port);
	b = dissolved(l, port);
	fake.policy.n_nets = 0;
	snprintf(only, sizeof(only), "127.0.0.1:%u", port);
	assert_int_equal(tk_policy_allow_net(&fake.policy, only, TK_NET_LISTEN, &err), 0);
	assert_int_equal(FAKE(&fake, listen, (u64)a, 5), -EADDRINUSE);
	assert_int_equal(FAKE(&fake, listen, (u64)l, 7), 0);
	assert_int_equal(FAKE(&fake, close, (u64)l), 0);
	assert_int_equal(FAKE(&fake, listen, (u64)b, 5), 0);
	assert_int_equal(port_of(b), port);
}

static void test_not_a_socket(void **state)
{
	long ev = FAKE(&fake, eventfd2, 0, 0);

	assert_int_equal(FAKE(&fake, listen, ev, 1), -ENOTSOCK);
	assert_int_equal(FAKE(&fake, bind, ev, 0, 0), -ENOTSOCK);
	assert_int_equal(FAKE(&fake, accept, ev, 0, 0), -ENOTSOCK);
	assert_int_equal(FAKE(&fake, shutdown, 99, 0), -EBADF);
	assert_int_equal(FAKE(&fake, socketpair, AF_INET, SOCK_STREAM, 0, 0), -EOPNOTSUPP);
	assert_int_equal(FAKE(&fake, socketpair, AF_UNIX, SOCK_STREAM, 0, 1), -EFAULT);
	assert_int_equal(fake.proc.files.open, 1);
}

static void test_tcp_connection(void **state)
{
	long ls = new_sock(AF_INET, SOCK_STREAM), c, s;
	int n = sizeof(struct sockaddr_in);
	gva_t name = fake_alloc(&fake, NULL, 16), len = fake_alloc(&fake, &n, 4);
	struct sockaddr_in in;

	assert_int_equal(FAKE(&fake, bind, ls, in4("127.0.0.1", 0), 16), 0);
	assert_int_equal(FAKE(&fake, listen, ls, 5), 0);
	assert_true(tk_sock_of(tk_fd_get(&fake.proc.files, (u64)ls))->listening);
	assert_int_equal(FAKE_ONCE(&fake, accept, ls, 0, 0), TK_BLOCKED);
	c = new_sock(AF_INET, SOCK_STREAM);
	assert_int_equal(FAKE(&fake, connect, c, in4("127.0.0.1", port_of(ls)), 16), 0);
	assert_int_equal(FAKE(&fake, accept4, ls, 0, 0, 0x40), -EINVAL);
	s = FAKE(&fake, accept4, ls, name, len, SOCK_NONBLOCK);
	assert_true(s > c);
	fake_get(&fake, name, &in, sizeof(in));
	assert_int_equal(ntohs(in.sin_port), port_of(c));
	/* The listener's flags are not passed on, the call's are. */
	assert_int_equal(tk_fd_get(&fake.proc.files, (u64)s)->flags, O_RDWR | O_NONBLOCK);
	assert_int_equal(FAKE(&fake, connect, c, in4("127.0.0.1", port_of(ls)), 16), -EISCONN);
	assert_int_equal(FAKE(&fake, getpeername, c, name, len), 0);
	fake_get(&fake, name, &in, sizeof(in));
	assert_int_equal(ntohs(in.sin_port), port_of(ls));
	assert_int_equal(FAKE(&fake, getpeername, ls, name, len), -ENOTCONN);
	n = -1;
	fake_put(&fake, len, &n, 4);
	assert_int_equal(FAKE(&fake, getsockname, c, name, len), -EINVAL);
	assert_int_equal(FAKE(&fake, shutdown, c, 9), -EINVAL);
	assert_int_equal(FAKE(&fake, shutdown, c, SHUT_WR), 0);
}

static void test_close_does_not_linger(void **state)
{
	long ls = new_sock(AF_INET, SOCK_STREAM), c = new_sock(AF_INET, SOCK_STREAM);
	struct linger linger = {.l_onoff = 1, .l_linger = 5};
	gva_t data = fake_alloc(&fake, NULL, 16384), value;
	s64 start;

	value = fake_alloc(&fake, &linger, sizeof(linger));
	assert_int_equal(FAKE(&fake, bind, ls, in4("127.0.0.1", 0), 16), 0);
	assert_int_equal(FAKE(&fake, listen, ls, 5), 0);
	assert_int_equal(FAKE(&fake, connect, c, in4("127.0.0.1", port_of(ls)), 16), 0);
	assert_int_equal(FAKE(&fake, setsockopt, c, SOL_SOCKET, SO_LINGER, value, sizeof(linger)),
			 0);
	while (FAKE(&fake, sendto, c, data, 16384, MSG_DONTWAIT, 0, 0) > 0)
		;
	start = tk_now_ns();
	assert_int_equal(FAKE(&fake, close, c), 0);
	assert_true(tk_now_ns() - start < 2 * TK_NSEC_PER_SEC);
}

static void test_refused_connection_blocking_and_not(void **state)
{
	long probe = new_sock(AF_INET, SOCK_STREAM), c;
	u16 port;

	assert_int_equal(FAKE(&fake, bind, probe, in4("127.0.0.1", 0), 16), 0);
	port = port_of(probe); /* bound, not listening */
	c = new_sock(AF_INET, SOCK_STREAM);
	assert_int_equal(FAKE(&fake, connect, c, in4("127.0.0.1", port), 16), -ECONNREFUSED);
	c = new_sock(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
	assert_int_equal(FAKE(&fake, connect, c, in4("127.0.0.1", port), 16), -EINPROGRESS);
	assert_int_equal(FAKE(&fake, connect, c, in4("127.0.0.1", port), 16), -ECONNREFUSED);
}

static void test_policy_denies(void **state)
{
	long tcp = new_sock(AF_INET, SOCK_STREAM), udp = new_sock(AF_INET, SOCK_DGRAM);
	long udp6 = new_sock(AF_INET6, SOCK_DGRAM), tcp6 = new_sock(AF_INET6, SOCK_STREAM);
	struct sockaddr_in in = {.sin_port = htons(9), .sin_addr.s_addr = htonl(0x08080808)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	gva_t unspec = fake_alloc(&fake, &in, sizeof(in)), six, byte = fake_str(&fake, "x");
	struct msghdr msg = {0};

	assert_int_equal(FAKE(&fake, connect, tcp, in4("8.8.8.8", 53), 16), -EACCES);
	assert_int_equal(FAKE(&fake, connect, tcp, in4("0.0.0.0", 53), 16), -EACCES);
	assert_int_equal(FAKE(&fake, connect, udp, in4("8.8.8.8", 53), 16), -EACCES);
	assert_int_equal(FAKE(&fake, sendto, udp, byte, 1, 0, in4("8.8.8.8", 53), 16), -EACCES);
	/* AF_UNSPEC is an IPv4 destination to udp_sendmsg(). */
	assert_int_equal(FAKE(&fake, sendto, udp, byte, 1, 0, unspec, 16), -EACCES);
	assert_int_equal(FAKE(&fake, sendto, udp6, byte, 1, 0, in4("8.8.8.8", 53), 16), -EACCES);
	inet_pton(AF_INET6, "::ffff:8.8.8.8", &in6.sin6_addr);
	six = fake_alloc(&fake, &in6, sizeof(in6));
	assert_int_equal(FAKE(&fake, connect, tcp6, six, 28), -EACCES);
	assert_int_equal(FAKE(&fake, connect, tcp6, six, 24), -EACCES);
	assert_int_equal(FAKE(&fake, sendto, udp6, byte, 1, 0, six, 28), -EACCES);
	msg.msg_name = (void *)in4("8.8.8.8", 53);
	msg.msg_namelen = 16;
	assert_int_equal(FAKE(&fake, sendmsg, udp, fake_alloc(&fake, &msg, sizeof(msg)), 0),
			 -EACCES);
	assert_int_equal(FAKE(&fake, bind, tcp, in4("0.0.0.0", 8080), 16), -EACCES);
	assert_int_equal(FAKE(&fake, bind, udp, in4("0.0.0.0", 8080), 16), -EACCES);
	/* Any source address for a client, but listening there is another matter. */
	assert_int_equal(FAKE(&fake, bind, tcp, in4("0.0.0.0", 0), 16), 0);
	assert_int_equal(FAKE(&fake, listen, tcp, 1), -EACCES);
	assert_int_equal(FAKE(&fake, listen, new_sock(AF_INET, SOCK_STREAM), 1), -EACCES);
	assert_int_equal(FAKE(&fake, listen, tcp6, 1), -EACCES);
}

static void test_bad_addresses(void **state)
{
	long tcp = new_sock(AF_INET, SOCK_STREAM), udp6 = new_sock(AF_INET6, SOCK_DGRAM);
	struct sockaddr_in odd = {.sin_family = AF_UNIX};
	gva_t at = fake_alloc(&fake, &odd, sizeof(odd)), byte = fake_str(&fake, "x");

	assert_int_equal(FAKE(&fake, connect, tcp, at, 16), -EAFNOSUPPORT);
	assert_int_equal(FAKE(&fake, connect, tcp, at, 1), -EINVAL);
	assert_int_equal(FAKE(&fake, connect, tcp, at, -1ul), -EINVAL);
	assert_int_equal(FAKE(&fake, connect, tcp, at, 129), -EINVAL);
	assert_int_equal(FAKE(&fake, connect, tcp, 1, 16), -EFAULT);
	assert_int_equal(FAKE(&fake, connect, tcp, in4("127.0.0.1", 1), 8), -EINVAL);
	assert_int_equal(FAKE(&fake, bind, udp6, at, 16), -EINVAL);
	assert_int_equal(FAKE(&fake, sendto, udp6, byte, 1, 0, at, 16), -EINVAL);
	assert_int_equal(FAKE(&fake, bind, udp6, at, 28), -EAFNOSUPPORT);
}

static void test_udp_disconnect(void **state)
{
	long udp = new_sock(AF_INET, SOCK_DGRAM);
	struct sockaddr_in unspec = {0};
	gva_t name = fake_alloc(&fake, NULL, 16);
	int n = 16;
	gva_t len = fake_alloc(&fake, &n, 4);

	assert_int_equal(FAKE(&fake, connect, udp, in4("127.0.0.1", 9), 16), 0);
	assert_int_equal(FAKE(&fake, getpeername, udp, name, len), 0);
	assert_int_equal(FAKE(&fake, connect, udp, fake_alloc(&fake, &unspec, 16), 16), 0);
	assert_int_equal(FAKE(&fake, getpeername, udp, name, len), -ENOTCONN);
}

static void test_unix_path(void **state)
{
	long ls = new_sock(AF_UNIX, SOCK_STREAM), c = new_sock(AF_UNIX, SOCK_STREAM), s;
	struct sockaddr_un got;
	int n = sizeof(got);
	gva_t name = fake_alloc(&fake, NULL, sizeof(got)), len = fake_alloc(&fake, &n, 4);
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/s", dir);
	fake.proc.ns.umask = 0027;
	assert_int_equal(FAKE(&fake, connect, c, un("s"), 110), -ENOENT);
	assert_int_equal(FAKE(&fake, bind, ls, un("s"), 110), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(FAKE(&fake, bind, ls, un("t"), 110), -EINVAL);
	assert_int_equal(FAKE(&fake, bind, c, un("s"), 110), -EADDRINUSE);
	assert_int_equal(FAKE(&fake, connect, c, un("s"), 110), -ECONNREFUSED);
	assert_int_equal(FAKE(&fake, listen, ls, 1), 0);
	assert_int_equal(FAKE(&fake, connect, c, un("s"), 110), 0);
	s = FAKE(&fake, accept, ls, name, len);
	assert_true(s > 0);
	fake_get(&fake, len, &n, 4);
	assert_int_equal(n, 2); /* the client has no name */
	for (int i = 0; i < 3; i++) {
		n = sizeof(got);
		fake_put(&fake, len, &n, 4);
		if (i == 0)
			assert_int_equal(FAKE(&fake, getsockname, ls, name, len), 0);
		else if (i == 1)
			assert_int_equal(FAKE(&fake, getsockname, s, name, len), 0);
		else
			assert_int_equal(FAKE(&fake, getpeername, c, name, len), 0);
		fake_get(&fake, name, &got, sizeof(got));
		assert_string_equal(got.sun_path, path);
	}
	fake_get(&fake, len, &n, 4);
	assert_int_equal(n, 2 + strlen(path) + 1);
}

static void test_unix_denied(void **state)
{
	long s = new_sock(AF_UNIX, SOCK_STREAM), d = new_sock(AF_UNIX, SOCK_DGRAM);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char path[128];
	gva_t at;

	strcpy(addr.sun_path, "/root/denied");
	at = fake_alloc(&fake, &addr, sizeof(addr));
	assert_true(FAKE(&fake, bind, s, at, 110) < 0);
	assert_true(FAKE(&fake, connect, s, at, 110) < 0);
	assert_int_not_equal(access("/root/denied", F_OK), 0);
	/* Abstract names are the host's: for unrestricted guests only. */
	addr.sun_path[0] = '\0';
	at = fake_alloc(&fake, &addr, sizeof(addr));
	assert_int_equal(FAKE(&fake, bind, s, at, 20), -EACCES);
	assert_int_equal(FAKE(&fake, bind, s, at, 2), -EACCES);
	assert_int_equal(FAKE(&fake, connect, s, at, 20), -EACCES);
	assert_int_equal(FAKE(&fake, sendto, d, at, 1, 0, at, 20), -EACCES);
	allow_all();
	assert_int_equal(FAKE(&fake, connect, s, at, 20), -ECONNREFUSED);
	assert_int_equal(FAKE(&fake, bind, s, at, 2), 0);
	/* A link out of the granted directory leads nowhere. */
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink("/run/systemd/notify", path), 0);
	assert_true(FAKE(&fake, sendto, d, at, 1, 0, un("link"), 110) < 0);
	assert_int_equal(FAKE(&fake, bind, d, un("link"), 110), -EADDRINUSE);
}

static void test_unix_malformed(void **state)
{
	long s = new_sock(AF_UNIX, SOCK_STREAM);
	struct sockaddr_un addr = {.sun_family = AF_INET};
	gva_t at = fake_alloc(&fake, &addr, sizeof(addr));

	assert_int_equal(FAKE(&fake, bind, s, at, 110), -EINVAL);
	assert_int_equal(FAKE(&fake, connect, s, at, 110), -EINVAL);
	assert_int_equal(FAKE(&fake, connect, s, un("x"), 111), -EINVAL);
	assert_int_equal(FAKE(&fake, connect, s, un("x"), 2), -EINVAL);
	assert_int_equal(FAKE(&fake, connect, s, un("x"), 0), -EINVAL);
}

/* A full backlog: the blocking connect waits, without spinning, until there is room. */
static void test_unix_backlog(void **state)
{
	long ls = new_sock(AF_UNIX, SOCK_STREAM), c[3];
	u64 a[6] = {0, 0, 110};

	assert_int_equal(FAKE(&fake, bind, ls, un("s"), 110), 0);
	assert_int_equal(FAKE(&fake, listen, ls, 0), 0);
	for (int i = 0; i < 3; i++)
		c[i] = new_sock(AF_UNIX, SOCK_STREAM);
	assert_int_equal(FAKE(&fake, connect, c[0], un("s"), 110), 0);
	a[0] = (u64)c[1];
	a[1] = un("s");
	assert_int_equal(fake_enter(&fake, tk_sys_connect, a), TK_BLOCKED);
	for (int i = 0; i < 4; i++)
		assert_int_equal(fake_again(&fake, tk_sys_connect, a), TK_BLOCKED);
	assert_int_equal(fake.task->wait.nfds, 0); /* paced */
	assert_true(fake.task->wait.deadline > tk_now_ns());
	tk_wait_end(fake.task);
	assert_true(FAKE(&fake, accept, ls, 0, 0) > 0);
	assert_int_equal(FAKE(&fake, connect, c[1], un("s"), 110), 0);
}

static long get_int(long fd, int level, int name, int *value)
{
	int n = sizeof(*value);
	gva_t at = fake_alloc(&fake, NULL, 4), len = fake_alloc(&fake, &n, 4);
	long rc = FAKE(&fake, getsockopt, (u64)fd, (u64)level, (u64)name, at, len);

	fake_get(&fake, at, value, sizeof(*value));
	return rc;
}

static long set_int(long fd, int level, int name, int value)
{
	return FAKE(&fake, setsockopt, (u64)fd, (u64)level, (u64)name,
		    fake_alloc(&fake, &value, sizeof(value)), sizeof(value));
}

static void test_options(void **state)
{
	long tcp = new_sock(AF_INET, SOCK_STREAM), un_fd = new_sock(AF_UNIX, SOCK_STREAM);
	int value;

	assert_int_equal(set_int(tcp, IPPROTO_TCP, TCP_NODELAY, 1), 0);
	assert_int_equal(get_int(tcp, IPPROTO_TCP, TCP_NODELAY, &value), 0);
	assert_int_equal(value, 1);
	assert_true(tk_sock_of(tk_fd_get(&fake.proc.files, (u64)tcp))->opts_set[0] != 0);
	assert_int_equal(get_int(tcp, SOL_SOCKET, SO_TYPE, &value), 0);
	assert_int_equal(value, SOCK_STREAM);
	assert_int_equal(set_int(tcp, SOL_SOCKET, SO_TYPE, 1), -ENOPROTOOPT);
	assert_int_equal(set_int(tcp, SOL_SOCKET, SO_PRIORITY, 7), -EPERM);
	assert_int_equal(set_int(tcp, SOL_SOCKET, SO_PRIORITY, 6), 0);
	assert_int_equal(FAKE(&fake, setsockopt, tcp, SOL_SOCKET, SO_KEEPALIVE, 1, 4), -EFAULT);
	assert_int_equal(FAKE(&fake, setsockopt, tcp, SOL_SOCKET, SO_KEEPALIVE, 0, -1ul), -EINVAL);
	assert_int_equal(FAKE(&fake, getsockopt, tcp, SOL_SOCKET, SO_TYPE, 1, 1), -EFAULT);
	assert_int_equal(set_int(un_fd, IPPROTO_TCP, TCP_NODELAY, 1), -EOPNOTSUPP);
	assert_int_equal(set_int(tcp, 9999, 1, 1), -ENOPROTOOPT);
	assert_int_equal(get_int(tcp, 9999, 1, &value), -EOPNOTSUPP);
	assert_int_equal(get_int(tcp, SOL_SOCKET, 9999, &value), -ENOPROTOOPT);
}

/* Options that would lend the guest the VMM's powers, or code in the kernel. */
static void test_dangerous_options(void **state)
{
	const int so[] = {SO_ATTACH_FILTER,	 SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF,
			  SO_BINDTODEVICE,	 SO_MARK,	SO_RCVBUFFORCE,
			  SO_SNDBUFFORCE,	 SO_ZEROCOPY,	SO_BUSY_POLL,
			  77 /* SO_PEERPIDFD */, SO_PEERSEC,	SO_TXTIME};
	const int ip[] = {IP_HDRINCL, IP_TRANSPARENT, IP_FREEBIND, IP_OPTIONS, IP_RETOPTS};
	const int tcp[] = {TCP_ULP, TCP_REPAIR, TCP_MD5SIG, TCP_CONGESTION};
	long fd = new_sock(AF_INET, SOCK_STREAM);

	for (size_t i = 0; i < TK_ARRAY_SIZE(so); i++)
		assert_int_equal(set_int(fd, SOL_SOCKET, so[i], 1), -ENOPROTOOPT);
	for (size_t i = 0; i < TK_ARRAY_SIZE(ip); i++)
		assert_int_equal(set_int(fd, IPPROTO_IP, ip[i], 1), -ENOPROTOOPT);
	for (size_t i = 0; i < TK_ARRAY_SIZE(tcp); i++)
		assert_int_equal(set_int(fd, IPPROTO_TCP, tcp[i], 1), -ENOPROTOOPT);
	assert_int_equal(set_int(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, 1), -EACCES);
}

static void test_buffers_are_of_limited_size(void **state)
{
	struct tk_budget *memory = &fake.proc.files.host_memory;
	gva_t out = fake_alloc(&fake, NULL, 8);
	u64 before = memory->used, pair;
	int fds[2], size, normal;

	assert_int_equal(FAKE(&fake, socketpair, AF_UNIX, SOCK_STREAM, 0, out), 0);
	fake_get(&fake, out, fds, 8);
	pair = memory->used - before;
	assert_true(pair > 0);
	assert_int_equal(get_int(fds[0], SOL_SOCKET, SO_SNDBUF, &normal), 0);
	memory->most = memory->used + TK_SOCK_BUFFER;
	for (int i = 0; i < 3; i++)
		assert_int_equal(set_int(fds[0], SOL_SOCKET, SO_SNDBUF, 100 << 20), 0);
	assert_int_equal(get_int(fds[0], SOL_SOCKET, SO_SNDBUF, &size), 0);
	assert_in_range(size, normal, 2 * TK_SOCK_BUFFER);
	assert_int_equal(memory->used, memory->most);
	/* Nothing is left for these. */
	assert_int_equal(set_int(fds[1], SOL_SOCKET, SO_SNDBUF, -1), 0);
	assert_int_equal(get_int(fds[1], SOL_SOCKET, SO_SNDBUF, &size), 0);
	assert_in_range(size, 4096, TK_SOCK_BUFFER);
	assert_int_equal(FAKE(&fake, socketpair, AF_UNIX, SOCK_STREAM, 0, out), -ENOBUFS);
	assert_int_equal(FAKE(&fake, socket, AF_UNIX, SOCK_DGRAM, 0), -ENOBUFS);
	assert_true(new_sock(AF_INET, SOCK_STREAM) >= 0);
	assert_int_equal(FAKE(&fake, close, fds[0]) | FAKE(&fake, close, fds[1]), 0);
	assert_int_equal(memory->used, before);
}

static void test_peercred(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8), at = fake_alloc(&fake, NULL, 12);
	int n = 12, fds[2];
	gva_t len = fake_alloc(&fake, &n, 4);
	struct ucred cred;

	assert_int_equal(FAKE(&fake, socketpair, AF_UNIX, SOCK_STREAM, 0, out), 0);
	fake_get(&fake, out, fds, 8);
	assert_int_equal(FAKE(&fake, getsockopt, fds[0], SOL_SOCKET, SO_PEERCRED, at, len), 0);
	fake_get(&fake, at, &cred, sizeof(cred));
	assert_int_equal(cred.pid, TK_GUEST_PID);
	assert_int_equal(cred.uid, 1000);
	assert_int_equal(cred.gid, 1000);
	n = 4;
	fake_put(&fake, len, &n, 4);
	assert_int_equal(FAKE(&fake, getsockopt, fds[0], SOL_SOCKET, SO_PEERCRED, at, len), 0);
	fake_get(&fake, at, &cred, sizeof(cred));
	assert_int_equal(cred.pid, TK_GUEST_PID);
}

static void test_interfaces(void **state)
{
	long fd = new_sock(AF_INET, SOCK_DGRAM);
	struct tk_file *file = tk_fd_get(&fake.proc.files, (u64)fd);
	struct ifreq req = {.ifr_name = "lo"};
	struct {
		int len, pad;
		u64 buf;
	} conf = {0};
	gva_t at = fake_alloc(&fake, &req, sizeof(req)), c;

	assert_int_equal(file->ops->ioctl(file, fake.mm, SIOCGIFFLAGS, at), 0);
	fake_get(&fake, at, &req, sizeof(req));
	assert_true(req.ifr_flags & IFF_LOOPBACK);
	conf.len = 4096;
	conf.buf = fake_alloc(&fake, NULL, 4096);
	c = fake_alloc(&fake, &conf, sizeof(conf));
	assert_int_equal(file->ops->ioctl(file, fake.mm, SIOCGIFCONF, c), 0);
	fake_get(&fake, c, &conf, sizeof(conf));
	assert_true(conf.len >= (int)sizeof(struct ifreq) && conf.len < 4096);
	assert_int_equal(file->ops->ioctl(file, fake.mm, SIOCGIFCONF, 1), -EFAULT);
	assert_int_equal(file->ops->ioctl(file, fake.mm, SIOCSIFFLAGS, at), -ENOTTY);
	assert_int_equal(file->ops->ioctl(file, fake.mm, 0x8946 /* SIOCETHTOOL */, at), -ENOTTY);
}

static void test_netlink_reads_only(void **state)
{
	long fd = FAKE(&fake, socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_pid = 1};
	struct {
		struct nlmsghdr head;
		struct rtgenmsg gen;
	} ask = {{.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
		  .nlmsg_type = RTM_GETLINK,
		  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		 {0}};
	gva_t at = fake_alloc(&fake, &nl, sizeof(nl)), buf = fake_alloc(&fake, NULL, 32768);
	struct nlmsghdr head;

	assert_true(fd >= 0);
	assert_int_equal(FAKE(&fake, bind, fd, at, sizeof(nl)), 0);
	assert_int_equal(FAKE(&fake, sendto, fd, fake_alloc(&fake, &ask, sizeof(ask)), sizeof(ask),
			      0, at, sizeof(nl)),
			 sizeof(ask));
	assert_true(FAKE(&fake, recvfrom, fd, buf, 32768, 0, 0, 0) > (long)sizeof(head));
	fake_get(&fake, buf, &head, sizeof(head));
	assert_int_equal(head.nlmsg_type, RTM_NEWLINK);
	ask.head.nlmsg_type = RTM_DELLINK;
	assert_int_equal(
		FAKE(&fake, sendto, fd, fake_alloc(&fake, &ask, sizeof(ask)), sizeof(ask), 0, 0, 0),
		-EPERM);
	nl.nl_groups = RTMGRP_LINK;
	fake_put(&fake, at, &nl, sizeof(nl));
	assert_int_equal(FAKE(&fake, bind, fd, at, sizeof(nl)), -EPERM);
}

static void test_netlink_is_not_written_behind_our_back(void **state)
{
	long netlink = FAKE(&fake, socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	struct nlmsghdr ask = {.nlmsg_len = sizeof(ask), .nlmsg_type = RTM_DELLINK};
	gva_t at = fake_alloc(&fake, &ask, sizeof(ask)), fds = fake_alloc(&fake, NULL, 8);
	int ends[2];

	assert_int_equal(FAKE(&fake, pipe, fds), 0);
	fake_get(&fake, fds, ends, sizeof(ends));
	assert_int_equal(FAKE(&fake, write, ends[1], at, sizeof(ask)), sizeof(ask));
	assert_int_equal(FAKE(&fake, splice, ends[0], 0, netlink, 0, sizeof(ask), 0), -EINVAL);
	assert_int_equal(FAKE(&fake, write, netlink, at, sizeof(ask)), -EPERM);
}

static void test_netlink_needs_a_network(void **state)
{
	fake.policy.n_nets = 0;
	assert_int_equal(FAKE(&fake, socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), -EAFNOSUPPORT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_kinds),
		T(test_listen_dissolved),
		T(test_not_a_socket),
		T(test_tcp_connection),
		T(test_close_does_not_linger),
		T(test_refused_connection_blocking_and_not),
		T(test_policy_denies),
		T(test_bad_addresses),
		T(test_udp_disconnect),
		T(test_unix_path),
		T(test_unix_denied),
		T(test_unix_malformed),
		T(test_unix_backlog),
		T(test_options),
		T(test_dangerous_options),
		T(test_buffers_are_of_limited_size),
		T(test_peercred),
		T(test_interfaces),
		T(test_netlink_reads_only),
		T(test_netlink_is_not_written_behind_our_back),
		T(test_netlink_needs_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
