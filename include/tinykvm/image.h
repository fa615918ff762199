/* SPDX-License-Identifier: MIT */
/*
 * Freezing a machine, forking the frozen state, and putting forks back into it.
 *
 *	create -> load -> run until idle -> freeze -> image
 *	image -> fork -> (run -> reset) * n -> destroy
 *
 * A fork is a machine: everything in machine.h applies to it. A reset fork cannot be told from a
 * fresh one by any program in it.
 *
 * Threads: an image may be forked by several threads at once. A fork is used by one thread at a
 * time, and best always by the same one.
 */
#ifndef TINYKVM_IMAGE_H
#define TINYKVM_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "tinykvm/error.h"
#include "tinykvm/export.h"
#include "tinykvm/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tkvm_image;

/*
 * Freeze @machine, whose program waits (its last run ended with TKVM_IDLE): every thread of it is
 * blocked in a system call. On success the image owns the machine, which must not be used any
 * more, and has one reference. On failure nothing has changed.
 *   -EBUSY    a thread of the program could run, or is in a call that cannot be frozen (named in
 *             the message)
 *   -EINVAL   no program is loaded, it ended, or the machine is a fork
 *   -ENOTSUP  it holds something that cannot be in two machines (named in the message)
 *   -ENOMEM, -EMFILE, ...
 */
TKVM_API int tkvm_machine_freeze(struct tkvm_machine *machine, struct tkvm_image **ret,
				 struct tkvm_error *err);

TKVM_API struct tkvm_image *tkvm_image_get(struct tkvm_image *image);
/* Drop a reference; NULL is fine. Forks hold one each. */
TKVM_API void tkvm_image_put(struct tkvm_image *image);

/* All zero but @size is a good default. */
struct tkvm_fork_options {
	size_t size; /* sizeof(struct tkvm_fork_options) */
	/*
	 * Bytes of memory it may fill beyond what is in the image, per run between resets; 0: 128
	 * MiB. A fork that was reset may get up to half as much again. Pipes and sockets may hold
	 * half of this besides, at least 8 MiB; what would hold more is refused.
	 */
	uint64_t max_memory;
	/* Bytes of changed memory that a reset may keep at hand for the next run; 0: 64 MiB. */
	uint64_t max_hot_memory;
	/*
	 * Non-zero: it accepts connections for itself, from the same queues as all forks of the
	 * image that are made so. Such a fork cannot be reset.
	 */
	int share_listeners;
	/*
	 * Descriptors of this process that it may take beyond those of the image; 0: 1024. More is
	 * -EMFILE to the program, or what the call has for that.
	 */
	unsigned int max_files;
	/* Threads that it may have beyond those of the image; 0: 64. More is -EAGAIN. */
	unsigned int max_threads;
	/*
	 * Non-zero: the program finds another process id at each start and after each reset, as the
	 * child of a fork(2) does, by which some libraries notice that they were copied. (The ids
	 * of its threads, its group and its session stay. By its old id it can still be named.)
	 */
	int new_pids;
};

/*
 * Make a machine in the frozen state. @options may be NULL.
 *
 * It sees what a suspended computer sees: its CLOCK_MONOTONIC and CLOCK_MONOTONIC_RAW, its
 * deadlines and its timers go on from where they stood at the freezing when it is first run, and
 * again when it is first run after each reset. CLOCK_REALTIME, CLOCK_TAI and CLOCK_BOOTTIME have
 * gone on meanwhile, and so has the processor's counter (RDTSC).
 *
 *   -EINVAL      options->size
 *   -EOPNOTSUPP  this host's KVM has no dirty rings (Linux before 5.11)
 *   -ENOMEM, -EMFILE, ...
 */
TKVM_API int tkvm_image_fork(struct tkvm_image *image, const struct tkvm_fork_options *options,
			     struct tkvm_machine **ret, struct tkvm_error *err);

/*
 * Put @fork back into the frozen state. Whatever the program did is gone: memory, files, threads,
 * handlers, timers. Returns 0, or -errno if that was not possible or would cost more than a new
 * fork (after a crash or a limit; -ESTALE then): the caller destroys it and makes another.
 *   -EINVAL  not a fork
 */
TKVM_API int tkvm_machine_reset(struct tkvm_machine *fork, struct tkvm_error *err);

struct tkvm_fork_stats {
	size_t size;		  /* sizeof(struct tkvm_fork_stats), set by the caller */
	uint64_t resets;	  /* that succeeded */
	uint64_t reset_ns;	  /* time they took */
	uint64_t copied_pages;	  /* put back by them */
	uint64_t equal_pages;	  /* looked at and found unchanged */
	uint64_t hot_pages;	  /* looked at in every reset now */
	uint64_t dirty_pages;	  /* found changed by the last reset */
	uint64_t reprotects;	  /* times that KVM's lists of written pages were handed back */
	uint64_t vcpu_ioctls;	  /* calls of KVM made by resets */
	uint64_t restored_ranges; /* of the address space, whose mappings had changed */
	uint64_t renewed_files;	  /* open files that were made anew */
	uint64_t private_bytes;	  /* memory that only this fork has; measuring costs a walk */
};

/* Fill *@stats up to stats->size. -EINVAL: stats->size is no good, or not a fork. */
TKVM_API int tkvm_fork_stats(struct tkvm_machine *fork, struct tkvm_fork_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
