/* SPDX-License-Identifier: MIT */
/* Mapping a parsed ELF file, and building the initial stack: the parts of elf/exec.c. */
#ifndef TK_ELF_LOAD_H
#define TK_ELF_LOAD_H

#include "elf/elf.h"
#include "elf/exec.h"

/* Where the loader puts things without randomisation: the places of Linux, below our top. */
#define TK_PIE_BASE	  0x555555554000
#define TK_USER_STACK_TOP (TK_USER_TOP - TK_PAGE_SIZE)

/* A load bias that suits @elf, at or below @hint; @hint 0: anywhere the address space likes. */
int tk_elf_place(struct tk_mm *mm, const struct tk_elf *elf, gva_t hint, gva_t *bias) TK_MUST_CHECK;

/* Map all segments of @elf at @bias from @file. Returns 0 or -errno; @path is for messages. */
int tk_elf_map(struct tk_mm *mm, const struct tk_elf *elf, struct tk_backing *file, gva_t bias,
	       const char *path, struct tkvm_error *err) TK_MUST_CHECK;

/* What the auxiliary vector says about where things are. */
struct tk_stack_info {
	gva_t top;
	bool exec;
	gva_t phdr, base, entry;
	unsigned int phnum;
};

/* Map the stack below info->top: sets res->stack. */
int tk_stack_map(struct tk_mm *mm, const struct tk_exec *exec, const struct tk_stack_info *info,
		 struct tk_exec_result *res, struct tkvm_error *err) TK_MUST_CHECK;

/* Fill it for @argv (instead of exec->argv): sets res->sp, argv, envp, auxv. */
int tk_stack_fill(struct tk_mm *mm, const struct tk_exec *exec, const char *const *argv,
		  const struct tk_stack_info *info, struct tk_exec_result *res,
		  struct tkvm_error *err) TK_MUST_CHECK;

#endif
