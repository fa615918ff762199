/* SPDX-License-Identifier: MIT */
/*
 * The metrics endpoint, by libmicrohttpd in a thread of its own. The library is loaded when it is
 * wanted: with what it needs in turn (GnuTLS) it would cost every start of kvmserver some
 * milliseconds and double its resident memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "endpoint.h"
#include "kvmserver.h"

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define BACKLOG	  16
#define LIBRARY	  "libmicrohttpd.so.12"
#define FUNCTIONS(X)                                                                               \
	X(start_daemon)                                                                            \
	X(stop_daemon)                                                                             \
	X(create_response_from_buffer)                                                             \
	X(add_response_header)                                                                     \
	X(queue_response)                                                                          \
	X(destroy_response)

static struct {
#define X(name) __typeof__(MHD_##name) *name;
	FUNCTIONS(X)
#undef X
} mhd;

struct ks_endpoint {
	int fd; /* until it is started */
	struct MHD_Daemon *daemon;
	void (*write)(FILE *out, void *ctx);
	void *ctx;
	struct sockaddr_un unix_addr; /* to be removed at the end; no path: none */
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int status, char *text,
			     size_t len, enum MHD_ResponseMemoryMode mode, const char *type)
{
	struct MHD_Response *response = mhd.create_response_from_buffer(len, text, mode);
	enum MHD_Result rc;

	if (!response)
		return MHD_NO;
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	rc = mhd.queue_response(connection, status, response);
	mhd.destroy_response(response);
	return rc;
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *data_size, void **state)
{
	struct ks_endpoint *endpoint = ctx;
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (strcmp(method, "GET") && strcmp(method, "HEAD"))
		return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, (char *)"only GET\n", 9,
			     MHD_RESPMEM_PERSISTENT, "text/plain");
	if (strcmp(url, "/metrics"))
		return reply(connection, MHD_HTTP_NOT_FOUND, (char *)"only /metrics\n", 14,
			     MHD_RESPMEM_PERSISTENT, "text/plain");
	out = open_memstream(&text, &len);
	if (!out)
		return MHD_NO;
	endpoint->write(out, endpoint->ctx);
	if (fclose(out)) {
		free(text);
		return MHD_NO;
	}
	return reply(connection, MHD_HTTP_OK, text, len, MHD_RESPMEM_MUST_FREE, TEXT_TYPE);
}

static int complain(const char *addr, const char *what)
{
	ks_message("option --metrics: %.200s: %s", addr, what);
	return -1;
}

static int listen_on(const char *addr, const struct sockaddr *name, socklen_t len)
{
	int on = 1, fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return complain(addr, strerror(errno));
	if (name->sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!bind(fd, name, len) && !listen(fd, BACKLOG))
		return fd;
	complain(addr, strerror(errno));
	close(fd);
	return -1;
}

/* Of a stream socket at which nobody listens. What answers otherwise may be in use. */
static bool is_abandoned(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool abandoned = fd >= 0 && connect(fd, (const struct sockaddr *)name, sizeof(*name)) &&
			 errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return abandoned;
}

static int open_unix(struct ks_endpoint *endpoint, const char *addr)
{
	struct sockaddr_un *name = &endpoint->unix_addr;
	const char *path = addr + strlen("unix:");
	struct stat st;
	int fd;

	if (!*path || strlen(path) >= sizeof(name->sun_path))
		return complain(addr, "expected the path of a socket, of 1 to 107 characters");
	name->sun_family = AF_UNIX;
	strcpy(name->sun_path, path);
	/* What an earlier kvmserver left behind. */
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode) && is_abandoned(name))
		unlink(path);
	fd = listen_on(addr, (struct sockaddr *)name, sizeof(*name));
	if (fd < 0)
		name->sun_path[0] = '\0';
	return fd;
}

/* getaddrinfo(3) would take 99999 for 34463. */
static bool is_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && !*end && port > 0 && port <= UINT16_MAX;
}

static int open_inet(const char *addr)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM},
			*found;
	const char *colon = strrchr(addr, ':');
	size_t len = colon ? (size_t)(colon - addr) : 0;
	char host[256] = "";
	int rc, fd;

	if (!colon || len >= sizeof(host))
		return complain(addr, "expected HOST:PORT, :PORT or unix:PATH");
	if (!is_port(colon + 1))
		return complain(addr, "expected a port from 1 to 65535");
	if (len > 1 && addr[0] == '[' && addr[len - 1] == ']')
		memcpy(host, addr + 1, len - 2);
	else
		memcpy(host, addr, len);
	rc = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
	if (rc)
		return complain(addr, gai_strerror(rc));
	fd = listen_on(addr, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return fd;
}

static int load_library(const char *addr)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);

	if (!library)
		return complain(addr, dlerror());
#define X(name)                                                                                    \
	mhd.name = (__typeof__(mhd.name))dlsym(library, "MHD_" #name);                             \
	if (!mhd.name)                                                                             \
		return complain(addr, "MHD_" #name " is missing in " LIBRARY);
	FUNCTIONS(X)
#undef X
	return 0;
}

struct ks_endpoint *ks_endpoint_open(const char *addr)
{
	struct ks_endpoint *endpoint;

	if (load_library(addr))
		return NULL;
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint) {
		complain(addr, "out of memory");
		return NULL;
	}
	endpoint->fd = strncmp(addr, "unix:", 5) ? open_inet(addr) : open_unix(endpoint, addr);
	if (endpoint->fd >= 0)
		return endpoint;
	free(endpoint);
	return NULL;
}

int ks_endpoint_start(struct ks_endpoint *endpoint, void (*write)(FILE *out, void *ctx), void *ctx)
{
	endpoint->write = write;
	endpoint->ctx = ctx;
	endpoint->daemon = mhd.start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL,
					    NULL, answer, endpoint, MHD_OPTION_LISTEN_SOCKET,
					    endpoint->fd, MHD_OPTION_CONNECTION_TIMEOUT, 10u,
					    MHD_OPTION_CONNECTION_LIMIT, 64u, MHD_OPTION_END);
	if (endpoint->daemon) {
		endpoint->fd = -1; /* it closes it */
		return 0;
	}
	ks_message("option --metrics: cannot start the endpoint");
	return -1;
}

void ks_endpoint_stop(struct ks_endpoint *endpoint)
{
	if (endpoint && endpoint->daemon)
		mhd.stop_daemon(endpoint->daemon);
	if (endpoint)
		endpoint->daemon = NULL;
}

void ks_endpoint_close(struct ks_endpoint *endpoint)
{
	if (!endpoint)
		return;
	ks_endpoint_stop(endpoint);
	if (endpoint->fd >= 0)
		close(endpoint->fd);
	if (endpoint->unix_addr.sun_path[0])
		unlink(endpoint->unix_addr.sun_path);
	free(endpoint);
}
