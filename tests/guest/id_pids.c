/* SPDX-License-Identifier: MIT */
/* Process groups and sessions of a program that a script started. */
#include "check.h"

int main(void)
{
	int pid = getpid();

	CHECK(pid > 1 && getppid() >= 1 && getppid() != pid);
	CHECK(getpgid(0) == getpgrp() && getpgid(pid) == getpgrp() && getsid(0) == getsid(pid));
	CHECK_ERR(getpgid(-1), ESRCH);
	CHECK_ERR(getpgid(0x3fffffff), ESRCH);
	CHECK_ERR(getsid(0x3fffffff), ESRCH);
	CHECK_ERR(setpgid(0x3fffffff, 0), ESRCH);
	CHECK_ERR(setpgid(0, -1), EINVAL);
	CHECK_ERR(setpgid(0, 0x3fffffff), EPERM);
	if (getsid(0) == pid)
		return check_done(); /* started as a session leader: nothing else to see */
	CHECK(setpgid(0, 0) == 0 && getpgrp() == pid);
	CHECK(setpgid(pid, pid) == 0);
	CHECK_ERR(setsid(), EPERM); /* a group leader cannot */
	return check_done();
}
