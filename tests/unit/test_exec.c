/* SPDX-License-Identifier: MIT */
/*
 * Loading programs into a real address space (without KVM): what is mapped where with which
 * content, the stack, interpreters, scripts, and damaged files.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "elf/exec.h"
#include "elf/load.h"
#include "elfmaker.h"
#include "guest/layout.h"
#include "mm/access.h"

static char dir[64];
static const char *truncate_at_interp; /* the ELF interpreter's opening cuts this file short */

static int open_host(void *ctx, const char *path, enum tk_exec_role role, struct tk_backing **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (role == TK_EXEC_ELF_INTERPRETER && truncate_at_interp)
		assert_int_equal(truncate(truncate_at_interp, 0x2000), 0);
	*ret = tk_backing_new(fd, false, path);
	return *ret ? 0 : -ENOMEM;
}

static const struct tk_exec_ops ops = {.open = open_host};

/* One address space and what was loaded into it. */
struct loaded {
	struct tk_mm *mm;
	struct tk_exec_result res;
	struct tkvm_error err;
	int rc;
};

static void load_with(struct loaded *l, struct tk_exec *exec)
{
	const struct tk_mm_options opts = {
		.max_address_space = TK_GIB(64), .max_memory = TK_GIB(1), .max_vmas = 4096};

	*l = (struct loaded){.rc = 0};
	assert_int_equal(tk_mm_create(&l->mm, &opts, &l->err), 0);
	exec->ops = &ops;
	l->rc = tk_exec_load(l->mm, exec, &l->res, &l->err);
	if (l->rc < 0)
		assert_int_equal(-l->rc, l->err.code);
}

static void load(struct loaded *l, const char *path)
{
	const char *const argv[] = {"prog", "one", NULL}, *const envp[] = {"A=1", "B=2", NULL};
	struct tk_exec exec = {.path = path, .argv = argv, .envp = envp};

	load_with(l, &exec);
}

static void unload(struct loaded *l)
{
	tk_exec_result_free(&l->res);
	tk_mm_destroy(l->mm);
}

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static int turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static const char *write_file(const char *name, const void *bytes, size_t len, mode_t mode)
{
	const char *path = in_dir(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static const char *write_elf(const char *name, const struct elf_file *file)
{
	return write_file(name, file->bytes, sizeof(file->bytes), 0755);
}

static const char *write_text(const char *name, const char *text)
{
	return write_file(name, text, strlen(text), 0755);
}

static u8 byte_at(struct loaded *l, gva_t addr)
{
	u8 byte;

	assert_int_equal(tk_copy_in(l->mm, &byte, addr, 1), 0);
	return byte;
}

static u64 word_at(struct loaded *l, gva_t addr)
{
	u64 word;

	assert_int_equal(tk_copy_in(l->mm, &word, addr, sizeof(word)), 0);
	return word;
}

struct find {
	gva_t addr;
	struct tk_vma_info vma;
};

static int find_vma(void *arg, const struct tk_vma_info *vma)
{
	struct find *find = arg;

	if (find->addr < vma->start || find->addr >= vma->end)
		return 0;
	find->vma = *vma;
	return 1;
}

/* Protection of the mapping at @addr; -1: none. */
static int prot_at(struct loaded *l, gva_t addr)
{
	struct find find = {.addr = addr};

	return tk_mm_for_each(l->mm, find_vma, &find) ? find.vma.prot : -1;
}

static void test_static_program(void **state)
{
	struct elf_file file;
	struct loaded l;

	elf_static(&file);
	load(&l, write_elf("static", &file));
	assert_int_equal(l.rc, 0);
	assert_int_equal(l.res.entry, 0x400100);
	assert_int_equal(l.res.brk, 0x406000);
	assert_int_equal(tk_mm_brk(l.mm, 0), 0x406000);
	assert_int_equal(prot_at(&l, 0x400000), PROT_READ | PROT_EXEC);
	assert_int_equal(prot_at(&l, 0x401fff), PROT_READ | PROT_EXEC);
	assert_int_equal(prot_at(&l, 0x402000), PROT_READ | PROT_WRITE);
	assert_int_equal(prot_at(&l, 0x405fff), PROT_READ | PROT_WRITE);
	assert_int_equal(prot_at(&l, 0x406000), -1);
	assert_int_equal(prot_at(&l, 0x3fffff), -1);
	assert_int_equal(byte_at(&l, 0x400000), 0x7f);
	/* text: the whole last page is the file's; data: what is behind it is zero */
	assert_int_equal(byte_at(&l, 0x401fff), 0x1f);
	assert_int_equal(byte_at(&l, 0x403233), 0x33);
	assert_int_equal(byte_at(&l, 0x403234), 0);
	assert_int_equal(byte_at(&l, 0x403fff), 0);
	assert_int_equal(byte_at(&l, 0x405fff), 0);
	assert_string_equal(l.res.comm, "static");
	assert_string_equal(l.res.exe, in_dir("static"));
	unload(&l);
}

/* Linux 6.18, tried natively: see the comments on each line. */
static void test_segments_that_share_a_page(void **state)
{
	struct elf_file file;
	struct loaded l;

	/* a segment without file content replaces the whole page that it begins in */
	elf_init(&file, ET_EXEC);
	elf_add(&file, PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000);
	elf_add(&file, PT_LOAD, PF_R | PF_W, 0x1000, 0x600000, 0x400, 0x400);
	elf_add(&file, PT_LOAD, PF_R | PF_W, 0, 0x600800, 0, 0x1000);
	load(&l, write_elf("bss", &file));
	assert_int_equal(l.rc, 0);
	assert_int_equal(byte_at(&l, 0x600101), 0);
	assert_int_equal(byte_at(&l, 0x600801), 0);
	unload(&l);

	/* the later one in the file's order wins, even at a lower address */
	elf_init(&file, ET_EXEC);
	elf_add(&file, PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000);
	elf_add(&file, PT_LOAD, PF_R | PF_W, 0x2800, 0x600800, 0x200, 0x200);
	elf_add(&file, PT_LOAD, PF_R | PF_W, 0x1000, 0x600000, 0x400, 0x400);
	load(&l, write_elf("order", &file));
	assert_int_equal(l.rc, 0);
	assert_int_equal(byte_at(&l, 0x600101), 0x11);
	assert_int_equal(byte_at(&l, 0x600801), 0x11);
	unload(&l);

	/* read-only: the file's bytes show behind the segment; bss pages can be written */
	elf_init(&file, ET_EXEC);
	elf_add(&file, PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000);
	elf_add(&file, PT_LOAD, PF_R, 0x1000, 0x600000, 0x400, 0x1500);
	load(&l, write_elf("readonly", &file));
	assert_int_equal(l.rc, 0);
	assert_int_equal(byte_at(&l, 0x600481), 0x11);
	assert_int_equal(byte_at(&l, 0x601481), 0);
	assert_int_equal(prot_at(&l, 0x600481), PROT_READ);
	assert_int_equal(prot_at(&l, 0x601481), PROT_READ | PROT_WRITE);
	unload(&l);
}

static void test_gaps_stay_unmapped(void **state)
{
	struct elf_file file;
	struct loaded l;

	elf_init(&file, ET_DYN);
	file.ehdr.e_entry = 0x100;
	elf_add(&file, PT_LOAD, PF_R, 0, 0, 0x1000, 0x1000);
	elf_add(&file, PT_LOAD, PF_R | PF_X, 0x1000, 0x1e04000, 0x1000, 0x1000);
	elf_add(&file, PT_LOAD, PF_R | PF_W, 0x2b70, 0x5af8b70, 0x100, 0x100);
	elf_add(&file, PT_LOAD, PF_R | PF_W, 0x3868, 0x5d6a868, 0x100, 0x100000);
	load(&l, write_elf("gaps", &file));
	assert_int_equal(l.rc, 0);
	assert_int_equal(l.res.entry, 0x555555554100);
	assert_int_equal(prot_at(&l, 0x555555554000), PROT_READ);
	assert_int_equal(prot_at(&l, 0x555555555000), -1);
	assert_int_equal(prot_at(&l, 0x555555554000 + 0x1e04000), PROT_READ | PROT_EXEC);
	assert_int_equal(prot_at(&l, 0x555555554000 + 0x1e05000), -1);
	assert_int_equal(byte_at(&l, 0x555555554000 + 0x5af8b70), 0x20);
	assert_int_equal(l.res.brk, 0x555555554000 + 0x5e6b000);
	unload(&l);
}

struct aux {
	u64 values[64];
	unsigned int n;
};

/* Walk the stack: argc, argv, envp, then the auxiliary vector into *@aux. Returns argc. */
static u64 read_stack(struct loaded *l, gva_t argv[], gva_t envp[], struct aux *aux)
{
	gva_t p = l->res.sp;
	u64 argc = word_at(l, p), n = 0, type;

	assert_int_equal(p % 16, 0);
	for (u64 i = 0; i <= argc; i++)
		argv[i] = word_at(l, p += 8);
	while ((envp[n++] = word_at(l, p += 8)) != 0)
		;
	*aux = (struct aux){.n = 0};
	while ((type = word_at(l, p += 8)) != AT_NULL) {
		assert_true(type < 64);
		aux->values[type] = word_at(l, p += 8);
		aux->n++;
	}
	return argc;
}

static const char *str(struct loaded *l, gva_t addr)
{
	static char text[8][4096];
	static int turn;
	char *t = text[turn++ % 8];

	assert_true(tk_copy_str(l->mm, t, addr, sizeof(text[0])) >= 0);
	return t;
}

/* From the kernel: getauxval() does not tell the truth about AT_HWCAP. */
static u64 host_aux(u64 type)
{
	int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
	Elf64_auxv_t item = {0};

	assert_true(fd >= 0);
	while (item.a_type != type)
		assert_int_equal(read(fd, &item, sizeof(item)), sizeof(item));
	close(fd);
	return item.a_un.a_val;
}

static void test_stack_of_a_pie_with_interpreter(void **state)
{
	const char *const argv[] = {"prog", "", "two words", NULL}, *const envp[] = {"A=1", NULL};
	struct tk_exec exec = {.argv = argv,
			       .envp = envp,
			       .vdso = 0x7fffc0040000,
			       .uid = 1,
			       .euid = 2,
			       .gid = 3,
			       .egid = 4};
	struct elf_file file, interp;
	gva_t args[8], env[8];
	struct loaded l;
	struct aux aux;

	elf_init(&interp, ET_DYN);
	interp.ehdr.e_entry = 0x1010;
	elf_add(&interp, PT_LOAD, PF_R, 0, 0, 0x1000, 0x1000);
	elf_add(&interp, PT_LOAD, PF_R | PF_X, 0x1000, 0x1000, 0x1000, 0x1000);
	write_elf("ld.so", &interp);
	elf_init(&file, ET_DYN);
	file.ehdr.e_entry = 0x100;
	elf_add(&file, PT_LOAD, PF_R | PF_X, 0, 0, 0x1800, 0x1800);
	elf_add(&file, PT_GNU_STACK, PF_R | PF_W | PF_X, 0, 0, 0, 0);
	elf_add_interp(&file, 0x700, in_dir("ld.so"));
	exec.path = write_elf("pie", &file);
	load_with(&l, &exec);
	assert_int_equal(l.rc, 0);

	assert_int_equal(read_stack(&l, args, env, &aux), 3);
	assert_string_equal(str(&l, args[0]), "prog");
	assert_string_equal(str(&l, args[1]), "");
	assert_string_equal(str(&l, args[2]), "two words");
	assert_int_equal(args[3], 0);
	assert_string_equal(str(&l, env[0]), "A=1");
	assert_int_equal(env[1], 0);
	/* strings in order and without gaps, as programs that rewrite their title expect */
	assert_int_equal(args[1], args[0] + 5);
	assert_int_equal(args[2], args[1] + 1);
	assert_int_equal(env[0], args[2] + 10);
	assert_int_equal(aux.values[AT_EXECFN], env[0] + 4);
	assert_string_equal(str(&l, aux.values[AT_EXECFN]), exec.path);
	assert_int_equal(aux.values[AT_EXECFN] + strlen(exec.path) + 1 + 8, TK_USER_STACK_TOP);
	assert_int_equal(word_at(&l, TK_USER_STACK_TOP - 8), 0);

	assert_int_equal(aux.values[AT_SYSINFO_EHDR], 0x7fffc0040000);
	assert_int_equal(aux.values[AT_HWCAP], host_aux(AT_HWCAP));
	assert_int_equal(aux.values[AT_HWCAP2], host_aux(AT_HWCAP2));
	assert_int_equal(aux.values[AT_MINSIGSTKSZ], host_aux(AT_MINSIGSTKSZ));
	assert_int_equal(aux.values[AT_PAGESZ], 4096);
	assert_int_equal(aux.values[AT_CLKTCK], sysconf(_SC_CLK_TCK));
	assert_int_equal(aux.values[AT_PHDR], 0x555555554040);
	assert_int_equal(aux.values[AT_PHENT], 56);
	assert_int_equal(aux.values[AT_PHNUM], 3);
	assert_int_equal(aux.values[AT_ENTRY], 0x555555554100);
	assert_int_equal(aux.values[AT_UID], 1);
	assert_int_equal(aux.values[AT_EUID], 2);
	assert_int_equal(aux.values[AT_GID], 3);
	assert_int_equal(aux.values[AT_EGID], 4);
	assert_int_equal(aux.values[AT_SECURE], 0);
	assert_string_equal(str(&l, aux.values[AT_PLATFORM]), "x86_64");
	assert_int_equal(aux.n, 20);

	assert_int_equal(l.res.entry, aux.values[AT_BASE] + 0x1010);
	assert_int_equal(byte_at(&l, l.res.entry), 0x10);
	assert_int_equal(prot_at(&l, l.res.sp), PROT_READ | PROT_WRITE | PROT_EXEC);
	assert_int_equal(l.res.stack, TK_USER_STACK_TOP - TK_USER_STACK_SIZE);
	assert_int_equal(prot_at(&l, l.res.stack), PROT_READ | PROT_WRITE | PROT_EXEC);
	assert_int_equal(prot_at(&l, l.res.stack - 1), -1);
	assert_memory_equal(l.res.argv.data, "prog\0\0two words", l.res.argv.len);
	assert_int_equal(l.res.argv.len, 16);
	assert_memory_equal(l.res.envp.data, "A=1", 4);
	assert_int_equal(l.res.auxv.len, 21 * sizeof(Elf64_auxv_t));
	unload(&l);
}

static void test_random_bytes_are_fresh(void **state)
{
	struct elf_file file;
	gva_t args[8], env[8];
	struct loaded a, b;
	struct aux aux;
	u64 first;

	elf_static(&file);
	load(&a, write_elf("static", &file));
	load(&b, in_dir("static"));
	read_stack(&a, args, env, &aux);
	first = word_at(&a, aux.values[AT_RANDOM]);
	read_stack(&b, args, env, &aux);
	assert_int_not_equal(first, word_at(&b, aux.values[AT_RANDOM]));
	assert_int_equal(a.res.sp, b.res.sp);
	unload(&a);
	unload(&b);
}

static void test_randomized_bases(void **state)
{
	const char *path = "/proc/self/exe"; /* a PIE with an interpreter */
	struct tk_exec exec = {.path = path, .randomize = true};
	gva_t entry[4], sp[4], brk[4];
	struct loaded l;

	for (int i = 0; i < 4; i++) {
		load_with(&l, &exec);
		assert_int_equal(l.rc, 0);
		entry[i] = l.res.entry;
		sp[i] = l.res.sp;
		brk[i] = l.res.brk;
		unload(&l);
	}
	for (int i = 1; i < 4; i++) {
		assert_int_not_equal(entry[i], entry[0]);
		assert_int_not_equal(sp[i], sp[0]);
		assert_int_not_equal(brk[i], brk[0]);
	}
}

static void test_alignment_of_bases(void **state)
{
	struct elf_file file;
	struct loaded l;
	struct aux aux;
	gva_t args[8], env[8];

	elf_init(&file, ET_DYN);
	file.ehdr.e_entry = 0x5100;
	elf_add(&file, PT_LOAD, PF_R | PF_X, 0x1000, 0x5000, 0x1000, 0x1000)->p_align = 0x200000;
	write_elf("aligned.so", &file);
	elf_add_interp(&file, 0x700, in_dir("aligned.so"));
	load(&l, write_elf("aligned", &file));
	assert_int_equal(l.rc, 0);
	read_stack(&l, args, env, &aux);
	assert_int_equal(aux.values[AT_ENTRY] % 0x200000, 0x5100);
	assert_int_equal(aux.values[AT_BASE] % 0x200000, 0);
	assert_int_equal(l.res.entry, aux.values[AT_BASE] + 0x5100);
	assert_int_equal(byte_at(&l, l.res.entry), 0x10);
	assert_int_equal(aux.values[AT_PHDR], 0); /* no segment has them */
	unload(&l);
}

static void check_error(const char *path, int rc, const char *message)
{
	struct loaded l;
	char expected[256];

	load(&l, path);
	snprintf(expected, sizeof(expected), "%s: %s", path, message);
	assert_int_equal(l.rc, rc);
	assert_string_equal(l.err.message, expected);
	unload(&l);
}

static void test_files_that_cannot_be_run(void **state)
{
	struct elf_file file;

	elf_static(&file);
	check_error(in_dir("missing"), -ENOENT, "No such file or directory");
	check_error(dir, -EACCES, "Permission denied");
	check_error("/dev/null", -EACCES, "Permission denied");
	check_error(write_file("noexec", file.bytes, sizeof(file.bytes), 0644), -EACCES,
		    "Permission denied");
	check_error(write_text("empty", ""), -ENOEXEC, "not a program (no ELF header)");
	check_error(write_text("text", "hello\n"), -ENOEXEC, "not a program (no ELF header)");
	file.phdrs[0].p_vaddr = file.phdrs[0].p_offset = 0;
	check_error(write_elf("low", &file), -EPERM,
		    "no room for its segments at 0: Operation not permitted");
}

static void test_interpreters_that_cannot_be_run(void **state)
{
	struct elf_file file, interp;
	struct loaded l;
	char expected[256];

	elf_static(&file);
	elf_add_interp(&file, 0x700, "/no/ld.so");
	check_error(write_elf("prog", &file), -ENOENT,
		    "interpreter /no/ld.so: No such file or directory");
	elf_static(&file);
	elf_add_interp(&file, 0x700, "/dev/zero");
	check_error(write_elf("prog", &file), -EACCES, "interpreter /dev/zero: Permission denied");
	elf_static(&file);
	elf_add_interp(&file, 0x700, "");
	file.phdrs[3].p_filesz = 2;
	file.bytes[0x701] = 0;
	check_error(write_elf("prog", &file), -EACCES, "interpreter : Permission denied");
	elf_static(&file);
	elf_add(&file, PT_INTERP, PF_R, 0x700, 0, 4, 4);
	check_error(write_elf("prog", &file), -ENOEXEC, "bad interpreter name");

	elf_init(&interp, ET_DYN);
	elf_add(&interp, PT_LOAD, PF_R, 0x5000, 0, 0x1000, 0x1000);
	elf_static(&file);
	elf_add_interp(&file, 0x700, write_elf("bad.so", &interp));
	load(&l, write_elf("prog", &file));
	assert_int_equal(l.rc, -ELIBBAD);
	snprintf(expected, sizeof(expected), "%s: truncated (segment 0 ends beyond the file)",
		 in_dir("bad.so"));
	assert_string_equal(l.err.message, expected);
	unload(&l);
}

static void test_scripts(void **state)
{
	const char *const argv[] = {"argv0", "x", "y", NULL};
	struct tk_exec exec = {.argv = argv};
	char text[256];
	struct elf_file file;
	gva_t args[16], env[8];
	struct loaded l;
	struct aux aux;

	elf_static(&file);
	snprintf(text, sizeof(text), "#! %s  a b \n", write_elf("prog", &file));
	snprintf(text, sizeof(text), "#!%s\n", write_text("s1", text));
	exec.path = write_text("a-script-with-a-long-name", text);
	load_with(&l, &exec);
	assert_int_equal(l.rc, 0);
	assert_int_equal(read_stack(&l, args, env, &aux), 6);
	assert_string_equal(str(&l, args[0]), in_dir("prog"));
	assert_string_equal(str(&l, args[1]), "a b");
	assert_string_equal(str(&l, args[2]), in_dir("s1"));
	assert_string_equal(str(&l, args[3]), in_dir("a-script-with-a-long-name"));
	assert_string_equal(str(&l, args[4]), "x");
	assert_string_equal(str(&l, args[5]), "y");
	assert_string_equal(str(&l, aux.values[AT_EXECFN]), exec.path);
	assert_string_equal(l.res.exe, in_dir("prog"));
	assert_string_equal(l.res.comm, "a-script-with-a");
	unload(&l);
}

static void test_script_chains_end(void **state)
{
	char name[8], text[128];
	struct elf_file file;
	struct loaded l;

	elf_static(&file);
	snprintf(text, sizeof(text), "#!%s", write_elf("prog", &file));
	for (int i = 1; i <= 6; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		snprintf(text, sizeof(text), "#!%s\n", i == 1 ? in_dir("prog") : in_dir(name));
		text[strlen(text) - 2] -= i == 1 ? 0 : 1;
		write_text(name, text);
	}
	load(&l, in_dir("r5"));
	assert_int_equal(l.rc, 0);
	unload(&l);
	check_error(in_dir("r6"), -ELOOP, "too many script interpreters");
	check_error(write_text("s", "#!/no/such x\n"), -ENOENT,
		    "script interpreter /no/such: No such file or directory");
	check_error(write_text("s", "#!\n"), -ENOEXEC, "bad interpreter line (#!)");
}

static void test_arguments_are_bounded(void **state)
{
	static char big[128 * 1024 + 1];
	const char *argv[64] = {"prog"};
	struct tk_exec exec = {.argv = argv};
	struct elf_file file;
	gva_t args[64], env[8];
	struct loaded l;
	struct aux aux;

	elf_static(&file);
	exec.path = write_elf("prog", &file);
	memset(big, 'x', sizeof(big) - 1);
	argv[1] = big; /* MAX_ARG_STRLEN with its NUL */
	load_with(&l, &exec);
	assert_int_equal(l.rc, -E2BIG);
	unload(&l);
	for (int i = 1; i < 15; i++)
		argv[i] = big + 1;
	load_with(&l, &exec);
	assert_int_equal(l.rc, 0);
	assert_int_equal(read_stack(&l, args, env, &aux), 15);
	assert_int_equal(args[14] - args[13], sizeof(big) - 1);
	unload(&l);
	for (int i = 1; i < 18; i++)
		argv[i] = big + 1;
	load_with(&l, &exec);
	assert_int_equal(l.rc, -E2BIG);
	unload(&l);
}

static void test_no_argv0(void **state)
{
	struct tk_exec exec = {.path = NULL};
	struct elf_file file;
	gva_t args[8], env[8];
	struct loaded l;
	struct aux aux;

	elf_static(&file);
	exec.path = write_elf("prog", &file);
	load_with(&l, &exec);
	assert_int_equal(l.rc, 0);
	assert_int_equal(read_stack(&l, args, env, &aux), 1);
	assert_string_equal(str(&l, args[0]), "");
	unload(&l);
}

static void test_file_cut_while_loading(void **state)
{
	struct elf_file file, interp;
	struct loaded l;
	char path[128];

	elf_init(&interp, ET_DYN);
	elf_add(&interp, PT_LOAD, PF_R, 0, 0, 0x1000, 0x1000);
	elf_static(&file);
	elf_add_interp(&file, 0x700, write_elf("ld.so", &interp));
	snprintf(path, sizeof(path), "%s", write_elf("cut", &file));
	truncate_at_interp = path;
	load(&l, path);
	truncate_at_interp = NULL;
	assert_int_equal(l.rc, -ENOEXEC);
	assert_non_null(strstr(l.err.message, "truncated while loading"));
	unload(&l);
}

/* Every outcome is an error or a load; what is checked is that the VMM survives (ASan, UBSan). */
static void load_any(const char *path)
{
	struct loaded l;
	u8 byte;

	load(&l, path);
	if (l.rc == 0 && tk_copy_in(l.mm, &byte, l.res.entry, 1) < 0)
		assert_true(l.res.entry < TK_USER_TOP);
	if (l.rc == 0)
		assert_null(tk_mm_check(l.mm, false));
	unload(&l);
}

static void test_truncated_at_every_length(void **state)
{
	struct elf_file file;

	elf_static(&file);
	elf_add_interp(&file, 0x180, in_dir("ld.so"));
	write_elf("whole", &file);
	for (off_t len = 0x3300; len >= 0; len -= len > 0x400 ? 61 : 1) {
		assert_int_equal(truncate(in_dir("whole"), len), 0);
		load_any(in_dir("whole"));
	}
}

static void test_every_header_bit_flipped(void **state)
{
	struct elf_file file, interp;

	elf_init(&interp, ET_DYN);
	elf_add(&interp, PT_LOAD, PF_R, 0, 0, 0x1000, 0x1000);
	elf_static(&file);
	elf_add_interp(&file, 0x700, write_elf("ld.so", &interp));
	for (size_t bit = 0; bit < 8 * (sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr)); bit++) {
		file.bytes[bit / 8] ^= (u8)(1 << bit % 8);
		load_any(write_elf("flipped", &file));
		file.bytes[bit / 8] ^= (u8)(1 << bit % 8);
	}
}

/* What the dynamic linker will see of a real program: each segment's bytes. */
static void compare_with_file(struct loaded *l, const char *path, gva_t bias)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Phdr ph[64];
	Elf64_Ehdr eh;
	u8 want[4096], got[4096];

	assert_true(fd >= 0 && pread(fd, &eh, sizeof(eh), 0) == sizeof(eh));
	assert_true(eh.e_phnum <= 64 && pread(fd, ph, eh.e_phnum * sizeof(ph[0]), eh.e_phoff) > 0);
	for (int i = 0; i < eh.e_phnum; i++) {
		for (u64 at = 0; ph[i].p_type == PT_LOAD && at < ph[i].p_filesz; at += 4096) {
			u64 n = TK_MIN(ph[i].p_filesz - at, 4096ull);

			assert_int_equal(pread(fd, want, n, ph[i].p_offset + at), n);
			assert_int_equal(tk_copy_in(l->mm, got, bias + ph[i].p_vaddr + at, n), 0);
			assert_memory_equal(want, got, n);
		}
	}
	close(fd);
}

static void test_real_programs(void **state)
{
	static const char *const paths[] = {"/proc/self/exe",	"/bin/busybox",
					    "/usr/bin/python3", "/lib64/ld-linux-x86-64.so.2",
					    "/usr/bin/node",	"/bin/sh"};
	gva_t args[8], env[8];
	struct loaded l;
	struct aux aux;

	for (size_t i = 0; i < TK_ARRAY_SIZE(paths); i++) {
		if (access(paths[i], X_OK) < 0)
			continue;
		load(&l, paths[i]);
		assert_int_equal(l.rc, 0);
		read_stack(&l, args, env, &aux);
		compare_with_file(&l, paths[i],
				  aux.values[AT_ENTRY] > TK_PIE_BASE ? TK_PIE_BASE : 0);
		if (aux.values[AT_BASE])
			compare_with_file(&l, "/lib64/ld-linux-x86-64.so.2", aux.values[AT_BASE]);
		assert_null(tk_mm_check(l.mm, true));
		unload(&l);
	}
}

static int make_dir(void **state)
{
	strcpy(dir, "/tmp/tk-test-exec-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_static_program),
		cmocka_unit_test(test_segments_that_share_a_page),
		cmocka_unit_test(test_gaps_stay_unmapped),
		cmocka_unit_test(test_stack_of_a_pie_with_interpreter),
		cmocka_unit_test(test_random_bytes_are_fresh),
		cmocka_unit_test(test_randomized_bases),
		cmocka_unit_test(test_alignment_of_bases),
		cmocka_unit_test(test_files_that_cannot_be_run),
		cmocka_unit_test(test_interpreters_that_cannot_be_run),
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_script_chains_end),
		cmocka_unit_test(test_arguments_are_bounded),
		cmocka_unit_test(test_no_argv0),
		cmocka_unit_test(test_file_cut_while_loading),
		cmocka_unit_test(test_truncated_at_every_length),
		cmocka_unit_test(test_every_header_bit_flipped),
		cmocka_unit_test(test_real_programs),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
