/* SPDX-License-Identifier: MIT */
/* open(2) and openat2(2): every flag against every kind of object, and the errors' order. */
#include <linux/openat2.h>

#include "fs_try.h"

static int openat2(int dirfd, const char *path, __u64 flags, __u64 mode, __u64 resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};

	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

static const struct {
	const char *name;
	int flags;
} all_flags[] = {
	{"RDONLY", O_RDONLY},
	{"WRONLY", O_WRONLY},
	{"RDWR", O_RDWR},
	{"3", 3},
	{"CREAT", O_CREAT},
	{"CREAT|EXCL", O_CREAT | O_EXCL},
	{"CREAT|EXCL|WRONLY", O_CREAT | O_EXCL | O_WRONLY},
	{"CREAT|DIRECTORY", O_CREAT | O_DIRECTORY},
	{"TRUNC", O_TRUNC},
	{"TRUNC|WRONLY", O_TRUNC | O_WRONLY},
	{"DIRECTORY", O_DIRECTORY},
	{"DIRECTORY|WRONLY", O_DIRECTORY | O_WRONLY},
	{"NOFOLLOW", O_NOFOLLOW},
	{"NOFOLLOW|DIRECTORY", O_NOFOLLOW | O_DIRECTORY},
	{"NOFOLLOW|CREAT", O_NOFOLLOW | O_CREAT},
	{"PATH", O_PATH},
	{"PATH|NOFOLLOW", O_PATH | O_NOFOLLOW},
	{"PATH|DIRECTORY", O_PATH | O_DIRECTORY},
	{"PATH|WRONLY|CREAT", O_PATH | O_WRONLY | O_CREAT},
	{"TMPFILE|RDWR", O_TMPFILE | O_RDWR},
	{"TMPFILE", O_TMPFILE},
	{"TMPFILE|EXCL|WRONLY", O_TMPFILE | O_EXCL | O_WRONLY},
	{"TMPFILE|CREAT|WRONLY", O_TMPFILE | O_CREAT | O_WRONLY},
	{"APPEND|WRONLY", O_APPEND | O_WRONLY},
	{"NONBLOCK|SYNC|DSYNC", O_NONBLOCK | O_SYNC | O_DSYNC},
	{"NOATIME", O_NOATIME},
	{"unknown bits", 0x70000008 & ~3},
};

static const char *const objects[] = {
	"file",
	"file/",
	"file/x",
	"dir",
	"dir/",
	"dir/.",
	"dir/..",
	"tofile",
	"tofile/",
	"todir",
	"todir/",
	"todir/in",
	"dangling",
	"dangling/",
	"loop",
	"loop/x",
	"missing",
	"missing/",
	"missing/x",
	"sock",
	"",
	".",
	"..",
	"/",
	"//",
	"./file",
	"dir/../file",
	"dir//in",
	"todir/../file",
	"/dev/null",
	"/dev/null/",
	"/proc/self/fd",
	"/proc/self/fd/0",
};

static void show_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	printf(" flags %#o cloexec %d\n", flags, fcntl(fd, F_GETFD));
}

static void matrix(void)
{
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		for (size_t j = 0; j < sizeof(all_flags) / sizeof(*all_flags); j++) {
			int fd = open(objects[i], all_flags[j].flags, 0640);

			printf("open(%s, %s) = %s\n", objects[i], all_flags[j].name,
			       fd < 0 ? strerrorname_np(errno) : "fd");
			if (fd >= 0) {
				show_flags(fd);
				close(fd);
			}
			/* What a call made must not change what the next one meets. */
			unlink("missing");
			unlink("target");
		}
	}
}

static void long_names(void)
{
	char name[5000];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	TRY(open(name, O_RDONLY));
	name[255] = 'n';
	name[256] = '\0';
	TRY(open(name, O_RDONLY));
	TRY(open(name, O_CREAT | O_WRONLY, 0600));
	for (int i = 0; i < 4998; i += 2)
		memcpy(name + i, "./", 2);
	name[4094] = '\0';
	CLOSE(open(name, O_RDONLY));
	name[4094] = '.';
	name[4095] = '\0';
	CLOSE(open(name, O_RDONLY));
	name[4095] = '/';
	name[4096] = '\0';
	TRY(open(name, O_RDONLY));
	TRY(syscall(SYS_open, BAD_POINTER, O_RDONLY));
	TRY(syscall(SYS_open, NULL, O_RDONLY));
}

static void many_links(void)
{
	char from[16] = "file", to[16];

	for (int i = 0; i < 42; i++) {
		snprintf(to, sizeof(to), "chain%d", i);
		CHECK(symlink(from, to) == 0);
		strcpy(from, to);
	}
	CLOSE(open("chain38", O_RDONLY));
	CLOSE(open("chain39", O_RDONLY));
	CLOSE(open("chain40", O_RDONLY));
	CLOSE(open("chain41", O_RDONLY));
	for (int i = 0; i < 42; i++) {
		snprintf(to, sizeof(to), "chain%d", i);
		unlink(to);
	}
}

static void dirfds(void)
{
	int dir = open("dir", O_RDONLY | O_DIRECTORY), path = open("dir", O_PATH);
	int file = open("file", O_RDONLY);

	CLOSE(openat(dir, "in", O_RDONLY));
	CLOSE(openat(path, "in", O_RDONLY));
	CLOSE(openat(dir, "../file", O_RDONLY));
	CLOSE(openat(dir, "up/file", O_RDONLY));
	CLOSE(openat(dir, "", O_RDONLY));
	CLOSE(openat(file, "in", O_RDONLY));
	CLOSE(openat(file, "/", O_RDONLY));
	CLOSE(openat(99, "in", O_RDONLY));
	CLOSE(openat(99, "/", O_RDONLY));
	CLOSE(openat(-5, "in", O_RDONLY));
	CHECK(rename("dir", "moved") == 0);
	CLOSE(openat(dir, "in", O_RDONLY));
	CLOSE(openat(dir, "../file", O_RDONLY));
	CLOSE(openat(path, "../moved/in", O_RDONLY));
	CHECK(rename("moved", "dir") == 0);
	close(dir);
	close(path);
	close(file);
}

static void resolve_flags(void)
{
	static const struct {
		const char *name;
		__u64 flag;
	} flags[] = {
		{"none", 0},
		{"NO_SYMLINKS", RESOLVE_NO_SYMLINKS},
		{"NO_MAGICLINKS", RESOLVE_NO_MAGICLINKS},
		{"BENEATH", RESOLVE_BENEATH},
		{"IN_ROOT", RESOLVE_IN_ROOT},
		{"NO_XDEV", RESOLVE_NO_XDEV},
		{"BENEATH|IN_ROOT", RESOLVE_BENEATH | RESOLVE_IN_ROOT},
		{"unknown", 0x1000},
	};
	static const char *const paths[] = {"in",
					    "/in",
					    "/",
					    "..",
					    "../file",
					    "up",
					    "up/dir/in",
					    "abs",
					    "sub/../in",
					    "sub/../../file",
					    "sub/../..",
					    "self",
					    "/proc/self/fd/0",
					    "missing",
					    "/../in",
					    "inlink"};
	int dir = open("dir", O_PATH);

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		for (size_t j = 0; j < sizeof(flags) / sizeof(*flags); j++) {
			int fd = openat2(dir, paths[i], O_RDONLY, 0, flags[j].flag);

			printf("openat2(%s, %s) = %s\n", paths[i], flags[j].name,
			       fd < 0 ? strerrorname_np(errno) : "fd");
			if (fd >= 0)
				close(fd);
		}
	}
	TRY(openat2(dir, "in", O_RDONLY, 0600, 0));
	TRY(openat2(dir, "in", 0x70000008, 0, 0));
	TRY(openat2(dir, "in", O_PATH | O_RDWR, 0, 0));
	TRY(openat2(dir, "new", O_CREAT | O_RDWR, 010000, 0));
	TRY(openat2(dir, "in", 1ull << 40, 0, 0));
	close(dir);
}

static void how_sizes(void)
{
	char how[5000] = {0};

	TRY(syscall(SYS_openat2, AT_FDCWD, "file", how, 0));
	TRY(syscall(SYS_openat2, AT_FDCWD, "file", how, 23));
	CLOSE((int)syscall(SYS_openat2, AT_FDCWD, "file", how, 24));
	CLOSE((int)syscall(SYS_openat2, AT_FDCWD, "file", how, 64));
	TRY(syscall(SYS_openat2, AT_FDCWD, "file", how, 4097));
	how[30] = 1;
	TRY(syscall(SYS_openat2, AT_FDCWD, "file", how, 64));
	TRY(syscall(SYS_openat2, AT_FDCWD, "file", BAD_POINTER, 24));
}

static void modes(void)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	struct stat st;

	for (size_t i = 0; i < sizeof(masks) / sizeof(*masks); i++) {
		mode_t old = umask(masks[i]);

		close(open("created", O_CREAT | O_WRONLY, 07777));
		CHECK(stat("created", &st) == 0);
		printf("umask %03o: file %04o", masks[i], st.st_mode & 07777);
		unlink("created");
		mkdir("created", 07777);
		CHECK(stat("created", &st) == 0);
		printf(" directory %04o", st.st_mode & 07777);
		rmdir("created");
		mknod("created", S_IFIFO | 0666, 0);
		CHECK(stat("created", &st) == 0);
		printf(" fifo %04o\n", st.st_mode & 07777);
		unlink("created");
		umask(old);
	}
}

int main(void)
{
	make_file("file", "content\n");
	CHECK(mkdir("dir", 0755) == 0 && mkdir("dir/sub", 0755) == 0);
	make_file("dir/in", "inside\n");
	CHECK(symlink("file", "tofile") == 0 && symlink("dir", "todir") == 0);
	CHECK(symlink("target", "dangling") == 0 && symlink("loop", "loop") == 0);
	CHECK(symlink("..", "dir/up") == 0 && symlink("/etc/passwd", "dir/abs") == 0);
	CHECK(symlink("/proc/self/fd/0", "dir/self") == 0 && symlink("in", "dir/inlink") == 0);
	CHECK(mknod("sock", S_IFSOCK | 0600, 0) == 0);
	matrix();
	long_names();
	many_links();
	dirfds();
	resolve_flags();
	how_sizes();
	modes();
	return check_done();
}
