/* SPDX-License-Identifier: MIT */
/* stat, statx, access, chmod, chown, utimensat, truncate, readlink, statfs, xattr, cwd. */
#include <limits.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#include "fs_try.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static const char *const paths[] = {
	"file",
	"file/",
	"file/x",
	"dir",
	"dir/",
	"tofile",
	"tofile/",
	"todir",
	"todir/",
	"todir/in",
	"dangling",
	"loop",
	"missing",
	"",
	".",
	"..",
	"dir/..",
	"/",
	"/dev/null",
	"/proc/self/fd/0",
	"/proc",
	"/proc/self",
	"/proc/self/stat",
	"/proc/nothing",
};

static void show_stat(const char *what, const char *path, int rc, const struct stat *st)
{
	if (rc)
		printf("%s(%s) = %s\n", what, path, strerrorname_np(errno));
	else
		printf("%s(%s) = type %o size %d\n", what, path, st->st_mode >> 12,
		       S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (int)st->st_size : 0);
}

static void stats(void)
{
	struct statx stx;
	struct stat st;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		show_stat("stat", paths[i], stat(paths[i], &st), &st);
		show_stat("lstat", paths[i], lstat(paths[i], &st), &st);
		show_stat("fstatat empty", paths[i],
			  fstatat(AT_FDCWD, paths[i], &st, AT_EMPTY_PATH), &st);
		int rc = statx(AT_FDCWD, paths[i], AT_SYMLINK_NOFOLLOW, STATX_ALL, &stx);

		printf("statx(%s) = %s %o\n", paths[i], rc ? strerrorname_np(errno) : "ok",
		       rc ? 0 : stx.stx_mode >> 12);
	}
	TRY(fstatat(AT_FDCWD, "file", &st, 0x10000));
	TRY(syscall(SYS_newfstatat, AT_FDCWD, "file", BAD_POINTER, 0));
	TRY(syscall(SYS_newfstatat, AT_FDCWD, BAD_POINTER, &st, 0));
	TRY(statx(AT_FDCWD, "file", AT_STATX_SYNC_TYPE, 0, &stx));
	TRY(statx(AT_FDCWD, "file", 0, 0x80000000, &stx));
	TRY(statx(AT_FDCWD, "file", 0x10000, 0, &stx));
	TRY(statx(1, "", AT_EMPTY_PATH, STATX_TYPE, &stx));
	TRY(statx(99, "", AT_EMPTY_PATH, STATX_TYPE, &stx));
	TRY(fstat(99, &st));
}

static void accesses(void)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		for (int mode = 0; mode < 8; mode++)
			/* Synthetic files are read-only in a machine, for root too. */
			if (strncmp(paths[i], "/proc/", 5) || !(mode & W_OK))
				printf("access(%s, %d) = %s\n", paths[i], mode,
				       access(paths[i], mode) ? strerrorname_np(errno) : "ok");
	TRY(access("file", 8));
	TRY(access("file", -1));
	TRY(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
	TRY(syscall(SYS_faccessat2, AT_FDCWD, "file", F_OK, 0x10000));
	TRY(syscall(SYS_faccessat2, 1, "", W_OK, AT_EMPTY_PATH));
}

static void links(void)
{
	char buf[300];

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		ssize_t n = readlink(paths[i], buf, sizeof(buf));

		/* Where descriptor 0 leads is the test's environment. */
		printf("readlink(%s) = %s %.*s\n", paths[i], n < 0 ? strerrorname_np(errno) : "ok",
		       n < 0 || !strncmp(paths[i], "/proc", 5) ? 0 : (int)n, buf);
	}
	TRY(readlink("tofile", buf, 2));
	TRY(readlink("tofile", buf, 0));
	TRY(syscall(SYS_readlink, "tofile", BAD_POINTER, 10));
	TRY(syscall(SYS_readlink, "tofile", buf, -1));
	int fd = open("tofile", O_PATH | O_NOFOLLOW);

	TRY(readlinkat(fd, "", buf, sizeof(buf)));
	close(fd);
	fd = open("file", O_PATH);
	TRY(readlinkat(fd, "", buf, sizeof(buf)));
	close(fd);
}

static void modes(void)
{
	struct stat st;
	int fd = open("file", O_RDONLY), path = open("file", O_PATH);

	TRY(chmod("tofile", 0604));
	CHECK(stat("file", &st) == 0);
	printf("mode %o\n", st.st_mode);
	TRY(fchmod(fd, 01777));
	CHECK(stat("file", &st) == 0);
	printf("mode %o\n", st.st_mode);
	TRY(fchmod(path, 0600));
	TRY(fchmod(99, 0600));
	TRY(chmod("missing", 0600));
	TRY(chmod("dangling", 0600));
	TRY(syscall(SYS_fchmodat2, AT_FDCWD, "tofile", 0600, AT_SYMLINK_NOFOLLOW));
	TRY(syscall(SYS_fchmodat2, path, "", 0640, AT_EMPTY_PATH));
	TRY(syscall(SYS_fchmodat2, AT_FDCWD, "file", 0600, 0x10000));
	TRY(chown("file", -1, -1));
	TRY(lchown("dangling", -1, -1));
	TRY(chown("dangling", -1, -1));
	TRY(fchown(fd, -1, -1));
	TRY(fchownat(path, "", -1, -1, AT_EMPTY_PATH));
	TRY(fchownat(AT_FDCWD, "file", -1, -1, 0x10000));
	chmod("file", 0644);
	close(fd);
	close(path);
}

static void show_times(const char *path)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	printf(" %ld.%09ld %ld.%09ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
	       (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void times(void)
{
	struct timespec ts[2] = {{1000, 5}, {2000, 999999999}};
	struct timeval tv[2] = {{3000, 7}, {4000, 999999}};
	struct utimbuf ub = {5000, 6000};
	int fd = open("file", O_RDONLY);

	TRY(utimensat(AT_FDCWD, "tofile", ts, 0));
	show_times("file");
	TRY(utimensat(AT_FDCWD, "tofile", ts, AT_SYMLINK_NOFOLLOW));
	show_times("tofile");
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_sec = 77;
	TRY(futimens(fd, ts));
	show_times("file");
	TRY(utimes("file", tv));
	show_times("file");
	TRY(utime("file", &ub));
	show_times("file");
	ts[1].tv_nsec = UTIME_OMIT;
	TRY(utimensat(AT_FDCWD, "missing", ts, 0));
	ts[1].tv_nsec = 1000000000;
	TRY(utimensat(AT_FDCWD, "file", ts, 0));
	tv[0].tv_usec = 1000000;
	TRY(utimes("file", tv));
	TRY(utimes("missing", NULL));
	TRY(utimensat(AT_FDCWD, "file", NULL, 0x10000));
	TRY(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0));
	TRY(syscall(SYS_utimensat, fd, NULL, NULL, AT_SYMLINK_NOFOLLOW));
	TRY(utimensat(AT_FDCWD, "", NULL, 0));
	close(fd);
}

static void sizes(void)
{
	int fd = open("file", O_RDWR), ro = open("file", O_RDONLY);
	struct stat st;

	TRY(truncate("file", 100));
	TRY(truncate("tofile", 50));
	TRY(truncate("dir", 0));
	TRY(truncate("file", -1));
	TRY(truncate("/dev/null", 0));
	TRY(truncate("missing", 0));
	TRY(ftruncate(ro, 0));
	TRY(ftruncate(fd, -1));
	TRY(ftruncate(99, 0));
	TRY(ftruncate(fd, 5000));
	TRY(fallocate(fd, 0, 0, 10000));
	TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000));
	TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	TRY(fallocate(fd, 0, -1, 10));
	TRY(fallocate(fd, 0, 0, 0));
	TRY(fallocate(fd, 0, LONG_MAX, 10));
	TRY(fallocate(fd, 0x10000, 0, 10));
	TRY(fallocate(ro, 0, 0, 10));
	CHECK(fstat(fd, &st) == 0);
	printf("size %d\n", (int)st.st_size);
	TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	TRY(posix_fadvise(fd, 0, 0, 99));
	TRY(readahead(fd, 0, 4096));
	TRY(sync_file_range(fd, 0, 4096, 7));
	TRY(sync_file_range(fd, 0, 4096, 8));
	TRY(fsync(fd));
	TRY(fdatasync(ro));
	TRY(syncfs(fd));
	TRY(fsync(99));
	TRY(ftruncate(fd, 4));
	close(fd);
	close(ro);
}

static void attributes(void)
{
	char buf[300] = "";
	int fd = open("file", O_RDWR), path = open("file", O_PATH);

	TRY(setxattr("tofile", "user.one", "value", 5, 0));
	TRY(setxattr("file", "user.one", "other", 5, XATTR_CREATE));
	TRY(setxattr("file", "user.two", "other", 5, XATTR_REPLACE));
	TRY(setxattr("file", "user.one", "v2", 2, XATTR_REPLACE));
	TRY(getxattr("file", "user.one", buf, sizeof(buf)));
	printf("%s\n", buf);
	TRY(getxattr("file", "user.one", NULL, 0));
	TRY(getxattr("file", "user.one", buf, 1));
	TRY(getxattr("file", "user.none", buf, 1));
	TRY(getxattr("file", "", buf, 1));
	TRY(getxattr("file", "nonsense", buf, 1));
	TRY(setxattr("file", "user.big", buf, 65537, 0));
	TRY(setxattr("file", "user.one", buf, 1, 8));
	TRY(lsetxattr("tofile", "user.one", "v", 1, 0));
	TRY(lgetxattr("tofile", "user.one", buf, sizeof(buf)));
	TRY(fsetxattr(fd, "user.fd", "123", 3, 0));
	TRY(fgetxattr(fd, "user.fd", buf, sizeof(buf)));
	TRY(fgetxattr(path, "user.fd", buf, sizeof(buf)));
	TRY(listxattr("file", buf, sizeof(buf)));
	TRY(flistxattr(fd, NULL, 0));
	TRY(listxattr("file", buf, 3));
	TRY(removexattr("file", "user.one"));
	TRY(removexattr("file", "user.one"));
	TRY(fremovexattr(fd, "user.fd"));
	TRY(listxattr("file", buf, sizeof(buf)));
	TRY(getxattr("missing", "user.one", buf, 1));
	close(fd);
	close(path);
}

static void file_systems(void)
{
	struct statfs fs;

	TRY(statfs("file", &fs));
	printf("name length %d\n", (int)fs.f_namelen);
	TRY(statfs("/proc", &fs));
	printf("type %x\n", (int)fs.f_type);
	TRY(statfs("missing", &fs));
	TRY(statfs("file", BAD_POINTER));
	TRY(fstatfs(99, &fs));
}

static void directories(void)
{
	char here[PATH_MAX], now[PATH_MAX];
	int dir = open("dir", O_PATH), file = open("file", O_RDONLY);

	CHECK(getcwd(here, sizeof(here)) != NULL);
	TRY(chdir("file"));
	TRY(chdir("missing"));
	TRY(chdir(""));
	TRY(fchdir(file));
	TRY(fchdir(99));
	TRY(chdir("todir"));
	CHECK(getcwd(now, sizeof(now)) != NULL);
	printf("in %s\n", now + strlen(here));
	TRY(syscall(SYS_getcwd, now, 5));
	TRY(syscall(SYS_getcwd, now, strlen(here) + 5) > 0);
	TRY(syscall(SYS_getcwd, BAD_POINTER, 4096));
	TRY(access("in", F_OK));
	CHECK(rename("../dir", "../moved") == 0);
	CHECK(getcwd(now, sizeof(now)) != NULL);
	printf("in %s\n", now + strlen(here));
	TRY(access("../moved/in", F_OK));
	CHECK(rename("../moved", "../dir") == 0);
	TRY(fchdir(dir));
	CHECK(mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
	TRY(syscall(SYS_getcwd, now, sizeof(now)));
	TRY(open("x", O_CREAT | O_WRONLY, 0600));
	TRY(access(".", F_OK));
	TRY(open("x", O_RDONLY));
	CHECK(chdir(here) == 0);
	printf("umask %o", umask(0777));
	printf(" %o", umask(07777));
	printf(" %o\n", umask(022));
	TRY(chdir("/proc/self"));
	TRY(access("stat", R_OK));
	TRY(access("../version", R_OK));
	CHECK(chdir(here) == 0);
	close(dir);
	close(file);
}

int main(void)
{
	make_file("file", "1234");
	CHECK(mkdir("dir", 0755) == 0);
	make_file("dir/in", "inside");
	CHECK(symlink("file", "tofile") == 0 && symlink("dir", "todir") == 0);
	CHECK(symlink("target", "dangling") == 0 && symlink("loop", "loop") == 0);
	stats();
	accesses();
	links();
	modes();
	times();
	sizes();
	attributes();
	file_systems();
	directories();
	/* Time stamps of "now" are not for comparison. */
	return check_done();
}
