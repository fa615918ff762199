/* SPDX-License-Identifier: MIT */
/*
 * Path grants and volumes. Owns what canonical guest paths mean to the policy: a grant on a
 * directory covers everything below it, grants add up, and inside a volume the volume's own
 * mode is all that counts. Network rules are in netrules.c.
 *
 * A granted path is kept both as it was written and with its symbolic links resolved, since only
 * canonical paths are ever compared: "/lib" alone would grant nothing where it links to "usr/lib".
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/policy.h"

void tk_policy_init(struct tk_policy *policy)
{
	*policy = (struct tk_policy){0};
}

void tk_policy_destroy(struct tk_policy *policy)
{
	for (size_t i = 0; i < policy->n_paths; i++)
		free(policy->paths[i].path);
	for (size_t i = 0; i < policy->n_volumes; i++) {
		free(policy->volumes[i].host);
		free(policy->volumes[i].guest);
	}
	free(policy->paths);
	free(policy->volumes);
	free(policy->nets);
	tk_policy_init(policy);
}

bool tk_path_under(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1)
		return path[0] == '/';
	return !strncmp(path, dir, len) && (path[len] == '\0' || path[len] == '/');
}

/* Remove "//", "." and ".." from absolute @in, lexically. @out as large as @in. */
static void clean(const char *in, char *out)
{
	size_t n = 0;

	while (*in) {
		size_t len = strcspn(in, "/");

		if (len == 2 && !memcmp(in, "..", 2)) {
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && *in == '.')) {
			out[n++] = '/';
			memcpy(out + n, in, len);
			n += len;
		}
		in += len + (in[len] == '/');
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
}

/* @path as an absolute path without "." and "..", into @out of PATH_MAX. */
static int make_absolute(const char *path, char *out, struct tkvm_error *err)
{
	char joined[2 * PATH_MAX], cwd[PATH_MAX];

	if (!*path)
		return tk_fail(err, EINVAL, "path '': give a file or a directory");
	if (strlen(path) >= PATH_MAX)
		return tk_fail(err, ENAMETOOLONG, "path '%.60s...': too long", path);
	cwd[0] = '\0';
	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return tk_fail_errno(err, errno, "path '%s': current directory", path);
	snprintf(joined, sizeof(joined), "%s/%s", cwd, path);
	if (strlen(joined) >= PATH_MAX)
		return tk_fail(err, ENAMETOOLONG, "path '%.60s...': too long", path);
	clean(joined, out);
	return 0;
}

/*
 * Resolve the links of @path as far as it exists: a grant may come before its file. Needs no
 * more than PATH_MAX in @out; false if there is no such name.
 */
static bool resolve_existing(const char *path, char *out)
{
	char head[PATH_MAX], *slash;
	size_t len;

	snprintf(head, sizeof(head), "%s", path);
	while (!realpath(head, out)) {
		slash = strrchr(head, '/');
		if (!slash || slash == head)
			return false;
		*slash = '\0';
	}
	len = strlen(out);
	if (len == 1)
		len = 0;
	if (len + strlen(path + strlen(head)) >= PATH_MAX)
		return false;
	strcpy(out + len, path + strlen(head));
	if (!*out)
		strcpy(out, "/");
	return true;
}

static int add_grant(struct tk_policy *policy, const char *path, unsigned int may,
		     struct tkvm_error *err)
{
	struct tk_path_grant *paths;
	char *copy;

	for (size_t i = 0; i < policy->n_paths; i++) {
		if (!strcmp(policy->paths[i].path, path)) {
			policy->paths[i].may |= may;
			return 0;
		}
	}
	paths = reallocarray(policy->paths, policy->n_paths + 1, sizeof(*paths));
	if (paths)
		policy->paths = paths;
	copy = strdup(path);
	if (!paths || !copy) {
		free(copy);
		return tk_fail_errno(err, ENOMEM, "path '%s'", path);
	}
	policy->paths[policy->n_paths++] = (struct tk_path_grant){.path = copy, .may = may};
	return 0;
}

int tk_policy_allow_path(struct tk_policy *policy, const char *path, unsigned int may,
			 struct tkvm_error *err)
{
	char lexical[PATH_MAX], real[PATH_MAX];
	int rc;

	if (!path)
		return add_grant(policy, "/", may, err);
	rc = make_absolute(path, lexical, err);
	if (rc)
		return rc;
	if (resolve_existing(lexical, real) && strcmp(real, lexical) != 0) {
		rc = add_grant(policy, real, may, err);
		if (rc)
			return rc;
	}
	return add_grant(policy, lexical, may, err);
}

static int append_volume(struct tk_policy *policy, const char *spec, const char *host,
			 const char *guest, unsigned int may, struct tkvm_error *err)
{
	struct tk_volume volume = {.host = strdup(host), .guest = strdup(guest), .may = may};
	struct tk_volume *volumes;

	volumes = reallocarray(policy->volumes, policy->n_volumes + 1, sizeof(*volumes));
	if (volumes)
		policy->volumes = volumes;
	if (!volumes || !volume.host || !volume.guest) {
		free(volume.host);
		free(volume.guest);
		return tk_fail_errno(err, ENOMEM, "volume '%s'", spec);
	}
	policy->volumes[policy->n_volumes++] = volume;
	return 0;
}

static int check_guest_path(const struct tk_policy *policy, const char *spec, const char *guest,
			    struct tkvm_error *err)
{
	static const char *const ours[] = {"/proc", "/sys", "/dev"};

	if (guest[0] != '/')
		return tk_fail(err, EINVAL, "volume '%s': the guest path must start with '/'",
			       spec);
	for (size_t i = 0; i < TK_ARRAY_SIZE(ours); i++)
		if (tk_path_under(guest, ours[i]))
			return tk_fail(err, EINVAL,
				       "volume '%s': %s is synthetic, choose another guest path",
				       spec, ours[i]);
	for (size_t i = 0; i < policy->n_volumes; i++)
		if (!strcmp(policy->volumes[i].guest, guest))
			return tk_fail(err, EEXIST, "volume '%s': %s already shows %s", spec, guest,
				       policy->volumes[i].host);
	return 0;
}

/* Split "HOST:GUEST[:MODE]" in place. */
static bool split_volume(char *text, char **guest, unsigned int *may)
{
	char *mode;

	*guest = strchr(text, ':');
	if (!*guest)
		return false;
	*(*guest)++ = '\0';
	*may = TK_MAY_READ;
	mode = strchr(*guest, ':');
	if (mode) {
		*mode++ = '\0';
		if (!strcmp(mode, "rw"))
			*may |= TK_MAY_WRITE;
		else if (strcmp(mode, "r") != 0)
			return false;
	}
	return *text && **guest;
}

int tk_policy_add_volume(struct tk_policy *policy, const char *spec, struct tkvm_error *err)
{
	char text[2 * PATH_MAX], host[PATH_MAX], guest[PATH_MAX], *guest_text;
	unsigned int may;
	int rc;

	if (strlen(spec) >= sizeof(text))
		return tk_fail(err, ENAMETOOLONG, "volume '%.60s...': too long", spec);
	strcpy(text, spec);
	if (!split_volume(text, &guest_text, &may))
		return tk_fail(err, EINVAL,
			       "volume '%s': expected HOST:GUEST, HOST:GUEST:r or HOST:GUEST:rw",
			       spec);
	if (guest_text[0] == '/') {
		rc = make_absolute(guest_text, guest, err);
		if (rc)
			return rc;
		guest_text = guest;
	}
	rc = check_guest_path(policy, spec, guest_text, err);
	if (rc)
		return rc;
	if (!realpath(text, host))
		return tk_fail_errno(err, errno, "volume '%s': host path '%s'", spec, text);
	return append_volume(policy, spec, host, guest, may, err);
}

int tk_policy_find_volume(const struct tk_policy *policy, const char *path)
{
	size_t best_len = 0;
	int best = -1;

	for (size_t i = 0; i < policy->n_volumes; i++) {
		const char *guest = policy->volumes[i].guest;

		if (tk_path_under(path, guest) && strlen(guest) > best_len) {
			best_len = strlen(guest);
			best = (int)i;
		}
	}
	return best;
}

unsigned int tk_policy_rights(const struct tk_policy *policy, const char *path)
{
	int volume = tk_policy_find_volume(policy, path);
	unsigned int may = 0;

	if (volume >= 0)
		return policy->volumes[volume].may;
	for (size_t i = 0; i < policy->n_paths; i++)
		if (tk_path_under(path, policy->paths[i].path))
			may |= policy->paths[i].may;
	return may;
}

unsigned int tk_policy_rights_below(const struct tk_policy *policy, const char *path)
{
	unsigned int may = 0;

	for (size_t i = 0; i < policy->n_paths; i++)
		if (tk_path_under(policy->paths[i].path, path))
			may |= policy->paths[i].may;
	for (size_t i = 0; i < policy->n_volumes; i++)
		if (tk_path_under(policy->volumes[i].guest, path))
			may |= policy->volumes[i].may;
	return may;
}

bool tk_policy_may(const struct tk_policy *policy, const char *path, unsigned int may)
{
	return (tk_policy_rights(policy, path) & may) == may;
}

bool tk_policy_may_pass(const struct tk_policy *policy, const char *path)
{
	return tk_policy_rights(policy, path) || tk_policy_rights_below(policy, path);
}

/* @path on the host: false if it is too long to have been named. */
static bool host_path(const struct tk_policy *policy, const char *path, char host[PATH_MAX])
{
	int volume = tk_policy_find_volume(policy, path), n;

	if (volume < 0) {
		n = snprintf(host, PATH_MAX, "%s", path);
	} else {
		const struct tk_volume *v = &policy->volumes[volume];

		n = snprintf(host, PATH_MAX, "%s%s", strcmp(v->host, "/") ? v->host : "",
			     path + (strcmp(v->guest, "/") ? strlen(v->guest) : 0));
	}
	return n < PATH_MAX;
}

static enum tk_named named(const char *name, const char *host)
{
	if (!tk_path_under(name, host))
		return TK_NAMED_NOT;
	return strcmp(name, host) ? TK_NAMED_BELOW : TK_NAMED_HERE;
}

enum tk_named tk_policy_named(const struct tk_policy *policy, const char *path)
{
	enum tk_named most = TK_NAMED_NOT;
	char host[PATH_MAX];

	if (!host_path(policy, path, host))
		return most;
	for (size_t i = 0; i < policy->n_paths; i++)
		most = TK_MAX(most, named(policy->paths[i].path, host));
	for (size_t i = 0; i < policy->n_volumes; i++)
		most = TK_MAX(most, named(policy->volumes[i].host, host));
	return most;
}
