/* SPDX-License-Identifier: MIT */
/*
 * What stands between storage machines and their callers. Whoever *owns* a remote may run the
 * storage machine and change what is marked so: one at a time, in the order in which they asked.
 */
#ifndef TK_MACHINE_REMOTE_H
#define TK_MACHINE_REMOTE_H

#include "machine/machine.h"
#include "tinykvm/remote.h"

/* 64 MiB each of callers' memory that the storage VM has memslots for. */
#define TK_MAX_ALIASES 256

struct tk_alias {
	void *hva; /* NULL: free */
	u64 used;  /* the count of calls at its last use */
};

enum tk_call_state { TK_CALL_WAITS, TK_CALL_TAKEN, TK_CALL_ANSWERED };

struct tk_call {
	enum tk_call_state state;
	gva_t at; /* in the window */
	u64 len;
	s64 result;
};

struct tk_waiter; /* queue.c */

struct tkvm_remote {
	atomic_uint refs;
	struct tkvm_remote_options options;
	int bell; /* eventfd: the thread that serves has something to do */

	pthread_mutex_t lock; /* of the queue */
	bool owned, serving;  /* by the thread that serves */
	s64 since;	      /* when that began */
	struct tk_waiter *first, **last;

	atomic_bool stop;

	/* the owner's */
	struct tkvm_machine *machine; /* NULL: nobody serves */
	struct tk_call *call;	      /* being answered; NULL: none */
	u64 calls;
	void *blank;  /* a page for tk_remote_blank() */
	bool blanked; /* the call's window shows it */
	struct tk_alias aliases[TK_MAX_ALIASES];

	/* what the thread that serves sleeps for */
	bool asleep;
	struct pollfd *fds; /* the bell, and behind it the program's */
	size_t n_fds, room_fds;
	s64 until;
};

/* queue.c */
void tk_remote_queue_init(struct tkvm_remote *remote);
void tk_remote_queue_destroy(struct tkvm_remote *remote);
/*
 * Become the owner. @caller may give up: -ETIMEDOUT when its time is over, -EINTR when it is
 * interrupted. NULL: waits as long as it takes.
 */
int tk_remote_enter(struct tkvm_remote *remote, struct tkvm_machine *caller);
/* The same for the thread that serves: it is asked to make room when others come. */
void tk_remote_enter_serving(struct tkvm_remote *remote);
void tk_remote_leave(struct tkvm_remote *remote);

/* alias.c: memslots of the storage VM over the memory of callers; by the owner. */
int tk_alias_init(struct tkvm_remote *remote); /* 0 or -errno */
gpa_t tk_alias_gpa(void *ctx, const struct tk_mm *lender, void *hva);
/* All that lies in @mm's memory. What cannot be removed ends the storage machine. */
void tk_alias_drop(struct tkvm_remote *remote, const struct tk_mm *mm);
/* The window is closed: neither what tk_remote_blank() put there nor its content is to stay. */
void tk_alias_renew_blank(struct tkvm_remote *remote);

/* serve.c, by the owner: the storage machine was run; see to it that what is left to do is done. */
void tk_remote_wake(struct tkvm_remote *remote);

#endif
