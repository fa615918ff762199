/* SPDX-License-Identifier: MIT */
/* uname(2), sysinfo(2), getcpu(2), membarrier(2), and calls that are refused. */
#include <linux/membarrier.h>
#include <sys/ptrace.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "check.h"

static void machine(void)
{
	struct utsname name;
	struct sysinfo info;
	char host[65];

	CHECK(uname(&name) == 0 && !strcmp(name.sysname, "Linux"));
	CHECK(!strcmp(name.machine, "x86_64") && name.release[0] >= '3' && name.release[0] <= '9');
	CHECK(gethostname(host, sizeof(host)) == 0 && !strcmp(host, name.nodename));
	CHECK_ERR(syscall(SYS_uname, BAD_POINTER), EFAULT);
	CHECK(sysinfo(&info) == 0 && info.mem_unit >= 1 && info.freeram <= info.totalram);
	CHECK(info.procs >= 1 && info.uptime > 0);
	CHECK_ERR(syscall(SYS_sysinfo, BAD_POINTER), EFAULT);
}

static void cpu(void)
{
	unsigned int number = 99, node = 99;

	CHECK(syscall(SYS_getcpu, &number, &node, NULL) == 0 && number < 99 && node < 99);
	CHECK(syscall(SYS_getcpu, NULL, NULL, NULL) == 0);
	CHECK_ERR(syscall(SYS_getcpu, BAD_POINTER, NULL, NULL), EFAULT);
}

static void barriers(void)
{
	int can = (int)syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	CHECK(can > 0 && can & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0);
	CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
	CHECK_ERR(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 1, 0), EINVAL);
}

/* Only the low half of RAX is the number; x32's numbers are not served. */
static long raw(unsigned long nr)
{
	long rc;

	__asm__ volatile("syscall" : "=a"(rc) : "a"(nr) : "rcx", "r11", "memory");
	return rc;
}

static void numbers(void)
{
	CHECK_ERR(syscall(511), ENOSYS);
	CHECK_ERR(syscall(100000), ENOSYS);
	CHECK_ERR(syscall(-1), ENOSYS);
	CHECK(raw(0xffffffff00000000 | SYS_getpid) == getpid());
	CHECK(raw(0x40000000 | SYS_getpid) == -ENOSYS);
}

int main(void)
{
	machine();
	cpu();
	barriers();
	numbers();
	return check_done();
}
