/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table. Invariants: every entry below @lowest is in use; @open counts the entries
 * in use, and each has taken one of @host_fds; the table only grows, by doubling, and never beyond
 * what a descriptor asked for below the limit needs. A descriptor argument is an unsigned int, as
 * in the kernel: upper halves of the guest's registers are ignored.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fdtable.h"
#include "fs/locks.h"
#include "fs/memfds.h"

#define MIN_SIZE 64u

void tk_fdtable_init(struct tk_fdtable *table, unsigned int limit)
{
	*table = (struct tk_fdtable){.limit = limit};
}

void tk_fdtable_destroy(struct tk_fdtable *table)
{
	for (unsigned int fd = 0; fd < table->size; fd++)
		tk_fd_close(table, fd);
	tk_locks_destroy(table);
	tk_memfds_destroy(table);
	free(table->fds);
	table->fds = NULL;
	table->size = table->lowest = 0;
}

struct tk_file *tk_fd_get(const struct tk_fdtable *table, u64 fd)
{
	struct tk_file *file = (u32)fd < table->size ? table->fds[(u32)fd].file : NULL;

	if (file)
		file->used = true;
	return file;
}

static int grow(struct tk_fdtable *table, unsigned int fd)
{
	unsigned int size = TK_MAX(table->size, MIN_SIZE);
	struct tk_fd *fds;

	while (size <= fd)
		size *= 2;
	if (size == table->size)
		return 0;
	fds = realloc(table->fds, size * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	memset(fds + table->size, 0, (size - table->size) * sizeof(*fds));
	table->fds = fds;
	table->size = size;
	return 0;
}

static void set(struct tk_fdtable *table, unsigned int fd, struct tk_file *file, bool cloexec)
{
	table->fds[fd] = (struct tk_fd){.file = file, .cloexec = cloexec};
	table->open++;
	tk_budget_charge(&table->host_fds, 1);
	if (fd == table->lowest)
		table->lowest++;
}

static unsigned int lowest_free(const struct tk_fdtable *table, unsigned int min)
{
	unsigned int fd = TK_MAX(min, table->lowest);

	while (fd < table->size && table->fds[fd].file)
		fd++;
	return fd;
}

static bool may_be_used(const struct tk_fdtable *table, unsigned int fd)
{
	return fd < table->limit && fd <= INT32_MAX / 2 && tk_budget_fits(&table->host_fds, 1);
}

int tk_fd_next(const struct tk_fdtable *table)
{
	unsigned int fd = lowest_free(table, 0);

	return may_be_used(table, fd) ? (int)fd : -EMFILE;
}

int tk_fd_install(struct tk_fdtable *table, struct tk_file *file, unsigned int min, bool cloexec)
{
	unsigned int fd = lowest_free(table, min);

	if (min <= table->lowest)
		table->lowest = fd;
	if (!may_be_used(table, fd))
		return -EMFILE;
	if (grow(table, fd))
		return -ENOMEM;
	set(table, fd, file, cloexec);
	return (int)fd;
}

int tk_fd_install_at(struct tk_fdtable *table, struct tk_file *file, u64 fd, bool cloexec)
{
	u32 at = (u32)fd;

	if (at >= table->limit || at > INT32_MAX / 2)
		return -EBADF;
	if (grow(table, at))
		return -ENOMEM;
	if (!table->fds[at].file && !tk_budget_fits(&table->host_fds, 1))
		return -EMFILE;
	tk_fd_close(table, at);
	set(table, at, file, cloexec);
	return (int)at;
}

int tk_fd_install_or_put(struct tk_fdtable *table, struct tk_file *file, bool cloexec)
{
	int fd = tk_fd_install(table, file, 0, cloexec);

	if (fd < 0)
		tk_file_put(file);
	return fd;
}

int tk_fd_close(struct tk_fdtable *table, u64 fd)
{
	struct tk_file *file = tk_fd_get(table, fd);

	if (!file)
		return -EBADF;
	table->fds[(u32)fd] = (struct tk_fd){0};
	table->open--;
	tk_budget_give(&table->host_fds, 1);
	table->lowest = TK_MIN(table->lowest, (u32)fd);
	tk_locks_drop(table, file);
	tk_file_put(file);
	return 0;
}

bool tk_fdtable_full(const struct tk_fdtable *table)
{
	return table->open >= table->limit || !tk_budget_fits(&table->host_fds, 1);
}
