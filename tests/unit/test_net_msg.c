/* SPDX-License-Identifier: MIT */
/* Sending and receiving: streams over many waits, packets, files and credentials that travel. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "net/sock.h"
#include "net/rights.h"

static struct fake_proc fake;
static int s[2]; /* a stream pair */

static void new_pair(int type, int fds[2])
{
	gva_t out = fake_alloc(&fake, NULL, 8);

	assert_int_equal(FAKE(&fake, socketpair, AF_UNIX, (u64)type, 0, out), 0);
	fake_get(&fake, out, fds, 8);
}

static int setup(void **state)
{
	struct tkvm_error err;

	fake_init(&fake);
	assert_int_equal(tk_policy_allow_net(&fake.policy, "127.0.0.1",
					     TK_NET_CONNECT | TK_NET_LISTEN, &err),
			 0);
	new_pair(SOCK_STREAM, s);
	return 0;
}

static int teardown(void **state)
{
	fake_destroy(&fake);
	return 0;
}

static int host(int fd)
{
	return tk_fd_get(&fake.proc.files, (u64)fd)->hostfd;
}

static long put(int fd, const char *text, int flags)
{
	return FAKE(&fake, sendto, (u64)fd, fake_str(&fake, text), strlen(text), (u64)flags, 0, 0);
}

static long take(int fd, char *buf, size_t len, int flags)
{
	gva_t at = fake_alloc(&fake, NULL, len + 1);
	long rc = FAKE(&fake, recvfrom, (u64)fd, at, len, (u64)flags, 0, 0);

	fake_get(&fake, at, buf, len);
	return rc;
}

static void test_stream(void **state)
{
	char buf[16] = "";

	assert_int_equal(FAKE_ONCE(&fake, recvfrom, s[1], fake_alloc(&fake, NULL, 4), 4, 0, 0, 0),
			 TK_BLOCKED);
	assert_int_equal(take(s[1], buf, 4, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(put(s[0], "hello", 0), 5);
	assert_int_equal(take(s[1], buf, 3, MSG_PEEK), 3);
	assert_int_equal(take(s[1], buf, 3, 0), 3);
	assert_memory_equal(buf, "hel", 3);
	assert_int_equal(take(s[1], buf, 16, 0), 2);
	assert_int_equal(FAKE(&fake, sendto, s[0], 1, 4, 0, 0, 0), -EFAULT);
	assert_int_equal(FAKE(&fake, sendto, s[0], 1, 0, 0, 0, 0), 0);
	assert_int_equal(put(s[0], "x", MSG_FASTOPEN), -EOPNOTSUPP);
	tk_fd_close(&fake.proc.files, (u64)s[0]);
	assert_int_equal(take(s[1], buf, 4, 0), 0);
}

/* A blocking send goes on over many waits; a signal in between gives what went out. */
static void test_long_send(void **state)
{
	size_t len = 4 << 20, got = 0;
	gva_t at = fake_alloc(&fake, NULL, len);
	const u64 a[6] = {(u64)s[0], at, len, 0, 0, 0};
	char *buf = malloc(len);
	long rc = fake_enter(&fake, tk_sys_sendto, a);
	int waits = 0;

	assert_int_equal(rc, TK_BLOCKED);
	assert_true(fake.task->wait.progress > 0);
	while (rc == TK_BLOCKED) {
		ssize_t n = read(host(s[1]), buf, len);

		got += n > 0 ? (size_t)n : 0;
		waits++;
		rc = fake_again(&fake, tk_sys_sendto, a);
	}
	assert_int_equal(rc, len);
	assert_true(waits > 2);
	while (got < len)
		got += (size_t)read(host(s[1]), buf, len);
	free(buf);
}

static void test_long_send_interrupted(void **state)
{
	struct tk_siginfo info = tk_siginfo_user(SIGUSR1, 0, 1, 0);
	size_t len = 4 << 20;
	gva_t at = fake_alloc(&fake, NULL, len);
	const u64 a[6] = {(u64)s[0], at, len, 0, 0, 0};
	u64 sent;

	assert_int_equal(fake_enter(&fake, tk_sys_sendto, a), TK_BLOCKED);
	sent = fake.task->wait.progress;
	fake.proc.sig.actions[SIGUSR1].handler = 0x1000;
	tk_signal_task(fake.task, &info);
	assert_int_equal(fake_again(&fake, tk_sys_sendto, a), sent);
	/* Nothing sent yet: the call is to be restarted. */
	assert_int_equal(fake_enter(&fake, tk_sys_sendto, a), -TK_ERESTARTSYS);
}

static void test_nonblocking_send_is_partial(void **state)
{
	size_t len = 4 << 20;
	gva_t at = fake_alloc(&fake, NULL, len);
	long rc = FAKE(&fake, sendto, s[0], at, len, MSG_DONTWAIT, 0, 0);

	assert_true(rc > 0 && rc < (long)len);
	assert_int_equal(FAKE(&fake, sendto, s[0], at, len, MSG_DONTWAIT, 0, 0), -EAGAIN);
}

static void test_sigpipe(void **state)
{
	int d[2];

	tk_fd_close(&fake.proc.files, (u64)s[1]);
	assert_int_equal(put(s[0], "x", MSG_NOSIGNAL), -EPIPE);
	assert_false(fake_signalled(&fake, SIGPIPE));
	assert_int_equal(put(s[0], "x", 0), -EPIPE);
	assert_true(fake_signalled(&fake, SIGPIPE));
	fake_clear_signals(&fake);
	new_pair(SOCK_SEQPACKET, d);
	tk_fd_close(&fake.proc.files, (u64)d[1]);
	assert_int_equal(put(d[0], "x", 0), -EPIPE);
	assert_false(fake_signalled(&fake, SIGPIPE)); /* packets: none, as in Linux */
}

static void test_waitall(void **state)
{
	gva_t at = fake_alloc(&fake, NULL, 16);
	const u64 a[6] = {(u64)s[1], at, 8, MSG_WAITALL, 0, 0};
	char buf[8];

	assert_int_equal(put(s[0], "abc", 0), 3);
	assert_int_equal(fake_enter(&fake, tk_sys_recvfrom, a), TK_BLOCKED);
	assert_int_equal(fake.task->wait.progress, 3);
	assert_int_equal(write(host(s[0]), "defgh", 5), 5);
	assert_int_equal(fake_again(&fake, tk_sys_recvfrom, a), 8);
	fake_get(&fake, at, buf, 8);
	assert_memory_equal(buf, "abcdefgh", 8);
	/* The end of the stream ends it early; so does not waiting. */
	assert_int_equal(put(s[0], "xy", 0), 2);
	assert_int_equal(take(s[1], buf, 8, MSG_WAITALL | MSG_DONTWAIT), 2);
	assert_int_equal(put(s[0], "z", 0), 1);
	tk_fd_close(&fake.proc.files, (u64)s[0]);
	assert_int_equal(take(s[1], buf, 8, MSG_WAITALL), 1);
}

static void test_peek_waitall_does_not_spin(void **state)
{
	const u64 a[6] = {(u64)s[1], fake_alloc(&fake, NULL, 8), 8, MSG_WAITALL | MSG_PEEK, 0, 0};

	assert_int_equal(put(s[0], "abc", 0), 3);
	assert_int_equal(fake_enter(&fake, tk_sys_recvfrom, a), TK_BLOCKED);
	for (int i = 0; i < 4; i++)
		assert_int_equal(fake_again(&fake, tk_sys_recvfrom, a), TK_BLOCKED);
	assert_int_equal(fake.task->wait.nfds, 0);
	assert_int_equal(write(host(s[0]), "defgh", 5), 5);
	assert_int_equal(fake_again(&fake, tk_sys_recvfrom, a), 8);
}

static void set_timeout(int fd, int opt, long ms)
{
	struct timeval tv = {0, ms * 1000};

	assert_int_equal(FAKE(&fake, setsockopt, (u64)fd, SOL_SOCKET, (u64)opt,
			      fake_alloc(&fake, &tv, sizeof(tv)), sizeof(tv)),
			 0);
}

static void test_timeouts(void **state)
{
	struct tk_siginfo info = tk_siginfo_user(SIGUSR1, 0, 1, 0);
	gva_t at = fake_alloc(&fake, NULL, 4 << 20);
	s64 start = tk_now_ns();

	set_timeout(s[1], SO_RCVTIMEO, 20);
	assert_int_equal(FAKE(&fake, recvfrom, s[1], at, 4, 0, 0, 0), -EAGAIN);
	assert_true(tk_now_ns() - start >= 20000000);
	assert_int_equal(put(s[0], "abc", 0), 3);
	assert_int_equal(FAKE(&fake, recvfrom, s[1], at, 8, MSG_WAITALL, 0, 0), 3);
	set_timeout(s[0], SO_SNDTIMEO, 20);
	assert_true(FAKE(&fake, sendto, s[0], at, 4 << 20, 0, 0, 0) > 0);
	assert_int_equal(FAKE(&fake, sendto, s[0], at, 4 << 20, 0, 0, 0), -EAGAIN);
	/* With a timeout calls are not restarted (signal(7)). */
	fake.proc.sig.actions[SIGUSR1].handler = 0x1000;
	tk_signal_task(fake.task, &info);
	assert_int_equal(FAKE(&fake, sendto, s[0], at, 4 << 20, 0, 0, 0), -EINTR);
}

static void test_packets(void **state)
{
	char buf[16];
	int d[2];

	new_pair(SOCK_DGRAM, d);
	assert_int_equal(put(d[0], "hello", 0), 5);
	assert_int_equal(put(d[0], "", 0), 0);
	assert_int_equal(take(d[1], buf, 2, MSG_TRUNC | MSG_PEEK), 5);
	assert_int_equal(take(d[1], buf, 2, 0), 2);
	assert_int_equal(take(d[1], buf, 2, 0), 0);
	assert_int_equal(take(d[1], buf, 2, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(take(d[1], buf, 2, MSG_ERRQUEUE), -EAGAIN);
}

/* A packet whose memory ends too early is not sent in part, nor quietly cut. */
static void test_packet_faults(void **state)
{
	gva_t page = (gva_t)tk_mm_mmap(fake.mm, 0, 8192, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	int d[2];

	assert_int_equal(tk_mm_munmap(fake.mm, page + 4096, 4096), 0);
	new_pair(SOCK_DGRAM, d);
	assert_int_equal(FAKE(&fake, sendto, d[0], page, 5000, 0, 0, 0), -EFAULT);
	assert_int_equal(put(d[0], "short", 0), 5);
	assert_int_equal(FAKE(&fake, recvfrom, d[1], page, 5000, 0, 0, 0), 5);
	assert_int_equal(put(d[0], "longer", 0), 6);
	assert_int_equal(FAKE(&fake, recvfrom, d[1], page + 4093, 100, 0, 0, 0), -EFAULT);
	/* A stream goes as far as the memory does. */
	assert_int_equal(FAKE(&fake, sendto, s[0], page, 5000, 0, 0, 0), 4096);
}

struct message {
	struct msghdr head;
	gva_t at, data, control;
};

static struct message message(const void *data, size_t len, const void *control, size_t control_len)
{
	struct message m = {0};
	struct iovec iov;

	m.data = fake_alloc(&fake, data, len);
	iov = (struct iovec){(void *)m.data, len};
	m.head.msg_iov = (void *)fake_alloc(&fake, &iov, sizeof(iov));
	m.head.msg_iovlen = 1;
	if (control_len) {
		m.control = fake_alloc(&fake, control, control_len);
		m.head.msg_control = (void *)m.control;
		m.head.msg_controllen = control_len;
	}
	m.at = fake_alloc(&fake, &m.head, sizeof(m.head));
	return m;
}

static void test_header_errors(void **state)
{
	struct message m = message("x", 1, NULL, 0);
	u8 junk[64];

	assert_int_equal(FAKE(&fake, sendmsg, s[0], 1, 0), -EFAULT);
	m.head.msg_iovlen = 1025;
	fake_put(&fake, m.at, &m.head, sizeof(m.head));
	assert_int_equal(FAKE(&fake, sendmsg, s[0], m.at, 0), -EMSGSIZE);
	assert_int_equal(FAKE(&fake, recvmsg, s[0], m.at, 0), -EMSGSIZE);
	m.head.msg_iovlen = 1;
	m.head.msg_name = (void *)m.data;
	m.head.msg_namelen = (socklen_t)-1;
	fake_put(&fake, m.at, &m.head, sizeof(m.head));
	assert_int_equal(FAKE(&fake, sendmsg, s[0], m.at, 0), -EINVAL);
	memset(junk, 0xff, sizeof(junk));
	m = message("x", 1, junk, sizeof(junk));
	assert_int_equal(FAKE(&fake, sendmsg, s[0], m.at, 0), -EINVAL);
	m.head.msg_controllen = SIZE_MAX;
	fake_put(&fake, m.at, &m.head, sizeof(m.head));
	assert_int_equal(FAKE(&fake, sendmsg, s[0], m.at, 0), -ENOBUFS);
	m.head.msg_controllen = 64;
	m.head.msg_control = (void *)1;
	fake_put(&fake, m.at, &m.head, sizeof(m.head));
	assert_int_equal(FAKE(&fake, sendmsg, s[0], m.at, 0), -EFAULT);
}

static size_t rights(u8 *buf, const int *fds, size_t n)
{
	struct cmsghdr head = {CMSG_LEN(n * 4), SOL_SOCKET, SCM_RIGHTS};

	memset(buf, 0, CMSG_SPACE(n * 4));
	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), fds, n * 4);
	return CMSG_SPACE(n * 4);
}

static long send_fds(int fd, const int *fds, size_t n)
{
	u8 buf[CMSG_SPACE(300 * 4)];
	struct message m = message("x", 1, buf, rights(buf, fds, n));

	return FAKE(&fake, sendmsg, (u64)fd, m.at, 0);
}

/* Receive one byte and up to @room bytes of control; stores descriptors, returns how many. */
static int recv_fds(int fd, size_t room, int flags, int *fds, int *msg_flags)
{
	u8 blank[512] = {0}, buf[512];
	struct message m = message("-", 1, blank, room);
	struct cmsghdr head;

	assert_int_equal(FAKE(&fake, recvmsg, (u64)fd, m.at, (u64)flags), 1);
	fake_get(&fake, m.at, &m.head, sizeof(m.head));
	*msg_flags = m.head.msg_flags;
	if (!m.head.msg_controllen)
		return 0;
	fake_get(&fake, m.control, buf, m.head.msg_controllen);
	memcpy(&head, buf, sizeof(head));
	assert_int_equal(head.cmsg_type, SCM_RIGHTS);
	memcpy(fds, buf + sizeof(head), head.cmsg_len - sizeof(head));
	return (int)((head.cmsg_len - sizeof(head)) / 4);
}

static void test_rights(void **state)
{
	int ev = (int)FAKE(&fake, eventfd2, 7, 0), got[4], flags, sent[3] = {ev, s[0], 99};
	struct tk_file *file = tk_fd_get(&fake.proc.files, (u64)ev);

	assert_int_equal(send_fds(s[0], sent, 3), -EBADF);
	assert_int_equal(send_fds(s[0], sent, 2), 1);
	assert_int_equal(fake.proc.net.n_flying, 2);
	assert_int_equal(recv_fds(s[1], 256, MSG_CMSG_CLOEXEC, got, &flags), 2);
	assert_int_equal(flags, MSG_CMSG_CLOEXEC);
	assert_ptr_equal(tk_fd_get(&fake.proc.files, (u64)got[0]), file); /* the same open file */
	assert_ptr_equal(tk_fd_get(&fake.proc.files, (u64)got[1]),
			 tk_fd_get(&fake.proc.files, (u64)s[0]));
	assert_true(fake.proc.files.fds[got[0]].cloexec);
	assert_int_equal(fake.proc.net.n_flying, 0);
}

static void test_rights_survive_close_and_peek(void **state)
{
	int ev = (int)FAKE(&fake, eventfd2, 7, 0), got[4], flags;

	assert_int_equal(send_fds(s[0], &ev, 1), 1);
	tk_fd_close(&fake.proc.files, (u64)ev);
	assert_int_equal(recv_fds(s[1], 256, MSG_PEEK, got, &flags), 1);
	assert_int_equal(recv_fds(s[1], 256, 0, got, &flags), 1);
	assert_string_equal(tk_fd_get(&fake.proc.files, (u64)got[0])->ops->kind, "eventfd");
}

static void test_rights_without_room(void **state)
{
	int evs[3], got[4], flags;

	for (int i = 0; i < 3; i++)
		evs[i] = (int)FAKE(&fake, eventfd2, 7, 0);
	assert_int_equal(send_fds(s[0], evs, 3), 1);
	assert_int_equal(recv_fds(s[1], 16 + 2 * 4, 0, got, &flags), 2);
	assert_true(flags & MSG_CTRUNC);
	assert_int_equal(send_fds(s[0], evs, 3), 1);
	assert_int_equal(recv_fds(s[1], 8, 0, got, &flags), 0);
	assert_true(flags & MSG_CTRUNC);
	assert_int_equal(fake.proc.net.n_flying, 0);
}

/* Messages that nobody received: the files in them are closed when the host drops them. */
static void test_rights_dropped(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8);
	struct pollfd hup;
	int p[2], many[300];

	assert_int_equal(FAKE(&fake, pipe, out), 0);
	fake_get(&fake, out, p, 8);
	assert_int_equal(send_fds(s[0], &p[1], 1), 1);
	tk_fd_close(&fake.proc.files, (u64)p[1]);
	hup = (struct pollfd){host(p[0]), POLLIN, 0};
	assert_int_equal(poll(&hup, 1, 0), 0);
	tk_fd_close(&fake.proc.files, (u64)s[1]);
	assert_int_equal(poll(&hup, 1, 0), 1);
	assert_int_equal(fake.proc.net.n_flying, 0);
	for (int i = 0; i < 300; i++)
		many[i] = p[0];
	assert_int_equal(send_fds(s[0], many, 254), -EINVAL);
	new_pair(SOCK_STREAM, s);
	fake.proc.files.limit = 16;
	assert_int_equal(send_fds(s[0], many, 17), -ETOOMANYREFS);
}

/* A socket inside itself: freed by the host's collector or, at the end, by us. */
static void test_rights_cycle(void **state)
{
	assert_int_equal(send_fds(s[0], &s[1], 1), 1);
	tk_fd_close(&fake.proc.files, (u64)s[1]);
	tk_fd_close(&fake.proc.files, (u64)s[0]);
}

/* What comes from outside is no file of the guest's: it is closed, not installed. */
static void test_rights_from_outside(void **state)
{
	int fd = dup(0), got[4], flags, open_before = (int)fake.proc.files.open;
	u8 buf[64];
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf};

	msg.msg_controllen = rights(buf, &fd, 1);
	assert_int_equal(sendmsg(host(s[0]), &msg, 0), 1);
	assert_int_equal(recv_fds(s[1], 256, 0, got, &flags), 0);
	assert_int_equal(fake.proc.files.open, open_before);
	close(fd);
}

static void test_credentials(void **state)
{
	struct {
		struct cmsghdr head;
		struct ucred cred;
		int pad;
	} c = {{CMSG_LEN(sizeof(struct ucred)), SOL_SOCKET, SCM_CREDENTIALS},
	       {TK_GUEST_PID, 1000, 1000},
	       0};
	u8 blank[64] = {0};
	struct message m;
	int on = 1;

	assert_int_equal(FAKE(&fake, setsockopt, s[1], SOL_SOCKET, SO_PASSCRED,
			      fake_alloc(&fake, &on, 4), 4),
			 0);
	m = message("x", 1, &c, c.head.cmsg_len);
	assert_int_equal(FAKE(&fake, sendmsg, s[0], m.at, 0), 1);
	m = message("-", 1, blank, sizeof(blank));
	assert_int_equal(FAKE(&fake, recvmsg, s[1], m.at, 0), 1);
	memset(&c, 0, sizeof(c));
	fake_get(&fake, m.control, &c, sizeof(c));
	assert_int_equal(c.head.cmsg_type, SCM_CREDENTIALS);
	assert_int_equal(c.cred.pid, TK_GUEST_PID);
	assert_int_equal(c.cred.uid, 1000);
	c.cred.uid = 0;
	m = message("x", 1, &c, CMSG_LEN(sizeof(struct ucred)));
	assert_int_equal(FAKE(&fake, sendmsg, s[0], m.at, 0), -EPERM);
}

static int udp_socket(u16 *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = (int)FAKE(&fake, socket, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(FAKE(&fake, bind, (u64)fd, fake_alloc(&fake, &in, sizeof(in)), sizeof(in)),
			 0);
	getsockname(host(fd), (struct sockaddr *)&in, &len);
	*port = ntohs(in.sin_port);
	return fd;
}

static void test_udp_addresses(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	u16 pa, pb;
	int a = udp_socket(&pa), b = udp_socket(&pb), n = 16;
	gva_t name = fake_alloc(&fake, NULL, 16), len = fake_alloc(&fake, &n, 4);
	gva_t buf = fake_alloc(&fake, NULL, 8);

	in.sin_port = htons(pb);
	assert_int_equal(FAKE(&fake, sendto, a, fake_str(&fake, "hi"), 2, 0,
			      fake_alloc(&fake, &in, sizeof(in)), sizeof(in)),
			 2);
	assert_int_equal(FAKE(&fake, recvfrom, b, buf, 8, 0, name, len), 2);
	fake_get(&fake, name, &in, sizeof(in));
	assert_int_equal(ntohs(in.sin_port), pa);
	assert_int_equal(FAKE(&fake, sendto, a, buf, 2, 0, 0, 0), -EDESTADDRREQ);
}

static void test_mmsg(void **state)
{
	struct mmsghdr vec[3];
	struct timespec ts = {1, 0};
	gva_t at, t = fake_alloc(&fake, &ts, sizeof(ts));
	int d[2];

	new_pair(SOCK_DGRAM, d);
	for (int i = 0; i < 3; i++)
		vec[i] = (struct mmsghdr){.msg_hdr = message("abc", (size_t)i + 1, NULL, 0).head};
	at = fake_alloc(&fake, vec, sizeof(vec));
	assert_int_equal(FAKE(&fake, sendmmsg, d[0], at, 3, 0), 3);
	fake_get(&fake, at, vec, sizeof(vec));
	assert_int_equal(vec[2].msg_len, 3);
	assert_int_equal(FAKE(&fake, recvmmsg, d[1], at, 2, 0, t), 2);
	fake_get(&fake, t, &ts, sizeof(ts));
	assert_int_equal(ts.tv_sec, 0);
	/* One is left: MSG_WAITFORONE does not wait for more, plain waiting does. */
	assert_int_equal(FAKE(&fake, recvmmsg, d[1], at, 3, MSG_WAITFORONE, 0), 1);
	assert_int_equal(put(d[0], "x", 0), 1);
	assert_int_equal(fake_enter(&fake, tk_sys_recvmmsg, (const u64[6]){(u64)d[1], at, 2}),
			 TK_BLOCKED);
	assert_int_equal(fake.task->wait.progress, 1ull << 32);
	assert_int_equal(write(host(d[0]), "yz", 2), 2);
	assert_int_equal(fake_again(&fake, tk_sys_recvmmsg, (const u64[6]){(u64)d[1], at, 2}), 2);
	fake_get(&fake, at, vec, sizeof(vec));
	assert_int_equal(vec[1].msg_len, 2);
	assert_int_equal(FAKE(&fake, recvmmsg, d[1], at, 2, MSG_DONTWAIT, 0), -EAGAIN);
	assert_int_equal(FAKE(&fake, sendmmsg, d[0], 1, 2, 0), -EFAULT);
	assert_int_equal(FAKE(&fake, sendmmsg, d[0], at, 0, 0), 0);
}

/* The queue of a peer that nobody reads: wait, at a pace, not in a circle. */
static void test_full_peer_does_not_spin(void **state)
{
	int d[2];
	gva_t at = fake_str(&fake, "x");

	new_pair(SOCK_DGRAM, d);
	while (FAKE(&fake, sendto, d[0], at, 1, MSG_DONTWAIT, 0, 0) == 1)
		;
	assert_int_equal(FAKE_ONCE(&fake, sendto, d[0], at, 1, 0, 0, 0), TK_BLOCKED);
	assert_int_equal(FAKE(&fake, sendto, d[0], at, 1, MSG_DONTWAIT, 0, 0), -EAGAIN);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_stream),
		T(test_long_send),
		T(test_long_send_interrupted),
		T(test_nonblocking_send_is_partial),
		T(test_sigpipe),
		T(test_waitall),
		T(test_peek_waitall_does_not_spin),
		T(test_timeouts),
		T(test_packets),
		T(test_packet_faults),
		T(test_header_errors),
		T(test_rights),
		T(test_rights_survive_close_and_peek),
		T(test_rights_without_room),
		T(test_rights_dropped),
		T(test_rights_cycle),
		T(test_rights_from_outside),
		T(test_credentials),
		T(test_udp_addresses),
		T(test_mmsg),
		T(test_full_peer_does_not_spin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
