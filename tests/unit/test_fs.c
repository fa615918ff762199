/* SPDX-License-Identifier: MIT */
/* File system calls under a restrictive policy, calls that wait, and inherited descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fakeproc.h"
#include "fs/stdio.h"

#define RW	(TK_MAY_READ | TK_MAY_WRITE)
#define CWD	((u64)AT_FDCWD)
#define NO_MODE 0

static struct fake_proc fake;
static char top[64];

static const char *host(const char *name)
{
	static char path[4][256];
	static int next;
	char *out = path[next++ % 4];

	snprintf(out, 256, "%s/%s", top, name);
	return out;
}

static gva_t at(const char *name)
{
	return fake_str(&fake, host(name));
}

static void put(const char *name, const char *text)
{
	int fd = open(host(name), O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void grant(const char *name, unsigned int may)
{
	assert_int_equal(tk_policy_allow_path(&fake.policy, host(name), may, NULL), 0);
}

/* ro/file: may be read; rw/file: read and written; wo: only written. */
static int setup(void **state)
{
	fake_init(&fake);
	strcpy(top, "/tmp/tk-fs-XXXXXX");
	assert_non_null(mkdtemp(top));
	assert_int_equal(
		mkdir(host("ro"), 0755) | mkdir(host("rw"), 0755) | mkdir(host("wo"), 0755), 0);
	put("ro/file", "read only");
	put("rw/file", "read and write");
	put("wo/file", "write only");
	grant("ro", TK_MAY_READ);
	grant("rw", RW);
	grant("wo", TK_MAY_WRITE);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	fake_destroy(&fake);
	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", top);
	return system(command);
}

static long open_file(const char *name, int flags)
{
	return FAKE(&fake, openat, CWD, at(name), (u64)flags, 0644);
}

static void test_reading_is_not_writing(void **state)
{
	gva_t file = at("ro/file"), one = fake_str(&fake, "user.x");
	long fd = open_file("ro/file", O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(FAKE(&fake, chmod, file, 0600), -EACCES);
	assert_int_equal(FAKE(&fake, fchmod, fd, 0600), -EACCES);
	assert_int_equal(FAKE(&fake, chown, file, 0, 0), -EACCES);
	assert_int_equal(FAKE(&fake, fchown, fd, 0, 0), -EACCES);
	assert_int_equal(FAKE(&fake, utimensat, CWD, file, 0, 0), -EACCES);
	assert_int_equal(FAKE(&fake, utimensat, fd, 0, 0, 0), -EACCES);
	assert_int_equal(FAKE(&fake, truncate, file, 0), -EACCES);
	assert_int_equal(FAKE(&fake, setxattr, file, one, one, 1, 0), -EACCES);
	assert_int_equal(FAKE(&fake, fsetxattr, fd, one, one, 1, 0), -EACCES);
	assert_int_equal(FAKE(&fake, removexattr, file, one), -EACCES);
	assert_int_equal(FAKE(&fake, unlink, file), -EACCES);
	assert_int_equal(FAKE(&fake, rmdir, at("ro")), -EACCES);
	assert_int_equal(FAKE(&fake, mkdir, at("ro/new"), 0700), -EACCES);
	assert_int_equal(FAKE(&fake, mkdir, at("ro/file"), 0700), -EEXIST);
	assert_int_equal(FAKE(&fake, symlink, one, at("ro/new")), -EACCES);
	assert_int_equal(FAKE(&fake, mknod, at("ro/new"), S_IFIFO | 0600, 0), -EACCES);
	assert_int_equal(FAKE(&fake, rename, file, at("rw/new")), -EACCES);
	assert_int_equal(FAKE(&fake, rename, at("rw/file"), at("ro/new")), -EACCES);
	assert_int_equal(FAKE(&fake, access, file, W_OK), -EACCES);
	assert_int_equal(FAKE(&fake, access, file, R_OK), 0);
	assert_int_equal(open_file("ro/file", O_RDWR), -EACCES);
	assert_int_equal(open_file("wo/file", O_RDONLY), -EACCES);
	assert_true(open_file("wo/file", O_WRONLY) >= 0);
	assert_true(open_file("wo/new", O_WRONLY | O_CREAT) >= 0);
}

static void test_a_descriptor_is_not_reopened_with_more_rights(void **state)
{
	char proc[32];
	long fd = open_file("ro/file", O_RDONLY);

	/* Without synthetic files there is no magic link: AT_EMPTY_PATH stands for one. */
	assert_true(fd >= 0);
	assert_int_equal(FAKE(&fake, fchmodat2, fd, fake_str(&fake, ""), 0600, AT_EMPTY_PATH),
			 -EACCES);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%ld", fd);
	assert_int_equal(FAKE(&fake, openat, CWD, fake_str(&fake, proc), O_RDWR, 0), -EACCES);
}

static void test_a_second_name_does_not_widen_rights(void **state)
{
	assert_int_equal(FAKE(&fake, link, at("ro/file"), at("rw/new")), -EXDEV);
	assert_int_equal(FAKE(&fake, link, at("wo/file"), at("rw/new")), -EXDEV);
	assert_int_equal(FAKE(&fake, rename, at("wo/file"), at("rw/new")), -EXDEV);
	assert_int_equal(FAKE(&fake, renameat2, CWD, at("rw/file"), CWD, at("wo/file"), 2), -EXDEV);
	assert_int_equal(FAKE(&fake, link, at("rw/file"), at("wo/new")), 0);
	assert_int_equal(FAKE(&fake, rename, at("rw/file"), at("rw/other")), 0);
}

static void test_a_rename_does_not_carry_a_tree_under_a_grant(void **state)
{
	grant("wo/granted/later", TK_MAY_READ);
	assert_int_equal(mkdir(host("wo/dir"), 0755), 0);
	put("wo/dir/later", "hidden");
	assert_int_equal(FAKE(&fake, rename, at("wo/dir"), at("wo/granted")), -EXDEV);
	assert_int_equal(FAKE(&fake, rename, at("wo/dir"), at("wo/elsewhere")), 0);
}

static void test_privileged_attributes_stay_with_the_vmm(void **state)
{
	gva_t file = at("rw/file"), value = fake_str(&fake, "x");

	assert_int_equal(
		FAKE(&fake, setxattr, file, fake_str(&fake, "security.capability"), value, 1, 0),
		-EPERM);
	assert_int_equal(FAKE(&fake, setxattr, file, fake_str(&fake, "trusted.x"), value, 1, 0),
			 -EPERM);
	assert_int_equal(FAKE(&fake, mknod, at("rw/new"), S_IFCHR | 0600, 1 << 8 | 3), -EPERM);
}

static void test_flock_waits_for_the_other(void **state)
{
	long fd = open_file("rw/file", O_RDWR);
	int other = open(host("rw/file"), O_RDONLY);

	assert_int_equal(flock(other, LOCK_EX), 0);
	assert_int_equal(FAKE(&fake, flock, fd, LOCK_SH | LOCK_NB), -EWOULDBLOCK);
	assert_int_equal(FAKE_ONCE(&fake, flock, fd, LOCK_SH), TK_BLOCKED);
	close(other);
	assert_int_equal(FAKE(&fake, flock, fd, LOCK_SH), 0);
}

static void test_record_locks_conflict_with_other_owners(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	gva_t arg = fake_alloc(&fake, &lock, sizeof(lock));
	long fd = open_file("rw/file", O_RDWR);
	int other = open(host("rw/file"), O_RDWR);

	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
	assert_int_equal(FAKE(&fake, fcntl, fd, F_SETLK, arg), -EAGAIN);
	assert_int_equal(FAKE_ONCE(&fake, fcntl, fd, F_SETLKW, arg), TK_BLOCKED);
	close(other);
	assert_int_equal(FAKE(&fake, fcntl, fd, F_SETLKW, arg), 0);
	other = open(host("rw/file"), O_RDWR);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), -1);
	assert_int_equal(FAKE(&fake, close, fd), 0);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
	close(other);
}

static void test_fifo_open_waits_for_its_peer(void **state)
{
	u64 args[6] = {CWD, 0, O_RDONLY};
	int peer;
	long fd;

	assert_int_equal(mkfifo(host("rw/fifo"), 0600), 0);
	args[1] = at("rw/fifo");
	assert_int_equal(fake_enter(&fake, tk_sys_openat, args), TK_BLOCKED);
	assert_int_equal(fake_again(&fake, tk_sys_openat, args), TK_BLOCKED);
	peer = open(host("rw/fifo"), O_WRONLY | O_NONBLOCK);
	assert_true(peer >= 0); /* our side is held open meanwhile */
	fd = fake_again(&fake, tk_sys_openat, args);
	assert_true(fd >= 0);
	close(peer);
	assert_int_equal(FAKE(&fake, close, fd), 0);
	args[2] = O_WRONLY;
	assert_int_equal(fake_enter(&fake, tk_sys_openat, args), TK_BLOCKED);
	peer = open(host("rw/fifo"), O_RDONLY | O_NONBLOCK);
	assert_true(fake_again(&fake, tk_sys_openat, args) >= 0);
	close(peer);
}

static void test_given_up_fifo_open_leaves_nothing_open(void **state)
{
	assert_int_equal(mkfifo(host("rw/fifo"), 0600), 0);
	assert_int_equal(FAKE_ONCE(&fake, openat, CWD, at("rw/fifo"), O_RDONLY, NO_MODE),
			 TK_BLOCKED);
	assert_int_equal(open(host("rw/fifo"), O_WRONLY | O_NONBLOCK), -1);
	assert_int_equal(errno, ENXIO);
}

static void test_long_write_to_a_pipe_goes_on_where_it_waited(void **state)
{
	static char text[300000];
	gva_t data = fake_alloc(&fake, NULL, sizeof(text));
	u64 args[6] = {5, data, sizeof(text)};
	size_t got = 0;
	int fds[2];
	long rc;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(tk_stdio_install(&fake.proc.files, 5, fds[1], NULL), 0);
	close(fds[1]);
	rc = fake_enter(&fake, tk_sys_write, args);
	while (rc == TK_BLOCKED) {
		ssize_t n = read(fds[0], text, 50000);

		assert_true(n > 0);
		got += (size_t)n;
		rc = fake_again(&fake, tk_sys_write, args);
	}
	assert_int_equal(rc, sizeof(text));
	assert_int_equal(FAKE(&fake, close, 5), 0);
	for (ssize_t n = 1; n > 0; got += (size_t)n)
		n = read(fds[0], text, sizeof(text));
	assert_int_equal(got, sizeof(text));
	close(fds[0]);
}

static void test_broken_pipe_is_the_guests_signal(void **state)
{
	gva_t data = fake_str(&fake, "x");
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(tk_stdio_install(&fake.proc.files, 1, fds[1], NULL), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(FAKE(&fake, write, 1, data, 1), -EPIPE);
	assert_true(fake_signalled(&fake, SIGPIPE));
}

static void test_inherited_pipes_stay_blocking_for_others(void **state)
{
	gva_t buf = fake_alloc(&fake, NULL, 100);
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(tk_stdio_install(&fake.proc.files, 0, fds[0], NULL), 0);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(FAKE(&fake, fcntl, 0, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(FAKE_ONCE(&fake, read, 0, buf, 100), TK_BLOCKED);
	assert_int_equal(write(fds[1], "hello", 5), 5);
	assert_int_equal(FAKE(&fake, read, 0, buf, 100), 5);
	assert_int_equal(FAKE(&fake, fcntl, 0, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(FAKE(&fake, read, 0, buf, 100), -EAGAIN);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	close(fds[1]);
	assert_int_equal(FAKE(&fake, read, 0, buf, 100), 0);
	close(fds[0]);
}

static void test_inherited_files_share_their_offset(void **state)
{
	gva_t text = fake_str(&fake, "guest");
	int fd = open(host("rw/log"), O_RDWR | O_CREAT, 0600);
	char all[32] = "";

	assert_int_equal(write(fd, "a ", 2), 2);
	assert_int_equal(tk_stdio_install(&fake.proc.files, 1, fd, NULL), 0);
	assert_int_equal(FAKE(&fake, write, 1, text, 5), 5);
	assert_int_equal(write(fd, " b ", 3), 3);
	assert_int_equal(FAKE(&fake, write, 1, text, 5), 5);
	assert_int_equal(FAKE(&fake, lseek, 1, 0, SEEK_CUR), 15);
	assert_int_equal(FAKE(&fake, pwrite64, 1, fake_str(&fake, "A"), 1, 0), 1);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 15);
	assert_int_equal(pread(fd, all, sizeof(all) - 1, 0), 15);
	assert_string_equal(all, "A guest b guest");
	close(fd);
}

static void test_inherited_socket_and_closed_descriptors(void **state)
{
	gva_t buf = fake_alloc(&fake, NULL, 100);
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	assert_int_equal(tk_stdio_install(&fake.proc.files, 0, s[0], NULL), 0);
	assert_int_equal(FAKE_ONCE(&fake, read, 0, buf, 100), TK_BLOCKED);
	assert_int_equal(FAKE(&fake, write, 0, buf, 100), 100);
	close(s[1]);
	assert_int_equal(FAKE(&fake, read, 0, buf, 100), -ECONNRESET);
	assert_int_equal(FAKE(&fake, write, 0, buf, 100), -EPIPE);
	close(s[0]);
	assert_int_equal(tk_stdio_install(&fake.proc.files, 2, s[0], NULL), 0);
	assert_int_equal(FAKE(&fake, close, 2), -EBADF);
}

static void null_is_the_hosts(void *ctx, const char *path, struct tk_synth_entry *entry)
{
	if (!strcmp(path, "/dev"))
		entry->kind = TK_SYNTH_DIR;
	else
		entry->kind = strcmp(path, "/dev/null") ? TK_SYNTH_ABSENT : TK_SYNTH_HOST;
}

static void test_devices_open_to_all_are_not_for_all_to_change(void **state)
{
	static const struct tk_synth_ops ops = {.lookup = null_is_the_hosts};
	gva_t null = fake_str(&fake, "/dev/null");
	long fd;

	fake.proc.ns.synth.ops = &ops;
	fd = FAKE(&fake, openat, CWD, null, O_RDWR, NO_MODE);
	assert_true(fd >= 0);
	assert_int_equal(FAKE(&fake, fchmod, fd, 0666), -EACCES);
	assert_int_equal(FAKE(&fake, chmod, null, 0666), -EACCES);
	assert_int_equal(FAKE(&fake, chown, null, 0, 0), -EACCES);
	assert_int_equal(FAKE(&fake, utimensat, CWD, null, 0, 0), -EACCES);
	assert_int_equal(FAKE(&fake, unlink, null), -EPERM);
	assert_int_equal(FAKE(&fake, link, null, at("rw/null")), -EXDEV);
	assert_int_equal(FAKE(&fake, access, null, R_OK | W_OK), 0);
}

/* Limits of time, signals and other threads have to wait for a call, but not for ever. */
static void test_long_transfers_pause(void **state)
{
	const size_t piece = 1 << 18, n = 1024;
	struct iovec *iov = calloc(n, sizeof(*iov));
	gva_t buf = fake_alloc(&fake, NULL, piece);
	long in, out;

	for (size_t i = 0; i < n; i++)
		iov[i] = (struct iovec){(void *)buf, piece};
	assert_int_equal(tk_policy_allow_path(&fake.policy, "/dev", TK_MAY_READ, NULL), 0);
	in = FAKE(&fake, openat, CWD, fake_str(&fake, "/dev/urandom"), O_RDONLY, NO_MODE);
	out = open_file("rw/out", O_WRONLY | O_CREAT);
	assert_true(in >= 0 && out >= 0);
	assert_int_equal(FAKE_ONCE(&fake, readv, in, fake_alloc(&fake, iov, n * sizeof(*iov)), n),
			 TK_BLOCKED);
	assert_int_equal(FAKE_ONCE(&fake, sendfile, out, in, 0, TK_MIB(20)), TK_BLOCKED);
	/* It goes on where it was. */
	assert_int_equal(FAKE(&fake, sendfile, out, in, 0, TK_MIB(20)), TK_MIB(20));
	assert_int_equal(FAKE(&fake, lseek, out, 0, SEEK_END), TK_MIB(36));
	free(iov);
}

static void test_copies_respect_a_shared_offset(void **state)
{
	int in = open(host("rw/file"), O_RDONLY),
	    out = open(host("rw/log"), O_RDWR | O_CREAT, 0600);
	char all[32] = "";

	assert_int_equal(tk_stdio_install(&fake.proc.files, 0, in, NULL), 0);
	assert_int_equal(tk_stdio_install(&fake.proc.files, 1, out, NULL), 0);
	assert_int_equal(lseek(in, 5, SEEK_SET), 5);
	assert_int_equal(write(out, "[", 1), 1);
	assert_int_equal(FAKE(&fake, sendfile, 1, 0, 0, 4), 4);
	assert_int_equal(FAKE(&fake, copy_file_range, 0, 0, 1, 0, 5, 0), 5);
	assert_int_equal(write(out, "]", 1), 1);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 14);
	assert_int_equal(pread(out, all, sizeof(all) - 1, 0), 11);
	assert_string_equal(all, "[and write]");
	close(in);
	close(out);
}

static long new_memfd(void)
{
	return FAKE(&fake, memfd_create, fake_str(&fake, "m"), 0);
}

static void test_memfds_share_the_memory_limit(void **state)
{
	long a = new_memfd(), b = new_memfd(), c;
	gva_t data = fake_alloc(&fake, NULL, 8192);

	fake.proc.max_memfds = TK_MIB(10);
	assert_int_equal(FAKE(&fake, ftruncate, a, TK_MIB(6)), 0);
	assert_int_equal(FAKE(&fake, ftruncate, b, TK_MIB(5)), -ENOSPC);
	assert_int_equal(FAKE(&fake, ftruncate, b, TK_MIB(4)), 0);
	assert_int_equal(FAKE(&fake, pwrite64, b, data, 8192, TK_MIB(4) - 8192), 8192);
	assert_int_equal(FAKE(&fake, pwrite64, b, data, 8192, TK_MIB(4) - 4096), -ENOSPC);
	assert_int_equal(FAKE(&fake, fallocate, b, 0, 0, TK_MIB(5)), -ENOSPC);
	assert_int_equal(FAKE(&fake, fallocate, b, FALLOC_FL_KEEP_SIZE, 0, TK_MIB(5)), -ENOSPC);
	assert_int_equal(FAKE(&fake, ftruncate, a, TK_MIB(1)), 0);
	assert_int_equal(FAKE(&fake, ftruncate, b, TK_MIB(8)), 0);
	/* What is closed but mapped still counts, what is gone does not. */
	assert_true(FAKE(&fake, mmap, 0, 4096, PROT_READ, MAP_SHARED, b, 0) > 0);
	assert_int_equal(FAKE(&fake, close, b), 0);
	c = new_memfd();
	assert_int_equal(FAKE(&fake, ftruncate, c, TK_MIB(3)), -ENOSPC);
	assert_int_equal(FAKE(&fake, close, a), 0);
	assert_int_equal(FAKE(&fake, ftruncate, c, TK_MIB(2)), 0);
	assert_int_equal(FAKE(&fake, ftruncate, c, TK_MIB(3)), -ENOSPC);
}

/* The next start would follow them, and grant what they lead to. */
static void test_no_links_where_grants_are_named(void **state)
{
	gva_t pub = at("rw/pub"), link_here = at("rw/link"), dir = at("rw/dir"), up = at("rw/up"),
	      etc = fake_str(&fake, "/etc");

	grant("rw/pub", TK_MAY_READ);
	grant("rw/up/pub", TK_MAY_READ);
	assert_int_equal(FAKE(&fake, symlink, etc, pub), -EACCES);
	assert_int_equal(FAKE(&fake, symlink, etc, up), -EACCES);
	assert_int_equal(FAKE(&fake, symlink, etc, link_here), 0);
	assert_int_equal(FAKE(&fake, mkdir, dir, 0755), 0);
	assert_int_equal(FAKE(&fake, link, link_here, pub), -EACCES);
	assert_int_equal(FAKE(&fake, rename, link_here, pub), -EACCES);
	assert_int_equal(FAKE(&fake, rename, link_here, up), -EACCES);
	assert_int_equal(FAKE(&fake, rename, dir, up), -EACCES);
	assert_int_equal(FAKE(&fake, symlink, etc, at("rw/dir/pub")), 0);
	assert_int_equal(FAKE(&fake, rename, dir, pub), 0);
	assert_int_equal(FAKE(&fake, renameat2, CWD, link_here, CWD, pub, RENAME_EXCHANGE),
			 -EACCES);
	assert_int_equal(FAKE(&fake, renameat2, CWD, pub, CWD, link_here, RENAME_EXCHANGE),
			 -EACCES);
	assert_int_equal(FAKE(&fake, rename, pub, dir), 0);
	/* Files may still be replaced, and directories made. */
	assert_int_equal(FAKE(&fake, rename, at("rw/file"), pub), 0);
	assert_int_equal(FAKE(&fake, mkdir, up, 0755), 0);
}

static void test_open_directories_take_no_rights_along(void **state)
{
	long dir, sub;

	grant("wo/a/b", TK_MAY_READ);
	assert_int_equal(mkdir(host("rw/dir"), 0755) | mkdir(host("wo/a"), 0755) |
				 mkdir(host("wo/a/b"), 0755),
			 0);
	dir = open_file("rw/dir", O_RDONLY);
	sub = open_file("wo/a/b", O_RDONLY);
	assert_true(dir >= 0 && sub >= 0);
	assert_int_equal(FAKE(&fake, rename, at("rw/dir"), at("wo/dir")), -EXDEV);
	assert_int_equal(FAKE(&fake, rename, at("wo/a"), at("wo/c")), -EXDEV);
	assert_int_equal(FAKE(&fake, rename, at("wo/a/b"), at("wo/b")), -EXDEV);
	assert_int_equal(FAKE(&fake, rename, at("rw/file"), at("wo/moved")), 0);
	assert_int_equal(FAKE(&fake, rename, at("rw/dir"), at("rw/dir2")), 0);
}

/* A read lease says whether anybody has a file open for writing. */
static void test_locks_open_nothing_for_writing(void **state)
{
	struct flock lock = {.l_type = F_RDLCK}, probe = {.l_type = F_WRLCK};
	long fd = open_file("ro/file", O_RDONLY);
	int lease = open(host("ro/file"), O_RDONLY);

	if (fcntl(lease, F_SETLEASE, F_RDLCK))
		skip();
	assert_int_equal(fcntl(lease, F_SETLEASE, F_UNLCK), 0);
	assert_int_equal(FAKE(&fake, fcntl, fd, F_SETLK, fake_alloc(&fake, &lock, sizeof(lock))),
			 0);
	assert_int_equal(fcntl(lease, F_OFD_GETLK, &probe), 0);
	assert_int_equal(probe.l_type, F_RDLCK);
	assert_int_equal(fcntl(lease, F_SETLEASE, F_RDLCK), 0);
	close(lease);
}

/* Send @fd to ourselves through a socket that nobody else can read, and close it. */
static void send_away(int sock, long fd)
{
	struct cmsghdr head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	gva_t byte = fake_alloc(&fake, NULL, 1);
	struct iovec iov = {(void *)byte, 1};
	struct msghdr msg = {.msg_iovlen = 1, .msg_controllen = sizeof(control)};

	memcpy(control, &head, sizeof(head));
	memcpy(control + CMSG_LEN(0), &(int){(int)fd}, sizeof(int));
	msg.msg_control = (void *)fake_alloc(&fake, control, sizeof(control));
	msg.msg_iov = (void *)fake_alloc(&fake, &iov, sizeof(iov));
	assert_int_equal(FAKE(&fake, sendmsg, sock, fake_alloc(&fake, &msg, sizeof(msg)), 0), 1);
	assert_int_equal(FAKE(&fake, close, fd), 0);
}

static void test_memfds_on_their_way_count(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8);
	long a = new_memfd(), b = new_memfd();
	int pair[2];

	fake.proc.max_memfds = TK_MIB(10);
	assert_int_equal(FAKE(&fake, socketpair, AF_UNIX, SOCK_STREAM, 0, out), 0);
	fake_get(&fake, out, pair, sizeof(pair));
	assert_int_equal(FAKE(&fake, ftruncate, a, TK_MIB(6)), 0);
	send_away(pair[0], a);
	assert_int_equal(FAKE(&fake, ftruncate, b, TK_MIB(5)), -ENOSPC);
	assert_int_equal(FAKE(&fake, ftruncate, b, TK_MIB(4)), 0);
	/* Nobody can receive it any more. */
	assert_int_equal(FAKE(&fake, close, pair[1]) | FAKE(&fake, close, pair[0]), 0);
	assert_int_equal(FAKE(&fake, ftruncate, b, TK_MIB(10)), 0);
}

static void limit_host_fds(u64 more)
{
	fake.proc.files.host_fds.most = fake.proc.files.host_fds.used + more;
}

static void test_no_more_host_descriptors_than_allowed(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8);
	u64 before = fake.proc.files.host_fds.used;
	long a, b;

	limit_host_fds(2);
	a = open_file("ro/file", O_RDONLY);
	b = FAKE(&fake, dup, a);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(open_file("ro/file", O_RDONLY), -EMFILE);
	assert_int_equal(open_file("rw/not-made", O_CREAT | O_WRONLY), -EMFILE);
	assert_int_equal(access(host("rw/not-made"), F_OK), -1);
	assert_int_equal(FAKE(&fake, dup, a), -EMFILE);
	assert_int_equal(FAKE(&fake, dup2, a, 40), -EMFILE);
	assert_int_equal(FAKE(&fake, dup2, a, b), b);
	assert_int_equal(FAKE(&fake, pipe, out), -EMFILE);
	assert_int_equal(FAKE(&fake, close, b), 0);
	assert_int_equal(FAKE(&fake, pipe, out), -EMFILE);
	assert_int_equal(FAKE(&fake, dup2, a, 40), 40);
	assert_int_equal(FAKE(&fake, close, 40) | FAKE(&fake, close, a), 0);
	assert_int_equal(fake.proc.files.host_fds.used, before);
}

static long map_file(long fd)
{
	return FAKE(&fake, mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
}

static void test_mapped_files_are_open_files(void **state)
{
	u64 before = fake.proc.files.host_fds.used;
	long fd = open_file("ro/file", O_RDONLY), addr, shared;

	tk_mm_set_budget(fake.proc.mm, &fake.proc.files.host_fds);
	limit_host_fds(2);
	addr = map_file(fd);
	shared = FAKE(&fake, mmap, 0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(addr > 0 && shared > 0);
	assert_int_equal(map_file(fd), -ENFILE);
	assert_int_equal(FAKE(&fake, mmap, 0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
			 -ENFILE);
	assert_int_equal(FAKE(&fake, munmap, addr, 4096) | FAKE(&fake, munmap, shared, 4096), 0);
	addr = map_file(fd);
	assert_true(addr > 0);
	assert_int_equal(FAKE(&fake, munmap, addr, 4096) | FAKE(&fake, close, fd), 0);
	assert_int_equal(fake.proc.files.host_fds.used, before);
}

static void test_files_on_their_way_are_open_files(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8);
	u64 before = fake.proc.files.host_fds.used;
	int pair[2];

	assert_int_equal(FAKE(&fake, socketpair, AF_UNIX, SOCK_STREAM, 0, out), 0);
	fake_get(&fake, out, pair, sizeof(pair));
	for (int i = 0; i < 3; i++)
		send_away(pair[0], open_file("ro/file", O_RDONLY));
	assert_int_equal(fake.proc.files.host_fds.used, before + 2 + 3 * 2);
	assert_int_equal(FAKE(&fake, close, pair[1]) | FAKE(&fake, close, pair[0]), 0);
	assert_int_equal(fake.proc.files.host_fds.used, before);
}

static void test_second_registrations_are_open_files(void **state)
{
	gva_t out = fake_alloc(&fake, NULL, 8), event = fake_alloc(&fake, NULL, 12);
	u64 before = fake.proc.files.host_fds.used;
	long ep = FAKE(&fake, epoll_create1, 0), second, third;
	int ends[2];

	assert_int_equal(FAKE(&fake, pipe, out), 0);
	fake_get(&fake, out, ends, sizeof(ends));
	second = FAKE(&fake, dup, ends[0]);
	third = FAKE(&fake, dup, ends[0]);
	limit_host_fds(1);
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_ADD, ends[0], event), 0);
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_ADD, second, event), 0);
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_ADD, third, event), -ENOSPC);
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_DEL, second, event), 0);
	assert_int_equal(FAKE(&fake, epoll_ctl, ep, EPOLL_CTL_ADD, third, event), 0);
	for (int fd = (int)ep; fd <= third; fd++)
		assert_int_equal(FAKE(&fake, close, fd), 0);
	assert_int_equal(fake.proc.files.host_fds.used, before);
}

static void test_mount_points_cannot_be_removed(void **state)
{
	struct tk_policy *policy = &fake.policy;
	char spec[256];

	tk_ns_destroy(&fake.proc.ns);
	snprintf(spec, sizeof(spec), "%s:%s:rw", host("wo/file"), host("rw/sub/mounted"));
	assert_int_equal(mkdir(host("rw/sub"), 0755), 0);
	assert_int_equal(tk_policy_add_volume(policy, spec, NULL), 0);
	assert_int_equal(tk_ns_init(&fake.proc.ns, policy, "/", NULL), 0);
	assert_true(open_file("rw/sub/mounted", O_RDWR) >= 0);
	assert_int_equal(open_file("rw/sub/mounted/", O_RDWR), -ENOTDIR);
	assert_int_equal(open_file("rw/sub/mounted/x", O_RDWR), -ENOTDIR);
	assert_int_equal(FAKE(&fake, unlink, at("rw/sub/mounted")), -EBUSY);
	assert_int_equal(FAKE(&fake, rename, at("rw/sub"), at("rw/other")), -EBUSY);
	assert_int_equal(FAKE(&fake, rename, at("rw/file"), at("rw/sub/mounted")), -EBUSY);
	assert_int_equal(FAKE(&fake, rmdir, at("rw/sub")), -EBUSY);
	assert_int_equal(FAKE(&fake, truncate, at("rw/sub/mounted"), 1), 0);
}

/* In place of the C library's. */
static unsigned int n_sync, n_syncfs;

void sync(void)
{
	n_sync++;
}

int syncfs(int fd)
{
	n_syncfs += fcntl(fd, F_GETFD) >= 0;
	return 0;
}

static void test_sync_is_for_what_may_be_written(void **state)
{
	n_syncfs = 0;
	assert_int_equal(FAKE(&fake, sync, 0), 0);
	assert_int_equal(n_syncfs, 1);
	for (size_t i = 0; i < fake.policy.n_paths; i++)
		fake.policy.paths[i].may &= ~(unsigned int)TK_MAY_WRITE;
	assert_int_equal(FAKE(&fake, sync, 0), 0);
	assert_int_equal(n_syncfs, 1);
	assert_int_equal(n_sync, 0);
}

static unsigned int open_descriptors(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_no_descriptor_is_lost(void **state)
{
	static const char *const names[] = {"ro/file", "ro/missing", "rw/file/x", "rw/../ro/file",
					    "nothing", "wo/file",    "rw"};
	unsigned int before = open_descriptors();
	gva_t out = fake_alloc(&fake, NULL, 4096), name;

	for (size_t i = 0; i < TK_ARRAY_SIZE(names); i++) {
		name = at(names[i]);
		FAKE(&fake, stat, name, out);
		FAKE(&fake, lstat, name, out);
		FAKE(&fake, access, name, R_OK);
		FAKE(&fake, readlink, name, out, 100);
		FAKE(&fake, statfs, name, out);
		FAKE(&fake, chmod, name, 0755);
		FAKE(&fake, truncate, name, 3);
		FAKE(&fake, listxattr, name, out, 100);
		FAKE(&fake, link, name, at("rw/link"));
		FAKE(&fake, rename, name, at("rw/file"));
		FAKE(&fake, mkdir, name, 0700);
		FAKE(&fake, chdir, name);
		for (int flags = 0; flags < 4; flags++)
			FAKE(&fake, close, FAKE(&fake, openat, CWD, name, flags, NO_MODE));
		FAKE(&fake, close, FAKE(&fake, openat, CWD, name, O_PATH, NO_MODE));
	}
	FAKE(&fake, chdir, fake_str(&fake, "/"));
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_reading_is_not_writing),
		T(test_a_descriptor_is_not_reopened_with_more_rights),
		T(test_a_second_name_does_not_widen_rights),
		T(test_a_rename_does_not_carry_a_tree_under_a_grant),
		T(test_privileged_attributes_stay_with_the_vmm),
		T(test_flock_waits_for_the_other),
		T(test_record_locks_conflict_with_other_owners),
		T(test_fifo_open_waits_for_its_peer),
		T(test_given_up_fifo_open_leaves_nothing_open),
		T(test_long_write_to_a_pipe_goes_on_where_it_waited),
		T(test_broken_pipe_is_the_guests_signal),
		T(test_inherited_pipes_stay_blocking_for_others),
		T(test_inherited_files_share_their_offset),
		T(test_inherited_socket_and_closed_descriptors),
		T(test_devices_open_to_all_are_not_for_all_to_change),
		T(test_long_transfers_pause),
		T(test_copies_respect_a_shared_offset),
		T(test_memfds_share_the_memory_limit),
		T(test_no_links_where_grants_are_named),
		T(test_open_directories_take_no_rights_along),
		T(test_locks_open_nothing_for_writing),
		T(test_memfds_on_their_way_count),
		T(test_no_more_host_descriptors_than_allowed),
		T(test_mapped_files_are_open_files),
		T(test_files_on_their_way_are_open_files),
		T(test_second_registrations_are_open_files),
		T(test_mount_points_cannot_be_removed),
		T(test_sync_is_for_what_may_be_written),
		T(test_no_descriptor_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
