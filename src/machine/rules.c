/* SPDX-License-Identifier: MIT */
/*
 * A machine's own copy of its policy, to which loading adds the program and its interpreters:
 * those a guest may always read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"

static int copy_paths(struct tk_policy *to, const struct tk_policy *from)
{
	to->paths = calloc(from->n_paths + 1, sizeof(*to->paths));
	if (!to->paths)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_paths; i++) {
		to->paths[i] = from->paths[i];
		to->paths[i].path = strdup(from->paths[i].path);
		to->n_paths++;
		if (!to->paths[i].path)
			return -ENOMEM;
	}
	return 0;
}

static int copy_volumes(struct tk_policy *to, const struct tk_policy *from)
{
	to->volumes = calloc(from->n_volumes + 1, sizeof(*to->volumes));
	if (!to->volumes)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_volumes; i++) {
		to->volumes[i] = from->volumes[i];
		to->volumes[i].host = strdup(from->volumes[i].host);
		to->volumes[i].guest = strdup(from->volumes[i].guest);
		to->n_volumes++;
		if (!to->volumes[i].host || !to->volumes[i].guest)
			return -ENOMEM;
	}
	return 0;
}

static int copy_nets(struct tk_policy *to, const struct tk_policy *from)
{
	to->nets = calloc(from->n_nets + 1, sizeof(*to->nets));
	if (!to->nets)
		return -ENOMEM;
	if (from->n_nets)
		memcpy(to->nets, from->nets, from->n_nets * sizeof(*to->nets));
	to->n_nets = from->n_nets;
	return 0;
}

int tk_rules_copy(struct tk_policy *to, const struct tk_policy *from)
{
	int rc;

	tk_policy_init(to);
	rc = copy_paths(to, from);
	if (!rc)
		rc = copy_volumes(to, from);
	if (!rc)
		rc = copy_nets(to, from);
	if (rc)
		tk_policy_destroy(to);
	return rc;
}

int tk_rules_grant(struct tk_policy *rules, const char *guest_path)
{
	struct tk_path_grant *paths;
	char *copy;

	if (tk_policy_may(rules, guest_path, TK_MAY_READ))
		return 0;
	paths = reallocarray(rules->paths, rules->n_paths + 1, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	rules->paths = paths;
	copy = strdup(guest_path);
	if (!copy)
		return -ENOMEM;
	paths[rules->n_paths++] = (struct tk_path_grant){.path = copy, .may = TK_MAY_READ};
	return 0;
}
