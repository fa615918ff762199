/* SPDX-License-Identifier: MIT */
/*
 * Where HTTP/1 requests and responses end on a connection. Follows one exchange. Another protocol,
 * or a switch to one, makes it a *tunnel*, which lasts until somebody closes the connection; what
 * is meant to be HTTP/1, but not plainly so, never does.
 */
#ifndef KVMSERVER_HTTP_H
#define KVMSERVER_HTTP_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "line.h"

#define KS_HTTP_TARGET 160 /* how much of a request's target is kept for the log */

struct ks_http {
	http_parser request, response;
	struct ks_line line;   /* the first of the request */
	bool only;	       /* nothing but HTTP/1 will do */
	bool tunnel;	       /* not, or no longer, HTTP/1 */
	bool refused;	       /* the request is one that nobody should see */
	bool lost;	       /* nobody knows where the response ends */
	bool head_complete;    /* the request's header is there */
	bool request_complete; /* its body too */
	bool response_begun;   /* a byte of it was seen */
	bool response_complete;
	bool request_keep, response_keep; /* that side wants the connection to stay open */
	bool expects_continue;
	bool field_is_expect;	    /* the parser is in a header of that name */
	uint64_t skip_in, skip_out; /* bytes that follow are body, whatever they are */
	int status;		    /* of the final response; 0: none yet */
	size_t target_len;
	char target[KS_HTTP_TARGET];
};

/* A new exchange. @only: what is not HTTP/1 is refused, or the connection has been HTTP/1 before.
 */
void ks_http_begin(struct ks_http *http, bool only);

/*
 * The next @len bytes from the client. Returns how many belong to this exchange: fewer than @len
 * if what follows is another request.
 */
size_t ks_http_input(struct ks_http *http, const void *data, size_t len);
/* The same for bytes of the body, at most http->skip_in, that nobody looked at. */
void ks_http_input_body(struct ks_http *http, size_t len);

/* The next @len bytes from the program. */
void ks_http_output(struct ks_http *http, const void *data, size_t len);
/* The same for bytes of the body, at most http->skip_out. */
void ks_http_output_body(struct ks_http *http, uint64_t len);

/* The exchange is complete, and the connection may be used for another one. */
bool ks_http_may_keep(const struct ks_http *http);

/* It is a request, as far as it is there, and its version is known or still to come. */
bool ks_http_is_http(const struct ks_http *http);

/* "GET"; "-" if there is none. */
const char *ks_http_method(const struct ks_http *http);

#endif
