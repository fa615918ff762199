/* SPDX-License-Identifier: MIT */
/*
 * User and group ids: setuid(2), setreuid(2), setresuid(2), setfsuid(2), setgroups(2). As root
 * privileges are dropped for good at the end; otherwise everything foreign is refused.
 */
#include <grp.h>
#include <stdlib.h>
#include <sys/fsuid.h>

#include "check.h"

static void expect_uids(uid_t r, uid_t e, uid_t s)
{
	uid_t real, effective, saved;

	CHECK(getresuid(&real, &effective, &saved) == 0);
	CHECK(real == r && effective == e && saved == s);
	CHECK(getuid() == r && geteuid() == e);
}

static void bad_arguments(void)
{
	gid_t groups[4];

	CHECK_ERR(syscall(SYS_setuid, -1), EINVAL);
	CHECK_ERR(syscall(SYS_setgid, -1), EINVAL);
	CHECK_ERR(syscall(SYS_getresuid, BAD_POINTER, &groups, &groups), EFAULT);
	CHECK_ERR(syscall(SYS_getgroups, -1, groups), EINVAL);
	CHECK(syscall(SYS_setfsuid, -1) == (long)geteuid());
	CHECK(syscall(SYS_setresuid, -1, -1, -1) == 0);
	CHECK(syscall(SYS_setreuid, -1, -1) == 0);
}

static void unprivileged(void)
{
	uid_t uid = getuid(), other = uid + 1;

	CHECK_ERR(syscall(SYS_setuid, other), EPERM);
	CHECK_ERR(syscall(SYS_setreuid, other, -1), EPERM);
	CHECK_ERR(syscall(SYS_setreuid, -1, other), EPERM);
	CHECK_ERR(syscall(SYS_setresuid, -1, -1, other), EPERM);
	CHECK_ERR(syscall(SYS_setgid, getgid() + 1), EPERM);
	CHECK_ERR(syscall(SYS_setgroups, 0, NULL), EPERM);
	CHECK(syscall(SYS_setfsuid, other) == (long)uid && syscall(SYS_setfsuid, -1) == (long)uid);
	CHECK(syscall(SYS_setuid, uid) == 0 && syscall(SYS_setresuid, uid, uid, uid) == 0);
	expect_uids(uid, uid, uid);
}

static void groups(void)
{
	gid_t set[3] = {30, 10, 20}, got[3];

	CHECK(syscall(SYS_setgroups, 3, set) == 0);
	CHECK(syscall(SYS_getgroups, 0, NULL) == 3);
	CHECK_ERR(syscall(SYS_getgroups, 2, got), EINVAL);
	CHECK(syscall(SYS_getgroups, 3, got) == 3);
	CHECK(got[0] == 10 && got[1] == 20 && got[2] == 30); /* the kernel sorts */
	CHECK_ERR(syscall(SYS_setgroups, 3, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_setgroups, 70000, set), EINVAL);
	CHECK(syscall(SYS_setgroups, 0, NULL) == 0 && getgroups(0, NULL) == 0);
}

static void dropping(void)
{
	groups();
	CHECK(syscall(SYS_setresgid, 1000, 1001, 1002) == 0);
	CHECK(getgid() == 1000 && getegid() == 1001);
	CHECK(syscall(SYS_setfsuid, 77) == 0 && syscall(SYS_setfsuid, -1) == 77);
	/* Temporarily another user, and back by the saved id. */
	CHECK(syscall(SYS_setresuid, -1, 1000, -1) == 0);
	expect_uids(0, 1000, 0);
	CHECK(syscall(SYS_setfsuid, -1) == 1000);
	CHECK_ERR(syscall(SYS_setgroups, 0, NULL), EPERM);
	CHECK_ERR(syscall(SYS_setresuid, 1234, -1, -1), EPERM);
	CHECK(syscall(SYS_setuid, 0) == 0);
	expect_uids(0, 0, 0);
	/* setreuid: the saved id follows when the real one is set. */
	CHECK(syscall(SYS_setreuid, 5, 6) == 0);
	expect_uids(5, 6, 6);
	CHECK_ERR(syscall(SYS_setuid, 0), EPERM);
	CHECK(syscall(SYS_setreuid, 6, 5) == 0);
	expect_uids(6, 5, 5);
	CHECK(syscall(SYS_setuid, 6) == 0);
	expect_uids(6, 6, 5);
	CHECK(syscall(SYS_setresuid, 5, 5, 5) == 0);
	expect_uids(5, 5, 5);
	CHECK_ERR(syscall(SYS_setresuid, 6, -1, -1), EPERM);
	CHECK_ERR(syscall(SYS_setgroups, 0, NULL), EPERM);
}

int main(void)
{
	bad_arguments();
	if (geteuid() == 0)
		dropping();
	else
		unprivileged();
	return check_done();
}
