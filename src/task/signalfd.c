/* SPDX-License-Identifier: MIT */
/*
 * Pending signals as a file: signalfd(2). What is read comes from the signal queues; the host
 * descriptor is an eventfd that is non-zero exactly while something can be read, so that poll,
 * epoll and waiting work as for any other file.
 *
 * A thread reads its own signals and the process's. Readiness counts those of all threads; one
 * that is woken for another's signal finds nothing, puts the light out and waits on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/anon.h"
#include "fs/fork.h"
#include "task/siginfo.h"
#include "task/signalfd.h"

#define MAX_RECORDS 16

struct signalfd {
	struct tk_file file;
	struct tk_list link; /* in proc->signalfds */
	struct tk_proc *proc;
	tk_sigset mask;
	bool lit; /* the eventfd is non-zero */
};

static struct signalfd *of(struct tk_file *file)
{
	return tk_container_of(file, struct signalfd, file);
}

static tk_sigset pending(const struct tk_proc *proc)
{
	tk_sigset set = proc->sig.shared.pending;
	const struct tk_task *task;

	tk_list_for_each (task, &proc->tasks, link)
		set |= task->sig.own.pending;
	return set;
}

static void light(struct signalfd *sfd, bool ready)
{
	eventfd_t value;

	if (ready != sfd->lit && (ready ? eventfd_write(sfd->file.hostfd, 1)
					: eventfd_read(sfd->file.hostfd, &value)) == 0)
		sfd->lit = ready;
}

static void update(struct signalfd *sfd, tk_sigset set)
{
	light(sfd, set & sfd->mask);
}

void tk_signalfds_update(struct tk_proc *proc)
{
	struct signalfd *sfd;
	tk_sigset set;

	if (tk_list_empty(&proc->signalfds))
		return;
	set = pending(proc);
	tk_list_for_each (sfd, &proc->signalfds, link)
		update(sfd, set);
}

/* Which members of a siginfo count: the kernel's siginfo_layout(). */
enum layout { KILL, TIMER, POLL, FAULT, CHILD, QUEUED, CALL };

static enum layout layout_of(const struct tk_siginfo *info)
{
	if (info->code > SI_USER && info->code < SI_KERNEL) {
		switch (info->signo) {
		case SIGILL:
		case SIGFPE:
		case SIGSEGV:
		case SIGBUS:
		case SIGTRAP:
			return FAULT;
		case SIGCHLD:
			return CHILD;
		case SIGPOLL:
			return POLL;
		case SIGSYS:
			return CALL;
		default:
			return KILL;
		}
	}
	if (info->code == SI_TIMER)
		return TIMER;
	if (info->code == SI_SIGIO)
		return POLL;
	return info->code < 0 && info->code != SI_TKILL ? QUEUED : KILL;
}

static void get(const struct tk_siginfo *info, unsigned int at, void *value, size_t size)
{
	memcpy(value, info->fields + at, size);
}

static void fill_value(struct signalfd_siginfo *record, const struct tk_siginfo *info)
{
	get(info, TK_SI_VALUE, &record->ssi_ptr, sizeof(record->ssi_ptr));
	record->ssi_int = (int)record->ssi_ptr;
}

static void fill(struct signalfd_siginfo *record, const struct tk_siginfo *info)
{
	enum layout layout = layout_of(info);

	*record = (struct signalfd_siginfo){
		.ssi_signo = (u32)info->signo, .ssi_errno = info->err, .ssi_code = info->code};
	if (layout == KILL || layout == CHILD || layout == QUEUED) {
		get(info, TK_SI_PID, &record->ssi_pid, sizeof(record->ssi_pid));
		get(info, TK_SI_UID, &record->ssi_uid, sizeof(record->ssi_uid));
	}
	if (layout == QUEUED) {
		fill_value(record, info);
	} else if (layout == TIMER) {
		get(info, TK_SI_TIMERID, &record->ssi_tid, sizeof(record->ssi_tid));
		get(info, TK_SI_OVERRUN, &record->ssi_overrun, sizeof(record->ssi_overrun));
		fill_value(record, info);
	} else if (layout == FAULT) {
		get(info, TK_SI_ADDR, &record->ssi_addr, sizeof(record->ssi_addr));
	} else if (layout == CHILD) {
		get(info, 8, &record->ssi_status, sizeof(record->ssi_status));
		get(info, 16, &record->ssi_utime, sizeof(record->ssi_utime));
		get(info, 24, &record->ssi_stime, sizeof(record->ssi_stime));
	} else if (layout == POLL) {
		get(info, 0, &record->ssi_band, sizeof(record->ssi_band));
		get(info, 8, &record->ssi_fd, sizeof(record->ssi_fd));
	} else if (layout == CALL) {
		get(info, 0, &record->ssi_call_addr, sizeof(record->ssi_call_addr));
		get(info, 8, &record->ssi_syscall, sizeof(record->ssi_syscall));
		get(info, 12, &record->ssi_arch, sizeof(record->ssi_arch));
	}
}

/* At most @max whole records. */
static unsigned int take(struct signalfd *sfd, struct signalfd_siginfo *records, size_t max)
{
	struct tk_siginfo info;
	unsigned int n = 0;

	while (n < max && tk_signal_dequeue(sfd->proc->current, sfd->mask, &info))
		fill(&records[n++], &info);
	return n;
}

static ssize_t signalfd_readv(struct tk_file *file, const struct iovec *iov, int n, const s64 *pos)
{
	struct signalfd_siginfo records[MAX_RECORDS];
	struct iovec ours = {.iov_base = records};
	size_t room = 0;
	ssize_t done;

	if (pos)
		return -ESPIPE;
	for (int i = 0; i < n; i++)
		room += iov[i].iov_len;
	if (room < sizeof(records[0]))
		return -EINVAL;
	if (!of(file)->proc->current)
		return -EAGAIN;
	room = TK_MIN(room / sizeof(records[0]), (size_t)MAX_RECORDS);
	ours.iov_len = take(of(file), records, room) * sizeof(records[0]);
	if (!ours.iov_len) {
		light(of(file), false);
		return -EAGAIN;
	}
	/* By a system call: a file under guest memory may be truncated (SIGBUS). */
	done = process_vm_writev(getpid(), &ours, 1, iov, (unsigned long)n, 0);
	return done < 0 ? -errno : done;
}

static void signalfd_release(struct tk_file *file)
{
	tk_list_del(&of(file)->link);
}

static int signalfd_fork(const struct tk_file *tmpl, const struct tk_file *mate,
			 const struct tk_fork_ctx *ctx, struct tk_file *ret[2])
{
	const struct signalfd *from = tk_container_of(tmpl, struct signalfd, file);

	return tk_signalfd_new(&ret[0], ctx->proc, from->mask, 0);
}

/* The light follows from what is pending: tk_signalfds_update() comes behind all of it. */
static int signalfd_reset(struct tk_file *file, const struct tk_file *tmpl)
{
	of(file)->mask = tk_container_of(tmpl, struct signalfd, file)->mask;
	return 0;
}

static const struct tk_file_ops signalfd_ops = {
	.kind = "signalfd",
	.readv = signalfd_readv,
	.seek = tk_anon_seek,
	.release = signalfd_release,
	.fork = signalfd_fork,
	.reset = signalfd_reset,
};

int tk_signalfd_new(struct tk_file **ret, struct tk_proc *proc, tk_sigset mask, int flags)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct signalfd *sfd;

	if (fd < 0)
		return -errno;
	sfd = tk_anon_new(sizeof(*sfd), &signalfd_ops, fd, O_RDWR | (flags & O_NONBLOCK),
			  "anon_inode:[signalfd]");
	if (!sfd)
		return -ENOMEM;
	sfd->proc = proc;
	sfd->mask = mask;
	tk_list_add_tail(&proc->signalfds, &sfd->link);
	update(sfd, pending(proc));
	*ret = &sfd->file;
	return 0;
}

bool tk_is_signalfd(const struct tk_file *file)
{
	return file->ops == &signalfd_ops;
}

void tk_signalfd_set_mask(struct tk_file *file, tk_sigset mask)
{
	struct signalfd *sfd = of(file);

	sfd->mask = mask;
	update(sfd, pending(sfd->proc));
}
