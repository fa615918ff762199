/* SPDX-License-Identifier: MIT */
/*
 * Remote calls. The caller's thread, inside of the caller's system call, becomes the owner of the
 * storage machine, opens the window on the buffer, runs the storage machine until it answers, and
 * closes the window. So nobody is woken, and a caller that is reset or destroyed is never in the
 * middle of a call.
 *
 * A call is TK_CALL_WAITS until a thread of the storage program has it, TAKEN until one waits
 * again, which is the answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/calls.h"
#include "machine/remote.h"
#include "mm/window.h"
#include "task/wait.h"

static bool waits(const struct tk_task *task)
{
	return task->state == TK_TASK_BLOCKED && task->in_call &&
	       (u32)task->nr == TK_SYS_STORAGE_WAIT_PAUSED;
}

static struct tk_task *find_waiting(const struct tkvm_machine *machine)
{
	struct tk_task *task;

	tk_list_for_each (task, &machine->proc.tasks, link)
		if (waits(task))
			return task;
	return NULL;
}

int tkvm_machine_waits_for_calls(struct tkvm_machine *machine)
{
	return machine->phase == TK_PHASE_LOADED && find_waiting(machine);
}

/* The storage program's side. */
static long take(struct tk_task *task, struct tk_call *call, gva_t buf)
{
	if (tk_copy_out(task->proc->mm, buf, &call->at, sizeof(call->at)))
		return -EFAULT;
	call->state = TK_CALL_TAKEN;
	return (long)call->len;
}

static void answer(struct tkvm_machine *machine, struct tk_call *call, s64 result)
{
	call->result = result;
	call->state = TK_CALL_ANSWERED;
	machine->suspended = TKVM_IDLE; /* the run ends: the caller's turn */
}

static long storage_wait(struct tk_task *task, gva_t buf, s64 result)
{
	struct tkvm_machine *machine = task->proc->machine;
	struct tk_call *call = machine->serves ? machine->serves->call : NULL;
	const struct tk_task *other = find_waiting(machine);

	if (!machine->storage)
		return -ENOSYS;
	if (other && other != task)
		return -EBUSY;
	if (!task->wait.begun && call && call->state == TK_CALL_TAKEN)
		answer(machine, call, result);
	else if (call && call->state == TK_CALL_WAITS)
		return take(task, call, buf);
	return tk_block(task, TK_FOREVER);
}

static s64 deadline(const struct tkvm_remote *remote, s64 now)
{
	u64 limit = remote->options.max_call_ns;
	s64 when;

	if (!limit || limit > INT64_MAX || __builtin_add_overflow(now, (s64)limit, &when))
		return TK_FOREVER;
	return when;
}

/* Why there is no answer: the program has ended. */
static int error_of_end(const struct tkvm_machine *storage)
{
	return storage->proc.limit_hit == TKVM_LIMIT_TIME ? -ETIMEDOUT : -EIO;
}

/* Run the storage machine until the call is answered. 0 or -errno. */
static int run_storage(struct tkvm_remote *remote, struct tkvm_machine *caller,
		       struct tk_call *call, s64 now)
{
	struct tkvm_machine *storage = remote->machine;
	s64 until = deadline(remote, now);
	struct tk_task *task = find_waiting(storage);

	if (task)
		tk_task_wake(task);
	/* It may be suspended for other reasons: interruptions that came too late. */
	do
		tk_machine_run_within(storage, caller, until);
	while (!storage->proc.exiting && call->state != TK_CALL_ANSWERED &&
	       !atomic_load(&remote->stop));
	/* Nobody will wait for what it is at. */
	if (call->state != TK_CALL_ANSWERED)
		tk_proc_exit(&storage->proc, 0, 0);
	return call->state == TK_CALL_ANSWERED ? 0 : error_of_end(storage);
}

/* By the owner, with a storage machine that is alive. */
static int make_call(struct tkvm_remote *remote, struct tkvm_machine *caller, gva_t buf,
		     struct tk_call *call, s64 now)
{
	struct tkvm_machine *storage = remote->machine;
	int rc = 0;

	remote->calls++;
	if (call->len)
		rc = tk_window_open(storage->mm, caller->mm, buf, call->len, tk_alias_gpa, remote,
				    &call->at);
	if (rc)
		return rc;
	remote->call = call;
	rc = run_storage(remote, caller, call, now);
	remote->call = NULL;
	/* Dear, but needs nothing of the host. */
	if (tk_window_close(storage->mm))
		tk_alias_drop(remote, caller->mm);
	tk_alias_renew_blank(remote);
	tk_remote_wake(remote);
	return rc;
}

static bool is_alive(const struct tkvm_machine *storage)
{
	return storage && storage->phase == TK_PHASE_LOADED && !storage->proc.exiting;
}

static void report(const struct tkvm_machine *caller, int rc, s64 start, s64 begun, u64 exits)
{
	const struct tkvm_remote_options *options = &caller->remote->options;
	const struct tkvm_remote_call done = {
		.error = -rc,
		.queue_ns = (u64)(begun - start),
		.call_ns = (u64)(tk_now_ns() - begun),
		.exits = exits,
	};

	if (options->done)
		options->done(options->ctx, caller->remote_caller, &done);
}

static long resume(struct tk_task *task, gva_t buf, u64 len)
{
	struct tkvm_machine *caller = task->proc->machine;
	struct tkvm_remote *remote = caller->remote;
	struct tk_call call = {.len = len};
	s64 start = tk_now_ns(), begun;
	u64 exits = 0;
	int rc;

	if (!remote)
		return -ENOSYS;
	if (len > TKVM_REMOTE_WINDOW)
		return -E2BIG;
	rc = tk_remote_enter(remote, caller);
	begun = tk_now_ns();
	if (!rc) {
		rc = -EAGAIN;
		if (is_alive(remote->machine)) {
			exits = remote->machine->proc.stats.exits;
			rc = make_call(remote, caller, buf, &call, begun);
			exits = remote->machine->proc.stats.exits - exits;
		}
		tk_remote_leave(remote);
	}
	report(caller, rc, start, begun, exits);
	task->regs->rdx = (u64)call.result;
	return rc;
}

const struct tk_remote_ops tk_machine_remote_ops = {.resume = resume, .wait = storage_wait};

int tkvm_remote_create(struct tkvm_remote **ret, const struct tkvm_remote_options *options,
		       struct tkvm_error *err)
{
	struct tkvm_remote *remote;
	int rc;

	if (options && options->size != sizeof(*options))
		return tk_fail(err, EINVAL, "remote: options->size is not that of this library");
	remote = calloc(1, sizeof(*remote));
	if (!remote)
		return tk_fail_errno(err, ENOMEM, "remote");
	if (options)
		remote->options = *options;
	remote->blank = mmap(NULL, TK_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	remote->bell = remote->blank == MAP_FAILED ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (remote->bell < 0) {
		rc = tk_fail_errno(err, errno, "remote");
		if (remote->blank != MAP_FAILED)
			munmap(remote->blank, TK_PAGE_SIZE);
		free(remote);
		return rc;
	}
	atomic_init(&remote->refs, 1);
	tk_remote_queue_init(remote);
	*ret = remote;
	return 0;
}

void tkvm_remote_put(struct tkvm_remote *remote)
{
	if (!remote || atomic_fetch_sub(&remote->refs, 1) != 1)
		return;
	tk_remote_queue_destroy(remote);
	close(remote->bell);
	munmap(remote->blank, TK_PAGE_SIZE);
	free(remote->fds);
	free(remote);
}

void tk_remote_disconnect(struct tkvm_machine *machine)
{
	struct tkvm_remote *remote = machine->remote;

	if (!remote)
		return;
	(void)tk_remote_enter(remote, NULL);
	tk_alias_drop(remote, machine->mm);
	tk_remote_leave(remote);
	machine->remote = NULL;
	tkvm_remote_put(remote);
}

int tkvm_machine_connect(struct tkvm_machine *machine, struct tkvm_remote *remote, void *caller)
{
	if (machine->storage)
		return -EINVAL;
	tk_remote_disconnect(machine);
	if (remote)
		atomic_fetch_add(&remote->refs, 1);
	machine->remote = remote;
	machine->remote_caller = caller;
	return 0;
}
