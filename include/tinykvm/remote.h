/* SPDX-License-Identifier: MIT */
/*
 * Remote calls: a program calls another one, in another machine, which answers in a buffer of the
 * caller's own memory. The machine that answers is called storage.
 *
 *	storage machine: create (options.storage) -> load -> run until it waits -> serve
 *	calling machine: create or fork -> connect -> run
 *
 * The program of the storage machine calls kvmserverguest_storage_wait_paused(), that of the
 * calling machine kvmserverguest_remote_resume() (guestlib/kvmserverguest.h). A call pauses the
 * caller and runs the storage machine on the caller's thread, until it answers. It sees the
 * pages of the buffer for so long and nothing else of the caller. Calls come one after the other,
 *in the order in which they were made.
 *
 * A struct tkvm_remote stands between the two: machines are connected to it, and a storage machine
 * serves it, another one once the first has ended. Threads: everything here may be called by any
 * thread, unless it says otherwise.
 */
#ifndef TINYKVM_REMOTE_H
#define TINYKVM_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "tinykvm/error.h"
#include "tinykvm/export.h"
#include "tinykvm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tkvm_remote;

/* The most that a call can show: bytes, the rest of the first and last page included. */
#define TKVM_REMOTE_WINDOW ((uint64_t)64 << 20)

/* How a call went. */
struct tkvm_remote_call {
	int error;	   /* errno that the caller gets; 0: it was answered */
	uint64_t queue_ns; /* until it was its turn */
	uint64_t call_ns;  /* from then on */
	uint64_t exits;	   /* of the storage machine meanwhile */
};

/* All zero but @size is a good default. */
struct tkvm_remote_options {
	size_t size; /* sizeof(struct tkvm_remote_options) */
	/* What a call may take, in ns, not counting the time in the queue; 0: no limit. */
	uint64_t max_call_ns;
	/*
	 * Called after each call, by the thread that made it, with what tkvm_machine_connect() was
	 * given for the caller; NULL: not of interest.
	 */
	void (*done)(void *ctx, void *caller, const struct tkvm_remote_call *call);
	/*
	 * Called by the thread in tkvm_remote_serve() before it runs the program: calls that are
	 * made from now on are answered. It must not make one itself. NULL: not of interest.
	 */
	void (*serving)(void *ctx);
	void *ctx; /* of both */
};

/*
 * Make one, with one reference; @options may be NULL.
 *   -EINVAL  options->size
 *   -ENOMEM, -EMFILE, ...
 */
TKVM_API int tkvm_remote_create(struct tkvm_remote **ret, const struct tkvm_remote_options *options,
				struct tkvm_error *err);
/* Drop a reference; NULL is fine. Machines that are connected hold one each. */
TKVM_API void tkvm_remote_put(struct tkvm_remote *remote);

/*
 * From now on remote calls of @machine's program go to @remote (NULL: nowhere, ENOSYS). @machine
 * must not be running; a fork does not inherit it. @caller is for options.done(). What it costs
 * comes back when the machine is frozen or destroyed, which waits for a call that is being
 * answered. -EINVAL  it is a storage machine itself
 */
TKVM_API int tkvm_machine_connect(struct tkvm_machine *machine, struct tkvm_remote *remote,
				  void *caller);

/* True if a thread of @machine's program waits for calls. Not while it runs; also from its idle
 * function. */
TKVM_API int tkvm_machine_waits_for_calls(struct tkvm_machine *machine);

/*
 * Have storage @machine answer the calls of @remote. The calling thread runs its program while
 * there is something to do and no call, and sleeps otherwise; during calls their threads run it.
 * Returns 0 with *@result once the program has ended, or 1 after tkvm_remote_stop(); calls fail
 * from then on, until somebody serves again. @machine remains the caller's, and is to be destroyed
 * before @remote.
 *   -EINVAL  it is no storage machine, or @remote is served already
 *   -EAGAIN, -ENOMEM  the host has no timer or memory left
 */
TKVM_API int tkvm_remote_serve(struct tkvm_remote *remote, struct tkvm_machine *machine,
			       struct tkvm_result *result, struct tkvm_error *err);

/*
 * Have tkvm_remote_serve(), now and from now on, return soon. A call that is being answered fails
 * with EIO.
 */
TKVM_API void tkvm_remote_stop(struct tkvm_remote *remote);

#ifdef __cplusplus
}
#endif
#endif
