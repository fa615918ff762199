/* SPDX-License-Identifier: MIT */
/*
 * The steps of execve(2): open the program, follow "#!" lines to an ELF file, map it and its
 * interpreter, build the stack. Owns the files while they are loaded; the mappings keep them
 * alive afterwards. The order of mapping (program, stack, interpreter) lets programs linked to
 * fixed addresses have them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/load.h"
#include "elf/script.h"
#include "guest/layout.h"

/* Where interpreters go if bases are random; otherwise the address space decides. */
#define RANDOM_INTERP_BASE 0x7e0000000000

/* An opened program or interpreter. */
struct image {
	struct tk_backing *file;
	u64 size;
	struct tk_elf elf;
	gva_t bias;
	const char *path; /* as it was asked for */
	int code;	  /* errno for a bad file */
};

struct loader {
	struct tk_mm *mm;
	const struct tk_exec *exec;
	struct tkvm_error *err;
	struct image program, interp;
	char *interp_path;
	struct tk_script scripts[TK_SCRIPT_DEPTH];
	const char **argv; /* the program's arguments, NULL-terminated; borrows from scripts */
	size_t argc;
};

static int check_file(struct image *image)
{
	struct stat st;

	if (fstat(image->file->hostfd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	if (faccessat(image->file->hostfd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) < 0)
		return -errno;
	image->size = (u64)st.st_size;
	return 0;
}

/* Opens @path as the program, instead of the script opened before. */
static int open_program(struct loader *l, const char *path, enum tk_exec_role role)
{
	const char *what = role == TK_EXEC_PROGRAM ? "" : ": script interpreter ";
	const char *name = role == TK_EXEC_PROGRAM ? "" : path;
	struct tk_backing *file = NULL;
	int rc = l->exec->ops->open(l->exec->ctx, path, role, &file);

	if (rc == 0) {
		tk_assert(file);
		tk_backing_put(l->program.file);
		l->program.file = file;
		l->program.path = path;
		rc = check_file(&l->program);
	}
	if (rc < 0)
		tk_fail_errno(l->err, -rc, "%s%s%s", l->exec->path, what, name);
	return rc;
}

/* The arguments of a program without scripts; argv[0] always exists. */
static int init_argv(struct loader *l)
{
	const char *const *argv = l->exec->argv;
	size_t argc = 0;

	while (argv && argv[argc])
		argc++;
	/* a script replaces argv[0] by at most three strings */
	l->argv = calloc(argc + 2 * TK_SCRIPT_DEPTH + 2, sizeof(*l->argv));
	if (!l->argv)
		return tk_fail_errno(l->err, ENOMEM, "%s", l->exec->path);
	for (size_t i = 0; i < argc; i++)
		l->argv[i] = argv[i];
	if (argc == 0)
		l->argv[argc++] = "";
	l->argc = argc;
	return 0;
}

/* argv becomes: interpreter, its argument if any, the script, the old argv without argv[0]. */
static int apply_script(struct loader *l, const struct tk_script *script)
{
	size_t extra = script->has_arg ? 2 : 1;

	memmove(l->argv + 1 + extra, l->argv + 1, (l->argc - 1) * sizeof(*l->argv));
	l->argc += extra;
	l->argv[0] = script->interp;
	if (script->has_arg)
		l->argv[1] = script->arg;
	l->argv[extra] = l->program.path;
	return open_program(l, script->interp, TK_EXEC_SCRIPT_INTERPRETER);
}

/* Reads what execve(2) looks at; a shorter file is as if filled with zeroes. */
static int read_head(struct loader *l, char head[TK_SCRIPT_HEAD])
{
	u64 len = TK_MIN(l->program.size, (u64)TK_SCRIPT_HEAD);
	int rc;

	memset(head, 0, TK_SCRIPT_HEAD);
	rc = tk_pread_full(l->program.file->hostfd, head, len, 0);
	if (rc == -ENOEXEC)
		return tk_fail(l->err, ENOEXEC, "%s: truncated while loading", l->exec->path);
	return rc < 0 ? tk_fail_errno(l->err, -rc, "%s", l->exec->path) : 0;
}

static int follow_scripts(struct loader *l)
{
	char head[TK_SCRIPT_HEAD];
	int rc;

	for (int depth = 0;; depth++) {
		rc = read_head(l, head);
		if (rc < 0 || !tk_is_script(head))
			return rc;
		if (depth == TK_SCRIPT_DEPTH)
			return tk_fail(l->err, ELOOP, "%s: too many script interpreters",
				       l->exec->path);
		rc = tk_script_parse(head, &l->scripts[depth]);
		if (rc < 0)
			return tk_fail(l->err, -rc, "%s: bad interpreter line (#!)",
				       l->program.path);
		rc = apply_script(l, &l->scripts[depth]);
		if (rc < 0)
			return rc;
	}
}

static int read_interp_path(struct loader *l)
{
	u32 size = l->program.elf.interp_size;
	int rc;

	l->interp_path = malloc(size);
	if (!l->interp_path)
		return tk_fail_errno(l->err, ENOMEM, "%s", l->program.path);
	rc = tk_pread_full(l->program.file->hostfd, l->interp_path, size,
			   l->program.elf.interp_offset);
	if (rc == 0 && l->interp_path[size - 1] == '\0')
		return 0;
	if (rc == 0 || rc == -ENOEXEC)
		return tk_fail(l->err, ENOEXEC, "%s: bad interpreter name", l->program.path);
	return tk_fail_errno(l->err, -rc, "%s", l->program.path);
}

static int open_interp(struct loader *l)
{
	struct image *interp = &l->interp;
	int rc = read_interp_path(l);

	if (rc < 0)
		return rc;
	interp->path = l->interp_path;
	/* as in a script, an empty name means a directory to the kernel */
	rc = interp->path[0] ? l->exec->ops->open(l->exec->ctx, interp->path,
						  TK_EXEC_ELF_INTERPRETER, &interp->file)
			     : -EACCES;
	if (rc == 0)
		rc = check_file(interp);
	if (rc < 0)
		return tk_fail_errno(l->err, -rc, "%s: interpreter %s", l->program.path,
				     interp->path);
	return tk_elf_read(&interp->elf, interp->file->hostfd, interp->size, interp->path,
			   interp->code, l->err);
}

/* A random multiple of the page size below @limit, or 0 if nothing is to be random. */
static u64 jitter(const struct tk_exec *exec, u64 limit)
{
	u64 r = 0;

	if (!exec->randomize || getrandom(&r, sizeof(r), 0) != sizeof(r))
		return 0;
	return tk_page_down(r % limit);
}

static int place_and_map(struct loader *l, struct image *image, gva_t hint)
{
	int rc = tk_elf_place(l->mm, &image->elf, hint, &image->bias);

	if (rc < 0)
		return tk_fail_errno(l->err, -rc, "%s: no room for its segments at %#lx",
				     image->path, image->elf.lo);
	if (image->bias + image->elf.entry >= TK_USER_TOP)
		return tk_fail(l->err, image->code,
			       "%s: entry point is outside of the address space", image->path);
	return tk_elf_map(l->mm, &image->elf, image->file, image->bias, image->path, l->err);
}

static int load_program(struct loader *l, struct tk_exec_result *res, struct tk_stack_info *info)
{
	const struct tk_elf *elf = &l->program.elf;
	int rc = place_and_map(l, &l->program, TK_PIE_BASE + jitter(l->exec, TK_GIB(1024)));

	if (rc < 0)
		return rc;
	*info = (struct tk_stack_info){
		.top = TK_USER_STACK_TOP - jitter(l->exec, TK_MIB(16)),
		.exec = elf->exec_stack,
		.phdr = elf->has_phdr ? l->program.bias + elf->phdr : 0,
		.phnum = elf->phnum,
		.entry = l->program.bias + elf->entry,
	};
	res->entry = info->entry;
	res->brk = l->program.bias + elf->hi + jitter(l->exec, TK_MIB(32));
	return 0;
}

static int load_interp(struct loader *l, struct tk_exec_result *res, struct tk_stack_info *info)
{
	gva_t hint = l->exec->randomize ? RANDOM_INTERP_BASE + jitter(l->exec, TK_GIB(512)) : 0;
	int rc = place_and_map(l, &l->interp, hint);

	info->base = l->interp.bias;
	res->entry = l->interp.bias + l->interp.elf.entry;
	return rc;
}

static int describe(struct loader *l, struct tk_exec_result *res)
{
	const char *slash = strrchr(l->exec->path, '/');

	/* after scripts, the thread's name is the script's, /proc/self/exe the interpreter's */
	strncpy(res->comm, slash ? slash + 1 : l->exec->path, sizeof(res->comm) - 1);
	res->exe = strdup(l->program.file->name);
	return res->exe ? 0 : tk_fail_errno(l->err, ENOMEM, "%s", l->exec->path);
}

static int load(struct loader *l, struct tk_exec_result *res)
{
	struct tk_stack_info info;
	struct image *program = &l->program;
	int rc = tk_elf_read(&program->elf, program->file->hostfd, program->size, program->path,
			     program->code, l->err);

	if (rc == 0 && program->elf.interp_size)
		rc = open_interp(l);
	if (rc == 0)
		rc = load_program(l, res, &info);
	if (rc == 0)
		rc = tk_stack_map(l->mm, l->exec, &info, res, l->err);
	if (rc == 0 && program->elf.interp_size)
		rc = load_interp(l, res, &info);
	if (rc == 0)
		rc = tk_stack_fill(l->mm, l->exec, l->argv, &info, res, l->err);
	if (rc == 0)
		rc = describe(l, res);
	if (rc == 0)
		tk_mm_set_brk_start(l->mm, res->brk);
	return rc;
}

static void unload(struct loader *l)
{
	tk_elf_free(&l->program.elf);
	tk_elf_free(&l->interp.elf);
	tk_backing_put(l->program.file);
	tk_backing_put(l->interp.file);
	free(l->interp_path);
	free(l->argv);
}

int tk_exec_load(struct tk_mm *mm, const struct tk_exec *exec, struct tk_exec_result *res,
		 struct tkvm_error *err)
{
	struct loader l = {
		.mm = mm,
		.exec = exec,
		.err = err,
		.program.code = ENOEXEC,
		.interp.code = ELIBBAD,
	};
	struct tk_exec_result made = {.entry = 0};
	int rc = open_program(&l, exec->path, TK_EXEC_PROGRAM);

	if (rc == 0)
		rc = init_argv(&l);
	if (rc == 0)
		rc = follow_scripts(&l);
	if (rc == 0)
		rc = load(&l, &made);
	if (rc == 0)
		*res = made;
	else
		tk_exec_result_free(&made);
	unload(&l);
	return rc;
}

void tk_exec_result_free(struct tk_exec_result *res)
{
	free(res->exe);
	res->exe = NULL;
	tk_buf_free(&res->argv);
	tk_buf_free(&res->envp);
	tk_buf_free(&res->auxv);
}

int tk_exec_exit_status(int error)
{
	switch (error) {
	case 0:
		return 0;
	case -ENOENT:
		return 127;
	case -EIO:
	case -EMFILE:
	case -ENFILE:
		return 125;
	default:
		return 126;
	}
}
