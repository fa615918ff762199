/* SPDX-License-Identifier: MIT */
/*
 * Loading a program into a new machine: files through the guest's namespace, the address space
 * by src/elf, then the first task. What is opened here may be read by the guest later on, whatever
 * its policy says: that it shall run this program was decided by who made the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "elf/exec.h"
#include "machine/machine.h"

#define RFLAGS_START 0x202ull

/* Open @path with read permission on everything, volumes as they are. */
static int open_whatever(struct tkvm_machine *machine, const char *path, struct tk_file **file)
{
	struct tk_path_grant all = {.path = (char[]){"/"}, .may = TK_MAY_READ};
	struct tk_policy boot = machine->rules;
	struct tk_ns *ns = &machine->proc.ns;
	int rc;

	boot.paths = &all;
	boot.n_paths = 1;
	ns->policy = &boot;
	rc = tk_ns_open(ns, &machine->proc.files, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0, 0, file);
	ns->policy = &machine->rules;
	return rc;
}

/* What execve(2) calls EACCES: a directory, a device, ... */
static bool is_regular(struct tk_file *file)
{
	struct stat st;

	return file->hostfd >= 0 && !fstat(file->hostfd, &st) && S_ISREG(st.st_mode) &&
	       file->ops->backing;
}

static int open_program(void *ctx, const char *path, enum tk_exec_role role,
			struct tk_backing **ret)
{
	struct tkvm_machine *machine = ctx;
	struct tk_file *file;
	int rc = open_whatever(machine, path, &file);

	if (rc)
		return rc;
	if (!is_regular(file))
		rc = -EACCES;
	else if (file->path)
		rc = tk_rules_grant(&machine->rules, file->path);
	if (!rc) {
		*ret = file->ops->backing(file);
		rc = *ret ? 0 : -ENOMEM;
	}
	tk_file_put(file);
	return rc;
}

static const struct tk_exec_ops exec_ops = {.open = open_program};

/* The process takes over what the loader found out. */
static void adopt(struct tk_proc *proc, struct tk_task *task, struct tk_exec_result *res)
{
	proc->exe = res->exe;
	proc->argv = res->argv;
	proc->envp = res->envp;
	proc->auxv = res->auxv;
	memcpy(task->comm, res->comm, sizeof(task->comm));
	*res = (struct tk_exec_result){0};
}

static int start_task(struct tkvm_machine *machine, struct tk_exec_result *res,
		      struct tkvm_error *err)
{
	struct tk_uregs regs = {.rip = res->entry, .rsp = res->sp, .rflags = RFLAGS_START};
	struct tk_task *task = tk_task_new(&machine->proc);

	if (!task || tk_cpu_attach(task, &regs, 0))
		return tk_fail_errno(err, ENOMEM, "load: first thread");
	adopt(&machine->proc, task, res);
	return 0;
}

int tkvm_machine_load(struct tkvm_machine *machine, const char *path, const char *const *argv,
		      const char *const *envp, struct tkvm_error *err)
{
	static const char *const none[] = {NULL};
	const struct tk_cred *cred = &machine->proc.cred;
	const struct tk_exec exec = {
		.path = path,
		.argv = argv ? argv : none,
		.envp = envp ? envp : none,
		.ops = &exec_ops,
		.ctx = machine,
		.randomize = machine->randomize,
		.vdso = tk_vm_vdso(machine->vm),
		.uid = cred->uid,
		.euid = cred->euid,
		.gid = cred->gid,
		.egid = cred->egid,
	};
	struct tk_exec_result res = {0};
	int rc;

	if (machine->phase != TK_PHASE_EMPTY)
		return tk_fail(err, EALREADY, "load: a program was loaded before");
	machine->phase = TK_PHASE_OVER;
	rc = tk_exec_load(machine->mm, &exec, &res, err);
	if (rc)
		return rc;
	rc = start_task(machine, &res, err);
	tk_exec_result_free(&res);
	if (!rc)
		machine->phase = TK_PHASE_LOADED;
	return rc;
}
