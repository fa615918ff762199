/* SPDX-License-Identifier: MIT */
/* /proc/self as programs parse it: proc(5). */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "check.h"

extern char **environ;
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
	return n < 0 ? -1 : len;
}

static void stat_line(void)
{
	int fields = 3, pid = 0;
	char *p;

	CHECK(prctl(PR_SET_NAME, "a) (b") == 0);
	CHECK(slurp("/proc/self/stat") > 0 && sscanf(text, "%d", &pid) == 1 && pid == getpid());
	CHECK(strstr(text, " (a) (b) R ") != NULL);
	for (p = strrchr(text, ')') + 3; *p; p++)
		fields += *p == ' ';
	CHECK(fields == 52 && p[-1] == '\n');
	CHECK(slurp("/proc/self/comm") == 6 && !strcmp(text, "a) (b\n"));
}

static void maps(void)
{
	unsigned long start, end, last = 0;
	int main_seen = 0, stack_seen = 0, local, fields, lines = 0;
	char perms[5], *line, *save = NULL;

	CHECK(slurp("/proc/self/maps") > 0);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		fields = sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*u", &start, &end, perms);
		CHECK(fields == 3 && start < end && start >= last && strlen(perms) == 4);
		last = start;
		lines++;
		/* A name starts in column 73; without one the line ends in a blank. */
		if (strlen(line) > 73)
			CHECK(line[72] == ' ' && line[73] != ' ');
		else
			CHECK(line[strlen(line) - 1] == ' ');
		if ((unsigned long)&stat_line >= start && (unsigned long)&stat_line < end)
			main_seen = !strcmp(perms, "r-xp") && strstr(line, "proc_self") != NULL;
		if ((unsigned long)&local >= start && (unsigned long)&local < end)
			stack_seen = !strncmp(perms, "rw", 2) && strstr(line, "[stack]") != NULL;
	}
	CHECK(lines > 3 && main_seen && stack_seen);
}

static unsigned long field(const char *name)
{
	char *p = strstr(text, name);

	CHECK(p != NULL);
	return p ? strtoul(p + strlen(name), NULL, 0) : 0;
}

static void status(void)
{
	CHECK(slurp("/proc/self/status") > 0 && !strncmp(text, "Name:\ta) (b\n", 12));
	CHECK(field("\nPid:\t") == (unsigned long)getpid());
	CHECK(field("\nTgid:\t") == (unsigned long)getpid());
	CHECK(field("\nPPid:\t") == (unsigned long)getppid());
	CHECK(field("\nUid:\t") == getuid() && field("\nGid:\t") == getgid());
	CHECK(field("\nThreads:\t") == 1);
	CHECK(field("\nVmRSS:\t") > 0 && field("\nVmSize:\t") >= field("\nVmRSS:\t"));
	CHECK(slurp("/proc/self/statm") > 0);
	CHECK(slurp("/proc/self/smaps") > 0 && strstr(text, "\nRss:  ") &&
	      strstr(text, "\nSize: "));
}

static void vectors(int argc, char **argv)
{
	long len = slurp("/proc/self/cmdline");
	char *p = text;

	for (int i = 0; i < argc; i++, p += strlen(p) + 1)
		CHECK(!strcmp(p, argv[i]));
	CHECK(p - text == len);
	CHECK(slurp("/proc/self/environ") >= 0 && (!environ[0] || !strcmp(text, environ[0])));
	len = slurp("/proc/self/auxv");
	CHECK(len > 16 && len % 16 == 0);
	for (Elf64_auxv_t *a = (Elf64_auxv_t *)text; a->a_type; a++)
		if (a->a_type != AT_HWCAP && a->a_type != AT_HWCAP2) /* glibc has its own */
			CHECK(getauxval(a->a_type) == a->a_un.a_val);
}

static void links(void)
{
	char target[4096] = "", expected[64], cwd[4096];
	struct stat a, b;
	int fd;

	CHECK(readlink("/proc/self", target, sizeof(target)) > 0 && atoi(target) == getpid());
	memset(target, 0, sizeof(target));
	CHECK(readlink("/proc/self/exe", target, sizeof(target)) > 0 &&
	      strstr(target, "proc_self"));
	CHECK(stat(target, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_ino == b.st_ino);
	memset(target, 0, sizeof(target));
	CHECK(readlink("/proc/self/cwd", target, sizeof(target)) > 0);
	CHECK(!strcmp(target, getcwd(cwd, sizeof(cwd))));
	memset(target, 0, sizeof(target));
	snprintf(expected, sizeof(expected), "%d/task/%ld", getpid(), syscall(SYS_gettid));
	CHECK(readlink("/proc/thread-self", target, sizeof(target)) > 0 &&
	      !strcmp(target, expected));
	CHECK(lstat("/proc/self/exe", &a) == 0 && S_ISLNK(a.st_mode));

	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(expected, sizeof(expected), "/proc/self/fd/%d", fd);
	memset(target, 0, sizeof(target));
	CHECK(readlink(expected, target, sizeof(target)) > 0 && !strcmp(target, "/dev/null"));
	CHECK(stat(expected, &a) == 0 && S_ISCHR(a.st_mode));
	snprintf(expected, sizeof(expected), "/proc/self/fdinfo/%d", fd);
	CHECK(slurp(expected) > 0 && !strncmp(text, "pos:\t0\nflags:\t0", 15));
	CHECK((strtoul(text + 14, NULL, 8) & (O_CLOEXEC | O_ACCMODE)) == (O_CLOEXEC | O_RDWR));
	close(fd);
	CHECK_ERR(open(expected, O_RDONLY), ENOENT);
}

/* Directories list exactly what can be opened. */
static void listings(void)
{
	int fds = 0, tasks = 0, names = 0;
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir("/proc/self/fd");

	CHECK(dir != NULL);
	while (dir && (entry = readdir(dir)))
		if (isdigit(entry->d_name[0])) {
			CHECK(fcntl(atoi(entry->d_name), F_GETFD) >= 0);
			fds++;
		}
	CHECK(fds >= 1);
	closedir(dir);
	dir = opendir("/proc/self/task");
	while (dir && (entry = readdir(dir)))
		tasks += isdigit(entry->d_name[0]) != 0;
	CHECK(tasks == 1);
	closedir(dir);
	dir = opendir("/proc/self");
	CHECK(dir != NULL);
	while (dir && (entry = readdir(dir))) {
		CHECK(fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
		names++;
	}
	CHECK(names > 20);
	closedir(dir);
}

static int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	int rc = (int)write(fd, value, strlen(value));

	close(fd);
	return rc;
}

static void writing(void)
{
	CHECK(put("/proc/self/comm", "renamed") == 7);
	CHECK(slurp("/proc/self/comm") == 8 && !strcmp(text, "renamed\n"));
	CHECK(put("/proc/self/oom_score_adj", "500\n") == 4);
	CHECK(slurp("/proc/self/oom_score_adj") == 4 && !strcmp(text, "500\n"));
	CHECK_ERR(put("/proc/self/oom_score_adj", "1001"), EINVAL);
	CHECK_ERR(put("/proc/self/oom_score_adj", "x"), EINVAL);
	CHECK(slurp("/proc/self/oom_adj") > 0 && atoi(text) == 8);
	CHECK(put("/proc/self/coredump_filter", "0x7f") == 4);
	CHECK(slurp("/proc/self/coredump_filter") == 9 && !strcmp(text, "0000007f\n"));
	CHECK_ERR(open("/proc/self/nothing", O_RDONLY), ENOENT);
	CHECK_ERR(open("/proc/self/comm/x", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("/proc/1x", O_RDONLY), ENOENT);
}

static void limits(void)
{
	struct rlimit limit;
	char line[128], cur[32];

	CHECK(slurp("/proc/self/limits") > 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
	snprintf(cur, sizeof(cur), "%lu", (unsigned long)limit.rlim_cur);
	snprintf(line, sizeof(line), "\n%-25s %-20s ", "Max open files", cur);
	CHECK(strstr(text, line) != NULL);
}

int main(int argc, char **argv)
{
	stat_line();
	status();
	maps();
	vectors(argc, argv);
	links();
	listings();
	limits();
	writing();
	return check_done();
}
