/* SPDX-License-Identifier: MIT */
/*
 * What a client's first line says of its protocol, as it arrives. Only that: whether the line is
 * correct is the parser's business.
 */
#ifndef KVMSERVER_LINE_H
#define KVMSERVER_LINE_H

#include <stddef.h>

enum ks_protocol {
	KS_PROTOCOL_OPEN,  /* more of the line is needed */
	KS_PROTOCOL_HTTP,  /* HTTP/1, or meant to be */
	KS_PROTOCOL_OTHER, /* HTTP/2, too */
};

/* All zeros: nothing has come. */
struct ks_line {
	enum ks_protocol protocol;
	size_t len;
	size_t preface; /* bytes that are those of the HTTP/2 preface */
	size_t match;	/* bytes of "HTTP/" that have just been seen */
	unsigned char method_over;
};

void ks_line_input(struct ks_line *line, const char *data, size_t len);

#endif
