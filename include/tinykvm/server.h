/* SPDX-License-Identifier: MIT */
/*
 * Serving connections with machines: finding out that a program is ready for them, handing it
 * connections that the caller accepted, and following what it does with them.
 *
 * The program of a fork does not see the queue of its listening sockets: it accepts what it is
 * offered here, and nothing else. A machine that is no fork accepts for itself, unless it is made
 * with options.gate_listeners.
 */
#ifndef TINYKVM_SERVER_H
#define TINYKVM_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tinykvm/error.h"
#include "tinykvm/export.h"
#include "tinykvm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * True if @machine's program waits for connections: it has a listening socket, all its threads are
 * blocked, and one of them in a call that a new connection would end. *@call (may be NULL) becomes
 * the name of the kind of call: "epoll", "poll", "select" or "accept". To be asked while the
 * machine is not running, or from its idle function.
 */
TKVM_API int tkvm_machine_ready(struct tkvm_machine *machine, const char **call);

/*
 * For how many nanoseconds @machine's program will go on waiting if nothing comes from outside:
 * until the earliest time-out of a thread's call, or the expiry of a timer or timerfd. Timers of
 * CPU time count as if it passed. UINT64_MAX: none is set; 0: one is due, or the program is not
 * waiting. It may end sooner where a call has to be tried again in vain. To be asked as
 * tkvm_machine_ready().
 */
TKVM_API uint64_t tkvm_machine_rest(struct tkvm_machine *machine);

/* What the threads are doing, for people: one call of @fn for each, with text like "runs" or "waits
 * in futex". */
TKVM_API void tkvm_machine_threads(struct tkvm_machine *machine,
				   void (*fn)(void *ctx, int tid, const char *name,
					      const char *doing),
				   void *ctx);

/* How many connections that it accepted the program holds open. */
TKVM_API unsigned int tkvm_machine_connections(struct tkvm_machine *machine);

struct tkvm_listener {
	size_t size; /* sizeof(struct tkvm_listener), set by the caller */
	int fd; /* the host's socket, non-blocking; it remains the machine's: use a duplicate */
	socklen_t addr_len;
	struct sockaddr_storage addr;
	uint64_t dev, ino; /* the file that a unix socket was bound to; 0: it has none */
};

/*
 * The @n-th listening stream socket of the program, in the order of its descriptors, counted from
 * 0. A fork has the same ones as the machine that was frozen.
 *   -ENOENT  there are not that many
 *   -EINVAL  listener->size is no good
 */
TKVM_API int tkvm_machine_listener(struct tkvm_machine *machine, unsigned int n,
				   struct tkvm_listener *listener);

/* How the program's use of a connection ended. */
enum tkvm_release {
	TKVM_CLOSED,	/* it closed the connection, died, or was reset */
	TKVM_UNCHANGED, /* the same, and the socket's options are what they were when offered */
	TKVM_REFUSED	/* it never accepted the connection */
};

/* How bytes were sent: flags. */
enum tkvm_sent {
	/* They can be read without harm, and do not change, while the callee looks. */
	TKVM_SENT_STABLE = 1,
	/*
	 * The end of the connection went out behind them, by shutdown(2), as that is what the
	 * program does next: shut() or released() follows, unless the program dies before it or
	 * has said so falsely.
	 */
	TKVM_SENT_ENDED = 2
};

/*
 * What becomes of a connection that was offered. All are called by the thread that runs, resets or
 * destroys the machine, and must not call the library for that machine. NULL: not of interest.
 */
struct tkvm_connection_ops {
	size_t size; /* sizeof(struct tkvm_connection_ops) */
	/* The program has it now. */
	void (*accepted)(void *ctx);
	/*
	 * The program wants up to @wanted bytes of what lies in the socket @fd (which may be
	 * peeked at). Returns how many it may have now; what it may not have looks to it as if it
	 * had not arrived yet. Only asked when needed, and also before the program has accepted the
	 * connection (what is then said may be given to it at once); SIZE_MAX is "whatever there
	 * is".
	 */
	size_t (*input)(void *ctx, int fd, size_t wanted);
	/* It took @len bytes. */
	void (*took)(void *ctx, size_t len);
	/*
	 * It sent the first @len bytes of @iov, which may change or vanish behind the callee's
	 * back unless @how (enum tkvm_sent) says otherwise. A program that forges what it has done
	 * may have sent before it accepted the connection.
	 */
	void (*sent)(void *ctx, const struct iovec *iov, int n, size_t len, unsigned int how);
	/* It called shutdown(2), which was done. */
	void (*shut)(void *ctx, int how);
	/*
	 * It has it no more: @fd is the caller's again, and open (-1: lost for want of memory).
	 * Always comes, and last.
	 */
	void (*released)(void *ctx, int fd, enum tkvm_release how);
};

/*
 * Put connection @fd, a non-blocking stream socket, into the queue of the @n-th listening socket of
 * @machine, a fork or made with options.gate_listeners, which must not be running. @fd is the
 * library's from then on, and comes back by ops->released(). @ops must stay valid until then.
 *   -ENOENT  there is no such listening socket (any more)
 *   -EINVAL  it accepts for itself, or ops->size is no good
 *   -ENOMEM
 */
TKVM_API int tkvm_machine_offer(struct tkvm_machine *machine, unsigned int n, int fd,
				const struct tkvm_connection_ops *ops, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
