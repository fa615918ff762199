/* SPDX-License-Identifier: MIT */
/*
 * What the headers of an ELF file say, checked: nothing here can make the loader compute an
 * address outside of the program's half of the address space, or read outside of the file.
 */
#ifndef TK_ELF_ELF_H
#define TK_ELF_ELF_H

#include <elf.h>

#include "base/error.h"
#include "base/types.h"

/* Linux takes at most 64 KiB of program headers. */
#define TK_ELF_MAX_PHDRS (65536 / sizeof(Elf64_Phdr))

struct tk_elf_segment {
	u64 vaddr, memsz; /* @vaddr + @memsz <= TK_USER_TOP, memsz > 0 */
	u64 offset,
		filesz; /* filesz <= memsz; within the file; congruent to @vaddr modulo a page */
	int prot;	/* PROT_* */
};

struct tk_elf {
	bool fixed; /* ET_EXEC: addresses are absolute */
	bool exec_stack;
	u64 entry;
	u64 lo, hi;    /* page-aligned extent of the segments, lo < hi */
	u64 align;     /* of the load bias: a power of two, a page to 1 GiB */
	bool has_phdr; /* the program headers are part of a segment ... */
	u64 phdr;      /* ... at this address */
	unsigned int phnum;
	u64 interp_offset;
	u32 interp_size; /* with its NUL; 0: none */
	unsigned int n_segments;
	struct tk_elf_segment *segments; /* owned; in the file's order */
};

/*
 * Read and check the headers of the file @fd of @size bytes. @path is for messages; @code is the
 * errno for a file that is not a good ELF file (ENOEXEC, or ELIBBAD for an interpreter).
 * Returns 0 and fills *@elf (to be given to tk_elf_free()), or -@code, -EIO, -ENOMEM.
 */
int tk_elf_read(struct tk_elf *elf, int fd, u64 size, const char *path, int code,
		struct tkvm_error *err) TK_MUST_CHECK;

/*
 * The same, without a file: @phdrs are the @ehdr->e_phnum program headers. A pure function.
 * tk_elf_check_ehdr() must have accepted @ehdr.
 */
int tk_elf_parse(struct tk_elf *elf, const Elf64_Ehdr *ehdr, const Elf64_Phdr *phdrs, u64 size,
		 const char *path, int code, struct tkvm_error *err) TK_MUST_CHECK;
int tk_elf_check_ehdr(const Elf64_Ehdr *ehdr, size_t len, u64 size, const char *path, int code,
		      struct tkvm_error *err) TK_MUST_CHECK;

void tk_elf_free(struct tk_elf *elf);

/* pread(2) until @len bytes are there: 0, -ENOEXEC if the file ends early, or -errno. */
int tk_pread_full(int fd, void *buf, size_t len, u64 offset) TK_MUST_CHECK;

#endif
