/* SPDX-License-Identifier: MIT */
/* read, write and their variants: offsets, partial faults, limits, flags, shared offsets. */
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "fs_try.h"

static char buf[100000];

/* @pages accessible pages with an inaccessible one behind. */
static char *guarded(size_t pages)
{
	char *p = mmap(NULL, (pages + 1) * 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED && mprotect(p + pages * 4096, 4096, PROT_NONE) == 0);
	return p;
}

static void basics(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);

	TRY(write(fd, "0123456789", 10));
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(pwrite(fd, "ab", 2, 3));
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(lseek(fd, 2, SEEK_SET));
	TRY(read(fd, buf, 4));
	printf("%.4s\n", buf);
	TRY(pread(fd, buf, 100, 8));
	TRY(pread(fd, buf, 100, 10));
	TRY(pread(fd, buf, 100, 1000));
	TRY(pread(fd, buf, 100, -1));
	TRY(pwrite(fd, buf, 1, -1));
	TRY(pwrite(fd, buf, 1, INT64_MAX));
	TRY(read(fd, buf, 0));
	TRY(read(fd, BAD_POINTER, 0));
	TRY(read(fd, BAD_POINTER, 1));
	TRY(read(fd, buf, -1));
	TRY(write(fd, (void *)-4096, 1));
	TRY(read(-1, buf, 1));
	TRY(read(-1, BAD_POINTER, 1));
	TRY(lseek(fd, -1, SEEK_SET));
	TRY(lseek(fd, 5, SEEK_END));
	TRY(lseek(fd, -100, SEEK_CUR));
	TRY(lseek(fd, INT64_MAX, SEEK_CUR));
	TRY(lseek(fd, 0, 77));
	TRY(lseek(fd, 3, SEEK_DATA));
	TRY(lseek(fd, 3, SEEK_HOLE));
	TRY(lseek(fd, 10, SEEK_DATA));
	close(fd);
}

static void faults(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	char *p = guarded(2);

	memset(p, 'x', 8192);
	TRY(write(fd, p, 3 * 4096));
	TRY(write(fd, p + 8192, 1));
	TRY(write(fd, p + 8191, 2));
	lseek(fd, 0, SEEK_SET);
	TRY(read(fd, p + 4096, 8192));
	TRY(lseek(fd, 0, SEEK_CUR));
	struct iovec iov[3] = {{p, 10}, {p + 8192, 10}, {p, 10}};
	TRY(pwritev(fd, iov, 3, 0));
	TRY(preadv(fd, iov, 3, 0));
	iov[0] = iov[1];
	TRY(preadv(fd, iov, 3, 0));
	TRY(mprotect(p, 4096, PROT_READ));
	TRY(pread(fd, p, 10, 0));
	TRY(pwrite(fd, p, 10, 0));
	munmap(p, 3 * 4096);
	close(fd);
}

/* Nothing to read is found before that there is no memory for it. */
static void faults_at_the_end(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644), ends[2];

	TRY(read(fd, BAD_POINTER, 10));
	TRY(pread(fd, BAD_POINTER, 10, 100));
	TRY(write(fd, "abc", 3));
	TRY(read(fd, BAD_POINTER, 10));
	TRY(pread(fd, BAD_POINTER, 10, 2));
	TRY(pread(fd, BAD_POINTER, SIZE_MAX / 2, 3));
	TRY(read(fd, (void *)-4096, 1));
	close(fd);
	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	TRY(read(ends[0], BAD_POINTER, 10));
	TRY(write(ends[1], "abc", 3));
	TRY(read(ends[0], BAD_POINTER, 10));
	TRY(read(ends[0], buf, 10));
	close(ends[1]);
	TRY(read(ends[0], BAD_POINTER, 10));
	close(ends[0]);
}

/* A buffer that is a file mapping whose file was cut. */
static void vanished(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	int other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0644);
	char *p;

	CHECK(ftruncate(fd, 8192) == 0 && write(other, buf, 10000) == 10000);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	p[0] = p[4096] = 1;
	CHECK(ftruncate(fd, 0) == 0);
	TRY(pread(other, p, 100, 0));
	TRY(pwrite(other, p, 100, 0));
	TRY(open(p, O_RDONLY));
	CHECK(munmap(p, 8192) == 0);
	close(fd);
	close(other);
}

static void vectors(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	struct iovec iov[1025];

	for (int i = 0; i < 1025; i++)
		iov[i] = (struct iovec){buf + i, (size_t)(i % 3)};
	TRY(writev(fd, iov, 1024));
	TRY(writev(fd, iov, 1025));
	TRY(writev(fd, iov, -1));
	TRY(writev(fd, iov, 0));
	TRY(writev(fd, BAD_POINTER, 1));
	TRY(readv(fd, BAD_POINTER, 0));
	iov[1].iov_len = (size_t)-1;
	TRY(writev(fd, iov, 2));
	iov[0] = (struct iovec){NULL, 0};
	iov[1] = (struct iovec){buf, 5};
	TRY(pwritev(fd, iov, 2, 0));
	TRY(preadv(fd, iov, 2, -1));
	TRY(preadv(fd, iov, 2, 1020));
	TRY(preadv2(fd, iov, 2, 0, 0));
	TRY(lseek(fd, 7, SEEK_SET));
	TRY(preadv2(fd, iov, 2, -1, 0));
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(preadv2(fd, iov, 2, -2, 0));
	TRY(preadv2(fd, iov, 2, 0, 0x4000));
	TRY(pwritev2(fd, iov, 2, 0, RWF_DSYNC | RWF_SYNC));
	TRY(pwritev2(fd, iov, 2, 0, RWF_APPEND));
	TRY(lseek(fd, 0, SEEK_END));
	TRY(preadv2(fd, iov, 2, 0, RWF_HIPRI));
	close(fd);
}

static void appending(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0644), two;

	TRY(write(fd, "first", 5));
	TRY(lseek(fd, 0, SEEK_SET));
	TRY(write(fd, "second", 6));
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(pwrite(fd, "XX", 2, 0));
	TRY(lseek(fd, 0, SEEK_CUR));
	TRY(pread(fd, buf, 100, 0));
	printf("%.13s\n", buf);
	TRY(fcntl(fd, F_SETFL, 0));
	TRY(pwrite(fd, "YY", 2, 0));
	TRY(fcntl(fd, F_SETFL, O_APPEND));
	TRY(write(fd, "end", 3));
	two = dup(fd);
	TRY(lseek(two, 1, SEEK_SET));
	TRY(read(fd, buf, 3));
	TRY(lseek(two, 0, SEEK_CUR));
	close(two);
	two = open("/proc/self/fd/3", O_RDONLY);
	TRY(lseek(two, 0, SEEK_CUR));
	TRY(read(two, buf, 100));
	printf("%.16s\n", buf);
	close(two);
	close(fd);
}

static void streams(void)
{
	int p[2], dir = open(".", O_RDONLY), path = open("file", O_PATH);
	int ro = open("file", O_RDONLY), wo = open("file", O_WRONLY);

	CHECK(pipe(p) == 0);
	TRY(pread(p[0], buf, 1, 0));
	TRY(pwrite(p[1], buf, 1, 0));
	TRY(lseek(p[0], 0, SEEK_CUR));
	TRY(read(p[1], buf, 1));
	TRY(write(p[0], buf, 1));
	TRY(read(dir, buf, 1));
	TRY(pread(dir, buf, 1, 0));
	TRY(write(dir, buf, 1));
	TRY(read(path, buf, 1));
	TRY(pread(path, buf, 1, 0));
	TRY(write(ro, buf, 1));
	TRY(read(wo, buf, 1));
	TRY(write(p[1], "hello", 5));
	TRY(read(p[0], buf, 100));
	TRY(write(p[1], buf, 0));
	signal(SIGPIPE, SIG_IGN);
	close(p[0]);
	TRY(write(p[1], buf, 1));
	close(p[1]);
	close(dir);
	close(path);
	close(ro);
	close(wo);
}

static void devices(void)
{
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
	int full = open("/dev/full", O_RDWR), random = open("/dev/urandom", O_RDONLY);
	char *map;

	TRY(read(null, buf, 10));
	TRY(write(null, buf, 10));
	TRY(lseek(null, 100, SEEK_SET));
	TRY(pread(null, buf, 10, 0));
	TRY(read(zero, buf, 100000));
	TRY(write(zero, buf, 10));
	TRY(pread(zero, buf, 10, 5));
	TRY(read(full, buf, 10));
	TRY(write(full, buf, 10));
	TRY(read(random, buf, 1000));
	TRY(pread(random, buf, 10, 0));
	memset(buf, 0, sizeof(buf)); /* what is written later is compared */
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
	CHECK(map != MAP_FAILED && map[5000] == 0);
	map[5000] = 1;
	TRY(ftruncate(null, 0));
	TRY(fsync(null));
	close(null);
	close(zero);
	close(full);
	close(random);
}

static volatile int got_xfsz;

static void on_xfsz(int sig)
{
	got_xfsz++;
}

/* The limit would hit standard output too, so that results are shown afterwards. */
static void size_limit(void)
{
	int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644), n = 0;
	struct rlimit limit = {1000, RLIM_INFINITY};
	struct {
		long rc;
		int err, signals;
	} seen[16];

#define LIMITED(call)                                                                              \
	(errno = 0, seen[n].rc = (call), seen[n].err = errno, seen[n++].signals = got_xfsz)
	fflush(stdout);
	signal(SIGXFSZ, on_xfsz);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	LIMITED(write(fd, buf, 900));
	LIMITED(write(fd, buf, 900));
	LIMITED(write(fd, buf, 1));
	LIMITED(write(fd, buf, 0));
	LIMITED(pwrite(fd, buf, 10, 995));
	LIMITED(pwrite(fd, buf, 10, 1000));
	LIMITED(ftruncate(fd, 1001));
	LIMITED(ftruncate(fd, 1000));
	LIMITED(truncate("file", 5000));
	LIMITED(fallocate(fd, 0, 0, 2000));
	LIMITED(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 2000));
	LIMITED(syscall(SYS_copy_file_range, fd, (off_t[]){0}, fd, (off_t[]){2000}, 10, 0));
	limit.rlim_cur = RLIM_INFINITY;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (int i = 0; i < n; i++)
		printf("limited %d: %ld %s, signals %d\n", i, seen[i].rc,
		       strerrorname_np(seen[i].err), seen[i].signals);
	TRY(write(fd, buf, 100));
	close(fd);
}

static void large(void)
{
	size_t size = 40 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0644);

	memset(p, 'z', size);
	TRY(write(fd, p, size));
	lseek(fd, 0, SEEK_SET);
	memset(p, 0, size);
	TRY(read(fd, p, size));
	CHECK(p[0] == 'z' && p[size - 1] == 'z' && p[size / 2] == 'z');
	TRY(pread(fd, p, size, 1000));
	TRY(ftruncate(fd, 1ll << 40));
	TRY(lseek(fd, 0, SEEK_END));
	TRY(pread(fd, p, size, 1ll << 39));
	CHECK(p[size / 2] == 0);
	close(fd);
	unlink("big");
	munmap(p, size);
}

int main(void)
{
	basics();
	faults();
	faults_at_the_end();
	vanished();
	vectors();
	appending();
	streams();
	devices();
	size_limit();
	large();
	unlink("file"); /* holds random bytes by now */
	return check_done();
}
