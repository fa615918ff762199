/* SPDX-License-Identifier: MIT */
/*
 * Freezing a machine. It becomes the template of its forks: its tasks, files, timers and so on are
 * kept, and only read from then on; its memory is in the image of the address space; its VM is
 * given back.
 *
 * Everything that can fail comes first and leaves the machine as it was.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "machine/machine.h"
#include "mm/image.h"
#include "sys/paced.h"
#include "task/fork.h"

/* What a blocked task waits for has come, though nobody looked yet. */
static bool any_ready(const struct tk_proc *proc)
{
	const struct tk_task *task;

	tk_list_for_each (task, &proc->tasks, link) {
		if (task->state == TK_TASK_BLOCKED && task->wait.nfds &&
		    poll(task->wait.fds, task->wait.nfds, 0) > 0)
			return true;
	}
	return false;
}

static int check(struct tkvm_machine *machine, struct tkvm_error *err)
{
	int rc;

	if (machine->fork)
		return tk_fail(err, EINVAL, "freeze: the machine is a fork");
	if (machine->phase != TK_PHASE_LOADED)
		return tk_fail(err, EINVAL, "freeze: %s",
			       machine->phase == TK_PHASE_EMPTY ? "no program is loaded"
								: "the program has ended");
	rc = tk_proc_freezable(&machine->proc, err);
	if (rc)
		return rc;
	if (atomic_load(&machine->signals) || any_ready(&machine->proc))
		return tk_fail(err, EBUSY, "freeze: a thread has something to do");
	return 0;
}

static int capture_cpus(struct tkvm_machine *machine, struct tkvm_error *err)
{
	struct tk_task *task;
	int rc = 0;

	tk_list_for_each (task, &machine->proc.tasks, link) {
		rc = tk_cpu_capture(task);
		if (rc)
			return tk_fail_errno(err, -rc, "freeze: registers of thread %d", task->tid);
	}
	return rc;
}

static int make(struct tkvm_image *image, struct tkvm_machine *machine, struct tkvm_error *err)
{
	struct tk_proc *proc = &machine->proc;
	int rc = capture_cpus(machine, err);

	if (!rc)
		rc = tk_files_freeze(&image->files, &proc->files, &proc->ns, err);
	if (rc)
		return rc;
	rc = tk_mm_freeze(machine->mm, &image->mm, err);
	if (rc)
		tk_files_thaw(&image->files);
	return rc;
}

/*
 * A call that was to be tried again soon is: what is left of it is its own deadline. Forks enter it
 * at once, as calls that wait for descriptors; nothing else would end it.
 */
static void forget_pace(struct tk_task *task)
{
	if (task->wait.priv)
		task->state = TK_TASK_RUNNABLE;
	task->wait.deadline = tk_own_deadline(task);
	free(task->wait.priv);
	task->wait.priv = NULL;
}

/* From here on it is a template. */
static void retire(struct tkvm_machine *machine)
{
	struct tk_task *task;

	tk_list_for_each (task, &machine->proc.tasks, link) {
		forget_pace(task);
		tk_cpu_park(task);
	}
	machine->phase = TK_PHASE_OVER;
	tk_remote_disconnect(machine);
	tk_vm_destroy(machine->vm);
	machine->vm = NULL;
	tk_mm_destroy(machine->mm);
	machine->mm = machine->proc.mm = NULL;
	tk_kick_destroy(machine->own_kick);
	machine->own_kick = NULL;
}

int tkvm_machine_freeze(struct tkvm_machine *machine, struct tkvm_image **ret,
			struct tkvm_error *err)
{
	struct tkvm_image *image;
	int rc = check(machine, err);

	if (rc)
		return rc;
	image = calloc(1, sizeof(*image));
	if (!image)
		return tk_fail_errno(err, ENOMEM, "freeze");
	/* It does not run any more: copying it takes none of its time. */
	image->frozen_ns = tk_now_ns();
	image->frozen_raw_ns = tk_clock_ns(CLOCK_MONOTONIC_RAW);
	rc = make(image, machine, err);
	if (rc) {
		free(image);
		return rc;
	}
	retire(machine);
	image->master = machine;
	atomic_init(&image->refs, 1);
	*ret = image;
	return 0;
}

struct tkvm_image *tkvm_image_get(struct tkvm_image *image)
{
	atomic_fetch_add(&image->refs, 1);
	return image;
}

void tkvm_image_put(struct tkvm_image *image)
{
	if (!image || atomic_fetch_sub(&image->refs, 1) != 1)
		return;
	tk_files_thaw(&image->files);
	tk_mm_image_put(image->mm);
	tkvm_machine_destroy(image->master);
	free(image);
}
