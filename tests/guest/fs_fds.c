/* SPDX-License-Identifier: MIT */
/* dup, close_range, fcntl, flock, record locks, ioctl on descriptors. */
#include <linux/close_range.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <termios.h>

#include "fs_try.h"

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif

static void dups(void)
{
	struct rlimit limit = {20, 20};
	int fd = open("file", O_RDWR);

	CHECK(fd == 3);
	TRY(dup(fd));
	TRY(dup(99));
	TRY(dup2(fd, 10));
	TRY(dup2(fd, fd));
	TRY(dup2(99, 99));
	TRY(dup2(99, 5));
	TRY(dup2(fd, -1));
	TRY(dup3(fd, 11, O_CLOEXEC));
	TRY(fcntl(11, F_GETFD));
	TRY(dup3(fd, fd, 0));
	TRY(dup3(fd, 12, O_APPEND));
	TRY(dup3(fd, 12, 0));
	TRY(fcntl(fd, F_DUPFD, 10));
	TRY(fcntl(fd, F_DUPFD_CLOEXEC, 15));
	TRY(fcntl(15, F_GETFD));
	TRY(fcntl(15, F_SETFD, 0));
	TRY(fcntl(15, F_GETFD));
	TRY(fcntl(fd, F_DUPFD, -1));
	TRY(fcntl(fd, F_DUPFD_QUERY, 10));
	TRY(fcntl(fd, F_DUPFD_QUERY, 0));
	TRY(setrlimit(RLIMIT_NOFILE, &limit));
	TRY(fcntl(fd, F_DUPFD, 20));
	TRY(fcntl(fd, F_DUPFD, 19));
	TRY(fcntl(fd, F_DUPFD, 19));
	TRY(dup2(fd, 20));
	while (dup(fd) >= 0)
		;
	TRY(dup(fd));
	TRY(open("missing", O_RDONLY));
	TRY(open("must-not-exist", O_CREAT | O_WRONLY, 0600));
	TRY(access("must-not-exist", F_OK));
	TRY(syscall(SYS_close_range, 5, 7, 0));
	TRY(dup(fd));
	TRY(syscall(SYS_close_range, 15, 12, 0));
	TRY(syscall(SYS_close_range, 3, ~0u, 8));
	TRY(syscall(SYS_close_range, 12, ~0u, CLOSE_RANGE_CLOEXEC));
	TRY(fcntl(12, F_GETFD));
	TRY(syscall(SYS_close_range, 3, ~0u, 0));
	TRY(close(3));
	TRY(close(-1));
}

static void flags(void)
{
	int fd = open("file", O_RDWR), path = open("file", O_PATH), p[2];

	CHECK(pipe(p) == 0);
	TRY(fcntl(fd, F_GETFL));
	TRY(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK));
	TRY(fcntl(fd, F_GETFL));
	TRY(fcntl(fd, F_SETFL, O_WRONLY | O_TRUNC | O_CREAT));
	TRY(fcntl(fd, F_GETFL));
	TRY(fcntl(p[0], F_GETFL));
	TRY(fcntl(p[1], F_GETFL));
	TRY(fcntl(p[0], F_SETFL, O_NONBLOCK));
	TRY(read(p[0], p, 1));
	TRY(fcntl(p[0], F_GETPIPE_SZ));
	TRY(fcntl(p[0], F_SETPIPE_SZ, 5000));
	TRY(fcntl(fd, F_GETPIPE_SZ));
	TRY(fcntl(path, F_GETFL));
	TRY(fcntl(path, F_GETFD));
	TRY(fcntl(path, F_SETFL, 0));
	TRY(fcntl(path, F_GETLK, NULL));
	TRY(fcntl(fd, F_GETOWN));
	TRY(fcntl(fd, F_GETLEASE));
	TRY(fcntl(fd, F_GET_SEALS));
	TRY(fcntl(fd, 9999));
	TRY(fcntl(99, F_GETFL));
	TRY(fcntl(99, 9999));
	close(fd);
	close(path);
	close(p[0]);
	close(p[1]);
}

static struct flock region(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

/* Through another open file description: OFD locks are another owner's. */
static void show_lock(int fd, off_t start, off_t len)
{
	struct flock lock = region(F_WRLCK, start, len);

	errno = 0;
	int rc = fcntl(fd, F_OFD_GETLK, &lock);

	printf("lock at %ld+%ld: %d type %d from %ld length %ld\n", (long)start, (long)len, rc,
	       lock.l_type, (long)lock.l_start, (long)lock.l_len);
}

static void record_locks(void)
{
	int fd = open("file", O_RDWR), two = open("file", O_RDWR), ro = open("file", O_RDONLY);
	struct flock lock = region(F_WRLCK, 10, 10), get = region(F_WRLCK, 0, 0);

	TRY(fcntl(fd, F_SETLK, &lock));
	show_lock(two, 0, 100);
	/* One owner: the same process through another descriptor is no conflict. */
	TRY(fcntl(two, F_SETLK, &lock));
	TRY(fcntl(two, F_GETLK, &get));
	printf("type %d\n", get.l_type);
	lock = region(F_UNLCK, 12, 2);
	TRY(fcntl(two, F_SETLK, &lock));
	show_lock(two, 12, 2);
	show_lock(two, 14, 100);
	lseek(fd, 50, SEEK_SET);
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 5, .l_len = -3};
	TRY(fcntl(fd, F_SETLK, &lock));
	show_lock(two, 50, 100);
	lock.l_whence = 9;
	TRY(fcntl(fd, F_SETLK, &lock));
	lock = region(9, 0, 0);
	TRY(fcntl(fd, F_SETLK, &lock));
	lock = region(F_WRLCK, -1, 1);
	TRY(fcntl(fd, F_SETLK, &lock));
	lock = region(F_WRLCK, 0, 1);
	TRY(fcntl(ro, F_SETLK, &lock));
	TRY(fcntl(fd, F_SETLK, BAD_POINTER));
	lock = region(F_UNLCK, 0, 0);
	TRY(fcntl(ro, F_SETLK, &lock));
	show_lock(two, 0, 0);
	lock = region(F_RDLCK, 0, 1);
	TRY(fcntl(fd, F_SETLKW, &lock));
	show_lock(two, 0, 0);
	/* Closing any descriptor of the file ends all of them. */
	close(ro);
	show_lock(two, 0, 0);
	lock = region(F_WRLCK, 0, 5);
	TRY(fcntl(fd, F_OFD_SETLK, &lock));
	show_lock(fd, 0, 0);
	show_lock(two, 0, 0);
	TRY(fcntl(two, F_OFD_SETLK, &lock));
	TRY(fcntl(two, F_SETLK, &lock));
	lock.l_pid = 5;
	TRY(fcntl(fd, F_OFD_SETLK, &lock));
	close(fd);
	show_lock(two, 0, 0);
	close(two);
}

static void flocks(void)
{
	int fd = open("file", O_RDWR), two = open("file", O_RDONLY), three = dup(fd);

	TRY(flock(fd, LOCK_EX));
	TRY(flock(two, LOCK_SH | LOCK_NB));
	TRY(flock(three, LOCK_SH));
	TRY(flock(two, LOCK_SH | LOCK_NB));
	TRY(flock(fd, LOCK_EX | LOCK_NB));
	TRY(flock(two, LOCK_UN));
	TRY(flock(fd, 0));
	TRY(flock(fd, 99));
	TRY(flock(99, LOCK_SH));
	close(fd);
	TRY(flock(two, LOCK_EX | LOCK_NB));
	close(three);
	TRY(flock(two, LOCK_EX | LOCK_NB));
	close(two);
}

static void ioctls(void)
{
	int fd = open("file", O_RDWR), dir = open(".", O_RDONLY), path = open(".", O_PATH), n = 0;
	int null = open("/dev/null", O_RDWR);
	struct termios termios;
	struct winsize size;

	TRY(ioctl(fd, TCGETS, &termios));
	TRY(ioctl(dir, TCGETS, &termios));
	TRY(ioctl(null, TCGETS, &termios));
	TRY(ioctl(0, TIOCGWINSZ, &size));
	TRY(ioctl(path, FIONREAD, &n));
	TRY(ioctl(99, FIONREAD, &n));
	lseek(fd, 3, SEEK_SET);
	TRY(ioctl(fd, FIONREAD, &n));
	printf("%d to read\n", n);
	TRY(ioctl(fd, FIONREAD, BAD_POINTER));
	TRY(ioctl(fd, FIOCLEX));
	TRY(fcntl(fd, F_GETFD));
	TRY(ioctl(fd, FIONCLEX));
	TRY(fcntl(fd, F_GETFD));
	n = 1;
	TRY(ioctl(fd, FIONBIO, &n));
	TRY(fcntl(fd, F_GETFL));
	TRY(ioctl(fd, FIONBIO, BAD_POINTER));
	TRY(ioctl(fd, 0x12345678, &n));
	TRY(isatty(fd));
	close(fd);
	close(dir);
	close(path);
	close(null);
}

int main(void)
{
	make_file("file", "some content of a file");
	flags();
	record_locks();
	flocks();
	ioctls();
	dups();
	return check_done();
}
