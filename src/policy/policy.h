/* SPDX-License-Identifier: MIT */
/*
 * What a guest may touch. Deny by default; grants are added before the machine starts and do not
 * change afterwards. Paths here are canonical guest paths: absolute, without symbolic links, "."
 * or "..". What makes them so, and makes the kernel stick to them, is fs/path.h.
 */
#ifndef TK_POLICY_POLICY_H
#define TK_POLICY_POLICY_H

#include <sys/socket.h>

#include "base/error.h"
#include "base/types.h"

enum tk_may { TK_MAY_READ = 1, TK_MAY_WRITE = 2 };
enum tk_net_use { TK_NET_CONNECT = 1, TK_NET_LISTEN = 2 };

/* A host directory or file shown at a guest path. Longest guest path wins; "/" is always there. */
struct tk_volume {
	char *host, *guest;
	unsigned int may; /* enum tk_may bits */
};

struct tk_policy {
	struct tk_path_grant {
		char *path;
		unsigned int may;
	} *paths;
	size_t n_paths;
	struct tk_volume *volumes;
	size_t n_volumes;
	struct tk_net_grant {
		unsigned int use;
		int family;	    /* AF_UNSPEC: any */
		u8 addr[16];	    /* network order; @any_addr: ignored */
		bool any_addr;
		u8 prefix;	    /* significant bits of @addr */
		u16 port_lo, port_hi; /* host order, inclusive */
	} *nets;
	size_t n_nets;
};

void tk_policy_init(struct tk_policy *policy);
void tk_policy_destroy(struct tk_policy *policy);

/* @path NULL: everything. Relative paths are taken from the VMM's current directory. */
int tk_policy_allow_path(struct tk_policy *policy, const char *path, unsigned int may,
			 struct tkvm_error *err) TK_MUST_CHECK;
/* "HOST:GUEST[:r|rw]" */
int tk_policy_add_volume(struct tk_policy *policy, const char *spec,
			 struct tkvm_error *err) TK_MUST_CHECK;
/* @spec NULL: everything; else "HOST[:PORT]", ":PORT", "[V6]:PORT", "A.B.C.D/N:P1-P2" */
int tk_policy_allow_net(struct tk_policy *policy, const char *spec, unsigned int use,
			struct tkvm_error *err) TK_MUST_CHECK;

/* True if @path, or a directory above it, was granted all of @may. */
bool tk_policy_may(const struct tk_policy *policy, const char *path, unsigned int may);

/* True if @path leads to something granted: it may be passed through and listed by stat. */
bool tk_policy_may_pass(const struct tk_policy *policy, const char *path);

/* For AF_INET and AF_INET6 addresses (v4-mapped ones count as v4); others: false. */
bool tk_policy_may_net(const struct tk_policy *policy, enum tk_net_use use,
		       const struct sockaddr *addr, socklen_t len);

#endif
