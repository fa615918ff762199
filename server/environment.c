/* SPDX-License-Identifier: MIT */
/*
 * The program's environment: harmless values of USER, HOME and PATH, over them the variables
 * of ours that --allow-env passes on, over these the ones that --env sets. With all of ours
 * allowed, it is ours exactly.
 */
#include <stdlib.h>
#include <string.h>

#include "kvmserver.h"

extern char **environ;

static const char *const harmless[] = {"USER=nobody", "HOME=/",
				       "PATH=/usr/local/bin:/usr/bin:/bin"};

static size_t name_length(const char *variable)
{
	return strcspn(variable, "=");
}

static bool same_name(const char *a, const char *b)
{
	size_t len = name_length(a);

	return len == name_length(b) && !memcmp(a, b, len);
}

/* Replace the variable of that name, or add it. */
static int put(struct ks_list *env, const char *variable)
{
	for (size_t i = 0; i < env->n; i++) {
		char *copy;

		if (!same_name(env->items[i], variable))
			continue;
		copy = strdup(variable);
		if (!copy)
			return -1;
		free(env->items[i]);
		env->items[i] = copy;
		return 0;
	}
	return ks_list_add(env, variable);
}

static bool matches(const char *pattern, const char *variable)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '*')
		return !strncmp(pattern, variable, len - 1);
	return len == name_length(variable) && !strncmp(pattern, variable, len);
}

static bool passes(const struct ks_list *allowed, const char *variable)
{
	for (size_t i = 0; i < allowed->n; i++)
		if (matches(allowed->items[i], variable))
			return true;
	return false;
}

static int fill(struct ks_list *env, const struct ks_config *config)
{
	bool all = config->allow_all || config->allow_env.all;

	if (!all)
		for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
			if (ks_list_add(env, harmless[i]) < 0)
				return -1;
	for (char **p = environ; p && *p; p++) {
		if (!all && !passes(&config->allow_env.list, *p))
			continue;
		if ((all ? ks_list_add(env, *p) : put(env, *p)) < 0)
			return -1;
	}
	for (size_t i = 0; i < config->env.n; i++)
		if (put(env, config->env.items[i]) < 0)
			return -1;
	return 0;
}

char **ks_env_make(const struct ks_config *config)
{
	struct ks_list env = {0};
	char **items = NULL;

	if (!fill(&env, config))
		items = reallocarray(env.items, env.n + 1, sizeof(*items));
	if (!items) {
		for (size_t i = 0; i < env.n; i++)
			free(env.items[i]);
		free(env.items);
		return NULL;
	}
	items[env.n] = NULL;
	return items;
}

void ks_env_free(char **env)
{
	for (size_t i = 0; env && env[i]; i++)
		free(env[i]);
	free(env);
}
