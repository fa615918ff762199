/* SPDX-License-Identifier: MIT */
/* The public face of src/policy. */
#include <errno.h>
#include <stdlib.h>

#include "machine/machine.h"

struct tkvm_policy *tkvm_policy_new(void)
{
	struct tkvm_policy *policy = calloc(1, sizeof(*policy));

	if (policy)
		tk_policy_init(&policy->rules);
	return policy;
}

void tkvm_policy_free(struct tkvm_policy *policy)
{
	if (!policy)
		return;
	tk_policy_destroy(&policy->rules);
	free(policy);
}

int tkvm_policy_allow_path(struct tkvm_policy *policy, const char *path, unsigned int access,
			   struct tkvm_error *err)
{
	_Static_assert(TKVM_READ == (int)TK_MAY_READ && TKVM_WRITE == (int)TK_MAY_WRITE, "API");
	if (!access || (access & ~(unsigned int)(TKVM_READ | TKVM_WRITE)))
		return tk_fail(err, EINVAL, "allow path: access %#x is not read, write or both",
			       access);
	return tk_policy_allow_path(&policy->rules, path, access, err);
}

int tkvm_policy_add_volume(struct tkvm_policy *policy, const char *spec, struct tkvm_error *err)
{
	return tk_policy_add_volume(&policy->rules, spec, err);
}

int tkvm_policy_allow_net(struct tkvm_policy *policy, const char *spec, unsigned int use,
			  struct tkvm_error *err)
{
	_Static_assert(TKVM_CONNECT == (int)TK_NET_CONNECT && TKVM_LISTEN == (int)TK_NET_LISTEN,
		       "API");
	if (!use || (use & ~(unsigned int)(TKVM_CONNECT | TKVM_LISTEN)))
		return tk_fail(err, EINVAL, "allow net: use %#x is not connect, listen or both",
			       use);
	return tk_policy_allow_net(&policy->rules, spec, use, err);
}
