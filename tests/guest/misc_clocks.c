/* SPDX-License-Identifier: MIT */
/* Clocks through real system calls: clock_gettime(2), gettimeofday(2), time(2). */
#include <sys/time.h>
#include <time.h>

#include "check.h"

static long long now(clockid_t id)
{
	struct timespec ts = {0};

	CHECK(syscall(SYS_clock_gettime, id, &ts) == 0);
	CHECK(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void every_clock(void)
{
	static const clockid_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 11};
	struct timespec res;

	for (unsigned int i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		long long first = now(ids[i]), last = first;

		for (int n = 0; n < 100; n++) {
			long long t = now(ids[i]);

			CHECK(t >= last || ids[i] == CLOCK_REALTIME);
			last = t;
		}
		CHECK(syscall(SYS_clock_getres, ids[i], &res) == 0 && res.tv_sec == 0);
		CHECK(syscall(SYS_clock_getres, ids[i], NULL) == 0);
	}
	CHECK_ERR(syscall(SYS_clock_gettime, 10, &res), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, 12, &res), EINVAL);
	CHECK_ERR(syscall(SYS_clock_getres, 99, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, 0, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_clock_gettime, 2, BAD_POINTER), EFAULT);
}

static void cpu_clocks(void)
{
	clockid_t id;
	struct timespec ts;

	CHECK(clock_getcpuclockid(0, &id) == 0 && clock_gettime(id, &ts) == 0);
	CHECK(clock_getcpuclockid(getpid(), &id) == 0 && clock_gettime(id, &ts) == 0);
	id = (clockid_t)(~0x3fffffu << 3 | 2); /* nobody's */
	CHECK_ERR(syscall(SYS_clock_gettime, id, &ts), EINVAL);
	id = (clockid_t)(~0u << 3 | 4 | 2); /* this thread's */
	CHECK(syscall(SYS_clock_gettime, id, &ts) == 0);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, &ts), EINVAL);
	CHECK_ERR(syscall(SYS_clock_settime, id, &ts), EPERM);
}

static void wall_clock(void)
{
	struct timespec bad = {0, 1000000000};
	struct timeval tv;
	struct timezone tz = {-1, -1};
	long seconds = 0;

	CHECK(syscall(SYS_gettimeofday, &tv, &tz) == 0 && tv.tv_usec < 1000000);
	CHECK(tz.tz_minuteswest == 0 && tz.tz_dsttime == 0);
	CHECK(syscall(SYS_gettimeofday, NULL, NULL) == 0);
	CHECK_ERR(syscall(SYS_gettimeofday, BAD_POINTER, NULL), EFAULT);
	CHECK(syscall(SYS_time, &seconds) == seconds && seconds - tv.tv_sec <= 1);
	CHECK_ERR(syscall(SYS_time, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &bad), EINVAL);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &bad), EINVAL);
	CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, BAD_POINTER), EFAULT);
	CHECK_ERR(syscall(SYS_clock_settime, 99, &bad), EINVAL);
}

int main(void)
{
	every_clock();
	cpu_clocks();
	wall_clock();
	return check_done();
}
