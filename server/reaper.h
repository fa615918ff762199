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

/* For so many workers. NULL after a message. */
struct ks_reaper *ks_reaper_start(struct ks_lobby *lobby, unsigned int n_workers);
/* Waits until all is done. NULL is fine. */
void ks_reaper_stop(struct ks_reaper *reaper);

/* Host descriptors that forks may have, all together. */
unsigned int ks_reaper_files(void);
/* How many forks it may have at a time: fewer, if they could have all those. */
unsigned int ks_reaper_room(const struct ks_reaper *reaper);

/* Room for a fork. False: it has too much to do already, destroy the fork yourself. */
bool ks_reaper_reserve(struct ks_reaper *reaper);
void ks_reaper_unreserve(struct ks_reaper *reaper);

/*
 * With room reserved: destroy @fork, then drop the connection of @exchange, which it still holds,
 * and free @exchange (NULL: there is none).
 */
void ks_reaper_take(struct ks_reaper *reaper, struct tkvm_machine *fork,
		    struct ks_exchange *exchange);

#endif
