/* SPDX-License-Identifier: MIT */
/*
 * Starting a program in a fresh address space, as execve(2) would: scripts, ELF segments, the
 * interpreter, stack, auxiliary vector, start of the heap.
 */
#ifndef TK_ELF_EXEC_H
#define TK_ELF_EXEC_H

#include "base/buf.h"
#include "base/error.h"
#include "mm/mm.h"

#define TK_USER_STACK_SIZE TK_MIB(8)

enum tk_exec_role {
	TK_EXEC_PROGRAM,
	TK_EXEC_SCRIPT_INTERPRETER,
	TK_EXEC_ELF_INTERPRETER,
};

struct tk_exec_ops {
	/*
	 * Open the guest path @path for reading, through the guest's namespace. The name of the
	 * backing is what /proc/self/maps and /proc/self/exe show. Returns 0 or -errno. File type
	 * and execute permission are checked by the loader.
	 */
	int (*open)(void *ctx, const char *path, enum tk_exec_role role, struct tk_backing **ret);
};

struct tk_exec {
	const char *path;		       /* guest path, may be relative */
	const char *const *argv, *const *envp; /* NULL-terminated; no argv[0]: it becomes "" */
	const struct tk_exec_ops *ops;
	void *ctx;
	u64 stack_size; /* bytes; 0: TK_USER_STACK_SIZE */
	bool randomize; /* random bases; otherwise those of setarch -R, run after run */
	bool secure;	/* AT_SECURE */
	gva_t vdso;	/* AT_SYSINFO_EHDR; 0: none */
	uid_t uid, euid;
	gid_t gid, egid;
	u64 hwcap, hwcap2, minsigstksz; /* auxiliary vector; 0: as on the host */
};

struct tk_exec_result {
	gva_t entry, sp; /* where the program starts; all other registers are 0 */
	gva_t brk;	 /* start of the heap, set in the address space too */
	gva_t stack;	 /* lowest address of the stack */
	char *exe;	 /* guest path of the ELF file: /proc/self/exe */
	char comm[16];	 /* thread name */
	struct tk_buf argv, envp,
		auxv; /* as on the stack: strings with their NULs; Elf64_auxv_t[] */
};

/*
 * Load @exec into @mm, which must have no mappings yet. On failure @mm is only good for
 * tk_mm_destroy(), *@res is untouched, and the message is one line, "PATH: what". Returns 0 or,
 * as execve(2):
 *   -ENOENT   no such program, script interpreter or ELF interpreter
 *   -EACCES   not a regular file, not executable, or denied
 *   -ENOEXEC  not a program that can run here (not ELF, 32-bit, truncated, overlapping segments)
 *   -ELIBBAD  the same about the ELF interpreter
 *   -E2BIG    arguments and environment do not fit
 *   -ELOOP    too many script interpreters in a row
 *   -ENOMEM, -EPERM, -EEXIST, ...  the address space cannot take a segment
 * and whatever ops->open says.
 */
int tk_exec_load(struct tk_mm *mm, const struct tk_exec *exec, struct tk_exec_result *res,
		 struct tkvm_error *err) TK_MUST_CHECK;
void tk_exec_result_free(struct tk_exec_result *res);

/* The exit status by which a shell reports @error (-errno from above): 127, 126, or 125 (ours). */
int tk_exec_exit_status(int error);

#endif
