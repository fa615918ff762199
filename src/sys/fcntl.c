/* SPDX-License-Identifier: MIT */
/*
 * fcntl and flock. Flags live in our own objects; seals, pipe sizes, OFD locks and flock locks
 * belong to the host's description, which is the guest's own. What would make the host send signals
 * to the VMM (leases, dnotify, O_ASYNC) is refused or kept as a mere bit.
 */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "fs/locks.h"
#include "fs/pipe.h"
#include "net/rights.h"
#include "sys/fsargs.h"

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027 /* Linux 6.10 */
#endif

#ifndef LOCK_MAND
#define LOCK_MAND 32
#endif

#define RETRY_NS      5000000
#define PIPE_SIZE_MAX TK_MIB(1)	 /* /proc/sys/fs/pipe-max-size: the VMM's privilege is not lent */
#define PIPES_MAX     TK_MIB(64) /* /proc/sys/fs/pipe-user-pages-soft, of a machine */
#define SETTABLE      (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | O_ASYNC)

static long dup_from(struct tk_task *task, struct tk_file *file, u64 min, bool cloexec)
{
	struct tk_fdtable *files = &task->proc->files;
	int fd;

	if (min >= files->limit)
		return -EINVAL;
	fd = tk_fd_install(files, tk_file_get(file), (unsigned int)min, cloexec);
	if (fd < 0)
		tk_file_put(file);
	return fd;
}

static long set_flags(struct tk_file *file, u64 arg)
{
	int flags = (file->flags & ~SETTABLE) | ((int)arg & SETTABLE);
	int rc = file->ops->set_flags ? file->ops->set_flags(file, flags) : 0;

	if (!rc)
		file->flags = flags;
	return rc;
}

/* SEEK_CUR counts from our offset, which the host does not know. */
static int absolute_lock(const struct tk_file *file, struct flock *lock)
{
	if (lock->l_whence != SEEK_CUR)
		return 0;
	lock->l_whence = SEEK_SET;
	return __builtin_add_overflow(lock->l_start, file->pos, &lock->l_start) ? -EOVERFLOW : 0;
}

static int try_lock(struct tk_fdtable *files, struct tk_file *file, int cmd, struct flock *lock)
{
	switch (cmd) {
	case F_GETLK:
		return tk_locks_posix(files, file, F_GETLK, lock);
	case F_SETLK:
	case F_SETLKW:
		return tk_locks_posix(files, file, F_SETLK, lock);
	case F_OFD_SETLKW:
		cmd = F_OFD_SETLK;
		/* fall through */
	default:
		file->altered = true; /* the lock is its description's */
		return fcntl(file->hostfd, cmd, lock) ? -errno : 0;
	}
}

static long lock_file(struct tk_task *task, struct tk_file *file, int cmd, gva_t addr)
{
	struct tk_mm *mm = task->proc->mm;
	struct flock lock;
	int rc;

	_Static_assert(sizeof(struct flock) == 32, "struct flock of the kernel ABI");
	if (tk_copy_in(mm, &lock, addr, sizeof(lock)))
		return -EFAULT;
	if (file->hostfd < 0)
		return 0;
	rc = absolute_lock(file, &lock);
	if (!rc)
		rc = try_lock(&task->proc->files, file, cmd, &lock);
	if (rc == -EAGAIN && (cmd == F_SETLKW || cmd == F_OFD_SETLKW))
		return tk_block(task, tk_now_ns() + RETRY_NS);
	if (!rc && (cmd == F_GETLK || cmd == F_OFD_GETLK))
		rc = tk_copy_out(mm, addr, &lock, sizeof(lock));
	return rc;
}

/* An end counts for half of its pipe, each name of it for its part. */
static void add_pipe(void *sum, const struct tk_file *file)
{
	int size = file && tk_is_pipe(file) ? fcntl(file->hostfd, F_GETPIPE_SZ) : 0;

	if (size > 0)
		*(u64 *)sum += (u64)size / 2 / file->refs;
}

/* What pipes hold is memory of the host's kernel, that no other limit of the machine sees. */
static bool pipes_fit(struct tk_proc *proc, u64 more)
{
	u64 most = proc->files.host_memory.most, sum = more;

	for (unsigned int fd = 0; fd < proc->files.size; fd++)
		add_pipe(&sum, proc->files.fds[fd].file);
	tk_rights_each(&proc->net, add_pipe, &sum);
	return sum <= (most ? TK_MIN(most, PIPES_MAX) : PIPES_MAX);
}

static long pipe_size(struct tk_task *task, struct tk_file *file, int cmd, u64 arg)
{
	int size;

	if (file->hostfd < 0)
		return -EBADF;
	size = fcntl(file->hostfd, F_GETPIPE_SZ);
	if (size < 0 || cmd == F_GETPIPE_SZ)
		return tk_host_result(size);
	if ((u32)arg > PIPE_SIZE_MAX ||
	    ((u32)arg > (u32)size && !pipes_fit(task->proc, (u32)arg - (u32)size)))
		return -EPERM;
	file->altered = true;
	return tk_host_result(fcntl(file->hostfd, cmd, (int)arg));
}

static long seals(const struct tk_file *file, int cmd, u64 arg)
{
	if (file->hostfd < 0)
		return -EINVAL;
	if (cmd == F_ADD_SEALS && !tk_file_may_write(file))
		return -EPERM;
	return tk_host_result(fcntl(file->hostfd, cmd, (int)arg));
}

static long descriptor_call(struct tk_task *task, u64 fd, struct tk_file *file, int cmd, u64 arg)
{
	struct tk_fd *entry = &task->proc->files.fds[(u32)fd];

	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return dup_from(task, file, (u32)arg, cmd == F_DUPFD_CLOEXEC);
	case F_DUPFD_QUERY:
		return tk_fd_get(&task->proc->files, arg) == file;
	case F_GETFD:
		return entry->cloexec ? FD_CLOEXEC : 0;
	case F_SETFD:
		entry->cloexec = arg & FD_CLOEXEC;
		return 0;
	default:
		return file->flags;
	}
}

static long file_call(struct tk_task *task, struct tk_file *file, int cmd, u64 arg)
{
	switch (cmd) {
	case F_SETFL:
		return set_flags(file, arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return lock_file(task, file, cmd, arg);
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		return pipe_size(task, file, cmd, arg);
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return seals(file, cmd, arg);
	case F_GETOWN:
	case F_SETOWN:
	case F_SETOWN_EX:
	case F_GETSIG:
	case F_SETSIG:
		return 0; /* SIGIO never comes: nobody to tell */
	case F_GETOWN_EX:
		return tk_zero_out(task->proc->mm, arg, sizeof(struct f_owner_ex));
	case F_GETLEASE:
		return F_UNLCK;
	default:
		return -EINVAL;
	}
}

long tk_sys_fcntl(struct tk_task *task, const u64 a[6])
{
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file), cmd = (int)a[1];

	if (rc)
		return rc;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
	case F_DUPFD_QUERY:
	case F_GETFD:
	case F_SETFD:
	case F_GETFL:
		return descriptor_call(task, a[0], file, cmd, a[2]);
	default:
		return file->flags & O_PATH ? -EBADF : file_call(task, file, cmd, a[2]);
	}
}

long tk_sys_flock(struct tk_task *task, const u64 a[6])
{
	int op = (int)a[1], kind = op & ~LOCK_NB;
	struct tk_file *file;
	int rc = tk_arg_file(task, a[0], &file);

	if (op & LOCK_MAND)
		return 0; /* mandatory share modes are gone since Linux 5.15, silently */
	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		return -EINVAL;
	if (rc)
		return rc;
	if (file->flags & O_PATH)
		return -EBADF;
	file->altered = true;
	if (file->hostfd < 0 || !flock(file->hostfd, op | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK || op & LOCK_NB)
		return -errno;
	return tk_block(task, tk_now_ns() + RETRY_NS);
}
