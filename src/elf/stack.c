/* SPDX-License-Identifier: MIT */
/*
 * The initial stack (System V ABI AMD64 supplement 3.4.1), laid out as Linux does. From the top
 * down: a null word; the program's path; environment strings; argument strings; "x86_64"; 16
 * random bytes; then, 16-aligned, argc, argv[], envp[] and the auxiliary vector.
 *
 * It is built in the VMM and copied out once. Its size is bounded like execve(2)'s.
 */
#include <cpuid.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "elf/load.h"
#include "guest/layout.h"
#include "mm/access.h"

#define MAX_STRING   TK_KIB(128) /* MAX_ARG_STRLEN */
#define MAX_ARGS     TK_MIB(6)	 /* with the largest of stacks */
#define CLOCK_TICKS  100
#define RANDOM_BYTES 16
#define PLATFORM     "x86_64"
#define MAX_AUXV     32

/* Grows down from the top of the stack; @at is the offset of its lowest byte from the top. */
struct stack {
	gva_t top;
	char *bytes; /* @size of them, the last one is the one below @top */
	u64 size, at;
};

struct auxv {
	Elf64_auxv_t items[MAX_AUXV];
	unsigned int n;
};

static gva_t stack_sp(const struct stack *s)
{
	return s->top - s->at;
}

/* The size was computed before: running out of it would be our bug. */
static gva_t push(struct stack *s, const void *data, u64 len)
{
	tk_assert(len <= s->size - s->at);
	s->at += len;
	memcpy(s->bytes + (s->size - s->at), data, len);
	return stack_sp(s);
}

/* Leave @len zero bytes, and more down to a multiple of 16. */
static void *reserve(struct stack *s, u64 len)
{
	u64 at = (s->at + len + 15) & ~15ull;

	tk_assert(at <= s->size);
	s->at = at;
	return s->bytes + (s->size - at);
}

static int count_strings(const char *const *list, u64 *n, u64 *bytes)
{
	for (; list && list[*n]; ++*n) {
		size_t len = strnlen(list[*n], MAX_STRING) + 1;

		if (len > MAX_STRING || *n >= INT_MAX - 1)
			return -E2BIG;
		*bytes += len;
		if (*bytes > MAX_ARGS)
			return -E2BIG;
	}
	return 0;
}

/* Push the strings of @list, last one first, so that they end up in order. */
static void push_strings(struct stack *s, const char *const *list, u64 n, gva_t *addrs,
			 struct tk_buf *block)
{
	for (u64 i = n; i-- > 0;)
		addrs[i] = push(s, list[i], strlen(list[i]) + 1);
	for (u64 i = 0; i < n; i++)
		tk_buf_add(block, list[i], strlen(list[i]) + 1);
}

static void aux(struct auxv *auxv, u64 type, u64 value)
{
	tk_assert(auxv->n < MAX_AUXV);
	auxv->items[auxv->n++] = (Elf64_auxv_t){.a_type = type, .a_un.a_val = value};
}

/* What Linux puts into AT_HWCAP: CPUID(1).EDX. glibc's getauxval() shows something else. */
static u64 host_hwcap(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) ? d : 0;
}

/* AT_RSEQ_* are left out: they announce what the kernel's rseq(2) offers. */
static void fill_auxv(struct auxv *auxv, const struct tk_exec *exec,
		      const struct tk_stack_info *info, gva_t execfn, gva_t platform, gva_t random)
{
	u64 minsigstksz = exec->minsigstksz ?: getauxval(AT_MINSIGSTKSZ);

	if (exec->vdso)
		aux(auxv, AT_SYSINFO_EHDR, exec->vdso);
	if (minsigstksz) /* Linux 5.14 */
		aux(auxv, AT_MINSIGSTKSZ, minsigstksz);
	aux(auxv, AT_HWCAP, exec->hwcap ?: host_hwcap());
	aux(auxv, AT_PAGESZ, TK_PAGE_SIZE);
	aux(auxv, AT_CLKTCK, CLOCK_TICKS);
	aux(auxv, AT_PHDR, info->phdr);
	aux(auxv, AT_PHENT, sizeof(Elf64_Phdr));
	aux(auxv, AT_PHNUM, info->phnum);
	aux(auxv, AT_BASE, info->base);
	aux(auxv, AT_FLAGS, 0);
	aux(auxv, AT_ENTRY, info->entry);
	aux(auxv, AT_UID, exec->uid);
	aux(auxv, AT_EUID, exec->euid);
	aux(auxv, AT_GID, exec->gid);
	aux(auxv, AT_EGID, exec->egid);
	aux(auxv, AT_SECURE, exec->secure);
	aux(auxv, AT_RANDOM, random);
	aux(auxv, AT_HWCAP2, exec->hwcap2 ?: getauxval(AT_HWCAP2));
	aux(auxv, AT_EXECFN, execfn);
	aux(auxv, AT_PLATFORM, platform);
	aux(auxv, AT_NULL, 0);
}

static int random_bytes(u8 *buf)
{
	size_t got = 0;
	ssize_t n;

	while (got < RANDOM_BYTES) {
		n = getrandom(buf + got, RANDOM_BYTES - got, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		got += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Everything above and including argc; @argc, @envc as counted. */
static int fill(struct stack *s, const struct tk_exec *exec, const char *const *argv, u64 argc,
		u64 envc, const struct tk_stack_info *info, struct tk_exec_result *res)
{
	u64 n_words = 1 + argc + 1 + envc + 1, execfn, platform, random;
	u64 *words = calloc(n_words, sizeof(*words));
	struct auxv auxv = {.n = 0};
	u8 seed[RANDOM_BYTES];
	int rc = words ? random_bytes(seed) : -ENOMEM;
	char *dst;

	if (rc < 0)
		goto out;
	push(s, &(u64){0}, sizeof(u64));
	execfn = push(s, exec->path, strlen(exec->path) + 1);
	words[0] = argc;
	push_strings(s, exec->envp, envc, words + 1 + argc + 1, &res->envp);
	push_strings(s, argv, argc, words + 1, &res->argv);
	platform = push(s, PLATFORM, sizeof(PLATFORM));
	random = push(s, seed, sizeof(seed));
	fill_auxv(&auxv, exec, info, execfn, platform, random);
	tk_buf_add(&res->auxv, auxv.items, auxv.n * sizeof(auxv.items[0]));

	dst = reserve(s, n_words * sizeof(*words) + auxv.n * sizeof(auxv.items[0]));
	memcpy(dst, words, n_words * sizeof(*words));
	memcpy(dst + n_words * sizeof(*words), auxv.items, auxv.n * sizeof(auxv.items[0]));
	res->sp = stack_sp(s);
	if (res->argv.failed || res->envp.failed || res->auxv.failed)
		rc = -ENOMEM;
out:
	free(words);
	return rc;
}

static int prepare(struct stack *s, const struct tk_exec *exec, const char *const *argv,
		   u64 stack_size, u64 *argc, u64 *envc)
{
	u64 bytes = strlen(exec->path) + 1;

	if (count_strings(argv, argc, &bytes) < 0 || count_strings(exec->envp, envc, &bytes) < 0)
		return -E2BIG;
	bytes += (*argc + *envc) * sizeof(u64);
	if (bytes > TK_MIN(stack_size / 4, MAX_ARGS))
		return -E2BIG;
	/* the rest: null word, platform, random bytes, argc, two NULLs, padding, auxiliary vector
	 */
	s->size = bytes + TK_PAGE_SIZE;
	s->bytes = calloc(1, s->size);
	return s->bytes ? 0 : -ENOMEM;
}

int tk_stack_map(struct tk_mm *mm, const struct tk_exec *exec, const struct tk_stack_info *info,
		 struct tk_exec_result *res, struct tkvm_error *err)
{
	u64 size = tk_page_down(exec->stack_size ?: TK_USER_STACK_SIZE);
	int prot = PROT_READ | PROT_WRITE | (info->exec ? PROT_EXEC : 0);
	long rc;

	if (size < TK_KIB(128) || size > info->top - TK_USER_MIN)
		return tk_fail(err, EINVAL, "%s: bad stack size", exec->path);
	res->stack = info->top - size;
	rc = tk_mm_mmap(mm, res->stack, size, prot,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK |
				MAP_FIXED_NOREPLACE,
			NULL, 0);
	if (rc < 0)
		return tk_fail_errno(err, (int)-rc, "%s: no room for the stack", exec->path);
	tk_mm_set_name(mm, res->stack, size, "[stack]");
	return 0;
}

int tk_stack_fill(struct tk_mm *mm, const struct tk_exec *exec, const char *const *argv,
		  const struct tk_stack_info *info, struct tk_exec_result *res,
		  struct tkvm_error *err)
{
	struct stack s = {.top = info->top};
	u64 argc = 0, envc = 0;
	int rc = prepare(&s, exec, argv, info->top - res->stack, &argc, &envc);

	if (rc == 0)
		rc = fill(&s, exec, argv, argc, envc, info, res);
	if (rc == 0)
		rc = tk_copy_out(mm, stack_sp(&s), s.bytes + (s.size - s.at), s.at);
	free(s.bytes);
	if (rc == -E2BIG)
		return tk_fail(err, E2BIG, "%s: arguments and environment do not fit", exec->path);
	return rc < 0 ? tk_fail_errno(err, -rc, "%s: stack", exec->path) : 0;
}
