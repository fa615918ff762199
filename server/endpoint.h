/* SPDX-License-Identifier: MIT */
/* --metrics: an HTTP endpoint for one text that is made when it is asked for. */
#ifndef KVMSERVER_ENDPOINT_H
#define KVMSERVER_ENDPOINT_H

#include <stdio.h>

struct ks_endpoint;

/*
 * Answer GET /metrics on @addr ("HOST:PORT", "[V6]:PORT", ":PORT", "unix:PATH") with what @write
 * writes; it is called by a thread of the endpoint. NULL after a message that names --metrics.
 */
struct ks_endpoint *ks_endpoint_start(const char *addr, void (*write)(FILE *out, void *ctx),
				      void *ctx);
void ks_endpoint_stop(struct ks_endpoint *endpoint);

#endif
