/* SPDX-License-Identifier: MIT */
/*
 * A line is HTTP's if it is a token, a space, and somewhere behind that "HTTP/" in any case: no
 * program that speaks HTTP, and no proxy in front of it, deals with anything else. Lines that go on
 * and on count as HTTP's, as that is the safe side: they are refused, not let through.
 */
#include <ctype.h>
#include <string.h>

#include "line.h"

#define LINE_MAX_LEN 8192

static const char preface[] = "PRI * HTTP/2.0\r\n";
static const char version[] = "http/";

/* RFC 9110, 5.6.2. */
static int is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static enum ks_protocol method_byte(struct ks_line *line, char c)
{
	if (is_token(c))
		return KS_PROTOCOL_OPEN;
	line->method_over = line->len > 1 && (c == ' ' || c == '\t');
	return line->method_over ? KS_PROTOCOL_OPEN : KS_PROTOCOL_OTHER;
}

static enum ks_protocol later_byte(struct ks_line *line, char c)
{
	const size_t all = sizeof(version) - 1;
	char lower = (char)tolower((unsigned char)c);

	if (line->match < all)
		line->match = lower == version[line->match] ? line->match + 1 : lower == *version;
	if (line->preface == line->len)
		return line->preface == sizeof(preface) - 1 ? KS_PROTOCOL_OTHER : KS_PROTOCOL_OPEN;
	if (line->match == all || line->len > LINE_MAX_LEN)
		return KS_PROTOCOL_HTTP;
	return c == '\n' ? KS_PROTOCOL_OTHER : KS_PROTOCOL_OPEN;
}

static enum ks_protocol one_byte(struct ks_line *line, char c)
{
	/* Empty lines in front of a request are skipped (RFC 9112, 2.2). */
	if (!line->len && (c == '\r' || c == '\n'))
		return KS_PROTOCOL_OPEN;
	if (line->preface == line->len++ && line->preface < sizeof(preface) - 1 &&
	    c == preface[line->preface])
		line->preface++;
	return line->method_over ? later_byte(line, c) : method_byte(line, c);
}

void ks_line_input(struct ks_line *line, const char *data, size_t len)
{
	for (size_t i = 0; i < len && line->protocol == KS_PROTOCOL_OPEN; i++)
		line->protocol = one_byte(line, data[i]);
}
