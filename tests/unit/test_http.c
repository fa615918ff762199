/* SPDX-License-Identifier: MIT */
/* kvmserver's HTTP framer: where requests and responses end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../server/http.h"

#define GET "GET /path?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct ks_http http;

static int setup(void **state)
{
	ks_http_begin(&http, false);
	return 0;
}

static size_t in(const char *text)
{
	return ks_http_input(&http, text, strlen(text));
}

static void out(const char *text)
{
	ks_http_output(&http, text, strlen(text));
}

static void test_simple(void **state)
{
	assert_false(ks_http_is_http(&http));
	assert_int_equal(in(GET), strlen(GET));
	assert_true(http.request_complete && ks_http_is_http(&http));
	assert_string_equal(ks_http_method(&http), "GET");
	assert_memory_equal(http.target, "/path?x=1", http.target_len);
	out(OK);
	assert_true(http.response_complete);
	assert_int_equal(http.status, 200);
	assert_true(ks_http_may_keep(&http));
}

static void test_next_request_is_left(void **state)
{
	assert_int_equal(in(GET GET), strlen(GET));
	assert_int_equal(in(GET), 0);
}

static void test_bodies(void **state)
{
	assert_int_equal(in("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234"), 44);
	assert_true(http.head_complete && !http.request_complete);
	assert_int_equal(http.skip_in, 5);
	ks_http_input_body(&http, 3);
	assert_int_equal(http.skip_in, 2);
	assert_int_equal(in("89GET"), 2);
	assert_true(http.request_complete);
	ks_http_begin(&http, false);
	assert_int_equal(in("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab"), 52);
	assert_int_equal(http.skip_in, 2);
	assert_int_equal(in("cd\r\n0\r\n\r\nX"), 9);
	assert_true(http.request_complete);
}

static void test_responses_without_bodies(void **state)
{
	static const char *const heads[] = {
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	};

	for (int i = 0; i < 3; i++) {
		ks_http_begin(&http, false);
		in(GET);
		out(heads[i]);
		assert_true(ks_http_may_keep(&http));
	}
	ks_http_begin(&http, false);
	in("HEAD / HTTP/1.1\r\n\r\n");
	out("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
	assert_true(ks_http_may_keep(&http));
}

static void test_interim_responses(void **state)
{
	in("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
	assert_true(http.expects_continue && !http.request_complete);
	out("HTTP/1.1 100 Continue\r\n\r\n");
	assert_false(http.response_complete);
	assert_int_equal(http.status, 0);
	in("x");
	out("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK);
	assert_true(ks_http_may_keep(&http));
	assert_int_equal(http.status, 200);
}

static void test_who_closes(void **state)
{
	static const struct {
		const char *request, *response;
	} cases[] = {
		{"GET / HTTP/1.0\r\n\r\n", OK},
		{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", OK},
		{GET, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{GET, OK OK},					      /* one too many */
		{"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", OK}, /* answered too early */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ks_http_begin(&http, false);
		in(cases[i].request);
		out(cases[i].response);
		assert_true(http.response_complete);
		assert_false(ks_http_may_keep(&http));
	}
}

static void test_until_the_end(void **state)
{
	in(GET);
	out("HTTP/1.1 200 OK\r\n\r\nsome");
	assert_true(http.skip_out > 1ull << 60);
	out("thing");
	assert_false(http.response_complete);
}

static void test_tunnels(void **state)
{
	static const char *const not_http[] = {"\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
					       "HELO x\r\n",   "SSH-2.0-OpenSSH\r\n",
					       "AMQP\1",       "*1\r\n$4\r\nPING\r\n"};

	for (size_t i = 0; i < sizeof(not_http) / sizeof(not_http[0]); i++) {
		ks_http_begin(&http, false);
		assert_int_equal(in(not_http[i]), strlen(not_http[i]));
		assert_true(http.tunnel);
		assert_int_equal(in("anything"), 8);
		assert_false(ks_http_may_keep(&http));
		/* On a connection that has been HTTP, or is to be. */
		ks_http_begin(&http, true);
		in(not_http[i]);
		assert_true(http.refused && !http.tunnel);
	}
	ks_http_begin(&http, false);
	in("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
	assert_false(http.tunnel);
	assert_int_equal(in("held back"), 0);
	out("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
	assert_true(http.tunnel);
	ks_http_begin(&http, false);
	in("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
	out(OK); /* it does not want to */
	assert_true(!http.tunnel && ks_http_may_keep(&http));
	ks_http_begin(&http, false);
	in("CONNECT a:1 HTTP/1.1\r\n\r\n");
	out("HTTP/1.1 200 OK\r\n\r\n");
	assert_true(http.tunnel);
}

#define UNCLEAR "POST / HTTP/1.1\r\nHost: a\r\n"

static void test_unclear_requests_are_refused(void **state)
{
	static const char *const requests[] = {
		"FOO / HTTP/1.1\r\n\r\n",
		"QUERY /x HTTP/1.1\r\n\r\n",
		"\r\nget /x http/1.1\r\n\r\n",
		"PRI * HTTP/1.1\r\n\r\n",
		"PRI /x HTTP/2.0\r\n\r\n",
		"GET /x\x01 HTTP/1.1\r\n\r\n",
		UNCLEAR "X@y(z): 1\r\n\r\n",
		UNCLEAR "X: a\x01 b\r\n\r\n",
		UNCLEAR "Transfer-Encoding: identity\r\n\r\n",
		UNCLEAR "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		UNCLEAR "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
		UNCLEAR "Content-Length: -5\r\n\r\n",
		UNCLEAR "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		ks_http_begin(&http, false);
		in(requests[i]);
		assert_true(http.refused && !http.tunnel && ks_http_is_http(&http));
		out(OK);
		assert_false(ks_http_may_keep(&http));
		/* The same, byte by byte. */
		ks_http_begin(&http, false);
		for (const char *p = requests[i]; *p; p++) {
			ks_http_input(&http, p, 1);
			assert_false(http.tunnel || http.request_complete);
		}
		assert_true(http.refused);
	}
}

static void test_unclear_responses_are_the_last(void **state)
{
	static const char *const responses[] = {
		"HTTP/1.1 200 OK\r\nX[0]: 1\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/2 200\r\nContent-Length: 2\r\n\r\nhi",
		"hello",
	};

	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		ks_http_begin(&http, false);
		in(GET);
		out(responses[i]);
		assert_true(http.lost && !http.tunnel && !ks_http_may_keep(&http));
		assert_int_equal(in(GET), 0);
	}
}

/* A program that does not know the method has answered as to any other. */
static void test_connect_without_a_tunnel(void **state)
{
	in("CONNECT a:1 HTTP/1.1\r\n\r\n");
	out(OK);
	assert_true(http.response_complete && !http.tunnel && !ks_http_may_keep(&http));
}

static void test_long_targets_are_cut(void **state)
{
	char line[2048] = "GET /", *end = line + 5;

	memset(end, 'x', 1000);
	strcpy(end + 1000, " HTTP/1.1\r\n\r\n");
	assert_int_equal(in(line), strlen(line));
	assert_true(http.request_complete);
	assert_int_equal(http.target_len, KS_HTTP_TARGET);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_simple),
		TEST(test_next_request_is_left),
		TEST(test_bodies),
		TEST(test_responses_without_bodies),
		TEST(test_interim_responses),
		TEST(test_who_closes),
		TEST(test_until_the_end),
		TEST(test_tunnels),
		TEST(test_unclear_requests_are_refused),
		TEST(test_unclear_responses_are_the_last),
		TEST(test_connect_without_a_tunnel),
		TEST(test_long_targets_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
