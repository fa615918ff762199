/* SPDX-License-Identifier: MIT */
/* What the client waits for, before everything else that is on record. */
#ifndef TK_MACHINE_EARLY_H
#define TK_MACHINE_EARLY_H

#include "machine/fast.h"

struct tk_early {
	u32 sends;   /* so many entries were sent, the first ones of their kind */
	bool ended;  /* and the end of the connection behind them */
	bool broken; /* the one after these could not be */
};

/*
 * Send what @entries, @n of them, say was sent, as far as nothing that comes before it has to be
 * done first. Checks what it uses; the entries are still to be replayed, without these host calls.
 */
struct tk_early tk_early_send(const struct tk_fast *fast, const struct tk_fast_entry *entries,
			      u32 n);

/* What @entry says was sent can have been, its flags aside: @state becomes what it was then. */
bool tk_early_may_send(const struct tk_given *given, struct tk_fast_state *state,
		       const struct tk_fast_entry *entry);

/* send(2) of all @len bytes; false: the connection is broken now. */
bool tk_early_send_one(int hostfd, const u8 *data, size_t len, int flags);

/* The client broke it off. */
bool tk_early_broken(int hostfd);

#endif
