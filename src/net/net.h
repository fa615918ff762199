/* SPDX-License-Identifier: MIT */
/* What the sockets of one process share. Lives in struct tk_proc. */
#ifndef TK_NET_NET_H
#define TK_NET_NET_H

#include "base/budget.h"
#include "base/list.h"
#include "policy/policy.h"

struct tk_net {
	struct tk_list bound;	/* unix sockets bound to a path: struct tk_sock.bound */
	struct tk_list flights; /* open files on their way through a socket (net/rights.h) */
	unsigned int n_flying;	/* how many files that are */
	bool sweeping;
	unsigned int n_gates; /* listening sockets that are gates */
	bool gated;	      /* listening sockets become gates (net/gate.h) */
	/* sockets that are to be had by binding to their address; borrowed */
	const struct tkvm_listener *adopt;
	unsigned int n_adopt;
	struct tk_budget *host_fds;    /* what flights, and sockets bound to paths, take from */
	struct tk_budget *host_memory; /* and what the host keeps in buffers of sockets */
};

/* Whose names the guest's own messages carry (SCM_CREDENTIALS, SO_PEERCRED). */
struct tk_net_ids {
	pid_t pid;
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;
};

void tk_net_init(struct tk_net *net);
/* Drops files that are still in flight. Sockets of the process must be closed before. */
void tk_net_destroy(struct tk_net *net);

/* Everything is granted for @use: what the abstract unix namespace, shared with the host, needs. */
bool tk_net_unrestricted(const struct tk_policy *policy, unsigned int use);

#endif
