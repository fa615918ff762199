/* SPDX-License-Identifier: MIT */
/*
 * The fast path: a request's system calls answered inside the guest. What VMM (machine/fast.c) and
 * shim (guest/fast/) share; docs/internals/fastpath.md says how it goes.
 *
 * Everything is about *one* connection, which waits in the queue of a listening socket or was
 * accepted from there, about the epoll object that watches it or is going to, and about one file,
 * which the program has just opened to read it. The VMM says how
 * things are (struct tk_given); the shim answers calls from that, and puts each on record. At the
 * next exit the VMM does what is on record to the real objects, and only then looks at the exit.
 */
#ifndef TK_GUEST_FAST_H
#define TK_GUEST_FAST_H

#include "base/types.h"
#include "guest/layout.h"

#define TK_FAST_FDS	 256 /* descriptors that the shim knows about */
#define TK_FAST_CALLS	 64 /* answered between two exits, at most: so nothing is put off for ever */
#define TK_FAST_OVERHEAD 2048	/* of a write, beside its bytes, in the host's socket buffer */
#define TK_FAST_NAME	 28	/* struct sockaddr_in6 */
#define TK_FAST_STAT	 144	/* struct stat */
#define TK_FAST_MORE	 0x8000 /* MSG_MORE */

/* What a descriptor is to the shim. */
enum tk_fast_class {
	TK_FAST_OTHER,
	TK_FAST_LISTENER, /* a listening socket; the connection is in its queue, if in any */
	TK_FAST_IDLE,	  /* another one, with an empty queue */
	TK_FAST_EPOLL,	  /* the epoll object */
};

/* What a program is to itself. */
enum tk_fast_id {
	TK_FAST_PID,
	TK_FAST_TID,
	TK_FAST_PPID,
	TK_FAST_UID,
	TK_FAST_EUID,
	TK_FAST_GID,
	TK_FAST_EGID,
	TK_FAST_IDS
};

enum tk_fast_conn { TK_CONN_NONE, TK_CONN_OFFERED, TK_CONN_OPEN };

/* The part that changes as calls are answered. */
struct tk_fast_state {
	u8 conn;       /* enum tk_fast_conn */
	u8 nonblock;   /* O_NONBLOCK is set on it */
	u8 shut;       /* nothing can be sent any more */
	u8 registered; /* with the epoll object, as: */
	u8 known;      /* since the last exit, so that @armed means something */
	u8 armed;      /* edge-triggered, or once only: an event is still to be told */
	u8 file;       /* the file is open */
	u8 unused;
	u32 events;
	u32 in_pos; /* of what was received */
	u32 out;    /* bytes that the program sent */
	u32 spent;  /* of the host's socket buffer */
	u64 data;
	u64 file_pos; /* the file's offset */
};

/*
 * Written by the VMM, read-only in the guest; at TK_GIVEN_IN are the bytes that were received, at
 * TK_GIVEN_FILE is what the file holds.
 */
struct tk_given {
	u32 on;	     /* 0: nothing is answered */
	u32 conn_fd; /* the connection's descriptor, now or when it will be accepted */
	u32 in_len;
	u32 budget; /* of the host's socket buffer; 0: it takes nothing now */
	u8 in_all;  /* there was no more to receive than that */
	u8 tcp;	    /* an internet socket, whose names are: */
	u8 quiet; /* the epoll object has nothing to tell but of the listener and the connection */
	u8 may_tell;		/* the connection's event, without looking what else is ready */
	u8 may_close;		/* its descriptor is the only one */
	u8 accept_waits;	/* the listener's descriptor is in blocking mode */
	u8 plain;		/* what is received has nothing beside its bytes */
	u8 alone;		/* there is no other thread */
	u8 peer_len, local_len; /* 0: not known */
	u8 peer[TK_FAST_NAME], local[TK_FAST_NAME];
	u8 class[TK_FAST_FDS];
	u32 n_fds;    /* size of the table of descriptors, as select(2) goes by it */
	u32 fd_limit; /* RLIMIT_NOFILE, as poll(2) goes by it */
	u32 ids[TK_FAST_IDS];
	u32 file_fd;   /* of the file, if state.file */
	u8 file_whole; /* all that it holds is here */
	u64 file_size;
	u64 deadline; /* guest TSC from which on nothing is told of the file */
	u8 file_stat[TK_FAST_STAT];
	struct tk_fast_state state; /* to begin with */
};

/* What was answered. X(name): TK_DID_name */
#define TK_FAST_DEEDS(X)                                                                           \
	X(NOTHING)  /* nothing has changed */                                                      \
	X(ACCEPT)   /* a: flags of accept4(2) */                                                   \
	X(RECEIVE)  /* a: so many bytes */                                                         \
	X(SEND)	    /* a: where in what was sent, and flags << 32; b: so many bytes */             \
	X(REGISTER) /* a: operation of epoll_ctl(2), and events << 32; b: data */                  \
	X(TELL)	    /* the connection's event was delivered */                                     \
	X(OPTION)   /* a: level, and name << 32; b: int */                                         \
	X(NONBLOCK) /* a: 0 or 1 */                                                                \
	X(SHUTDOWN) /* for sending */                                                              \
	X(CLOSE)                                                                                   \
	X(POSITION) /* a: of the file */                                                           \
	X(CLOSE_FILE)

enum tk_fast_deed {
#define X(name) TK_DID_##name,
	TK_FAST_DEEDS(X)
#undef X
};

struct tk_fast_entry {
	u32 deed;
	u32 nr; /* of the call, for the statistics */
	u64 a, b;
};

/* Written by the guest: believe nothing of it. */
struct tk_record {
	u32 count; /* entries that count; its store is what makes a call have happened */
	u32 unused;
	struct tk_fast_state state[2]; /* after @count entries: [@count % 2] */
	struct tk_fast_entry entries[TK_FAST_CALLS];
};

#endif
