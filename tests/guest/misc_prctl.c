/* SPDX-License-Identifier: MIT */
/* prctl(2), arch_prctl(2), personality(2). */
#include <asm/prctl.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>

#include "check.h"

static void name(void)
{
	char got[17] = "";

	CHECK(prctl(PR_SET_NAME, "a name that is too long") == 0);
	CHECK(prctl(PR_GET_NAME, got) == 0 && !strcmp(got, "a name that is "));
	CHECK(prctl(PR_SET_NAME, "") == 0 && prctl(PR_GET_NAME, got) == 0 && !got[0]);
	CHECK_ERR(prctl(PR_SET_NAME, BAD_POINTER), EFAULT);
	CHECK_ERR(prctl(PR_GET_NAME, BAD_POINTER), EFAULT);
	CHECK(prctl(PR_SET_NAME, "misc_prctl") == 0);
}

static void switches(void)
{
	int value = -1;

	CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &value) == 0 && value == SIGUSR1);
	CHECK_ERR(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	CHECK_ERR(prctl(PR_GET_PDEATHSIG, BAD_POINTER), EFAULT);
	CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);

	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
	CHECK_ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);

	CHECK(prctl(PR_GET_KEEPCAPS) == 0 && prctl(PR_SET_KEEPCAPS, 1) == 0);
	CHECK(prctl(PR_GET_KEEPCAPS) == 1);
	CHECK_ERR(prctl(PR_SET_KEEPCAPS, 2), EINVAL);

	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 7) == 0);
	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1);
	CHECK(prctl(PR_GET_TIMING) == 0);
	CHECK_ERR(prctl(PR_SET_TIMING, 1), EINVAL);
	CHECK(prctl(PR_GET_TSC, &value) == 0 && value == PR_TSC_ENABLE);
	CHECK(prctl(PR_GET_SECCOMP) == 0);
	CHECK_ERR(prctl(12345), EINVAL);
	CHECK_ERR(prctl(-1), EINVAL);
}

static void strict_arguments(void)
{
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK_ERR(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
	CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	CHECK_ERR(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL);
	CHECK(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 1, 0, 0) == 0);
	CHECK_ERR(prctl(PR_CAP_AMBIENT, 99, 1, 0, 0), EINVAL);
}

static void timer_slack(void)
{
	CHECK(prctl(PR_GET_TIMERSLACK) == 50000);
	CHECK(prctl(PR_SET_TIMERSLACK, 1234) == 0 && prctl(PR_GET_TIMERSLACK) == 1234);
	CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 50000);
}

static void segments(void)
{
	unsigned long fs = 0, gs = 1;

	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs != 0);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_FS, fs) == 0);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000) == 0);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == 0x123456789000);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &gs) == 0);
	__asm__("movq %%gs:0, %0" : "=r"(gs));
	CHECK(gs == 0x123456789000);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
	CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x800000000000), EPERM);
	CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000), EPERM);
	CHECK_ERR(syscall(SYS_arch_prctl, ARCH_GET_FS, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
}

int main(void)
{
	name();
	switches();
	timer_slack();
	segments();
	strict_arguments();
	CHECK(personality(0xffffffff) == 0);
	CHECK(personality(ADDR_NO_RANDOMIZE) == 0);
	CHECK(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
	return check_done();
}
