/* SPDX-License-Identifier: MIT */
/* getrlimit(2), prlimit(2), getrusage(2), times(2), getpriority(2), ioprio_set(2). */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

#include "check.h"

static void rlimits(void)
{
	struct rlimit limit, old;

	for (int i = 0; i < RLIM_NLIMITS; i++)
		CHECK(syscall(SYS_getrlimit, i, &limit) == 0 && limit.rlim_cur <= limit.rlim_max);
	CHECK_ERR(syscall(SYS_getrlimit, RLIM_NLIMITS, &limit), EINVAL);
	CHECK_ERR(syscall(SYS_getrlimit, -1, &limit), EINVAL);
	CHECK_ERR(syscall(SYS_getrlimit, 0, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_setrlimit, 0, BAD_POINTER), EFAULT);
	limit = (struct rlimit){2, 1};
	CHECK_ERR(syscall(SYS_setrlimit, RLIMIT_CORE, &limit), EINVAL);
	CHECK_ERR(syscall(SYS_setrlimit, 99, &limit), EINVAL);
	CHECK(syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, NULL, &limit) == 0);
	limit.rlim_cur = 0;
	CHECK(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, &old) == 0);
	CHECK(old.rlim_max == limit.rlim_max);
	CHECK(syscall(SYS_getrlimit, RLIMIT_CORE, &old) == 0 && old.rlim_cur == 0);
	CHECK_ERR(syscall(SYS_prlimit64, 0x3fffffff, RLIMIT_CORE, NULL, NULL), ESRCH);
	CHECK_ERR(syscall(SYS_prlimit64, 0, 77, NULL, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_prlimit64, 0, RLIMIT_CORE, BAD_POINTER, NULL), EFAULT);
	CHECK_ERR(syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, BAD_POINTER), EFAULT);
	limit = (struct rlimit){16, 1ull << 40};
	CHECK_ERR(syscall(SYS_setrlimit, RLIMIT_NOFILE, &limit), EPERM);
}

static void descriptors_run_out(void)
{
	struct rlimit limit, low;
	int fd;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	low = limit;
	low.rlim_cur = 5;
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	CHECK_ERR(dup2(0, 5), EBADF);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		CHECK(fd < 5);
	CHECK(errno == EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(dup2(0, 5) == 5);
}

static void usage(void)
{
	struct rusage before, after;
	struct tms tms;
	volatile unsigned int x = 0;

	CHECK(getrusage(RUSAGE_SELF, &before) == 0);
	do {
		for (int i = 0; i < 100000; i++)
			x += (unsigned int)i;
		CHECK(getrusage(RUSAGE_SELF, &after) == 0);
	} while (after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec <
		 before.ru_utime.tv_sec * 1000000 + before.ru_utime.tv_usec + 20000);
	CHECK(after.ru_maxrss > 0);
	CHECK(getrusage(RUSAGE_THREAD, &after) == 0 && getrusage(RUSAGE_CHILDREN, &after) == 0);
	CHECK(after.ru_utime.tv_sec == 0 && after.ru_utime.tv_usec == 0);
	CHECK_ERR(getrusage(5, &after), EINVAL);
	CHECK_ERR(syscall(SYS_getrusage, RUSAGE_SELF, BAD_POINTER), EFAULT);
	CHECK(times(&tms) > 0 && tms.tms_utime + tms.tms_stime >= 1 && tms.tms_cutime == 0);
	CHECK(syscall(SYS_times, NULL) > 0);
	CHECK_ERR(syscall(SYS_times, BAD_POINTER), EFAULT);
}

static void priorities(void)
{
	/* whatever it was started with, 20 - nice is between 1 and 40 */
	CHECK(syscall(SYS_getpriority, PRIO_PROCESS, 0) >= 1);
	CHECK(setpriority(PRIO_PROCESS, 0, 15) == 0);
	CHECK(syscall(SYS_getpriority, PRIO_PROCESS, getpid()) == 5);
	CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0);
	CHECK(syscall(SYS_getpriority, PRIO_PROCESS, 0) == 1);
	CHECK_ERR(syscall(SYS_getpriority, 3, 0), EINVAL);
	CHECK_ERR(syscall(SYS_setpriority, -1, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_getpriority, PRIO_PROCESS, 0x3fffffff), ESRCH);
	CHECK_ERR(syscall(SYS_setpriority, PRIO_PGRP, 0x3fffffff, 0), ESRCH);
	CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 3) == 0);
	CHECK(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 3));
	CHECK_ERR(syscall(SYS_ioprio_set, 1, 0, 1), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_set, 1, 0, 5 << 13), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_set, 0, 0, 2 << 13), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_get, 4, 0), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_get, 1, 0x3fffffff), ESRCH);
}

int main(void)
{
	rlimits();
	descriptors_run_out();
	usage();
	priorities();
	return check_done();
}
