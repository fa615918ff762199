/* SPDX-License-Identifier: MIT */
/*
 * Loads arbitrary bytes as a program into a real address space (without KVM).
 *
 * Input: one byte of options, one byte of file length, then the file. It is padded with zeroes to
 * a length of up to 63 pages, so that short inputs can have long segments.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf/exec.h"
#include "fuzz.h"
#include "guest/layout.h"
#include "mm/access.h"

#define INTERP_IS_PROGRAM 1 /* the interpreter is the same file; otherwise a good one */
#define INTERP_MISSING	  2
#define RANDOMIZE	  4
#define MAX_PAGES	  63

struct input {
	u8 options, pages;
	const u8 *bytes;
	size_t len;
};

static int file_of(const void *bytes, size_t len, u64 size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, bytes, len) == (ssize_t)len &&
	    (size <= len || ftruncate(fd, (off_t)size) == 0))
		return fd;
	abort();
}

/* The least that is an interpreter: one page, entry at its beginning. */
static int good_interp(void)
{
	struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr phdr;
	} file = {
		.ehdr = {.e_ident = ELFMAG "\2\1\1",
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_phoff = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1},
		.phdr = {.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_X,
			 .p_filesz = 120,
			 .p_memsz = 120},
	};

	return file_of(&file, sizeof(file), TK_PAGE_SIZE);
}

static int open_input(void *ctx, const char *path, enum tk_exec_role role, struct tk_backing **ret)
{
	const struct input *in = ctx;
	bool own = role != TK_EXEC_ELF_INTERPRETER || (in->options & INTERP_IS_PROGRAM);

	if (role != TK_EXEC_PROGRAM && (in->options & INTERP_MISSING))
		return -ENOENT;
	*ret = tk_backing_new(own ? file_of(in->bytes, in->len, in->pages * TK_PAGE_SIZE)
				  : good_interp(),
			      false, path);
	return *ret ? 0 : -ENOMEM;
}

/* What every successful load promises. */
static void check(struct tk_mm *mm, const struct tk_exec_result *res)
{
	u64 argc;

	if (tk_copy_in(mm, &argc, res->sp, sizeof(argc)) < 0 || argc < 1 || res->sp % 16)
		abort();
	if (res->entry >= TK_USER_TOP || res->brk % TK_PAGE_SIZE || !res->exe)
		abort();
	if (res->auxv.len % 16 || tk_mm_check(mm, false))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct tk_exec_ops ops = {.open = open_input};
	static const char *const argv[] = {"prog", "x", NULL};
	const struct tk_mm_options opts = {
		.max_address_space = TK_GIB(1), .max_memory = TK_MIB(64), .max_vmas = 1000};
	struct input in;
	struct tk_exec exec = {
		.path = "/prog", .argv = argv, .envp = argv, .ops = &ops, .ctx = &in};
	struct tk_exec_result res;
	struct tkvm_error err = {.code = 0};
	struct tk_mm *mm;
	int rc;

	if (size < 2)
		return 0;
	in = (struct input){data[0], data[1] & MAX_PAGES, data + 2, size - 2};
	exec.randomize = in.options & RANDOMIZE;
	if (tk_mm_create(&mm, &opts, NULL) < 0)
		abort();
	rc = tk_exec_load(mm, &exec, &res, &err);
	if (rc == 0) {
		check(mm, &res);
		tk_exec_result_free(&res);
	} else if (err.code != -rc || !err.message[0] || strchr(err.message, '\n')) {
		abort();
	}
	tk_mm_destroy(mm);
	return 0;
}
