/* SPDX-License-Identifier: MIT */
/*
 * What a guest may touch. A new policy permits nothing but what every guest may read: its own
 * program and interpreter, /dev/null, /dev/zero, /dev/random and /dev/urandom, and a /proc of its
 * own. A machine copies the policy that it is made with: later changes are for later machines.
 */
#ifndef TINYKVM_POLICY_H
#define TINYKVM_POLICY_H

#include "tinykvm/error.h"
#include "tinykvm/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tkvm_policy;

enum tkvm_access {
	TKVM_READ = 1,
	TKVM_WRITE = 2 /* create, change and remove; without TKVM_READ files cannot be read */
};

enum tkvm_net_use {
	TKVM_CONNECT = 1, /* reach out to an address */
	TKVM_LISTEN = 2	  /* bind to one */
};

/* A policy that permits nothing. NULL: out of memory. To be freed with tkvm_policy_free(). */
TKVM_API struct tkvm_policy *tkvm_policy_new(void);

/* @policy may be NULL. */
TKVM_API void tkvm_policy_free(struct tkvm_policy *policy);

/*
 * Grant @access (TKVM_READ, TKVM_WRITE or both) to @path and everything below it; NULL means
 * every path. Relative paths count from the caller's current directory; links in @path are
 * resolved now. Returns 0, or -errno with a message in *@err:
 *   -EINVAL  @access names nothing, or something unknown
 *   -ENOENT, -EACCES, -ELOOP, ...  @path cannot be resolved
 *   -ENOMEM
 */
TKVM_API int tkvm_policy_allow_path(struct tkvm_policy *policy, const char *path,
				    unsigned int access, struct tkvm_error *err);

/*
 * Show host directory or file HOST at guest path GUEST, as in "HOST:GUEST", "HOST:GUEST:r" (the
 * same) or "HOST:GUEST:rw". Errors as above; -EINVAL if @spec is not of that form.
 */
TKVM_API int tkvm_policy_add_volume(struct tkvm_policy *policy, const char *spec,
				    struct tkvm_error *err);

/*
 * Grant @use (TKVM_CONNECT, TKVM_LISTEN or both) of the addresses in @spec: "HOST", "HOST:PORT",
 * ":PORT", "[V6ADDRESS]:PORT", "A.B.C.D/BITS:FIRST-LAST"; NULL means all. Names are looked up now.
 *   -EINVAL  @spec cannot be understood, or @use names nothing
 */
TKVM_API int tkvm_policy_allow_net(struct tkvm_policy *policy, const char *spec, unsigned int use,
				   struct tkvm_error *err);

#ifdef __cplusplus
}
#endif
#endif
