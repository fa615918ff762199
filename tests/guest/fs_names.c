/* SPDX-License-Identifier: MIT */
/* mkdir, mknod, symlink, link, unlink, rmdir, rename: results and errors for every kind of name. */
#include <dirent.h>

#include "fs_try.h"

static const char *const names[] = {
	"file",
	"file/",
	"file/x",
	"dir",
	"dir/",
	"full",
	"full/.",
	"full/..",
	"tofile",
	"tofile/",
	"todir",
	"todir/",
	"dangling",
	"dangling/",
	"loop/x",
	"missing",
	"missing/",
	"missing/x",
	"",
	".",
	"..",
	"/",
	"dir/.",
	"dir/..",
	"./file",
	"/proc/self/x",
	"/proc/self/stat",
	"/proc/x",
};

static int is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void clear(void)
{
	static const char *const left[] = {"file",	"tofile",      "todir",	    "dangling",
					   "loop",	"full/in",     "new/in",    "missing/in",
					   "target/in", "missing",     "target",    "new",
					   "dir/new",	"dir/full/in", "dir/full",  "file/in",
					   "dir",	"full",	       "tofile/in", "full/in"};

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++)
			if (unlink(left[i]))
				rmdir(left[i]);
	rmdir("dir");
	rmdir("full");
}

static void set_up(void)
{
	clear();
	make_file("file", "x");
	CHECK(mkdir("dir", 0755) == 0 && mkdir("full", 0755) == 0);
	make_file("full/in", "y");
	CHECK(symlink("file", "tofile") == 0 && symlink("dir", "todir") == 0);
	CHECK(symlink("target", "dangling") == 0 && symlink("loop", "loop") == 0);
}

/* All that is left, as one line. */
static void show(const char *what, long rc)
{
	static const char *const all[] = {"file",   "dir",   "full",	 "full/in",
					  "tofile", "todir", "dangling", "missing",
					  "target", "new",   "dir/new"};

	printf("%s = %s:", what, rc < 0 ? strerrorname_np(errno) : "ok");
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		printf(" %d", is_there(all[i]));
	printf("\n");
}

static void with(const char *call, const char *name, int (*fn)(const char *name))
{
	char what[100];

	set_up();
	snprintf(what, sizeof(what), "%s(%s)", call, name);
	errno = 0;
	show(what, fn(name));
}

static int do_mkdir(const char *name)
{
	return mkdir(name, 0777);
}

static int do_mkfifo(const char *name)
{
	return mknod(name, S_IFIFO | 0600, 0);
}

static int do_mkreg(const char *name)
{
	return mknod(name, 0600, 0);
}

static int do_symlink(const char *name)
{
	return symlink("file", name);
}

static int do_link_to(const char *name)
{
	return link("file", name);
}

static int do_link_from(const char *name)
{
	return link(name, "new");
}

static int do_link_follow(const char *name)
{
	return linkat(AT_FDCWD, name, AT_FDCWD, "new", AT_SYMLINK_FOLLOW);
}

static int do_unlink(const char *name)
{
	return unlink(name);
}

static int do_rmdir(const char *name)
{
	return rmdir(name);
}

static int do_rename_file_to(const char *name)
{
	return rename("file", name);
}

static int do_rename_dir_to(const char *name)
{
	return rename("dir", name);
}

static int do_rename_from(const char *name)
{
	return rename(name, "new");
}

static int do_rename_noreplace(const char *name)
{
	return renameat2(AT_FDCWD, "file", AT_FDCWD, name, RENAME_NOREPLACE);
}

static int do_rename_exchange(const char *name)
{
	return renameat2(AT_FDCWD, "file", AT_FDCWD, name, RENAME_EXCHANGE);
}

static void matrix(void)
{
	static const struct {
		const char *name;
		int (*fn)(const char *name);
	} calls[] = {
		{"mkdir", do_mkdir},
		{"mkfifo", do_mkfifo},
		{"mkreg", do_mkreg},
		{"symlink", do_symlink},
		{"link to", do_link_to},
		{"link from", do_link_from},
		{"link follow", do_link_follow},
		{"unlink", do_unlink},
		{"rmdir", do_rmdir},
		{"rename file to", do_rename_file_to},
		{"rename dir to", do_rename_dir_to},
		{"rename from", do_rename_from},
		{"rename noreplace", do_rename_noreplace},
		{"rename exchange", do_rename_exchange},
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		for (size_t j = 0; j < sizeof(names) / sizeof(*names); j++)
			with(calls[i].name, names[j], calls[i].fn);
}

static void arguments(void)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	set_up();
	TRY(mkdir(name, 0700));
	TRY(rename("file", name));
	TRY(symlink("", "new"));
	TRY(symlink(BAD_POINTER, "new"));
	TRY(symlink("file", BAD_POINTER));
	TRY(mknod("new", S_IFDIR | 0700, 0));
	TRY(mknod("new", 0170000 | 0700, 0));
	TRY(linkat(AT_FDCWD, "file", AT_FDCWD, "new", 0x4000));
	TRY(unlinkat(AT_FDCWD, "file", 0x4000));
	TRY(unlinkat(AT_FDCWD, "dir", 0));
	TRY(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
	TRY(unlinkat(99, "file", 0));
	TRY(renameat2(AT_FDCWD, "file", AT_FDCWD, "new", RENAME_NOREPLACE | RENAME_EXCHANGE));
	TRY(renameat2(AT_FDCWD, "file", AT_FDCWD, "new", 0x100));
	TRY(rename("full", "full/sub"));
	TRY(rename("full/in", "file"));
	TRY(rename("file", "file"));
}

static void linked_files(void)
{
	struct stat st;
	char proc[40];
	int fd;

	set_up();
	TRY(link("file", "new"));
	CHECK(stat("file", &st) == 0);
	printf("links %d\n", (int)st.st_nlink);
	unlink("new");
	fd = open("file", O_RDONLY);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	TRY(linkat(AT_FDCWD, proc, AT_FDCWD, "new", AT_SYMLINK_FOLLOW));
	unlink("new");
	unlink("file");
	TRY(linkat(AT_FDCWD, proc, AT_FDCWD, "new", AT_SYMLINK_FOLLOW));
	CHECK(fstat(fd, &st) == 0);
	printf("links %d\n", (int)st.st_nlink);
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK(write(fd, "temporary", 9) == 9);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	TRY(linkat(AT_FDCWD, proc, AT_FDCWD, "new", AT_SYMLINK_FOLLOW));
	CHECK(stat("new", &st) == 0 && st.st_size == 9);
	close(fd);
}

/* Deep, but short of PATH_MAX. */
static void deep(void)
{
	char name[201];
	int depth = 0;

	memset(name, 'd', 200);
	name[200] = '\0';
	while (depth < 15 && mkdir(name, 0700) == 0 && chdir(name) == 0)
		depth++;
	printf("depth %d\n", depth);
	errno = 0;
	printf("getcwd %s\n", getcwd(NULL, 0) ? "ok" : strerrorname_np(errno));
	make_file("bottom", "deep");
	CHECK(is_there("bottom") && unlink("bottom") == 0);
	while (depth-- > 0)
		if (chdir("..") || rmdir(name))
			break;
	printf("left %d\n", depth);
}

int main(void)
{
	matrix();
	arguments();
	linked_files();
	clear();
	deep();
	return check_done();
}
