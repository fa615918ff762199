/* SPDX-License-Identifier: MIT */
/* The per-process part of networking, and the one policy question that policy.h does not answer. */
#include <sys/socket.h>

#include "net/net.h"
#include "net/rights.h"

void tk_net_init(struct tk_net *net)
{
	*net = (struct tk_net){0};
	tk_list_init(&net->bound);
	tk_list_init(&net->flights);
}

void tk_net_destroy(struct tk_net *net)
{
	tk_rights_drop_all(net);
}

bool tk_net_unrestricted(const struct tk_policy *policy, unsigned int use)
{
	for (size_t i = 0; i < policy->n_nets; i++) {
		const struct tk_net_grant *grant = &policy->nets[i];

		if ((grant->use & use) == use && grant->family == AF_UNSPEC && grant->any_addr &&
		    grant->port_lo <= 1 && grant->port_hi == 65535)
			return true;
	}
	return false;
}
