/* SPDX-License-Identifier: MIT */
/* --metrics: an HTTP endpoint for one text that is made when it is asked for. */
#ifndef KVMSERVER_ENDPOINT_H
#define KVMSERVER_ENDPOINT_H

#include <stdio.h>

struct ks_endpoint;

/*
 * Listen on @addr ("HOST:PORT", "[V6]:PORT", ":PORT", "unix:PATH"). NULL after a message that names
 * --metrics.
 */
struct ks_endpoint *ks_endpoint_open(const char *addr);

/*
 * From now on, answer GET /metrics with what @write writes; it is called by a thread of the
 * endpoint. 0 or -1 after a message.
 */
int ks_endpoint_start(struct ks_endpoint *endpoint, void (*write)(FILE *out, void *ctx), void *ctx);
/* Answer no more. */
void ks_endpoint_stop(struct ks_endpoint *endpoint);
/* NULL is fine. */
void ks_endpoint_close(struct ks_endpoint *endpoint);

#endif
