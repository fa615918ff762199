/* SPDX-License-Identifier: MIT */
/* The --allow-... and --volume options as a policy of libtinykvm. Errors name the option. */
#include <stdlib.h>

#include "grants.h"
#include "kvmserver.h"

static int complain(const char *option, const struct tkvm_error *err)
{
	ks_message("option --%s: %s", option, err->message);
	return KS_EXIT_USAGE;
}

/* One kind of grant: everything, or each item of a list. */
typedef int grant_fn(struct tkvm_policy *policy, const char *item, unsigned int what,
		     struct tkvm_error *err);

static int grant(struct tkvm_policy *policy, const char *option, const struct ks_grant *given,
		 bool all, grant_fn *fn, unsigned int what)
{
	struct tkvm_error err = {0};

	if (all || given->all)
		return fn(policy, NULL, what, &err) < 0 ? complain(option, &err) : 0;
	for (size_t i = 0; i < given->list.n; i++)
		if (fn(policy, given->list.items[i], what, &err) < 0)
			return complain(option, &err);
	return 0;
}

static int add_volumes(struct tkvm_policy *policy, const struct ks_list *volumes)
{
	struct tkvm_error err = {0};

	for (size_t i = 0; i < volumes->n; i++)
		if (tkvm_policy_add_volume(policy, volumes->items[i], &err) < 0)
			return complain("volume", &err);
	return 0;
}

static int fill(struct tkvm_policy *policy, const struct ks_config *config)
{
	const struct {
		const char *option;
		const struct ks_grant *given;
		grant_fn *fn;
		unsigned int what;
	} grants[] = {
		{"allow-read", &config->allow_read, tkvm_policy_allow_path, TKVM_READ},
		{"allow-write", &config->allow_write, tkvm_policy_allow_path, TKVM_WRITE},
		{"allow-net", &config->allow_net, tkvm_policy_allow_net,
		 TKVM_CONNECT | TKVM_LISTEN},
		{"allow-connect", &config->allow_connect, tkvm_policy_allow_net, TKVM_CONNECT},
		{"allow-listen", &config->allow_listen, tkvm_policy_allow_net, TKVM_LISTEN},
	};
	int status = 0;

	for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]) && !status; i++)
		status = grant(policy, grants[i].option, grants[i].given, config->allow_all,
			       grants[i].fn, grants[i].what);
	return status ? status : add_volumes(policy, &config->volumes);
}

int ks_policy_make(const struct ks_config *config, struct tkvm_policy **ret)
{
	struct tkvm_policy *policy = tkvm_policy_new();
	int status;

	if (!policy) {
		ks_message("out of memory");
		return KS_EXIT_FAILED;
	}
	status = fill(policy, config);
	if (status)
		tkvm_policy_free(policy);
	else
		*ret = policy;
	return status;
}
