/* SPDX-License-Identifier: MIT */
/*
 * Making and unmaking a machine. tk_vm, tk_mm and the process are independent of each other but
 * for the order: the VM's memslots point into the address space's arena, so the VM goes first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/stdio.h"
#include "machine/machine.h"
#include "mm/mm.h"
#include "sys/procfs.h"
#include "sys/sys.h"
#include "task/xstate.h"

/* Of one machine; a process has 65530 (vm.max_map_count) and each may cost two. */
#define MAX_VMAS 16384

static const struct tkvm_machine_options default_options = {.size = sizeof(default_options)};

int tk_machine_slot_add(void *ctx, gpa_t gpa, u64 size, void *hva, unsigned int flags)
{
	return tk_vm_slot_add(ctx, gpa, size, hva, flags);
}

static int create_mm(struct tkvm_machine *machine, const struct tkvm_machine_options *options,
		     struct tkvm_error *err)
{
	const struct tk_mm_options mm = {
		.max_address_space = options->max_address_space ? options->max_address_space
								: TK_DEFAULT_ADDRESS_SPACE,
		.max_memory = options->max_memory ? options->max_memory : TK_DEFAULT_MEMORY,
		.max_vmas = MAX_VMAS,
		.backend = {.slot_add = tk_machine_slot_add, .ctx = machine->vm},
	};

	machine->proc.total_memory = machine->proc.max_memfds = mm.max_memory;
	return tk_mm_create(&machine->mm, &mm, err);
}

static int map_range(void *arg, const struct tk_kernel_range *range)
{
	return tk_mm_map_kernel(arg, range->va, range->gpa, range->size, range->user, range->write,
				range->exec);
}

void tk_machine_fast_path(struct tkvm_machine *machine)
{
	if (!machine->fast_path)
		return;
	tk_ahead_init(&machine->ahead, machine->vm);
	tk_fast_init(&machine->fast, machine->vm);
}

static int create_hardware(struct tkvm_machine *machine, const struct tkvm_machine_options *options,
			   struct tkvm_error *err)
{
	int rc = tk_kvm_open(&machine->kvm, err);

	if (rc)
		return rc;
	machine->have_kvm = true;
	rc = tk_vm_create(&machine->vm, &machine->kvm, 0, err);
	if (!rc)
		rc = create_mm(machine, options, err);
	if (rc)
		return rc;
	rc = tk_vm_for_each_kernel_range(machine->vm, map_range, machine->mm);
	if (rc)
		return tk_fail_errno(err, -rc, "machine: map the kernel area");
	tk_clock_init(&machine->clock, tk_vm_vvar(machine->vm),
		      machine->kvm.host_tsc && tk_clock_host_ok(), 0, NULL);
	/* A trace shows every call. */
	machine->fast_path = !options->no_fast_path && options->trace_fd <= 0;
	tk_machine_fast_path(machine);
	return 0;
}

static void set_limits(struct tk_proc *proc)
{
	struct tk_mm_rlimits *mm = tk_mm_rlimits(proc->mm);

	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (getrlimit(i, &proc->rlimits[i]))
			proc->rlimits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	*mm = (struct tk_mm_rlimits){
		.as = proc->rlimits[RLIMIT_AS].rlim_cur,
		.data = proc->rlimits[RLIMIT_DATA].rlim_cur,
		.stack = proc->rlimits[RLIMIT_STACK].rlim_cur,
		.memlock = proc->rlimits[RLIMIT_MEMLOCK].rlim_cur,
	};
}

static struct tk_cred own_cred(void)
{
	struct tk_cred cred;

	if (getresuid(&cred.uid, &cred.euid, &cred.suid))
		cred.uid = cred.euid = cred.suid = getuid();
	if (getresgid(&cred.gid, &cred.egid, &cred.sgid))
		cred.gid = cred.egid = cred.sgid = getgid();
	return cred;
}

static int fill_proc(struct tkvm_machine *machine, const struct tkvm_machine_options *options,
		     struct tkvm_error *err)
{
	struct tk_proc *proc = &machine->proc;

	proc->mm = machine->mm;
	proc->machine = machine;
	proc->ops = &tk_machine_proc_ops;
	proc->policy = &machine->rules;
	proc->cred = own_cred();
	proc->max_tasks = options->max_threads
				  ? TK_MIN(options->max_threads, machine->kvm.max_vcpus)
				  : machine->kvm.max_vcpus;
	proc->net.gated = options->gate_listeners;
	proc->net.adopt = options->listeners;
	proc->net.n_adopt = options->gate_listeners ? options->n_listeners : 0;
	proc->start_ns = tk_clock_ns(CLOCK_BOOTTIME);
	proc->trace_fd = options->trace_fd > 0 ? options->trace_fd : -1;
	proc->xcr0 = machine->kvm.xcr0;
	proc->xstate_size = tk_xstate_size(proc->xcr0);
	proc->stats.calls = calloc(1, sizeof(*proc->stats.calls));
	snprintf(proc->hostname, sizeof(proc->hostname), "%s",
		 options->hostname ? options->hostname : "tinykvm");
	set_limits(proc);
	if (!proc->stats.calls)
		return tk_fail_errno(err, ENOMEM, "machine");
	return 0;
}

static int open_files(struct tkvm_machine *machine, const struct tkvm_machine_options *options,
		      struct tkvm_error *err)
{
	static const int own[3] = {0, 1, 2};
	const int *stdio = options->stdio ? options->stdio : own;
	struct tk_proc *proc = &machine->proc;
	char cwd[PATH_MAX];
	int rc;

	if (!options->cwd && !getcwd(cwd, sizeof(cwd)))
		strcpy(cwd, "/");
	tk_fdtable_init(&proc->files, (unsigned int)TK_MIN(proc->rlimits[RLIMIT_NOFILE].rlim_cur,
							   (rlim_t)1 << 20));
	proc->files.host_fds.most = options->max_files;
	tk_mm_set_budget(machine->mm, &proc->files.host_fds);
	rc = tk_ns_init(&proc->ns, &machine->rules, options->cwd ? options->cwd : cwd, err);
	if (rc)
		return rc;
	machine->have_files = true;
	tk_procfs_init(&proc->ns.synth, proc);
	for (int i = 0; i < 3 && !rc; i++)
		rc = tk_stdio_install(&proc->files, (unsigned int)i, stdio[i], err);
	return rc;
}

static int create(struct tkvm_machine *machine, const struct tkvm_machine_options *options,
		  struct tkvm_error *err)
{
	static const struct tk_policy nothing;
	int rc;

	tk_proc_init(&machine->proc);
	machine->randomize = options->randomize;
	machine->storage = options->storage;
	rc = tk_rules_copy(&machine->rules, options->policy ? &options->policy->rules : &nothing);
	if (rc)
		return tk_fail_errno(err, -rc, "machine");
	rc = create_hardware(machine, options, err);
	if (!rc)
		rc = fill_proc(machine, options, err);
	if (!rc)
		rc = open_files(machine, options, err);
	return rc;
}

int tkvm_machine_create(struct tkvm_machine **ret, const struct tkvm_machine_options *options,
			struct tkvm_error *err)
{
	struct tkvm_machine *machine;
	int rc;

	if (!options)
		options = &default_options;
	if (options->size != sizeof(*options))
		return tk_fail(err, EINVAL,
			       "machine: options->size is not that of this library (%zu)",
			       sizeof(*options));
	machine = calloc(1, sizeof(*machine));
	if (!machine)
		return tk_fail_errno(err, ENOMEM, "machine");
	rc = create(machine, options, err);
	if (rc) {
		tkvm_machine_destroy(machine);
		return rc;
	}
	*ret = machine;
	return 0;
}

/* Also for one that was only made in part. */
void tkvm_machine_destroy(struct tkvm_machine *machine)
{
	if (!machine)
		return;
	tk_remote_disconnect(machine);
	if (machine->fork)
		tk_fork_end(machine);
	tk_proc_destroy(&machine->proc);
	if (machine->have_files) {
		tk_fdtable_destroy(&machine->proc.files);
		tk_ns_destroy(&machine->proc.ns);
	}
	if (machine->vm)
		tk_vm_destroy(machine->vm);
	if (machine->mm)
		tk_mm_destroy(machine->mm);
	if (machine->have_kvm)
		tk_kvm_close(&machine->kvm);
	tk_policy_destroy(&machine->rules);
	tk_kick_destroy(machine->own_kick);
	tk_buf_free(&machine->report);
	free(machine->pollfds);
	free(machine);
}
