/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 framing, by http_parser. Its strictness is ours: a request that it does not take (both a
 * length and chunks, a bare LF in the wrong place, an unknown method) is refused, so that we never
 * disagree with the program about where a request ends. After such a response the connection ends.
 * In neither case may the program go on with the connection: behind a proxy, the next request on
 * it is another user's.
 *
 * Bodies of known length, and chunks, need not be looked at: @skip_in and @skip_out.
 */
#include <string.h>
#include <strings.h>

#include "http.h"

#define STATUS_SWITCHING 101

static struct ks_http *of_request(http_parser *parser)
{
	return parser->data;
}

static int request_target(http_parser *parser, const char *at, size_t len)
{
	struct ks_http *http = of_request(parser);
	size_t room = sizeof(http->target) - http->target_len;

	if (len > room)
		len = room;
	memcpy(http->target + http->target_len, at, len);
	http->target_len += len;
	return 0;
}

/*
 * Header names may come in pieces. A piece that begins one starts with E or e; "expect" in pieces
 * is taken for another header, which costs a wait for a body that does not come.
 */
static int request_field(http_parser *parser, const char *at, size_t len)
{
	struct ks_http *http = of_request(parser);

	http->field_is_expect = len == 6 && !strncasecmp(at, "expect", 6);
	http->expects_continue |= http->field_is_expect;
	return 0;
}

static int request_headers(http_parser *parser)
{
	struct ks_http *http = of_request(parser);

	http->head_complete = true;
	if (!(parser->flags & F_CHUNKED) && parser->content_length != UINT64_MAX)
		http->skip_in = parser->content_length;
	/* An upgrade's body, if it says that it has one, is not followed. */
	if (parser->upgrade)
		http->skip_in = 0;
	return 0;
}

static int request_chunk(http_parser *parser)
{
	of_request(parser)->skip_in = parser->content_length;
	return 0;
}

static int request_body(http_parser *parser, const char *at, size_t len)
{
	struct ks_http *http = of_request(parser);

	http->skip_in -= len < http->skip_in ? len : http->skip_in;
	return 0;
}

static int request_message(http_parser *parser)
{
	struct ks_http *http = of_request(parser);

	http->request_complete = true;
	http->skip_in = 0;
	http->request_keep = http_should_keep_alive(parser);
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings request_settings = {
	.on_url = request_target,
	.on_header_field = request_field,
	.on_headers_complete = request_headers,
	.on_chunk_header = request_chunk,
	.on_body = request_body,
	.on_message_complete = request_message,
};

static bool is_interim(const http_parser *parser)
{
	return parser->status_code / 100 == 1 && parser->status_code != STATUS_SWITCHING;
}

/* No body, whatever its headers say (RFC 9110, 6.4.1). */
static bool is_bodiless(const struct ks_http *http)
{
	return (http->head_complete && http->request.method == HTTP_HEAD) || http->status == 204 ||
	       http->status == 304;
}

/* A length or an encoding (RFC 9110, 9.3.6) says that the program does not know of tunnels. */
static bool opens_tunnel(const struct ks_http *http)
{
	return http->head_complete && http->request.method == HTTP_CONNECT &&
	       http->status / 100 == 2 && http->response.content_length == UINT64_MAX &&
	       !(http->response.flags & F_CHUNKED);
}

/* Returns what http_parser wants: 1 if there is no body. */
static int response_headers(http_parser *parser)
{
	struct ks_http *http = parser->data;

	if (is_interim(parser))
		return 1;
	http->status = parser->status_code;
	if (opens_tunnel(http))
		http->tunnel = true;
	if (is_bodiless(http))
		return 1;
	/* Without a length it goes on until the connection ends (UINT64_MAX). */
	if (!(parser->flags & F_CHUNKED) && http->status != STATUS_SWITCHING)
		http->skip_out = parser->content_length;
	return 0;
}

static int response_chunk(http_parser *parser)
{
	struct ks_http *http = parser->data;

	http->skip_out = parser->content_length;
	return 0;
}

static int response_body(http_parser *parser, const char *at, size_t len)
{
	struct ks_http *http = parser->data;

	http->skip_out -= len < http->skip_out ? len : http->skip_out;
	return 0;
}

static int response_message(http_parser *parser)
{
	struct ks_http *http = parser->data;

	http->skip_out = 0;
	if (is_interim(parser))
		return 0;
	if (http->status == STATUS_SWITCHING)
		http->tunnel = true;
	else
		http->response_complete = true;
	http->response_keep = http_should_keep_alive(parser);
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings response_settings = {
	.on_headers_complete = response_headers,
	.on_chunk_header = response_chunk,
	.on_body = response_body,
	.on_message_complete = response_message,
};

void ks_http_begin(struct ks_http *http, bool only)
{
	memset(http, 0, offsetof(struct ks_http, target));
	http->only = only;
	http_parser_init(&http->request, HTTP_REQUEST);
	http_parser_init(&http->response, HTTP_RESPONSE);
	http->request.data = http->response.data = http;
}

/* What is to become of a request that the parser does not take. */
static void give_up_request(struct ks_http *http)
{
	if (http->only || http->line.protocol == KS_PROTOCOL_HTTP)
		http->refused = true;
	else if (http->line.protocol == KS_PROTOCOL_OTHER)
		http->tunnel = true;
}

size_t ks_http_input(struct ks_http *http, const void *data, size_t len)
{
	size_t used;

	if (http->tunnel || http->refused)
		return len;
	if (http->request_complete || !len)
		return 0;
	ks_line_input(&http->line, data, len);
	if (http->request.http_errno == HPE_OK) {
		used = http_parser_execute(&http->request, &request_settings, data, len);
		if (http->request_complete)
			return used;
	}
	if (http->request.http_errno != HPE_OK)
		give_up_request(http);
	return len;
}

/* Bytes that the parser counts but does not look at. */
static const char nothing[16384];

void ks_http_input_body(struct ks_http *http, size_t len)
{
	while (len && !http->tunnel && !http->refused) {
		size_t n = len < sizeof(nothing) ? len : sizeof(nothing);

		ks_http_input(http, nothing, n);
		len -= n;
	}
}

void ks_http_output(struct ks_http *http, const void *data, size_t len)
{
	size_t used;

	if (!len)
		return;
	http->response_begun = true;
	if (http->tunnel || http->lost)
		return;
	/* More than one response: nobody knows any more which is whose. */
	if (http->response_complete) {
		http->response_keep = false;
		return;
	}
	used = http_parser_execute(&http->response, &response_settings, data, len);
	if (http->response_complete || http->tunnel) {
		http->response_keep = http->response_keep && used == len;
		return;
	}
	if (http->response.http_errno != HPE_OK)
		http->lost = true;
}

void ks_http_output_body(struct ks_http *http, uint64_t len)
{
	while (len) {
		size_t n = len < sizeof(nothing) ? (size_t)len : sizeof(nothing);

		ks_http_output(http, nothing, n);
		len -= n;
	}
}

bool ks_http_may_keep(const struct ks_http *http)
{
	return !http->tunnel && http->request_complete && http->response_complete &&
	       http->request_keep && http->response_keep && http->request.method != HTTP_CONNECT;
}

bool ks_http_is_http(const struct ks_http *http)
{
	return http->head_complete || http->refused || (http->target_len && !http->tunnel);
}

const char *ks_http_method(const struct ks_http *http)
{
	return http->target_len ? http_method_str(http->request.method) : "-";
}
