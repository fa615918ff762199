/* SPDX-License-Identifier: MIT */
/*
 * Destroys forks that came to harm, in a thread of its own: giving a VM back takes the kernel up to
 * tens of milliseconds, which workers have better uses for.
 */
#ifndef KVMSERVER_REAPER_H
#define KVMSERVER_REAPER_H

#include "exchange.h"
#include "lobby.h"

struct ks_reaper;

/* NULL after a message. */
struct ks_reaper *ks_reaper_start(struct ks_lobby *lobby);
/* Waits until all is done. NULL is fine. */
void ks_reaper_stop(struct ks_reaper *reaper);

/*
 * Destroy @fork, then drop the connection of @exchange, which it still holds, and free @exchange
 * (NULL: there is none). False: there is too much to do already, do it yourself.
 */
bool ks_reaper_take(struct ks_reaper *reaper, struct tkvm_machine *fork,
		    struct ks_exchange *exchange);

#endif
