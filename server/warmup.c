/* SPDX-License-Identifier: MIT */
/*
 * The warm-up's client: threads that take requests from one count. The machine runs meanwhile in
 * the thread that started it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "http.h"
#include "kvmserver.h"
#include "warmup.h"

#define FIRST_ERROR 400
#define MAX_WORD    400
#define CLOSE_MS    100 /* for a program to close its connection */

struct ks_warmup {
	struct tkvm_machine *machine; /* under the lock */
	struct sockaddr_storage addr; /* where to connect to */
	socklen_t addr_len;
	int meeting; /* our own listening socket there; -1: the program's */
	int *offers; /* connections for the machine; under the lock, as are: */
	size_t n_offers;
	bool no_more_offers;
	char request[1024]; /* MAX_WORD twice, and what is around them */
	struct timeval timeout;
	uint64_t total;
	_Atomic uint64_t next;
	atomic_uint running;
	bool over;	   /* by __atomic_* */
	atomic_bool keeps; /* the program leaves connections open */
	pthread_mutex_t lock;
	char error[256]; /* the first one; under the lock */
	unsigned int n_threads;
	pthread_t threads[];
};

static void fail(struct ks_warmup *warmup, uint64_t n, const char *what)
{
	pthread_mutex_lock(&warmup->lock);
	if (!warmup->error[0])
		snprintf(warmup->error, sizeof(warmup->error),
			 "warm-up request %llu of %llu failed: %s", (unsigned long long)n + 1,
			 (unsigned long long)warmup->total, what);
	pthread_mutex_unlock(&warmup->lock);
	atomic_store(&warmup->next, warmup->total);
}

/* Wake the machine's thread; not if the machine is gone. */
static void wake(struct ks_warmup *warmup)
{
	if (warmup->machine)
		tkvm_machine_interrupt(warmup->machine);
}

/* The other end of a connection that was just made, or of another thread's. */
static int meet(struct ks_warmup *warmup)
{
	int fd = accept4(warmup->meeting, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -1;
	pthread_mutex_lock(&warmup->lock);
	/* There is room: each thread has one connection at a time. */
	if (warmup->no_more_offers)
		close(fd);
	else
		warmup->offers[warmup->n_offers++] = fd;
	wake(warmup);
	pthread_mutex_unlock(&warmup->lock);
	return 0;
}

static void released(void *ctx, int fd, enum tkvm_release how)
{
	if (fd >= 0)
		close(fd);
}

void ks_warmup_offer(struct ks_warmup *warmup)
{
	static const struct tkvm_connection_ops ops = {.size = sizeof(ops), .released = released};

	pthread_mutex_lock(&warmup->lock);
	for (size_t i = 0; i < warmup->n_offers; i++)
		if (tkvm_machine_offer(warmup->machine, 0, warmup->offers[i], &ops, NULL))
			close(warmup->offers[i]);
	warmup->n_offers = 0;
	pthread_mutex_unlock(&warmup->lock);
}

static int open_connection(struct ks_warmup *warmup)
{
	int fd = socket(warmup->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &warmup->timeout, sizeof(warmup->timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &warmup->timeout, sizeof(warmup->timeout));
	if (!connect(fd, (const struct sockaddr *)&warmup->addr, warmup->addr_len) &&
	    (warmup->meeting < 0 || !meet(warmup)) &&
	    send(fd, warmup->request, strlen(warmup->request), MSG_NOSIGNAL) > 0)
		return fd;
	close(fd);
	return -1;
}

/*
 * The response is complete. A program that does not close the connection now, as it was asked to,
 * leaves it to us; of one that was seen to do so that is not waited for again.
 */
static bool is_ours_to_close(struct ks_warmup *warmup, int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};

	if (poll(&end, 1, atomic_load(&warmup->keeps) ? 0 : CLOSE_MS))
		return false;
	atomic_store(&warmup->keeps, true);
	return true;
}

/* The response to its end; *@status: the final one, 0 if it is none of HTTP. */
static int read_response(struct ks_warmup *warmup, int fd, int *status)
{
	char data[16384], first[16] = "";
	struct ks_http http;
	size_t have = 0;
	ssize_t n;

	ks_http_begin(&http, false);
	ks_http_input(&http, warmup->request, strlen(warmup->request));
	do {
		n = recv(fd, data, sizeof(data), 0);
		for (ssize_t i = 0; i < n && have < sizeof(first) - 1; i++)
			first[have++] = data[i];
		if (n > 0)
			ks_http_output(&http, data, (size_t)n);
	} while (n > 0 && !(http.response_complete && is_ours_to_close(warmup, fd)));
	*status = http.status;
	/* What nobody can follow may do all the same. */
	if (!http.status && http.lost && !strncmp(first, "HTTP/1.", 7))
		*status = atoi(first + 9);
	return n < 0 ? -1 : 0;
}

static void one_request(struct ks_warmup *warmup, uint64_t n)
{
	char text[96];
	int status, fd = open_connection(warmup);

	if (fd < 0) {
		fail(warmup, n, strerror(errno));
		return;
	}
	if (read_response(warmup, fd, &status)) {
		fail(warmup, n, errno == EAGAIN ? "no complete response in time" : strerror(errno));
	} else if (!status) {
		fail(warmup, n, "what came back is no HTTP response");
	} else if (status >= FIRST_ERROR) {
		snprintf(text, sizeof(text), "status %d", status);
		fail(warmup, n, text);
	}
	close(fd);
}

static void *client(void *arg)
{
	struct ks_warmup *warmup = arg;
	uint64_t n;

	while ((n = atomic_fetch_add(&warmup->next, 1)) < warmup->total)
		one_request(warmup, n);
	if (atomic_fetch_sub(&warmup->running, 1) == 1) {
		__atomic_store_n(&warmup->over, true, __ATOMIC_RELEASE);
		pthread_mutex_lock(&warmup->lock);
		wake(warmup);
		pthread_mutex_unlock(&warmup->lock);
	}
	return NULL;
}

/* Listening on all addresses includes the one of the host itself. */
static void make_reachable(struct sockaddr_storage *addr)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)addr;

	if (addr->ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (addr->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
}

static void host_of(const struct sockaddr_storage *addr, char *text, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
	char ip[INET6_ADDRSTRLEN] = "";

	if (addr->ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, ip, sizeof(ip));
		snprintf(text, size, "%s:%u", ip, ntohs(v4->sin_port));
	} else if (addr->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, ip, sizeof(ip));
		snprintf(text, size, "[%s]:%u", ip, ntohs(v6->sin6_port));
	} else {
		snprintf(text, size, "localhost");
	}
}

static bool is_word(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return len <= MAX_WORD;
}

int ks_warmup_check(const struct ks_config *config)
{
	const char *path = config->warmup_path, *host = config->warmup_host;

	if (path && (path[0] != '/' || !is_word(path))) {
		ks_message("option --warmup-path: expected / and at most %d characters more, no "
			   "spaces",
			   MAX_WORD - 1);
		return -1;
	}
	if (host && !is_word(host)) {
		ks_message("option --warmup-host: expected at most %d characters, no spaces",
			   MAX_WORD);
		return -1;
	}
	return 0;
}

static void make_request(struct ks_warmup *warmup, const struct ks_config *config)
{
	char host[INET6_ADDRSTRLEN + 16];

	host_of(&warmup->addr, host, sizeof(host));
	snprintf(warmup->request, sizeof(warmup->request),
		 "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kvmserver-warmup\r\n"
		 "Accept: */*\r\nConnection: close\r\n\r\n",
		 config->warmup_path ? config->warmup_path : "/",
		 config->warmup_host ? config->warmup_host : host);
}

/* A listening socket of our own, like the program's, with whatever name is free. */
static int open_meeting(struct ks_warmup *warmup)
{
	struct sockaddr_storage addr = {.ss_family = warmup->addr.ss_family};
	socklen_t len = sizeof(sa_family_t);
	int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (addr.ss_family == AF_INET) {
		((struct sockaddr_in *)&addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		len = sizeof(struct sockaddr_in);
	} else if (addr.ss_family == AF_INET6) {
		((struct sockaddr_in6 *)&addr)->sin6_addr = in6addr_loopback;
		len = sizeof(struct sockaddr_in6);
	}
	warmup->meeting = fd;
	warmup->addr_len = sizeof(warmup->addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) || listen(fd, SOMAXCONN) ||
	    getsockname(fd, (struct sockaddr *)&warmup->addr, &warmup->addr_len))
		return -1;
	return 0;
}

/* Where connections are made to. */
static int prepare_meeting(struct ks_warmup *warmup, size_t wanted, bool offer)
{
	warmup->meeting = -1;
	if (!offer)
		return 0;
	warmup->offers = calloc(wanted, sizeof(*warmup->offers));
	if (warmup->offers && !open_meeting(warmup))
		return 0;
	ks_message("cannot prepare the warm-up: %s", strerror(errno));
	return -1;
}

static void free_warmup(struct ks_warmup *warmup)
{
	if (warmup->meeting >= 0)
		close(warmup->meeting);
	free(warmup->offers);
	pthread_mutex_destroy(&warmup->lock);
	free(warmup);
}

struct ks_warmup *ks_warmup_start(const struct ks_config *config,
				  const struct tkvm_listener *listener,
				  struct tkvm_machine *machine, bool offer)
{
	uint64_t wanted = config->warmup_concurrency, ms = config->max_request_time_ms;
	struct ks_warmup *warmup;

	if (wanted > config->warmup)
		wanted = config->warmup;
	warmup = calloc(1, sizeof(*warmup) + wanted * sizeof(warmup->threads[0]));
	if (!warmup) {
		ks_message("out of memory");
		return NULL;
	}
	warmup->machine = machine;
	warmup->addr = listener->addr;
	warmup->addr_len = listener->addr_len;
	warmup->total = config->warmup;
	warmup->timeout = (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
	make_reachable(&warmup->addr);
	make_request(warmup, config);
	pthread_mutex_init(&warmup->lock, NULL);
	if (prepare_meeting(warmup, wanted, offer)) {
		free_warmup(warmup);
		return NULL;
	}
	atomic_store(&warmup->running, (unsigned int)wanted);
	for (; warmup->n_threads < wanted; warmup->n_threads++)
		if (pthread_create(&warmup->threads[warmup->n_threads], NULL, client, warmup))
			break;
	if (warmup->n_threads < wanted) {
		fail(warmup, 0, "cannot start a thread");
		if (atomic_fetch_sub(&warmup->running, (unsigned int)wanted - warmup->n_threads) ==
		    (unsigned int)wanted - warmup->n_threads)
			__atomic_store_n(&warmup->over, true, __ATOMIC_RELEASE);
	}
	return warmup;
}

bool ks_warmup_is_over(const struct ks_warmup *warmup)
{
	return __atomic_load_n(&warmup->over, __ATOMIC_ACQUIRE);
}

bool ks_warmup_failed(const struct ks_warmup *warmup)
{
	return ks_warmup_is_over(warmup) && warmup->error[0];
}

void ks_warmup_forget_machine(struct ks_warmup *warmup)
{
	pthread_mutex_lock(&warmup->lock);
	warmup->machine = NULL;
	pthread_mutex_unlock(&warmup->lock);
}

int ks_warmup_end(struct ks_warmup *warmup, const char *name)
{
	int rc = 0;

	/* If the program ended, what is still under way fails soon. */
	atomic_store(&warmup->next, warmup->total);
	pthread_mutex_lock(&warmup->lock);
	while (warmup->n_offers)
		close(warmup->offers[--warmup->n_offers]);
	warmup->no_more_offers = true;
	pthread_mutex_unlock(&warmup->lock);
	for (unsigned int i = 0; i < warmup->n_threads; i++)
		pthread_join(warmup->threads[i], NULL);
	if (warmup->error[0]) {
		if (name)
			ks_message("%s: %s", name, warmup->error);
		rc = -1;
	}
	free_warmup(warmup);
	return rc;
}
