/* SPDX-License-Identifier: MIT */
/*
 * The HTTP framer: an exchange, client's bytes then program's, cut in pieces as the input says. The
 * outcome must not depend on where the cuts are, nor on whether bodies were looked at.
 *
 * Input: one byte for the cuts, two for the length of the client's part, then both parts.
 */
#include <stdlib.h>
#include <string.h>

#include "../../server/http.h"
#include "fuzz.h"

struct outcome {
	struct ks_http http;
	size_t used;
};

static size_t piece(u8 cuts, size_t *i, size_t left)
{
	size_t n = cuts ? 1 + (cuts * (*i)++ % 31) : left;

	return n < left ? n : left;
}

static void input(struct outcome *out, const u8 *data, size_t len, u8 cuts)
{
	size_t i = 0, n, used;

	for (; len; data += n, len -= n) {
		n = piece(cuts, &i, len);
		if (cuts & 1 && out->http.skip_in) {
			if (n > out->http.skip_in)
				n = (size_t)out->http.skip_in;
			ks_http_input_body(&out->http, n);
			used = n;
		} else {
			used = ks_http_input(&out->http, data, n);
		}
		out->used += used;
		if (used > n)
			abort();
		if (used < n)
			break;
	}
}

static void output(struct outcome *out, const u8 *data, size_t len, u8 cuts)
{
	size_t i = 0, n;

	for (; len; data += n, len -= n) {
		n = piece(cuts, &i, len);
		if (cuts & 1 && out->http.skip_out) {
			if (n > out->http.skip_out)
				n = (size_t)out->http.skip_out;
			ks_http_output_body(&out->http, n);
		} else {
			ks_http_output(&out->http, data, n);
		}
	}
}

static void run(struct outcome *out, const u8 *data, size_t size, size_t first, u8 cuts)
{
	out->used = 0;
	ks_http_begin(&out->http, false);
	input(out, data, first, cuts);
	output(out, data + first, size - first, cuts);
}

/* A tunnel takes everything, but where it became one, or was refused, depends on the cuts. */
static void compare(const struct outcome *a, const struct outcome *b)
{
	const struct ks_http *x = &a->http, *y = &b->http;

	if (x->refused != y->refused || x->lost != y->lost)
		abort();
	if (x->tunnel != y->tunnel || x->response_begun != y->response_begun)
		abort();
	if (x->tunnel || x->refused || x->lost)
		return;
	if (a->used != b->used || x->request_complete != y->request_complete ||
	    x->response_complete != y->response_complete || x->status != y->status ||
	    x->skip_in != y->skip_in || x->skip_out != y->skip_out ||
	    ks_http_may_keep(x) != ks_http_may_keep(y))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct outcome whole, cut;
	size_t first;

	if (size < 3)
		return 0;
	first = (size_t)(data[1] | data[2] << 8) % (size - 2);
	run(&whole, data + 3, size - 3, first, 0);
	run(&cut, data + 3, size - 3, first, data[0]);
	compare(&whole, &cut);
	return 0;
}
