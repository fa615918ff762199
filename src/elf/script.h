/* SPDX-License-Identifier: MIT */
/* The first line of a script: "#!interpreter [argument]", as execve(2) reads it. */
#ifndef TK_ELF_SCRIPT_H
#define TK_ELF_SCRIPT_H

#include "base/types.h"

/* How much of a file execve(2) looks at (BINPRM_BUF_SIZE); shorter files count as zero-filled. */
#define TK_SCRIPT_HEAD 256

/* A script may have a script as its interpreter; this many in a row, then -ELOOP. */
#define TK_SCRIPT_DEPTH 5

struct tk_script {
	char interp[TK_SCRIPT_HEAD];
	char arg[TK_SCRIPT_HEAD];
	bool has_arg;
};

bool tk_is_script(const char head[TK_SCRIPT_HEAD]);

/*
 * @head begins with "#!". Returns 0, -ENOEXEC (no interpreter's name, or it is cut off), or
 * -EACCES (its name is empty, as in a file that ends behind the "#!").
 */
int tk_script_parse(const char head[TK_SCRIPT_HEAD], struct tk_script *script) TK_MUST_CHECK;

#endif
