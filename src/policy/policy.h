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
	} * paths;
	size_t n_paths;
	struct tk_volume *volumes;
	size_t n_volumes;
	struct tk_net_grant {
		unsigned int use;
		int family;  /* AF_UNSPEC: any */
		u8 addr[16]; /* network order; @any_addr: ignored */
		bool any_addr;
		u8 prefix;	      /* significant bits of @addr */
		u16 port_lo, port_hi; /* host order, inclusive */
	} * nets;
	size_t n_nets;
};

void tk_policy_init(struct tk_policy *policy);
void tk_policy_destroy(struct tk_policy *policy);

/* @path NULL: everything. Relative paths are taken from the VMM's current directory. */
int tk_policy_allow_path(struct tk_policy *policy, const char *path, unsigned int may,
			 struct tkvm_error *err) TK_MUST_CHECK;
/* "HOST:GUEST[:r|rw]", r being the default. Inside a volume its mode counts, and no path grant. */
int tk_policy_add_volume(struct tk_policy *policy, const char *spec,
			 struct tkvm_error *err) TK_MUST_CHECK;
/* @spec NULL: everything; else "HOST[:PORT]", ":PORT", "[V6]:PORT", "A.B.C.D/N:P1-P2" */
int tk_policy_allow_net(struct tk_policy *policy, const char *spec, unsigned int use,
			struct tkvm_error *err) TK_MUST_CHECK;

/* True if @path is @dir or lies below it. Both absolute; "/usr" is not above "/usrlocal". */
bool tk_path_under(const char *path, const char *dir);

/* Index of the volume that @path lies in (longest guest path wins), or -1: the host's root. */
int tk_policy_find_volume(const struct tk_policy *policy, const char *path);

/* enum tk_may bits granted on @path: its volume's, else all grants on it and above it. */
unsigned int tk_policy_rights(const struct tk_policy *policy, const char *path);

/* All bits that some grant or volume gives on @path or on something below it. */
unsigned int tk_policy_rights_below(const struct tk_policy *policy, const char *path);

/* True if tk_policy_rights() has all of @may. */
bool tk_policy_may(const struct tk_policy *policy, const char *path, unsigned int may);

/* True if @path leads to something granted: it may be passed through and listed by stat. */
bool tk_policy_may_pass(const struct tk_policy *policy, const char *path);

/*
 * Is canonical guest path @path, by its place on the host, where a grant or a volume's host
 * directory was named, or on the way to one? Names are looked up at every start, links followed:
 * whoever could put a link there would choose what the next start grants.
 */
enum tk_named { TK_NAMED_NOT, TK_NAMED_HERE, TK_NAMED_BELOW };
enum tk_named tk_policy_named(const struct tk_policy *policy, const char *path);

/* For AF_INET and AF_INET6 addresses (v4-mapped ones count as v4); others: false. */
bool tk_policy_may_net(const struct tk_policy *policy, enum tk_net_use use,
		       const struct sockaddr *addr, socklen_t len);

#endif
