/* SPDX-License-Identifier: MIT */
/*
 * Parsing "#!" lines: blanks are spaces and tabs; the name ends at a blank, a NUL or the line's
 * end; everything behind it, inner blanks included, is one argument. Pure functions; the corner
 * cases (line longer than the head, NULs in it) follow the kernel, see the test that compares.
 */
#include <errno.h>
#include <string.h>

#include "elf/script.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool ends_name(char c)
{
	return is_blank(c) || c == '\0';
}

/*
 * Index behind the line's last byte. Without a newline the line may be longer than the head: it
 * is taken only if the interpreter's name is complete. 0: not acceptable.
 */
static size_t line_end(const char *head)
{
	const char *newline = memchr(head, '\n', TK_SCRIPT_HEAD);
	size_t i = 2;

	if (newline)
		return newline - head;
	while (i < TK_SCRIPT_HEAD && is_blank(head[i]))
		i++;
	while (i < TK_SCRIPT_HEAD && !ends_name(head[i]))
		i++;
	return i < TK_SCRIPT_HEAD ? TK_SCRIPT_HEAD - 1 : 0;
}

bool tk_is_script(const char head[TK_SCRIPT_HEAD])
{
	return head[0] == '#' && head[1] == '!';
}

static void copy_text(char *dst, const char *src, size_t len)
{
	len = strnlen(src, len);
	memcpy(dst, src, len);
	dst[len] = '\0';
}

int tk_script_parse(const char head[TK_SCRIPT_HEAD], struct tk_script *script)
{
	size_t end = line_end(head), name = 2, sep, arg;

	while (end > 2 && is_blank(head[end - 1]))
		end--;
	while (name < end && is_blank(head[name]))
		name++;
	if (name >= end)
		return -ENOEXEC;
	sep = name;
	while (sep < end && !ends_name(head[sep]))
		sep++;
	copy_text(script->interp, head + name, sep - name);
	arg = sep;
	while (arg < end && is_blank(head[arg]))
		arg++;
	script->has_arg = arg < end && head[sep] != '\0';
	copy_text(script->arg, head + arg, script->has_arg ? end - arg : 0);
	/* an empty name is the current directory to the kernel, which is no program */
	return script->interp[0] ? 0 : -EACCES;
}
