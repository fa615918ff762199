/* SPDX-License-Identifier: MIT */
/* Requests that a program gets before it is frozen, over real connections. */
#ifndef KVMSERVER_WARMUP_H
#define KVMSERVER_WARMUP_H

#include "options.h"
#include "tinykvm/tinykvm.h"

struct ks_warmup;

/* Can its options be put into a request? -1 after a message. */
int ks_warmup_check(const struct ks_config *config);

/*
 * Begin to send requests to @listener, from threads of their own; @machine is interrupted when the
 * last one has been answered, or one has failed. With @offer, connections are not made to the
 * listener, where others may come in between: they are offered to @machine, which is interrupted
 * for each. NULL after a message.
 */
struct ks_warmup *ks_warmup_start(const struct ks_config *config,
				  const struct tkvm_listener *listener,
				  struct tkvm_machine *machine, bool offer);

/* Offer what has come. By the thread that runs the machine, between runs. */
void ks_warmup_offer(struct ks_warmup *warmup);

/* All of it is done, or a request failed. Any thread. */
bool ks_warmup_is_over(const struct ks_warmup *warmup);
bool ks_warmup_failed(const struct ks_warmup *warmup);

/* The machine is about to go: it is not interrupted any more. */
void ks_warmup_forget_machine(struct ks_warmup *warmup);

/* Wait for the threads, and free it. -1 after a message (@name NULL: without) if a request failed.
 */
int ks_warmup_end(struct ks_warmup *warmup, const char *name);

#endif
