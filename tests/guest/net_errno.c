/* SPDX-License-Identifier: MIT */
/* Sockets: what each wrong call answers. Run with the network and the current directory granted. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fs_try.h"

static char buf[64];

static void kinds(void)
{
	int fds[2];

	TRY(socket(AF_INET, SOCK_RAW, 0));
	TRY(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	TRY(socket(AF_INET, SOCK_SEQPACKET, 0));
	TRY(socket(AF_INET, SOCK_RDM, 0));
	TRY(socket(AF_INET, 13, 0));
	TRY(socket(AF_INET, SOCK_STREAM | 0x100, 0));
	TRY(socket(AF_INET, SOCK_DGRAM, 999));
	TRY(socket(AF_INET, SOCK_DGRAM, -1));
	TRY(socket(AF_UNIX, SOCK_RDM, 0));
	TRY(socket(AF_UNIX, SOCK_STREAM, 2));
	TRY(socket(9999, SOCK_STREAM, 0));
	TRY(socket(-1, SOCK_STREAM, 0));
	TRY(socket(AF_NETLINK, SOCK_STREAM, 0));
	TRY(socketpair(AF_INET, SOCK_STREAM, 0, fds));
	TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD_POINTER));
	TRY(socketpair(AF_UNIX, SOCK_STREAM, 7, fds));
}

static void unconnected(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in odd = {.sin_family = AF_UNIX, .sin_port = 77};
	struct sockaddr_in none = {.sin_family = AF_UNSPEC};
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
	int udp6 = socket(AF_INET6, SOCK_DGRAM, 0);
	socklen_t len = sizeof(in);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	TRY(recv(tcp, buf, 4, 0));
	TRY(recv(tcp, buf, 4, MSG_ERRQUEUE));
	TRY(send(tcp, buf, 4, MSG_NOSIGNAL));
	TRY(send(udp, buf, 4, 0));
	TRY(recv(udp, buf, 4, MSG_DONTWAIT));
	TRY(accept(tcp, NULL, NULL));
	TRY(accept(udp, NULL, NULL));
	TRY(listen(udp, 1));
	TRY(getpeername(tcp, (void *)&in, &len));
	TRY(getsockname(tcp, BAD_POINTER, &len));
	TRY(getsockname(tcp, (void *)&in, BAD_POINTER));
	len = -1;
	TRY(getsockname(tcp, (void *)&in, &len));
	TRY(shutdown(tcp, SHUT_RD));
	TRY(shutdown(tcp, 77));
	TRY(bind(udp, (void *)&odd, sizeof(odd)));
	TRY(bind(udp, (void *)&none, sizeof(none)));
	TRY(bind(udp, (void *)&none, sizeof(none)));
	TRY(sendto(udp, buf, 1, 0, (void *)&none, 2));
	TRY(sendto(udp, buf, 1, 0, (void *)&odd, sizeof(odd)));
	TRY(sendto(udp6, buf, 1, 0, (void *)&odd, sizeof(odd)));
	TRY(connect(tcp, (void *)&odd, sizeof(odd)));
	TRY(connect(udp6, (void *)&odd, sizeof(odd)));
	TRY(bind(udp6, (void *)&odd, sizeof(odd)));
	TRY(bind(udp6, (void *)&odd, sizeof(struct sockaddr_in6)));
	TRY(connect(tcp, (void *)&in, 1));
	TRY(connect(tcp, (void *)&in, -1));
	TRY(connect(tcp, (void *)&in, 129));
	TRY(connect(tcp, BAD_POINTER, sizeof(in)));
	TRY(connect(0, (void *)&in, sizeof(in)));
	TRY(connect(-1, (void *)&in, sizeof(in)));
	close(tcp);
	close(udp);
	close(udp6);
}

static void options(void)
{
	int tcp = socket(AF_INET, SOCK_STREAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0), n = 1;
	socklen_t len = sizeof(n);
	struct linger linger = {1, 5};
	struct timeval tv = {0, 1000000};

	TRY(setsockopt(tcp, SOL_SOCKET, 9999, &n, sizeof(n)));
	TRY(setsockopt(tcp, 9999, 1, &n, sizeof(n)));
	TRY(getsockopt(tcp, SOL_SOCKET, 9999, &n, &len));
	TRY(getsockopt(tcp, 9999, 1, &n, &len));
	TRY(setsockopt(un, IPPROTO_TCP, TCP_NODELAY, &n, sizeof(n)));
	TRY(getsockopt(un, IPPROTO_TCP, TCP_NODELAY, &n, &len));
	TRY(setsockopt(tcp, SOL_SOCKET, SO_KEEPALIVE, &n, 1));
	TRY(setsockopt(tcp, SOL_SOCKET, SO_KEEPALIVE, BAD_POINTER, sizeof(n)));
	TRY(setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	TRY(setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &tv, 4));
	TRY(setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	TRY(setsockopt(tcp, SOL_SOCKET, SO_TYPE, &n, sizeof(n)));
	TRY(setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &n, sizeof(n)));
	len = 100;
	TRY(getsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, buf, &len));
	printf("len %u\n", len);
	len = 1;
	TRY(getsockopt(tcp, SOL_SOCKET, SO_TYPE, buf, &len));
	printf("len %u value %d\n", len, buf[0]);
	close(tcp);
	close(un);
}

static void names(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "net_errno.sock"}, got;
	int ls = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len = sizeof(got);

	unlink(un.sun_path);
	TRY(connect(c, (void *)&un, sizeof(un)));
	TRY(bind(ls, (void *)&un, sizeof(un)));
	TRY(bind(ls, (void *)&un, sizeof(un)));
	TRY(bind(c, (void *)&un, sizeof(un)));
	TRY(connect(c, (void *)&un, sizeof(un)));
	TRY(listen(ls, 0));
	TRY(connect(c, (void *)&un, sizeof(un)));
	TRY(connect(c, (void *)&un, sizeof(un) + 1));
	TRY(connect(c, (void *)&un, 2));
	TRY(getpeername(c, (void *)&got, &len));
	printf("%u %s\n", len, got.sun_path);
	len = sizeof(got);
	TRY(getsockname(ls, (void *)&got, &len));
	printf("%u %s\n", len, got.sun_path);
	len = sizeof(got);
	TRY(getsockname(c, (void *)&got, &len));
	printf("%u\n", len);
	TRY(unlink(un.sun_path));
	TRY(connect(c, (void *)&un, sizeof(un)));
	close(ls);
	close(c);
}

static void readiness(void)
{
	struct pollfd p[3] = {{77, POLLIN, 0}, {-1, POLLIN, 0}, {0, 0, 0}};
	int fds[2];
	fd_set set;
	struct timeval zero = {0, 0}, bad = {-1, 0};

	TRY(poll(p, 2, 0));
	printf("%x %x\n", p[0].revents, p[1].revents);
	TRY(poll(BAD_POINTER, 1, 0));
	TRY(poll(p, 1u << 30, 0));
	TRY(pipe(fds));
	close(fds[1]);
	p[0] = (struct pollfd){fds[0], POLLIN, 0};
	TRY(poll(p, 1, 1000));
	printf("%x\n", p[0].revents);
	FD_ZERO(&set);
	FD_SET(60, &set);
	TRY(select(61, &set, NULL, NULL, &zero));
	TRY(select(-1, NULL, NULL, NULL, &zero));
	TRY(select(0, NULL, NULL, NULL, &bad));
	TRY(select(4, BAD_POINTER, NULL, NULL, &zero));
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	TRY(select(fds[0] + 1, &set, NULL, NULL, NULL));
	close(fds[0]);
}

int main(void)
{
	kinds();
	unconnected();
	options();
	names();
	readiness();
	return check_done();
}
