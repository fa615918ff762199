/* SPDX-License-Identifier: MIT */
/* --help: made from the option table, wrapped at 80 columns. */
#include <string.h>

#include "options.h"

#define COLUMN 30
#define WIDTH  80

static const char head[] =
	"Usage: kvmserver [OPTION...] run PROGRAM [ARGUMENT...]\n"
	"       kvmserver [OPTION...] storage [OPTION...] PROGRAM [ARGUMENT...]\n"
	"                 ++ run [OPTION...] PROGRAM [ARGUMENT...]\n"
	"       kvmserver doctor\n"
	"\n"
	"Run a Linux program in a virtual machine of its own. The program needs no\n"
	"change, and touches only what the options allow.\n"
	"\n"
	"  run      run PROGRAM (found in PATH, if it has no slash) with its arguments\n"
	"  storage  run a second program as well, which the other one calls, and which is\n"
	"           never reset (-e)\n"
	"  doctor   tell whether and how this host can run programs\n"
	"\n"
	"Options, before run (--name=VALUE or --name VALUE; [=VALUE] only with =):\n";

static const char tail[] =
	"\n"
	"Exit status: the program's own; 128+N if signal N ended it; 124 time limit\n"
	"reached; 137 memory limit reached; 2 mistake in the command line; 125 kvmserver\n"
	"itself failed; 126 PROGRAM is not executable; 127 PROGRAM was not found.\n";

static void wrap(FILE *out, const char *text, int column)
{
	while (*text) {
		size_t len = strlen(text), room = (size_t)(WIDTH - COLUMN);

		if (len > room) {
			for (len = room; len > 0 && text[len] != ' ';)
				len--;
			len = len ? len : room;
		}
		fprintf(out, "%*s%.*s\n", column < COLUMN ? COLUMN - column : 0, "", (int)len,
			text);
		text += len;
		text += strspn(text, " ");
		column = 0;
	}
}

static void print_option(FILE *out, const struct ks_option *option)
{
	bool optional = option->kind == KS_GRANT || option->kind == KS_OUTPUT;
	char left[80], letter[8] = "";
	int len;

	if (option->letter)
		snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	len = snprintf(left, sizeof(left), "  %s--%s%s%s%s", letter, option->name,
		       option->arg ? (optional ? "[=" : "=") : "", option->arg ? option->arg : "",
		       optional ? "]" : "");
	fputs(left, out);
	if (len >= COLUMN) {
		fputc('\n', out);
		len = 0;
	}
	wrap(out, option->help, len);
}

void ks_print_help(FILE *out)
{
	fputs(head, out);
	for (size_t i = 0; i < ks_n_options; i++)
		print_option(out, &ks_options[i]);
	fputs(tail, out);
}
