/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy/policy.h"

#define RW (TK_MAY_READ | TK_MAY_WRITE)

static int set_up(void **state)
{
	static struct tk_policy policy;

	tk_policy_init(&policy);
	*state = &policy;
	return 0;
}

static int tear_down(void **state)
{
	tk_policy_destroy(*state);
	return 0;
}

static void allow(struct tk_policy *policy, const char *path, unsigned int may)
{
	assert_int_equal(tk_policy_allow_path(policy, path, may, NULL), 0);
}

static void test_nothing_is_granted_by_default(void **state)
{
	struct tk_policy *policy = *state;

	assert_false(tk_policy_may(policy, "/", TK_MAY_READ));
	assert_false(tk_policy_may(policy, "/usr/lib", TK_MAY_READ));
	assert_false(tk_policy_may_pass(policy, "/"));
}

static void test_grant_covers_what_is_below_and_no_namesakes(void **state)
{
	struct tk_policy *policy = *state;

	allow(policy, "/usr", TK_MAY_READ);
	assert_true(tk_policy_may(policy, "/usr", TK_MAY_READ));
	assert_true(tk_policy_may(policy, "/usr/lib", TK_MAY_READ));
	assert_false(tk_policy_may(policy, "/usrlocal", TK_MAY_READ));
	assert_false(tk_policy_may(policy, "/us", TK_MAY_READ));
	assert_false(tk_policy_may(policy, "/", TK_MAY_READ));
	assert_false(tk_policy_may(policy, "/usr/lib", TK_MAY_WRITE));
	assert_false(tk_policy_may(policy, "/usr/lib", RW));
}

static void test_passing_leads_to_grants_only(void **state)
{
	struct tk_policy *policy = *state;

	allow(policy, "/nonexistent-a/b/c", TK_MAY_READ);
	assert_true(tk_policy_may_pass(policy, "/"));
	assert_true(tk_policy_may_pass(policy, "/nonexistent-a/b"));
	assert_true(tk_policy_may_pass(policy, "/nonexistent-a/b/c/d"));
	assert_false(tk_policy_may_pass(policy, "/nonexistent-a/x"));
	assert_false(tk_policy_may_pass(policy, "/nonexistent-a/b/cc"));
	assert_false(tk_policy_may(policy, "/nonexistent-a/b", TK_MAY_READ));
}

static void test_grants_add_up(void **state)
{
	struct tk_policy *policy = *state;

	allow(policy, "/nonexistent-a", TK_MAY_WRITE);
	assert_false(tk_policy_may(policy, "/nonexistent-a/b", TK_MAY_READ)); /* not implied */
	allow(policy, "/nonexistent-a/b", TK_MAY_READ);
	assert_true(tk_policy_may(policy, "/nonexistent-a/b", RW));
	assert_false(tk_policy_may(policy, "/nonexistent-a", RW));
	assert_int_equal(tk_policy_rights_below(policy, "/nonexistent-a"), RW);
	assert_int_equal(tk_policy_rights_below(policy, "/nonexistent-a/b"), TK_MAY_READ);
}

static void test_everything(void **state)
{
	struct tk_policy *policy = *state;

	allow(policy, NULL, RW);
	assert_true(tk_policy_may(policy, "/", RW));
	assert_true(tk_policy_may(policy, "/etc/shadow", RW));
}

static void test_paths_are_made_canonical(void **state)
{
	struct tk_policy *policy = *state;
	char dir[] = "/tmp/tk-policy-XXXXXX", path[64], cwd[4096];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink("/usr/share", path), 0);
	allow(policy, path, TK_MAY_READ);
	assert_true(tk_policy_may(policy, "/usr/share/doc", TK_MAY_READ));
	allow(policy, "/var//./lib/../spool/", TK_MAY_READ);
	assert_true(tk_policy_may(policy, "/var/spool/x", TK_MAY_READ));
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(dir), 0);
	allow(policy, "later/file", TK_MAY_WRITE);
	assert_int_equal(chdir(cwd), 0);
	snprintf(path, sizeof(path), "%s/later/file", dir);
	assert_true(tk_policy_may(policy, path, TK_MAY_WRITE));
	snprintf(path, sizeof(path), "%s/link", dir);
	unlink(path);
	rmdir(dir);
}

static void test_bad_paths(void **state)
{
	struct tk_policy *policy = *state;
	struct tkvm_error err = {0};
	char *path = malloc(9000);

	assert_int_equal(tk_policy_allow_path(policy, "", TK_MAY_READ, &err), -EINVAL);
	memset(path, 'x', 8999);
	path[8999] = '\0';
	assert_int_equal(tk_policy_allow_path(policy, path, TK_MAY_READ, &err), -ENAMETOOLONG);
	path[0] = '/';
	assert_int_equal(tk_policy_allow_path(policy, path, TK_MAY_READ, &err), -ENAMETOOLONG);
	assert_int_equal(tk_policy_add_volume(policy, path, &err), -ENAMETOOLONG);
	free(path);
}

static void volume(struct tk_policy *policy, const char *spec)
{
	assert_int_equal(tk_policy_add_volume(policy, spec, NULL), 0);
}

static void test_volume_has_its_own_mode(void **state)
{
	struct tk_policy *policy = *state;

	allow(policy, NULL, RW);
	volume(policy, "/usr/share:/data");
	volume(policy, "/tmp:/data/scratch:rw");
	assert_true(tk_policy_may(policy, "/data/doc", TK_MAY_READ));
	assert_false(tk_policy_may(policy, "/data/doc", TK_MAY_WRITE));
	assert_true(tk_policy_may(policy, "/data/scratch/x", RW));
	assert_true(tk_policy_may(policy, "/database", RW));
	assert_int_equal(tk_policy_find_volume(policy, "/data/scratch/y"), 1);
	assert_int_equal(tk_policy_find_volume(policy, "/data/scratchy"), 0);
	assert_int_equal(tk_policy_find_volume(policy, "/dat"), -1);
}

static void bad_volume(struct tk_policy *policy, const char *spec, int code, const char *says)
{
	struct tkvm_error err = {0};

	assert_int_equal(tk_policy_add_volume(policy, spec, &err), -code);
	if (!strstr(err.message, spec) || !strstr(err.message, says))
		fail_msg("'%s' does not name '%s' and '%s'", err.message, spec, says);
}

static void test_places_that_grants_name(void **state)
{
	struct tk_policy *policy = *state;

	allow(policy, "/srv", RW);
	allow(policy, "/srv/a/b", TK_MAY_READ);
	assert_int_equal(tk_policy_named(policy, "/"), TK_NAMED_BELOW);
	assert_int_equal(tk_policy_named(policy, "/srv/a"), TK_NAMED_BELOW);
	assert_int_equal(tk_policy_named(policy, "/srv/a/b"), TK_NAMED_HERE);
	assert_int_equal(tk_policy_named(policy, "/srv/a/b/c"), TK_NAMED_NOT);
	assert_int_equal(tk_policy_named(policy, "/srv/a/bb"), TK_NAMED_NOT);
	/* A volume is where it is on the host. */
	assert_int_equal(tk_policy_add_volume(policy, "/tmp:/srv/v:rw", NULL), 0);
	allow(policy, "/tmp/x/y", TK_MAY_READ);
	assert_int_equal(tk_policy_named(policy, "/tmp"), TK_NAMED_BELOW);
	assert_int_equal(tk_policy_named(policy, "/srv/v/x"), TK_NAMED_BELOW);
	assert_int_equal(tk_policy_named(policy, "/srv/v/x/y"), TK_NAMED_HERE);
	assert_int_equal(tk_policy_named(policy, "/srv/v/a/b"), TK_NAMED_NOT);
}

static void test_bad_volumes_say_why(void **state)
{
	struct tk_policy *policy = *state;

	bad_volume(policy, "/tmp", EINVAL, "HOST:GUEST");
	bad_volume(policy, "", EINVAL, "HOST:GUEST");
	bad_volume(policy, ":/x", EINVAL, "HOST:GUEST");
	bad_volume(policy, "/tmp:", EINVAL, "HOST:GUEST");
	bad_volume(policy, "/tmp:/x:w", EINVAL, "HOST:GUEST:rw");
	bad_volume(policy, "/tmp:/x:r:r", EINVAL, "HOST:GUEST");
	bad_volume(policy, "/tmp:x", EINVAL, "start with '/'");
	bad_volume(policy, "/tmp:/proc/x", EINVAL, "synthetic");
	bad_volume(policy, "/tmp:/usr/../dev", EINVAL, "synthetic");
	bad_volume(policy, "/no/such/dir:/x", ENOENT, "No such file");
	volume(policy, "/tmp:/x/");
	bad_volume(policy, "/usr:/x", EEXIST, "already shows /tmp");
}

static bool net4(const struct tk_policy *policy, enum tk_net_use use, const char *host, int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	assert_int_equal(inet_pton(AF_INET, host, &in.sin_addr), 1);
	return tk_policy_may_net(policy, use, (struct sockaddr *)&in, sizeof(in));
}

static bool net6(const struct tk_policy *policy, enum tk_net_use use, const char *host, int port)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	assert_int_equal(inet_pton(AF_INET6, host, &in.sin6_addr), 1);
	return tk_policy_may_net(policy, use, (struct sockaddr *)&in, sizeof(in));
}

static void allow_net(struct tk_policy *policy, const char *spec, unsigned int use)
{
	struct tkvm_error err = {0};

	if (tk_policy_allow_net(policy, spec, use, &err))
		fail_msg("%s", err.message);
}

static void test_net_rules(void **state)
{
	struct tk_policy *policy = *state;

	assert_false(net4(policy, TK_NET_CONNECT, "127.0.0.1", 80));
	allow_net(policy, "10.1.0.0/15:80-90", TK_NET_CONNECT);
	assert_true(net4(policy, TK_NET_CONNECT, "10.0.0.1", 80));
	assert_true(net4(policy, TK_NET_CONNECT, "10.1.255.1", 90));
	assert_false(net4(policy, TK_NET_CONNECT, "10.2.0.1", 80));
	assert_false(net4(policy, TK_NET_CONNECT, "10.1.0.1", 91));
	assert_false(net4(policy, TK_NET_CONNECT, "10.1.0.1", 79));
	assert_false(net4(policy, TK_NET_LISTEN, "10.1.0.1", 80));
	assert_true(net6(policy, TK_NET_CONNECT, "::ffff:10.1.0.1", 80));
	assert_false(net6(policy, TK_NET_CONNECT, "::1", 80));
	allow_net(policy, "[fe80::]/10:22", TK_NET_CONNECT | TK_NET_LISTEN);
	assert_true(net6(policy, TK_NET_LISTEN, "febf::1", 22));
	assert_false(net6(policy, TK_NET_LISTEN, "fec0::1", 22));
	allow_net(policy, "::1", TK_NET_CONNECT);
	assert_true(net6(policy, TK_NET_CONNECT, "::1", 9999));
	allow_net(policy, ":53", TK_NET_CONNECT);
	assert_true(net4(policy, TK_NET_CONNECT, "8.8.8.8", 53));
	assert_true(net6(policy, TK_NET_CONNECT, "2001::1", 53));
	allow_net(policy, "localhost:7", TK_NET_LISTEN);
	assert_true(net4(policy, TK_NET_LISTEN, "127.0.0.1", 7));
	allow_net(policy, "[::ffff:192.0.2.1]:1", TK_NET_CONNECT);
	assert_true(net4(policy, TK_NET_CONNECT, "192.0.2.1", 1));
}

static void test_net_everything(void **state)
{
	struct tk_policy *policy = *state;
	struct sockaddr unix_addr = {.sa_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET};

	allow_net(policy, NULL, TK_NET_CONNECT | TK_NET_LISTEN);
	assert_true(net4(policy, TK_NET_LISTEN, "0.0.0.0", 0));
	assert_true(net6(policy, TK_NET_CONNECT, "::", 65535));
	assert_false(tk_policy_may_net(policy, TK_NET_CONNECT, &unix_addr, sizeof(unix_addr)));
	assert_false(tk_policy_may_net(policy, TK_NET_CONNECT, (struct sockaddr *)&in, 7));
}

static void test_bad_net_rules_say_what_is_expected(void **state)
{
	static const char *const bad[] = {"",
					  "1.2.3.4:",
					  "1.2.3.4:x",
					  "1.2.3.4:70000",
					  "1.2.3.4/33",
					  "1.2.3.4/",
					  "a b:80",
					  "[::1",
					  "[::1]x",
					  "[]:80",
					  "1.2.3.4:90-80",
					  "/8:80",
					  "[::1]/129:1",
					  "1.2.3.4:1-2-3",
					  "name/8"};
	struct tkvm_error err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memset(&err, 0, sizeof(err));
		if (tk_policy_allow_net(*state, bad[i], TK_NET_CONNECT, &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		if (!strstr(err.message, "expected HOST"))
			fail_msg("'%s': %s", bad[i], err.message);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_nothing_is_granted_by_default),
		T(test_grant_covers_what_is_below_and_no_namesakes),
		T(test_passing_leads_to_grants_only),
		T(test_grants_add_up),
		T(test_everything),
		T(test_paths_are_made_canonical),
		T(test_bad_paths),
		T(test_volume_has_its_own_mode),
		T(test_places_that_grants_name),
		T(test_bad_volumes_say_why),
		T(test_net_rules),
		T(test_net_everything),
		T(test_bad_net_rules_say_what_is_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
