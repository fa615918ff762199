/* SPDX-License-Identifier: MIT */
/*
 * A machine: one Linux program in a KVM virtual machine of its own.
 *
 *	create -> load -> run -> (result) -> destroy
 *
 * Threads: a machine is used by one thread at a time, except for tkvm_machine_signal() and
 * tkvm_machine_interrupt(). Different machines are independent. The thread that runs a guest has
 *real-time signal SIGRTMIN+7 blocked from then on: the library uses it to interrupt KVM. No signal
 *handlers are installed, no output is written and the process is never exited.
 */
#ifndef TINYKVM_MACHINE_H
#define TINYKVM_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "tinykvm/error.h"
#include "tinykvm/export.h"
#include "tinykvm/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tkvm_machine;

struct tkvm_listener;

/* All zero but @size is a good default. Fields may be added at the end in later versions. */
struct tkvm_machine_options {
	size_t size; /* sizeof(struct tkvm_machine_options) */

	/* Bytes of memory the program may fill with data of its own; 0: 8 GiB. */
	uint64_t max_memory;
	/* Bytes of address space it may have accessible at a time; 0: 120 GiB. */
	uint64_t max_address_space;
	/* Threads it may have at a time; 0: as many as KVM allows. */
	unsigned int max_threads;

	/* What it may touch; NULL: nothing. Copied. */
	const struct tkvm_policy *policy;
	/* Guest path of its current directory; NULL: the caller's. */
	const char *cwd;
	/* Its name of the host (uname); NULL: "tinykvm". */
	const char *hostname;
	/*
	 * Three descriptors of the caller that become its 0, 1 and 2 (-1: closed); NULL: 0, 1, 2.
	 * They remain the caller's. For a pipe's other end to see the guest close its end, the
	 * caller has to close its own.
	 */
	const int *stdio;
	/* Where a line per system call is written, as of strace(1); 0 or less: nowhere. */
	int trace_fd;
	/*
	 * Non-zero: the program gets no connections from the host where it listens, but those of
	 * tkvm_machine_offer() (tinykvm/server.h), as in a fork.
	 */
	int gate_listeners;
	/*
	 * With @gate_listeners: listening sockets of the caller that the program gets where it
	 * would bind to their addresses: as tkvm_machine_listener() (tinykvm/server.h) told of the
	 * machine that had them before, with the caller's own duplicates for @fd. A unix socket is
	 * had by its path as long as the file there is the one that it was bound to. The array must
	 * stay until the program has them.
	 */
	const struct tkvm_listener *listeners;
	unsigned int n_listeners;
	/* Non-zero: addresses are random as on Linux. Otherwise they are the same in every run. */
	int randomize;
	/* Non-zero: every system call leaves the machine, also where it need not. */
	int no_fast_path;
	/*
	 * Descriptors of this process that the program may take: its own, files on their way
	 * through sockets, mapped files. 0: as many as RLIMIT_NOFILE lets it have of each.
	 */
	unsigned int max_files;
	/* Non-zero: the program answers remote calls (tinykvm/remote.h); it can make none. */
	int storage;
};

/*
 * Make a machine without a program. @options may be NULL.
 * Returns 0 and stores it in *@ret, or -errno with *@ret untouched:
 *   -ENOENT, -EACCES, -ENODEV  /dev/kvm: missing, not permitted, no KVM behind it
 *   -EOPNOTSUPP  this host's KVM lacks something that is needed (named in the message)
 *   -EINVAL      options->size, a descriptor or the current directory is no good
 *   -ENOMEM, -EMFILE, ...
 */
TKVM_API int tkvm_machine_create(struct tkvm_machine **ret,
				 const struct tkvm_machine_options *options,
				 struct tkvm_error *err);

/* Free everything the machine has. NULL is fine. Nobody may be in another call on @machine. */
TKVM_API void tkvm_machine_destroy(struct tkvm_machine *machine);

/*
 * Load a program, as execve(2) would: ELF or a "#!" script. @path is a guest path, relative to
 * options->cwd; @argv and @envp are NULL-terminated (@envp NULL: empty). Once per machine: after
 * a failure it is only good for tkvm_machine_destroy().
 *   -ENOENT   no such program, or its interpreter is missing
 *   -EACCES   not a regular file, not executable, or not permitted by the policy
 *   -ENOEXEC  not a program for x86-64 Linux, or damaged; -ELIBBAD: its interpreter is
 *   -E2BIG    arguments and environment do not fit
 *   -EALREADY a program was loaded before
 *   -ENOMEM, -ELOOP, ...
 */
TKVM_API int tkvm_machine_load(struct tkvm_machine *machine, const char *path,
			       const char *const *argv, const char *const *envp,
			       struct tkvm_error *err);

enum tkvm_outcome {
	TKVM_EXITED,	/* the program ended with @status */
	TKVM_SIGNALLED, /* it was killed by @signal */
	TKVM_LIMIT,	/* it reached @limit and was stopped */
	TKVM_FAILED,	/* the machine cannot go on; our side: see tkvm_machine_report() */
	/* The program has not ended; the next run continues where it was: */
	TKVM_IDLE,	 /* limits.idle said so */
	TKVM_INTERRUPTED /* tkvm_machine_interrupt() */
};

enum tkvm_limit {
	TKVM_LIMIT_NONE,
	TKVM_LIMIT_TIME,  /* limits.wall_ns */
	TKVM_LIMIT_MEMORY /* options.max_memory or max_address_space */
};

struct tkvm_run_limits {
	size_t size;	  /* sizeof(struct tkvm_run_limits) */
	uint64_t wall_ns; /* nanoseconds from the call on; 0: none */
	/*
	 * Called when every thread of the program waits for something that has not come yet, before
	 * the library waits for it: 0 to wait, 1 to end the run with TKVM_IDLE. NULL: wait. It may
	 * not call anything with this machine that changes it.
	 */
	int (*idle)(void *ctx);
	void *idle_ctx;
};

struct tkvm_result {
	enum tkvm_outcome outcome;
	int status; /* TKVM_EXITED: 0 to 255 */
	int signal; /* TKVM_SIGNALLED: its number */
	enum tkvm_limit limit;
	char message[256]; /* what happened, one line for people */
};

/*
 * Run the program until it ends, one way or another. @limits may be NULL. What becomes of the
 * program is not an error: the call returns 0 and fills *@result. Afterwards the machine cannot
 * be run again, unless the outcome is TKVM_IDLE or TKVM_INTERRUPTED. Returns -errno, *@result
 * untouched, if it could not run at all: -EINVAL  no program is loaded, or it ended before;
 * limits->size is no good -EAGAIN, -ENOMEM  the host has no timer or memory left
 */
TKVM_API int tkvm_machine_run(struct tkvm_machine *machine, const struct tkvm_run_limits *limits,
			      struct tkvm_result *result, struct tkvm_error *err);

/*
 * Send the program signal @signo (1 to 64), as kill(2) from outside would; before it runs, it is
 * kept. Any thread, at any time between create and destroy; also from a signal handler.
 *   -EINVAL  no such signal
 */
TKVM_API int tkvm_machine_signal(struct tkvm_machine *machine, int signo);

/*
 * End the run soon, or the next one if there is none, with TKVM_INTERRUPTED. Any thread, at any
 * time between create and destroy; also from a signal handler.
 */
TKVM_API void tkvm_machine_interrupt(struct tkvm_machine *machine);

/* After TKVM_FAILED: registers, code bytes and page walk, several lines. "" otherwise. */
TKVM_API const char *tkvm_machine_report(const struct tkvm_machine *machine);

struct tkvm_stats {
	size_t size;		   /* sizeof(struct tkvm_stats), set by the caller */
	uint64_t exits;		   /* times the program left to the library */
	uint64_t syscalls;	   /* system calls */
	uint64_t unknown_syscalls; /* answered with ENOSYS for want of a handler */
	uint64_t faults;	   /* page faults among the exits */
	uint64_t cpu_ns;	   /* CPU time used, guest and library */
	uint64_t resident_bytes;   /* memory the program occupies; measuring costs a walk */
	uint64_t virtual_bytes;	   /* address space it has mapped */
	unsigned int threads;
	unsigned int mappings;
	uint64_t inside; /* system calls that were answered without leaving the machine */
};

/*
 * Fill *@stats up to stats->size; what is measured by a walk is not if it ends before that.
 * -EINVAL: stats->size is no good.
 */
TKVM_API int tkvm_machine_stats(struct tkvm_machine *machine, struct tkvm_stats *stats);

/* Calls of system call number @nr so far. */
TKVM_API uint64_t tkvm_machine_syscall_count(const struct tkvm_machine *machine, unsigned int nr);

/*
 * Call @fn for each system call number that the program has used, in ascending order: @calls so
 * far, of which @inside were answered without leaving the machine. The rest were exits. Costs
 * neither memory nor system calls. While no other thread uses the machine.
 */
TKVM_API void tkvm_machine_calls(const struct tkvm_machine *machine,
				 void (*fn)(void *ctx, unsigned int nr, uint64_t calls,
					    uint64_t inside),
				 void *ctx);

/* "read" for 0 and so on; NULL for a number that the library has no handler for. */
TKVM_API const char *tkvm_syscall_name(unsigned int nr);

#ifdef __cplusplus
}
#endif
#endif
