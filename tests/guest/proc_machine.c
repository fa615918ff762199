/* SPDX-License-Identifier: MIT */
/* /proc, /sys and /dev about the machine, as programs parse them at start-up. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "check.h"

static char text[1 << 20];

static long slurp(const char *path)
{
	long n, len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	text[0] = '\0';
	if (fd < 0)
		return -1;
	while ((n = read(fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += n;
	close(fd);
	text[len] = '\0';
	return len;
}

static long count(const char *what)
{
	long n = 0;

	for (char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void memory_and_cpus(void)
{
	unsigned long total = 0, available = 0;
	struct sysinfo info;
	long cpus;

	CHECK(slurp("/proc/meminfo") > 0 && sysinfo(&info) == 0);
	CHECK(sscanf(text, "MemTotal: %lu kB\nMemFree: %*u kB\nMemAvailable: %lu kB\n", &total,
		     &available) == 2);
	CHECK(total == info.totalram * info.mem_unit / 1024 && available <= total);
	CHECK(count("SwapTotal: ") == 1 && count("Cached: ") >= 1 && count("Hugepagesize: ") == 1);
	CHECK(slurp("/proc/cpuinfo") > 0);
	cpus = count("processor\t: ");
	CHECK(cpus == get_nprocs() && cpus == get_nprocs_conf() && count("flags\t\t: ") == cpus);
	CHECK(slurp("/proc/stat") > 0 && count("\ncpu") == cpus && count("btime ") == 1);
	CHECK(slurp("/sys/devices/system/cpu/online") > 0 && text[0] == '0');
	CHECK(slurp("/sys/devices/system/cpu/possible") > 0 && text[0] == '0');
	CHECK_ERR(open("/sys/devices/system/cpu/cpu9999/online", O_RDONLY), ENOENT);
}

static void kernel(void)
{
	struct utsname name;
	char line[256];
	double up, idle;
	unsigned int a, b, c;

	uname(&name);
	snprintf(line, sizeof(line), "%s\n", name.release);
	CHECK(slurp("/proc/sys/kernel/osrelease") > 0 && !strcmp(text, line));
	snprintf(line, sizeof(line), "%s\n", name.nodename);
	CHECK(slurp("/proc/sys/kernel/hostname") > 0 && !strcmp(text, line));
	CHECK(slurp("/proc/version") > 0 && !strncmp(text, "Linux version ", 14));
	CHECK(slurp("/proc/uptime") > 0 && sscanf(text, "%lf %lf\n", &up, &idle) == 2 && up > 0);
	CHECK(slurp("/proc/loadavg") > 0 && sscanf(text, "%u.%u %*f %*f %u", &a, &b, &c) == 3);
	CHECK(slurp("/proc/sys/kernel/random/uuid") == 37 && text[14] == '4' && text[8] == '-');
	CHECK(slurp("/proc/sys/kernel/random/boot_id") == 37);
	CHECK(slurp("/proc/sys/net/core/somaxconn") > 0 && atoi(text) > 0);
	CHECK(slurp("/proc/sys/vm/overcommit_memory") == 2);
	CHECK(slurp("/proc/sys/vm/max_map_count") > 0 && slurp("/proc/sys/fs/nr_open") > 0);
	CHECK(slurp("/proc/filesystems") > 0 && count("\tproc\n") == 1);
	CHECK_ERR(open("/proc/sys/kernel/osrelease/x", O_RDONLY), ENOTDIR);
}

static void mounts(void)
{
	CHECK(slurp("/proc/self/mountinfo") > 0 && count(" / / ") >= 1 && count(" /proc ") >= 1);
	CHECK(slurp("/proc/mounts") > 0 && count(" /proc proc ") == 1);
	CHECK(slurp("/proc/self/cgroup") > 0 && count("0::/") == 1);
	CHECK(slurp("/proc/cgroups") > 0 && !strncmp(text, "#subsys_name\thierarchy\t", 23));
}

static void devices(void)
{
	struct stat st;
	char buf[16];
	int fd = open("/dev/zero", O_RDWR);

	CHECK(fd >= 0 && read(fd, buf, sizeof(buf)) == sizeof(buf) && buf[0] == 0);
	CHECK(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 5));
	close(fd);
	fd = open("/dev/full", O_WRONLY);
	CHECK_ERR(write(fd, buf, 1), ENOSPC);
	close(fd);
	fd = open("/dev/null", O_RDWR);
	CHECK(read(fd, buf, 1) == 0 && write(fd, buf, 16) == 16);
	close(fd);
	fd = open("/dev/urandom", O_RDONLY);
	CHECK(read(fd, buf, 16) == 16);
	close(fd);
	CHECK(stat("/dev/fd", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(lstat("/dev/stdout", &st) == 0 && S_ISLNK(st.st_mode));
}

static void directories(void)
{
	static const char *const names[] = {"/proc", "/proc/sys", "/proc/sys/kernel",
					    "/sys/devices/system/cpu", "/dev"};
	struct stat st;

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		DIR *dir = opendir(names[i]);

		CHECK(dir && readdir(dir) != NULL);
		CHECK(stat(names[i], &st) == 0 && S_ISDIR(st.st_mode));
		closedir(dir);
	}
}

int main(void)
{
	memory_and_cpus();
	kernel();
	mounts();
	devices();
	directories();
	return check_done();
}
