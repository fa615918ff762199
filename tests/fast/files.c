/* SPDX-License-Identifier: MIT */
/* Deeds with a file of the server's directory: file0, file1, ... (ways.py). */
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deeds.h"

static const char *name_of(long n)
{
	static char name[20];

	snprintf(name, sizeof(name), "file%ld", n);
	return name;
}

long do_open(struct talk *t, long n, long unused)
{
	if (t->file >= 0)
		return 0;
	t->file = open(name_of(n), O_RDONLY | O_CLOEXEC);
	return outcome(t->file);
}

static long say_stat(struct talk *t, long rc, const struct stat *st)
{
	if (!rc)
		say(t, "%ld %o ", (long)st->st_size, st->st_mode);
	return outcome(rc);
}

long do_stat(struct talk *t, long n, long unused)
{
	struct stat st;

	return say_stat(t, stat(name_of(n), &st), &st);
}

long do_fstat(struct talk *t, long empty_path, long unused)
{
	struct stat st;
	long rc = empty_path ? fstatat(t->file, "", &st, AT_EMPTY_PATH) : fstat(t->file, &st);

	return say_stat(t, rc, &st);
}

static long say_file(struct talk *t, long rc)
{
	rc = outcome(rc);
	say_data(t, buf, rc);
	return rc;
}

long do_fread(struct talk *t, long n, long unused)
{
	return say_file(t, read(t->file, buf, (size_t)n));
}

long do_pread(struct talk *t, long n, long at)
{
	return say_file(t, pread(t->file, buf, (size_t)n, at));
}

long do_seek(struct talk *t, long to, long whence)
{
	return outcome(lseek(t->file, to, (int)whence));
}

long do_sendfile(struct talk *t, long n, long at)
{
	off_t from = at;
	long rc = outcome(sendfile(t->conn, t->file, at < 0 ? NULL : &from, (size_t)n));

	say(t, "at %ld ", (long)from);
	return rc;
}

/* The file changes: by another descriptor, or, with a length, by its name. */
long do_put(struct talk *t, long n, long size)
{
	int fd = open(name_of(n), O_WRONLY | O_CLOEXEC);
	long rc = size ? 0 : outcome(pwrite(fd, t->taken % 2 ? "odd" : "even", 3, 50));

	close(fd);
	return size ? outcome(truncate(name_of(n), size)) : rc;
}

long do_fclose(struct talk *t, long unused, long unused2)
{
	int fd = t->file;

	t->file = -1;
	return outcome(close(fd));
}
