/* SPDX-License-Identifier: MIT */
/* getdents64 and getdents: complete, seekable, with sane records; FIFOs; directories renamed. */
#include <dirent.h>

#include "fs_try.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *names[3000];
	struct dirent *d;
	DIR *dir = opendir(path);
	int n = 0;

	CHECK(dir != NULL);
	while (dir && n < 3000 && (d = readdir(dir))) {
		char text[300];

		snprintf(text, sizeof(text), "%s type %d", d->d_name, d->d_type);
		names[n++] = strdup(text);
	}
	qsort(names, (size_t)n, sizeof(*names), compare);
	printf("%s: %d entries\n", path, n);
	for (int i = 0; i < n && n < 50; i++)
		printf(" %s\n", names[i]);
	if (dir)
		closedir(dir);
}

static void many(void)
{
	char name[40];
	DIR *dir;
	struct dirent *d;
	long where;
	int n = 0;

	CHECK(mkdir("many", 0700) == 0);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "many/entry-%d", i);
		close(open(name, O_CREAT | O_WRONLY, 0600));
	}
	list("many");
	dir = opendir("many");
	for (int i = 0; i < 1000; i++)
		readdir(dir);
	where = telldir(dir);
	d = readdir(dir);
	strcpy(name, d->d_name);
	while (readdir(dir))
		;
	seekdir(dir, where);
	d = readdir(dir);
	CHECK(d && !strcmp(d->d_name, name));
	rewinddir(dir);
	while ((d = readdir(dir)))
		n++;
	printf("%d entries again\n", n);
	closedir(dir);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "many/entry-%d", i);
		CHECK(unlink(name) == 0);
	}
	list("many");
}

static void raw(void)
{
	char buf[4096];
	int fd = open("dir", O_RDONLY), file = open("file", O_RDONLY), path = open("dir", O_PATH);

	TRY(syscall(SYS_getdents64, fd, buf, 10));
	TRY(syscall(SYS_getdents64, fd, BAD_POINTER, sizeof(buf)));
	TRY(syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0);
	TRY(syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	TRY(lseek(fd, 0, SEEK_SET));
	long n = syscall(SYS_getdents, fd, buf, sizeof(buf));
	int found = 0;

	for (long at = 0; at < n;) {
		unsigned short reclen = *(unsigned short *)(buf + at + 16);

		found += !strcmp(buf + at + 18, "in") && buf[at + reclen - 1] == DT_REG;
		at += reclen;
	}
	printf("found %d\n", found);
	TRY(syscall(SYS_getdents64, file, buf, sizeof(buf)));
	TRY(syscall(SYS_getdents64, path, buf, sizeof(buf)));
	TRY(syscall(SYS_getdents64, 99, buf, sizeof(buf)));
	TRY(lseek(fd, -1, SEEK_SET));
	close(fd);
	close(file);
	close(path);
}

static void fifos(void)
{
	char buf[10];
	int rd, wr, both;

	CHECK(mkfifo("fifo", 0600) == 0);
	TRY(open("fifo", O_WRONLY | O_NONBLOCK));
	rd = TRY(open("fifo", O_RDONLY | O_NONBLOCK));
	TRY(read(rd, buf, 10));
	wr = TRY(open("fifo", O_WRONLY));
	TRY(read(rd, buf, 10));
	TRY(write(wr, "hello", 5));
	TRY(read(rd, buf, 10));
	TRY(fcntl(rd, F_GETFL));
	TRY(fcntl(wr, F_GETFL));
	TRY(lseek(rd, 0, SEEK_CUR));
	both = TRY(open("fifo", O_RDONLY));
	close(wr);
	TRY(read(both, buf, 10));
	close(both);
	close(rd);
	both = TRY(open("fifo", O_RDWR));
	TRY(write(both, "x", 1));
	TRY(read(both, buf, 10));
	close(both);
}

int main(void)
{
	make_file("file", "x");
	CHECK(mkdir("dir", 0755) == 0 && mkdir("dir/sub", 0755) == 0);
	make_file("dir/in", "x");
	CHECK(symlink("in", "dir/link") == 0 && mknod("dir/pipe", S_IFIFO | 0600, 0) == 0);
	list("dir");
	list("dir/sub");
	many();
	raw();
	fifos();
	return check_done();
}
