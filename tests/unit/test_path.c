/* SPDX-License-Identifier: MIT */
/* Path resolution under a policy: what is shown, what is hidden, and that races gain nothing. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "fs/dir.h"
#include "fs/path.h"

#define READ  TK_MAY_READ
#define WRITE TK_MAY_WRITE

struct fixture {
	char top[64];
	struct tk_policy policy;
	struct tk_ns ns;
	struct tk_fdtable files;
};

static const char *in(const struct fixture *f, const char *name)
{
	static char path[8][PATH_MAX];
	static int next;
	char *out = path[next++ % 8];

	snprintf(out, PATH_MAX, "%s/%s", f->top, name);
	return out;
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	int fd = open(in(f, name), O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/*
 *	open/file open/sub/inner open/out -> ../secret/file	granted
 *	secret/file secret/back -> ../open/file			not granted
 *	to-open -> open						in a directory that leads to grants
 */
static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->top, "/tmp/tk-path-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	assert_int_equal(mkdir(in(f, "open"), 0755), 0);
	assert_int_equal(mkdir(in(f, "open/sub"), 0755), 0);
	assert_int_equal(mkdir(in(f, "secret"), 0755), 0);
	put(f, "open/file", "open");
	put(f, "open/sub/inner", "inner");
	put(f, "secret/file", "secret");
	assert_int_equal(symlink("../secret/file", in(f, "open/out")), 0);
	assert_int_equal(symlink("../secret", in(f, "open/outdir")), 0);
	assert_int_equal(symlink("../open/file", in(f, "secret/back")), 0);
	assert_int_equal(symlink("open", in(f, "to-open")), 0);
	tk_policy_init(&f->policy);
	tk_fdtable_init(&f->files, 100);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	tk_fdtable_destroy(&f->files);
	tk_ns_destroy(&f->ns);
	tk_policy_destroy(&f->policy);
	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", f->top);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void begin(struct fixture *f, const char *cwd)
{
	struct tkvm_error err = {0};

	if (tk_ns_init(&f->ns, &f->policy, cwd, &err))
		fail_msg("%s", err.message);
}

static void grant(struct fixture *f, const char *name, unsigned int may)
{
	assert_int_equal(tk_policy_allow_path(&f->policy, in(f, name), may, NULL), 0);
}

static int try_open(struct fixture *f, int dirfd, const char *path, int flags)
{
	struct tk_file *file;
	int rc = tk_ns_open(&f->ns, &f->files, dirfd, path, flags, 0644, 0, &file);

	if (!rc)
		tk_file_put(file);
	return rc;
}

static int open_in(struct fixture *f, const char *name, int flags)
{
	return try_open(f, AT_FDCWD, in(f, name), flags);
}

static int look(struct fixture *f, const char *path)
{
	struct tk_path out;
	struct stat st;
	int rc = tk_path_resolve(&f->ns, &f->files, AT_FDCWD, path, 0, 0, &out);

	if (rc)
		return rc;
	rc = tk_path_stat(&f->ns, &out, &st);
	tk_path_done(&out);
	return rc;
}

static void test_only_what_is_granted_opens(void **state)
{
	struct fixture *f = *state;

	grant(f, "open", READ);
	begin(f, "/");
	assert_int_equal(open_in(f, "open/file", O_RDONLY), 0);
	assert_int_equal(open_in(f, "open/sub/../file", O_RDONLY), 0);
	assert_int_equal(open_in(f, "open", O_RDONLY), 0);
	assert_int_equal(open_in(f, "open/file", O_WRONLY), -EACCES);
	assert_int_equal(open_in(f, "open/new", O_WRONLY | O_CREAT), -EACCES);
	assert_int_equal(open_in(f, "open/file", O_RDONLY | O_CREAT), 0);
	assert_int_equal(open_in(f, "open/file", O_RDONLY | O_TRUNC), -EACCES);
	assert_int_equal(open_in(f, "secret/file", O_RDONLY), -EACCES);
	assert_int_equal(open_in(f, "open/../secret/file", O_RDONLY), -EACCES);
	assert_int_equal(open_in(f, "open/out", O_RDONLY), -EACCES);
	assert_int_equal(open_in(f, "open/outdir/file", O_RDONLY), -EACCES);
	assert_int_equal(open_in(f, "open/missing", O_RDONLY), -ENOENT);
	assert_int_equal(access(in(f, "open/new"), F_OK), -1);
}

static void test_what_is_not_granted_cannot_be_told_apart(void **state)
{
	struct fixture *f = *state;

	grant(f, "open", READ);
	begin(f, "/");
	assert_int_equal(look(f, in(f, "secret")), -EACCES);
	assert_int_equal(look(f, in(f, "secret/file")), -EACCES);
	assert_int_equal(look(f, in(f, "secret/missing")), -EACCES);
	assert_int_equal(look(f, in(f, "missing")), -EACCES);
	assert_int_equal(look(f, in(f, "missing/x")), -EACCES);
	assert_int_equal(look(f, in(f, "secret/../open/file")), -EACCES);
	assert_int_equal(look(f, in(f, "missing/../open/file")), -EACCES);
	assert_int_equal(look(f, in(f, "secret/back")), -EACCES);
	assert_int_equal(look(f, in(f, "secret/file/x")), -EACCES);
	assert_int_equal(open_in(f, "missing", O_WRONLY | O_CREAT), -EACCES);
	/* Ways to a grant may be passed and looked at, not listed. */
	assert_int_equal(look(f, f->top), 0);
	assert_int_equal(look(f, "/tmp"), 0);
	assert_int_equal(try_open(f, AT_FDCWD, f->top, O_RDONLY), -EACCES);
	assert_int_equal(try_open(f, AT_FDCWD, f->top, O_PATH), 0);
	/* Links in them may be followed: where they lead is what counts. */
	assert_int_equal(open_in(f, "to-open/file", O_RDONLY), 0);
}

static int install(struct fixture *f, const char *name, int flags)
{
	struct tk_file *file;

	assert_int_equal(tk_ns_open(&f->ns, &f->files, AT_FDCWD, in(f, name), flags, 0, 0, &file),
			 0);
	return tk_fd_install(&f->files, file, 0, false);
}

static void test_directory_descriptors_follow_renames_and_keep_rights(void **state)
{
	struct fixture *f = *state;
	int dir, top;

	grant(f, "open", READ);
	begin(f, "/");
	dir = install(f, "open", O_RDONLY | O_DIRECTORY);
	top = install(f, ".", O_PATH);
	assert_int_equal(try_open(f, dir, "file", O_RDONLY), 0);
	assert_int_equal(try_open(f, dir, "out", O_RDONLY), -EACCES);
	assert_int_equal(try_open(f, dir, "../secret/file", O_RDONLY), -EACCES);
	assert_int_equal(try_open(f, top, "secret/file", O_RDONLY), -EACCES);
	assert_int_equal(try_open(f, top, "open/file", O_RDONLY), 0);
	assert_int_equal(rename(in(f, "open"), in(f, "moved")), 0);
	assert_int_equal(try_open(f, dir, "file", O_RDONLY), 0);
	assert_int_equal(try_open(f, dir, "../secret/file", O_RDONLY), -EACCES);
	assert_int_equal(open_in(f, "moved/file", O_RDONLY), -EACCES);
}

static void test_volumes_are_spliced_in(void **state)
{
	struct fixture *f = *state;
	char spec[PATH_MAX];
	struct tk_path out;

	snprintf(spec, sizeof(spec), "%s:/data/app", in(f, "open"));
	assert_int_equal(tk_policy_add_volume(&f->policy, spec, NULL), 0);
	snprintf(spec, sizeof(spec), "%s:/data/app/deeper/rw:rw", in(f, "secret"));
	assert_int_equal(tk_policy_add_volume(&f->policy, spec, NULL), 0);
	begin(f, "/data/app");
	assert_int_equal(try_open(f, AT_FDCWD, "/data/app/file", O_RDONLY), 0);
	assert_int_equal(try_open(f, AT_FDCWD, "file", O_RDONLY), 0);
	assert_int_equal(try_open(f, AT_FDCWD, "./sub/inner", O_RDONLY), 0);
	assert_int_equal(try_open(f, AT_FDCWD, "/data/../data/app/sub/..//file", O_RDONLY), 0);
	assert_int_equal(try_open(f, AT_FDCWD, "file", O_WRONLY), -EROFS);
	assert_int_equal(try_open(f, AT_FDCWD, "new", O_WRONLY | O_CREAT), -EROFS);
	assert_int_equal(try_open(f, AT_FDCWD, "deeper/rw/file", O_RDWR), 0);
	assert_int_equal(try_open(f, AT_FDCWD, "deeper/rw/../../file", O_RDONLY), 0);
	/* A link is followed in the guest's tree: out of the volume it leads to /data/secret. */
	assert_int_equal(try_open(f, AT_FDCWD, "out", O_RDONLY), -EACCES);
	assert_int_equal(try_open(f, AT_FDCWD, in(f, "open/file"), O_RDONLY), -EACCES);
	assert_int_equal(look(f, "/data"), 0);
	assert_int_equal(look(f, "/data/app/deeper"), 0);
	assert_int_equal(
		tk_path_resolve(&f->ns, &f->files, AT_FDCWD, "deeper/rw/file", 0, READ, &out), 0);
	assert_string_equal(out.guest, "/data/app/deeper/rw/file");
	tk_path_done(&out);
}

static void test_listings_show_volumes(void **state)
{
	struct fixture *f = *state;
	_Alignas(8) char buf[8192], spec[PATH_MAX];
	struct tk_file *file;
	int found = 0, own = 0;
	ssize_t n;

	snprintf(spec, sizeof(spec), "%s:%s", in(f, "secret"), in(f, "open/mounted/here"));
	grant(f, "open", READ);
	assert_int_equal(tk_policy_add_volume(&f->policy, spec, NULL), 0);
	begin(f, "/");
	assert_int_equal(
		tk_ns_open(&f->ns, &f->files, AT_FDCWD, in(f, "open"), O_RDONLY, 0, 0, &file), 0);
	while ((n = file->ops->getdents(file, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n; at += *(unsigned short *)(buf + at + 16)) {
			found += !strcmp(buf + at + 19, "mounted");
			own += !strcmp(buf + at + 19, "file");
		}
	}
	assert_int_equal(n, 0);
	assert_int_equal(found, 1);
	assert_int_equal(own, 1);
	tk_file_put(file);
	assert_int_equal(tk_ns_open(&f->ns, &f->files, AT_FDCWD, in(f, "open/mounted"), O_RDONLY, 0,
				    0, &file),
			 0);
	n = file->ops->getdents(file, buf, sizeof(buf));
	assert_true(n > 0);
	tk_file_put(file);
}

static void test_host_proc_is_out_of_reach(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tk_policy_allow_path(&f->policy, NULL, READ | WRITE, NULL), 0);
	begin(f, "/");
	assert_int_equal(try_open(f, AT_FDCWD, "/proc/self/mem", O_RDWR), -EACCES);
	assert_int_equal(try_open(f, AT_FDCWD, "/proc/version", O_RDONLY), -EACCES);
	assert_int_equal(try_open(f, AT_FDCWD, "/proc", O_RDONLY), -EACCES);
	assert_int_equal(symlink("/proc/self/mem", in(f, "mem")), 0);
	assert_int_equal(open_in(f, "mem", O_RDWR), -EACCES);
}

/* In a mount namespace of our own, so that nobody else sees what is mounted. */
static void test_host_proc_is_out_of_reach_through_bind_mounts(void **state)
{
	struct fixture *f = *state;
	int rc[5];

	assert_int_equal(tk_policy_allow_path(&f->policy, NULL, READ | WRITE, NULL), 0);
	if (syscall(SYS_unshare, 0x20000 /* CLONE_NEWNS */) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("/proc", in(f, "open/sub"), NULL, MS_BIND | MS_REC, NULL)) {
		print_message("no right to mount: not tried\n");
		begin(f, "/");
		return;
	}
	rc[4] = mount("/proc/self/environ", in(f, "open/file"), NULL, MS_BIND, NULL);
	begin(f, "/");
	rc[0] = open_in(f, "open/sub/self/mem", O_RDWR);
	rc[1] = open_in(f, "open/sub", O_RDONLY);
	rc[2] = open_in(f, "open/sub/self/root/etc/passwd", O_RDONLY);
	rc[3] = open_in(f, "open/file", O_RDONLY);
	assert_int_equal(umount2(in(f, "open/sub"), MNT_DETACH), 0);
	assert_int_equal(umount2(in(f, "open/file"), MNT_DETACH), 0);
	assert_int_equal(rc[4], 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rc[i], -EACCES);
}

static void test_devices_are_harmless_ones(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(tk_policy_allow_path(&f->policy, NULL, READ | WRITE, NULL), 0);
	begin(f, "/");
	assert_int_equal(try_open(f, AT_FDCWD, "/dev/null", O_RDWR), 0);
	assert_int_equal(try_open(f, AT_FDCWD, "/dev/urandom", O_RDONLY), 0);
	if (mknod(in(f, "kmsg"), S_IFCHR | 0600, 1 << 8 | 11) ||
	    mknod(in(f, "disk"), S_IFBLK | 0600, 7 << 8)) {
		print_message("no right to make device nodes: not tried\n");
		return;
	}
	assert_int_equal(open_in(f, "kmsg", O_RDWR), -EACCES);
	assert_int_equal(open_in(f, "disk", O_RDONLY), -EACCES);
	assert_int_equal(open_in(f, "kmsg", O_PATH), 0);
}

static void test_fifo_never_holds_the_vmm(void **state)
{
	struct fixture *f = *state;

	grant(f, "open", READ | WRITE);
	begin(f, "/");
	assert_int_equal(mkfifo(in(f, "open/fifo"), 0600), 0);
	assert_int_equal(open_in(f, "open/fifo", O_RDONLY), 0);
	assert_int_equal(open_in(f, "open/fifo", O_WRONLY), -EAGAIN);
	assert_int_equal(open_in(f, "open/fifo", O_WRONLY | O_NONBLOCK), -ENXIO);
	assert_int_equal(open_in(f, "open/fifo", O_RDWR), 0);
}

struct swapper {
	const struct fixture *f;
	atomic_bool stop;
};

/* Keep exchanging a directory (and a file) for links that lead to the secret. */
static void *swap(void *arg)
{
	struct swapper *s = arg;
	char a[PATH_MAX], b[PATH_MAX], c[PATH_MAX], d[PATH_MAX];

	strcpy(a, in(s->f, "open/sub"));
	strcpy(b, in(s->f, "open/evildir"));
	strcpy(c, in(s->f, "open/race"));
	strcpy(d, in(s->f, "open/evilfile"));
	while (!atomic_load(&s->stop)) {
		renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
		renameat2(AT_FDCWD, c, AT_FDCWD, d, RENAME_EXCHANGE);
	}
	return NULL;
}

static void check_content(struct fixture *f, const char *path, int dirfd, unsigned int *opened)
{
	char buf[16] = "";
	struct tk_file *file;
	struct iovec iov = {buf, sizeof(buf) - 1};
	s64 pos = 0;
	int rc;

	rc = tk_ns_open(&f->ns, &f->files, dirfd, path, O_RDONLY, 0, 0, &file);
	if (rc == 0) {
		assert_true(file->ops->readv(file, &iov, 1, &pos) > 0);
		assert_string_not_equal(buf, "secret");
		++*opened;
		tk_file_put(file);
	} else if (rc != -EACCES && rc != -ELOOP && rc != -ENOENT) {
		fail_msg("%s: %s", path, strerror(-rc));
	}
}

static void test_race_between_check_and_use_gains_nothing(void **state)
{
	struct fixture *f = *state;
	struct swapper swapper = {.f = f};
	char dir[PATH_MAX], file[PATH_MAX], dots[PATH_MAX];
	unsigned int opened = 0;
	pthread_t thread;
	int fd;

	grant(f, "open", READ | WRITE);
	assert_int_equal(symlink("../secret", in(f, "open/evildir")), 0);
	assert_int_equal(symlink("../secret/file", in(f, "open/evilfile")), 0);
	put(f, "open/race", "race");
	put(f, "open/sub/file", "sub");
	begin(f, "/");
	fd = install(f, "open", O_RDONLY);
	strcpy(dir, in(f, "open/sub/file"));
	strcpy(file, in(f, "open/race"));
	strcpy(dots, in(f, "open/sub/../sub/./file"));
	assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
	for (int i = 0; i < 5000; i++) {
		check_content(f, dir, AT_FDCWD, &opened);
		check_content(f, file, AT_FDCWD, &opened);
		check_content(f, dots, AT_FDCWD, &opened);
		check_content(f, "sub/file", fd, &opened);
		check_content(f, "race", fd, &opened);
	}
	atomic_store(&swapper.stop, true);
	pthread_join(thread, NULL);
	assert_true(opened > 100); /* or the test proved nothing */
}

static void test_start_in_a_directory_that_is_not_granted(void **state)
{
	struct fixture *f = *state;
	char buf[PATH_MAX];

	grant(f, "open", READ);
	begin(f, in(f, "secret"));
	assert_int_equal(tk_ns_file_path(&f->ns, f->ns.cwd, buf), 0);
	assert_string_equal(buf, in(f, "secret"));
	assert_int_equal(try_open(f, AT_FDCWD, "file", O_RDONLY), -EACCES);
	assert_int_equal(try_open(f, AT_FDCWD, "../open/file", O_RDONLY), 0);
	assert_int_equal(try_open(f, AT_FDCWD, ".", O_RDONLY), -EACCES);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_only_what_is_granted_opens),
		T(test_what_is_not_granted_cannot_be_told_apart),
		T(test_directory_descriptors_follow_renames_and_keep_rights),
		T(test_volumes_are_spliced_in),
		T(test_listings_show_volumes),
		T(test_devices_are_harmless_ones),
		T(test_fifo_never_holds_the_vmm),
		T(test_race_between_check_and_use_gains_nothing),
		T(test_start_in_a_directory_that_is_not_granted),
		T(test_host_proc_is_out_of_reach),
		T(test_host_proc_is_out_of_reach_through_bind_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
