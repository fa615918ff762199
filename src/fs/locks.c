/* SPDX-License-Identifier: MIT */
/*
 * POSIX record locks belong to a process and a file, whichever descriptor they were made through,
 * and go when any descriptor of the file is closed. The host's own would belong to the VMM, with
 * all its machines. So each file that the guest locks gets a *carrier*: one more host description
 * whose OFD locks stand for the process's. They conflict with what others hold, in other
 * machines too, and never with each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/locks.h"
#include "fs/path.h"

struct tk_lock_carrier {
	struct tk_lock_carrier *next;
	dev_t dev;
	ino_t ino;
	int fd;
};

static struct tk_lock_carrier **find(struct tk_fdtable *table, const struct stat *st)
{
	struct tk_lock_carrier **at = &table->locks;

	while (*at && ((*at)->dev != st->st_dev || (*at)->ino != st->st_ino))
		at = &(*at)->next;
	return at;
}

/*
 * Read-write if the guest may write the file, since the same carrier has to take both kinds of
 * locks; but only then: nobody can execute a file that is open for writing (ETXTBSY).
 */
static int open_carrier(const struct tk_file *file)
{
	const int flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	char link[TK_FD_LINK_SIZE];
	int fd = -1;

	tk_fd_link(link, file->hostfd);
	if (file->writable)
		fd = open(link, O_RDWR | flags);
	if (fd < 0)
		fd = open(link, (file->flags & O_ACCMODE) | flags);
	return fd < 0 ? -errno : fd;
}

static int add(struct tk_lock_carrier **at, const struct stat *st, const struct tk_file *file)
{
	struct tk_lock_carrier *carrier = malloc(sizeof(*carrier));
	int fd;

	if (!carrier)
		return -ENOLCK;
	fd = open_carrier(file);
	if (fd < 0) {
		free(carrier);
		return -ENOLCK;
	}
	*carrier = (struct tk_lock_carrier){.dev = st->st_dev, .ino = st->st_ino, .fd = fd};
	*at = carrier;
	return 0;
}

static int check_access(const struct tk_file *file, int cmd, short type)
{
	if (cmd == F_GETLK || type == F_UNLCK)
		return 0;
	if (type == F_RDLCK)
		return tk_file_may_read(file) ? 0 : -EBADF;
	return tk_file_may_write(file) ? 0 : -EBADF;
}

int tk_locks_posix(struct tk_fdtable *table, struct tk_file *file, int cmd, struct flock *lock)
{
	struct tk_lock_carrier **at;
	struct stat st;
	int rc;

	if (lock->l_type != F_RDLCK && lock->l_type != F_WRLCK &&
	    (lock->l_type != F_UNLCK || cmd == F_GETLK))
		return -EINVAL;
	rc = check_access(file, cmd, lock->l_type);
	if (rc)
		return rc;
	if (fstat(file->hostfd, &st))
		return -errno;
	at = find(table, &st);
	if (!*at) {
		if (lock->l_type == F_UNLCK)
			return 0;
		rc = add(at, &st, file);
		if (rc)
			return rc;
	}
	lock->l_pid = 0;
	if (!fcntl((*at)->fd, cmd == F_GETLK ? F_OFD_GETLK : F_OFD_SETLK, lock))
		return 0;
	/* The carrier is read-only where the file could not be opened for writing once more. */
	return errno == EBADF ? -ENOLCK : -errno;
}

static void remove_carrier(struct tk_lock_carrier **at)
{
	struct tk_lock_carrier *carrier = *at;

	*at = carrier->next;
	close(carrier->fd);
	free(carrier);
}

void tk_locks_drop(struct tk_fdtable *table, const struct tk_file *file)
{
	struct tk_lock_carrier **at;
	struct stat st;

	if (!table->locks || file->hostfd < 0 || file->flags & O_PATH || fstat(file->hostfd, &st))
		return;
	at = find(table, &st);
	if (*at)
		remove_carrier(at);
}

void tk_locks_destroy(struct tk_fdtable *table)
{
	while (table->locks)
		remove_carrier(&table->locks);
}
