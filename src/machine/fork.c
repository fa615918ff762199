/* SPDX-License-Identifier: MIT */
/*
 * Making a fork: a new VM over the image's memory, copies of the files, and a process like the
 * frozen one. What never changes is not copied but used where it is, in the frozen machine: the
 * policy, strings, the host directories behind the namespace, /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/memfds.h"
#include "machine/machine.h"
#include "mm/image.h"
#include "sys/procfs.h"
#include "sys/sys.h"
#include "task/fork.h"

static const struct tkvm_fork_options default_options = {.size = sizeof(default_options)};

#define DEFAULT_FORK_MEMORY  TK_MIB(128)
#define DEFAULT_FORK_FILES   1024
#define DEFAULT_FORK_THREADS 64
#define MIN_FORK_BUFFERS     TK_MIB(8)

static bool collect(void *ctx, void (*fn)(void *arg, gpa_t gpa), void *arg)
{
	return tk_vm_harvest(ctx, fn, arg);
}

static int rearm(void *ctx)
{
	return tk_vm_reset_rings(ctx);
}

/* Nameless file @hostfd, unless it is there already. */
static int add_memfd(void *ctx, int hostfd)
{
	struct tk_fork *fork = ctx;
	struct tk_memfd_copy *memfds;
	struct stat st, other;
	u64 bytes;
	int fd;

	if (fstat(hostfd, &st))
		return -errno;
	bytes = (u64)st.st_blocks * 512;
	for (unsigned int i = 0; i < fork->n_memfds; i++) {
		if (fork->memfds[i].ino == st.st_ino && fork->memfds[i].dev == st.st_dev)
			return 0;
		if (!fstat(fork->memfds[i].fd, &other))
			bytes += (u64)other.st_blocks * 512;
	}
	/* Of memfds there are not so many; but files on disk are not memory, and their copies are.
	 */
	if (bytes > fork->image->master->proc.total_memory)
		return -EFBIG;
	memfds = reallocarray(fork->memfds, fork->n_memfds + 1, sizeof(*memfds));
	if (!memfds)
		return -ENOMEM;
	fork->memfds = memfds;
	fd = tk_memfd_copy(hostfd);
	if (fd < 0)
		return fd;
	memfds[fork->n_memfds++] =
		(struct tk_memfd_copy){.dev = st.st_dev, .ino = st.st_ino, .fd = fd};
	return 0;
}

static int add_mapped_memfd(void *ctx, int hostfd)
{
	struct stat st;

	if (fstat(hostfd, &st))
		return -errno;
	return tk_is_nameless(hostfd, &st) ? add_memfd(ctx, hostfd) : 0;
}

static int copy_memfds(struct tk_fork *fork)
{
	const struct tkvm_image *image = fork->image;
	int rc = tk_memfds_each(&image->master->proc.files, add_memfd, fork);

	return rc ? rc : tk_mm_image_each_file(image->mm, add_mapped_memfd, fork);
}

static u64 max_memory(const struct tkvm_fork_options *options)
{
	return options->max_memory ? options->max_memory : DEFAULT_FORK_MEMORY;
}

static int fork_mm(struct tkvm_machine *machine, const struct tkvm_fork_options *options,
		   struct tkvm_error *err)
{
	struct tk_fork *fork = machine->fork;
	struct tk_mm_swap *swaps = calloc(fork->n_memfds + 1, sizeof(*swaps));
	struct tk_mm_fork_options opts = {
		.backend = {.slot_add = tk_machine_slot_add,
			    .ctx = machine->vm,
			    .memory_flags = TK_SLOT_LOG,
			    .collect = collect,
			    .rearm = rearm},
		.max_memory = max_memory(options),
		.max_hot = options->max_hot_memory,
		.swaps = swaps,
		.n_swaps = fork->n_memfds,
	};
	int rc;

	if (!swaps)
		return tk_fail_errno(err, ENOMEM, "fork: memfds");
	for (unsigned int i = 0; i < fork->n_memfds; i++)
		swaps[i] = (struct tk_mm_swap){.dev = fork->memfds[i].dev,
					       .ino = fork->memfds[i].ino,
					       .hostfd = fork->memfds[i].fd};
	rc = tk_mm_fork(&machine->mm, fork->image->mm, &opts, err);
	free(swaps);
	machine->proc.mm = machine->mm;
	return rc;
}

static int fork_hardware(struct tkvm_machine *machine, const struct tkvm_fork_options *options,
			 struct tkvm_error *err)
{
	const struct tkvm_machine *master = machine->fork->image->master;
	int rc;

	machine->kvm = master->kvm; /* which outlives it, and closes it */
	if (machine->kvm.ring_max_bytes < TK_RING_BYTES)
		return tk_fail(err, EOPNOTSUPP, "fork: KVM_CAP_DIRTY_LOG_RING is missing");
	rc = tk_vm_create(&machine->vm, &machine->kvm, TK_RING_BYTES, err);
	if (!rc)
		rc = fork_mm(machine, options, err);
	if (!rc)
		tk_clock_fork(&machine->clock, &master->clock, tk_vm_vvar(machine->vm), 0);
	machine->storage = master->storage;
	machine->fast_path = master->fast_path;
	if (!rc)
		tk_machine_fast_path(machine);
	return rc;
}

/* What is the same in all forks and never changes. */
static int share(struct tkvm_machine *machine, struct tkvm_error *err)
{
	struct tk_proc *proc = &machine->proc;
	const struct tk_proc *tmpl = &machine->fork->image->master->proc;

	proc->machine = machine;
	proc->ops = tmpl->ops;
	proc->policy = tmpl->policy;
	proc->exe = tmpl->exe;
	proc->argv = tmpl->argv;
	proc->envp = tmpl->envp;
	proc->auxv = tmpl->auxv;
	proc->trace_fd = tmpl->trace_fd;
	proc->ns = tmpl->ns;
	proc->ns.cwd = NULL;
	tk_procfs_init(&proc->ns.synth, proc);
	proc->stats.calls = calloc(1, sizeof(*proc->stats.calls));
	return proc->stats.calls ? 0 : tk_fail_errno(err, ENOMEM, "fork");
}

/* What the host's kernel may keep in pipes and sockets for a fork, besides its memory. */
static u64 buffers(const struct tkvm_fork_options *options)
{
	u64 memory = options->max_memory ? options->max_memory : DEFAULT_FORK_MEMORY;

	return TK_MAX(memory / 2, MIN_FORK_BUFFERS);
}

static int fork_files(struct tkvm_machine *machine, const struct tkvm_fork_options *options,
		      struct tkvm_error *err)
{
	struct tk_fork *fork = machine->fork;
	struct tk_proc *proc = &machine->proc;
	const struct tk_fork_ctx ctx = {
		.ns = &proc->ns,
		.net = &proc->net,
		.policy = proc->policy,
		.proc = proc,
		.share_listeners = options->share_listeners,
		.memfds = fork->memfds,
		.n_memfds = fork->n_memfds,
		.host_fds = &proc->files.host_fds,
		.host_memory = &proc->files.host_memory,
	};
	int rc;

	machine->have_files = true;
	rc = tk_files_fork(&fork->files, &fork->image->files, &proc->files, &ctx, err);
	proc->files.host_fds.most = proc->files.host_fds.used +
				    (options->max_files ? options->max_files : DEFAULT_FORK_FILES);
	proc->files.host_memory.most = proc->files.host_memory.used + buffers(options);
	tk_mm_set_budget(machine->mm, &proc->files.host_fds);
	return rc;
}

/* What the image's hold is in it, and not the fork's doing. */
static void limit_memfds(struct tk_proc *proc, u64 more)
{
	if (__builtin_add_overflow(tk_memfds_held(&proc->files), more, &proc->max_memfds))
		proc->max_memfds = ~0ull;
}

static unsigned int most_tasks(const struct tkvm_fork_options *options, const struct tk_proc *tmpl)
{
	u64 more = options->max_threads ? options->max_threads : DEFAULT_FORK_THREADS;

	return (unsigned int)TK_MIN(tmpl->n_tasks + more, (u64)UINT32_MAX);
}

static int make(struct tkvm_machine *machine, const struct tkvm_fork_options *options,
		struct tkvm_error *err)
{
	struct tk_fork *fork = machine->fork;
	const struct tkvm_machine *master = fork->image->master;
	int rc;

	tk_proc_init(&machine->proc);
	rc = share(machine, err);
	if (rc)
		return rc;
	rc = copy_memfds(fork);
	if (rc)
		return tk_fail_errno(err, -rc, "fork: copy files that have no name");
	rc = fork_hardware(machine, options, err);
	if (!rc)
		rc = fork_files(machine, options, err);
	if (rc)
		return rc;
	limit_memfds(&machine->proc, max_memory(options));
	machine->proc.most_tasks = most_tasks(options, &master->proc);
	rc = tk_proc_restore(&machine->proc, &master->proc, true);
	if (rc)
		return tk_fail_errno(err, -rc, "fork: threads");
	machine->vtime = master->vtime;
	machine->phase = TK_PHASE_LOADED;
	fork->stale = options->share_listeners;
	fork->new_pids = options->new_pids;
	return 0;
}

static struct tkvm_machine *allocate(struct tkvm_image *image)
{
	struct tkvm_machine *machine = calloc(1, sizeof(*machine));
	struct tk_fork *fork = calloc(1, sizeof(*fork));

	if (!machine || !fork) {
		free(machine);
		free(fork);
		return NULL;
	}
	fork->image = tkvm_image_get(image);
	machine->fork = fork;
	return machine;
}

int tkvm_image_fork(struct tkvm_image *image, const struct tkvm_fork_options *options,
		    struct tkvm_machine **ret, struct tkvm_error *err)
{
	struct tkvm_machine *machine;
	int rc;

	if (!options)
		options = &default_options;
	if (options->size != sizeof(*options))
		return tk_fail(err, EINVAL, "fork: options->size is not that of this library (%zu)",
			       sizeof(*options));
	machine = allocate(image);
	if (!machine)
		return tk_fail_errno(err, ENOMEM, "fork");
	rc = make(machine, options, err);
	if (rc) {
		tkvm_machine_destroy(machine);
		return rc;
	}
	*ret = machine;
	return 0;
}

/*
 * Process ids of forks: the upper half of those there are, so that threads, which count up from 2,
 * do not come to have one soon. No two forks of this process have the same for a million turns.
 */
static int new_pid(void)
{
	static const unsigned int half = (TK_PID_LAST + 1) / 2;
	static atomic_uint turns;

	return (int)(half + atomic_fetch_add(&turns, 1) % half);
}

/* Decision 0015: from where they stood the program's clocks go on now. */
static int start_clocks(struct tkvm_machine *machine)
{
	const struct tkvm_image *image = machine->fork->image;
	const struct tk_clock_lag lag = {
		.mono = tk_now_ns() - image->frozen_ns,
		.raw = tk_clock_ns(CLOCK_MONOTONIC_RAW) - image->frozen_raw_ns,
		.floor = image->frozen_ns,
	};

	tk_clock_set_lag(&machine->clock, &lag);
	tk_proc_start(&machine->proc, &lag);
	return tk_files_start(&machine->fork->files, &lag);
}

void tk_fork_start(struct tkvm_machine *machine)
{
	struct tk_fork *fork = machine->fork;

	if (fork->started)
		return;
	fork->started = true;
	if (start_clocks(machine))
		tk_machine_fail_text(machine, "a timer could not be set");
	if (fork->new_pids)
		machine->proc.pid = new_pid();
}

/* The rest is destroyed as in any machine. */
static void give_back(struct tk_proc *proc)
{
	static const struct tk_buf none;

	proc->exe = NULL;
	proc->argv = proc->envp = proc->auxv = none;
	if (proc->ns.cwd)
		tk_file_put(proc->ns.cwd);
	proc->ns.cwd = NULL;
	proc->ns.volume_fds = NULL;
	proc->ns.rootfd = -1;
}

void tk_fork_end(struct tkvm_machine *machine)
{
	struct tk_fork *fork = machine->fork;
	struct tk_proc *proc = &machine->proc;
	struct tkvm_image *image = fork->image;

	tk_files_unfork(&fork->files);
	give_back(proc);
	/* Its files, tasks and VM go before the image that they refer to. */
	tk_proc_destroy(proc);
	if (machine->have_files)
		tk_fdtable_destroy(&proc->files);
	machine->have_files = false;
	if (machine->vm)
		tk_vm_destroy(machine->vm);
	if (machine->mm)
		tk_mm_destroy(machine->mm);
	machine->vm = NULL;
	machine->mm = NULL;
	for (unsigned int i = 0; i < fork->n_memfds; i++)
		close(fork->memfds[i].fd);
	free(fork->memfds);
	free(fork);
	machine->fork = NULL;
	tkvm_image_put(image);
}
