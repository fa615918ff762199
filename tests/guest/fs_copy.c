/* SPDX-License-Identifier: MIT */
/* sendfile, copy_file_range, splice, tee, vmsplice, memfd_create with seals. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "fs_try.h"

static char buf[100000];

static void sends(void)
{
	int in = open("in", O_RDONLY), out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0644);
	int append = open("out", O_WRONLY | O_APPEND), dir = open(".", O_RDONLY), p[2], s[2];
	off_t off = 10;

	CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	TRY(sendfile(out, in, NULL, 20));
	TRY(lseek(in, 0, SEEK_CUR));
	TRY(lseek(out, 0, SEEK_CUR));
	TRY(sendfile(out, in, &off, 20));
	printf("off %ld\n", (long)off);
	TRY(lseek(in, 0, SEEK_CUR));
	TRY(sendfile(p[1], in, &off, 1 << 20));
	TRY(read(p[0], buf, sizeof(buf)));
	off = 0;
	TRY(sendfile(s[0], in, &off, 100));
	TRY(read(s[1], buf, sizeof(buf)));
	TRY(sendfile(out, in, NULL, 1 << 20));
	TRY(sendfile(out, in, NULL, 1 << 20));
	TRY(sendfile(out, in, NULL, 0));
	TRY(sendfile(append, in, NULL, 1));
	TRY(sendfile(out, dir, NULL, 1));
	TRY(sendfile(in, out, NULL, 1));
	TRY(sendfile(out, p[0], NULL, 0));
	TRY(sendfile(out, s[0], NULL, 1));
	off = -1;
	TRY(sendfile(out, in, &off, 1));
	TRY(sendfile(out, in, (off_t *)BAD_POINTER, 1));
	TRY(sendfile(out, in, NULL, -1));
	TRY(sendfile(99, in, NULL, 1));
	signal(SIGPIPE, SIG_IGN);
	close(p[0]);
	off = 0;
	TRY(sendfile(p[1], in, &off, 10));
	close(s[1]);
	TRY(sendfile(s[0], in, &off, 10));
	close(p[1]);
	close(s[0]);
	close(in);
	close(out);
	close(append);
	close(dir);
}

static void ranges(void)
{
	int in = open("in", O_RDONLY), out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0644);
	int append = open("out", O_WRONLY | O_APPEND), dir = open(".", O_RDONLY), p[2];
	loff_t from = 5, to = 100;

	CHECK(pipe(p) == 0);
	TRY(copy_file_range(in, NULL, out, NULL, 10, 0));
	TRY(copy_file_range(in, &from, out, &to, 10, 0));
	printf("from %ld to %ld\n", (long)from, (long)to);
	TRY(lseek(in, 0, SEEK_CUR));
	TRY(lseek(out, 0, SEEK_CUR));
	TRY(lseek(out, 0, SEEK_END));
	TRY(copy_file_range(in, NULL, out, NULL, 1 << 20, 0));
	TRY(copy_file_range(in, NULL, out, NULL, 1 << 20, 0));
	TRY(copy_file_range(in, NULL, out, NULL, 1, 1));
	TRY(copy_file_range(in, NULL, append, NULL, 1, 0));
	TRY(copy_file_range(dir, NULL, out, NULL, 1, 0));
	TRY(copy_file_range(p[0], NULL, out, NULL, 1, 0));
	TRY(copy_file_range(out, NULL, in, NULL, 1, 0));
	from = -1;
	TRY(copy_file_range(in, &from, out, NULL, 1, 0));
	from = 0, to = 5;
	TRY(copy_file_range(out, &from, out, &to, 10, 0));
	close(in);
	close(out);
	close(append);
	close(dir);
	close(p[0]);
	close(p[1]);
}

static void splices(void)
{
	int in = open("in", O_RDONLY), out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0644);
	struct iovec iov[2] = {{"vector", 6}, {"two", 3}};
	int p[2], q[2];
	loff_t off = 3;

	CHECK(pipe(p) == 0 && pipe(q) == 0);
	TRY(splice(in, NULL, p[1], NULL, 100, 0));
	TRY(lseek(in, 0, SEEK_CUR));
	TRY(splice(in, &off, p[1], NULL, 100, 0));
	printf("off %ld\n", (long)off);
	TRY(tee(p[0], q[1], 50, 0));
	TRY(splice(p[0], NULL, out, NULL, 150, 0));
	TRY(lseek(out, 0, SEEK_CUR));
	TRY(read(p[0], buf, sizeof(buf)));
	TRY(splice(q[0], NULL, p[1], NULL, 1000, 0));
	TRY(read(p[0], buf, sizeof(buf)));
	TRY(vmsplice(p[1], iov, 2, 0));
	TRY(read(p[0], buf, sizeof(buf)));
	printf("%.9s\n", buf);
	TRY(splice(p[0], NULL, out, NULL, 10, SPLICE_F_NONBLOCK));
	TRY(tee(p[0], q[1], 10, SPLICE_F_NONBLOCK));
	TRY(splice(p[0], &off, out, NULL, 10, 0));
	TRY(splice(in, NULL, out, NULL, 10, 0));
	TRY(splice(in, NULL, p[1], NULL, 0, 0));
	TRY(splice(in, NULL, p[1], NULL, 1, 0x100));
	TRY(splice(99, NULL, p[1], NULL, 1, 0));
	TRY(splice(p[1], NULL, p[0], NULL, 1, 0));
	TRY(tee(in, p[1], 1, 0));
	TRY(vmsplice(in, iov, 1, 0));
	close(p[0]);
	TRY(splice(in, NULL, p[1], NULL, 1, 0));
	close(p[1]);
	TRY(splice(p[0], NULL, out, NULL, 1, 0));
	close(q[0]);
	close(q[1]);
	close(in);
	close(out);
}

static void memfds(void)
{
	int fd = memfd_create("some name", MFD_ALLOW_SEALING | MFD_CLOEXEC), plain, again;
	char path[40], name[300], *map;

	TRY(fcntl(fd, F_GETFD));
	TRY(fcntl(fd, F_GETFL));
	TRY(write(fd, "content", 7));
	TRY(ftruncate(fd, 8192));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(readlink(path, buf, sizeof(buf)));
	printf("%.30s\n", buf);
	again = open(path, O_RDWR);
	TRY(read(again, buf, 7));
	TRY(pwrite(again, "C", 1, 0));
	TRY(pread(fd, buf, 7, 0));
	printf("%.7s\n", buf);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED && map[0] == 'C');
	map[1] = 'O';
	TRY(pread(again, buf, 7, 0));
	printf("%.7s\n", buf);
	TRY(fcntl(fd, F_GET_SEALS));
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	CHECK(munmap(map, 8192) == 0);
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
	TRY(fcntl(fd, F_GET_SEALS));
	TRY(write(fd, "x", 1));
	TRY(ftruncate(fd, 0));
	TRY(ftruncate(fd, 9000));
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	TRY(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	close(again);
	again = open(path, O_RDONLY);
	TRY(fcntl(again, F_ADD_SEALS, F_SEAL_GROW));
	close(again);
	close(fd);
	plain = memfd_create("", 0);
	TRY(fcntl(plain, F_ADD_SEALS, F_SEAL_GROW));
	close(plain);
	memset(name, 'n', sizeof(name));
	name[249] = '\0';
	CLOSE(memfd_create(name, 0));
	name[249] = 'n';
	name[250] = '\0';
	TRY(memfd_create(name, 0));
	TRY(memfd_create("x", 0x4000));
	TRY(memfd_create(BAD_POINTER, 0));
}

int main(void)
{
	int fd = open("in", O_WRONLY | O_CREAT, 0644);

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)('a' + i % 26);
	CHECK(write(fd, buf, 50000) == 50000);
	close(fd);
	sends();
	ranges();
	splices();
	memfds();
	return check_done();
}
