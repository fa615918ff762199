/* SPDX-License-Identifier: MIT */
/* ELF headers and "#!" lines: what is accepted, what is refused and how, compared with execve(2).
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
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "elf/elf.h"
#include "elf/exec.h"
#include "elf/script.h"
#include "elfmaker.h"
#include "guest/layout.h"

static int memfile(const void *bytes, size_t len)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

static int read_elf(struct tk_elf *elf, const void *bytes, size_t len, struct tkvm_error *err)
{
	int fd = memfile(bytes, len);
	int rc = tk_elf_read(elf, fd, len, "/prog", ENOEXEC, err);

	close(fd);
	return rc;
}

static void test_good_file(void **state)
{
	struct tkvm_error err;
	struct elf_file file;
	struct tk_elf elf;

	elf_static(&file);
	elf_add_interp(&file, 0x700, "/lib/ld.so");
	assert_int_equal(read_elf(&elf, file.bytes, sizeof(file.bytes), &err), 0);
	assert_true(elf.fixed);
	assert_false(elf.exec_stack);
	assert_int_equal(elf.entry, 0x400100);
	assert_int_equal(elf.lo, 0x400000);
	assert_int_equal(elf.hi, 0x406000);
	assert_int_equal(elf.align, 0x1000);
	assert_int_equal(elf.n_segments, 2);
	assert_int_equal(elf.segments[0].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(elf.segments[1].prot, PROT_READ | PROT_WRITE);
	assert_true(elf.has_phdr);
	assert_int_equal(elf.phdr, 0x400040);
	assert_int_equal(elf.phnum, 4);
	assert_int_equal(elf.interp_offset, 0x700);
	assert_int_equal(elf.interp_size, 11);
	tk_elf_free(&elf);
}

/* Out of order, sharing a page, empty: all in use by some linker. */
static void test_odd_but_good_segments(void **state)
{
	struct tkvm_error err;
	struct elf_file file;
	struct tk_elf elf;

	elf_init(&file, ET_DYN);
	elf_add(&file, PT_LOAD, PF_R, 0x3000, 0x5d6a000, 0x100, 0x100)->p_align = 0x200000;
	elf_add(&file, PT_LOAD, PF_R, 0x1000, 0x1000, 0x100, 0x100)->p_align = 0;
	elf_add(&file, PT_LOAD, PF_W, 0x1100, 0x1100, 0x10, 0x20)->p_align = 3;
	elf_add(&file, PT_LOAD, PF_W, 0xffffff000, 0x123000, 0, 0x5000);
	elf_add(&file, PT_LOAD, PF_W, 0, 0x1100, 0, 0);
	elf_add(&file, PT_GNU_STACK, PF_X, 0, 0, 0, 0);
	elf_add(&file, PT_GNU_PROPERTY, PF_R, ~0ull, ~0ull, ~0ull, ~0ull);
	elf_add(&file, PT_TLS, PF_R, 0x3000, 0x3000, 0x10, 0x57c0);
	assert_int_equal(read_elf(&elf, file.bytes, sizeof(file.bytes), &err), 0);
	assert_int_equal(elf.n_segments, 4);
	assert_int_equal(elf.segments[0].vaddr, 0x5d6a000);
	assert_int_equal(elf.lo, 0x1000);
	assert_int_equal(elf.hi, 0x5d6b000);
	assert_int_equal(elf.align, 0x200000);
	assert_true(elf.exec_stack);
	assert_false(elf.has_phdr);
	tk_elf_free(&elf);
}

struct bad {
	const char *message;
	void (*spoil)(struct elf_file *file);
};

#define SPOIL(name, code)                                                                          \
	static void spoil_##name(struct elf_file *file)                                            \
	{                                                                                          \
		code;                                                                              \
	}
#define X_ALL(X)                                                                                   \
	X(magic, file->bytes[1] = 'M', "not a program (no ELF header)")                            \
	X(bits, file->ehdr.e_ident[EI_CLASS] = ELFCLASS32, "32-bit programs are not supported")    \
	X(order, file->ehdr.e_ident[EI_DATA] = ELFDATA2MSB, "not a 64-bit little-endian ELF file") \
	X(machine, file->ehdr.e_machine = EM_AARCH64,                                              \
	  "made for another machine (ELF machine 183)")                                            \
	X(object, file->ehdr.e_type = ET_REL, "not an executable (ELF type 1)")                    \
	X(core, file->ehdr.e_type = ET_CORE, "not an executable (ELF type 4)")                     \
	X(phent, file->ehdr.e_phentsize = 32, "bad size of program headers (32)")                  \
	X(phnum0, file->ehdr.e_phnum = 0, "bad number of program headers (0)")                     \
	X(phnum, file->ehdr.e_phnum = 1171, "bad number of program headers (1171)")                \
	X(phoff, file->ehdr.e_phoff = ELF_FILE_SIZE - 167,                                         \
	  "truncated (program headers end beyond the file)")                                       \
	X(phoff_wrap, file->ehdr.e_phoff = -1ull,                                                  \
	  "truncated (program headers end beyond the file)")                                       \
	X(entry, file->ehdr.e_entry = TK_USER_TOP, "entry point is outside of the address space")  \
	X(filesz, file->phdrs[1].p_filesz = 0x4000,                                                \
	  "segment 1 is larger in the file than in memory")                                        \
	X(end, file->phdrs[1].p_offset = 0x3000, "truncated (segment 1 ends beyond the file)")     \
	X(offset_wrap, file->phdrs[1].p_offset = -0x1000ull,                                       \
	  "truncated (segment 1 ends beyond the file)")                                            \
	X(huge, file->phdrs[1].p_memsz = 1ull << 62, "segment 1 does not fit the address space")   \
	X(high, file->phdrs[1].p_vaddr = TK_USER_TOP - 0x3000,                                     \
	  "segment 1 does not fit the address space")                                              \
	X(wrap, file->phdrs[1].p_vaddr = -0x2000ull, "segment 1 does not fit the address space")   \
	X(misaligned, file->phdrs[1].p_offset = 0x2001, "segment 1 is misaligned")                 \
	X(overlap, file->phdrs[0].p_memsz = 0x2001, "segments overlap")                            \
	X(same, file->phdrs[1] = file->phdrs[0], "segments overlap")                               \
	X(align, file->phdrs[0].p_align = 1ull << 63, "segment 0 has a huge alignment")            \
	X(no_load, file->phdrs[0].p_type = file->phdrs[1].p_type = PT_NULL, "no segments to load") \
	X(interp_short, elf_add(file, PT_INTERP, 0, 0x700, 0, 1, 1), "bad interpreter name")       \
	X(interp_long, elf_add(file, PT_INTERP, 0, 0x700, 0, 4097, 4097), "bad interpreter name")  \
	X(interp_end, elf_add(file, PT_INTERP, 0, ELF_FILE_SIZE - 5, 0, 6, 6),                     \
	  "truncated (interpreter name ends beyond the file)")
#define X(name, code, message) SPOIL(name, code)
X_ALL(X)
#undef X

static void test_bad_files_are_told_apart(void **state)
{
	static const struct bad bads[] = {
#define X(name, code, message) {message, spoil_##name},
		X_ALL(X)
#undef X
	};
	struct elf_file file;
	struct tk_elf elf;

	for (size_t i = 0; i < TK_ARRAY_SIZE(bads); i++) {
		struct tkvm_error err = {0};
		char expected[256];

		elf_static(&file);
		bads[i].spoil(&file);
		snprintf(expected, sizeof(expected), "/prog: %s", bads[i].message);
		assert_int_equal(read_elf(&elf, file.bytes, sizeof(file.bytes), &err), -ENOEXEC);
		assert_string_equal(err.message, expected);
		assert_int_equal(err.code, ENOEXEC);
	}
}

static void test_truncated_at_every_length(void **state)
{
	struct tkvm_error err;
	struct elf_file file;
	struct tk_elf elf;
	int fd;

	elf_static(&file);
	fd = memfile(file.bytes, 0x3234);
	for (size_t len = 0x3234; len-- > 0;) {
		err.message[0] = '\0';
		assert_int_equal(ftruncate(fd, len), 0);
		assert_int_equal(tk_elf_read(&elf, fd, len, "/prog", ENOEXEC, &err), -ENOEXEC);
		assert_true(strncmp(err.message, "/prog: ", 7) == 0);
		/* shorter than it was when its size was asked for */
		assert_true(tk_elf_read(&elf, fd, 0x3234, "/prog", ELIBBAD, &err) == -ELIBBAD ||
			    len >= sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr));
		if (len >= sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr))
			tk_elf_free(&elf);
	}
	close(fd);
}

static void test_exit_statuses(void **state)
{
	assert_int_equal(tk_exec_exit_status(-ENOENT), 127);
	assert_int_equal(tk_exec_exit_status(-ENOEXEC), 126);
	assert_int_equal(tk_exec_exit_status(-EACCES), 126);
	assert_int_equal(tk_exec_exit_status(-ELIBBAD), 126);
	assert_int_equal(tk_exec_exit_status(-EMFILE), 125);
	assert_int_equal(tk_exec_exit_status(0), 0);
}

/* ---- scripts, compared with the kernel ---- */

static char dir[] = "/tmp/tk-test-elf-XXXXXX";

struct text {
	const char *bytes;
	size_t len;
};

/* "@" stands for the path of a program that prints its arguments in brackets. */
#define T(literal)                                                                                 \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}
#define SP10  "          "
#define SP100 SP10 SP10 SP10 SP10 SP10 SP10 SP10 SP10 SP10 SP10
#define A10   "aaaaaaaaaa"
#define A100  A10 A10 A10 A10 A10 A10 A10 A10 A10 A10
static const struct text heads[] = {
	T("#!@\n"),
	T("#!@"),
	T("#! \t @ \t \n"),
	T("#!@ one two  three \t\n"),
	T("#!@\tone\n"),
	T("#!@ one\rtwo\r\n"),
	T("#!@ one"),
	T("#!@ one   "),
	T("#!\n@"),
	T("#!"),
	T("#!   "),
	T("#!  \t\n"),
	T("#!" SP100 SP100 SP100 "@"),
	T("#!" SP100 SP100 "@\n"),
	T("#!" SP100 SP100 SP10 SP10 SP10 SP10 "  @"),
	T("#!@ " A100 A100 A100),
	T("#!@ " A100 SP100 A100 "\n"),
	T("#!@ " A100 A100 "\n"),
	T("#!/" A100 A100 A100),
	T("#!/" A100 A100 A100 "\n"),
	T("#!@\0 one\n"),
	T("#!@ o\0ne\n"),
	T("#!\0@\n"),
	T("#!@ \0one\n"),
	T("#!relative\n"),
	T("#!/nonexistent/interpreter x\n"),
	T("# !@\n"),
	T("!#@\n"),
	T(""),
	T("#"),
	T(" #!@\n"),
};
#undef T

static size_t expand(const struct text *t, const char *interp, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < t->len; i++) {
		if (t->bytes[i] == '@')
			n += sprintf(out + n, "%s", interp);
		else
			out[n++] = t->bytes[i];
	}
	return n;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

/* What the kernel makes of @script: 0 and the interpreter's output, or -errno of execve(2). */
static int native(const char *script, char *out, size_t size)
{
	int fds[2], status, error = 0;
	ssize_t n, got = 0;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char *argv[] = {"argv0", "x", NULL}, *envp[] = {NULL};

		dup2(fds[1], 1);
		execve(script, argv, envp);
		_exit(200 + (errno == ENOEXEC) + 2 * (errno == ENOENT) + 3 * (errno == EACCES));
	}
	close(fds[1]);
	while ((n = read(fds[0], out + got, size - 1 - got)) > 0)
		got += n;
	out[got] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) >= 200)
		error = (int[]){-1, -ENOEXEC, -ENOENT, -EACCES}[WEXITSTATUS(status) - 200];
	return error;
}

/* The same from our parser. */
static int parsed(const char *script_path, const char *bytes, size_t len, char *out)
{
	char head[TK_SCRIPT_HEAD] = {0};
	struct tk_script script;
	struct stat st;
	int rc;

	memcpy(head, bytes, TK_MIN(len, sizeof(head)));
	if (!tk_is_script(head))
		return -ENOEXEC;
	rc = tk_script_parse(head, &script);
	if (rc < 0)
		return rc;
	if (stat(script.interp, &st) < 0)
		return -errno;
	out += sprintf(out, "[%s]", script.interp);
	if (script.has_arg)
		out += sprintf(out, "[%s]", script.arg);
	sprintf(out, "[%s][x]", script_path);
	return 0;
}

static void test_scripts_as_the_kernel_reads_them(void **state)
{
	char self[512], script[128], interp[128], bytes[1024], want[1024], got[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = '\0';
	assert_non_null(mkdtemp(dir));
	snprintf(interp, sizeof(interp), "%s/i", dir);
	snprintf(script, sizeof(script), "%s/script", dir);
	assert_int_equal(symlink(self, interp), 0);
	for (size_t i = 0; i < TK_ARRAY_SIZE(heads); i++) {
		size_t len = expand(&heads[i], interp, bytes);
		int expected;

		write_file(script, bytes, len);
		expected = native(script, want, sizeof(want));
		got[0] = '\0';
		assert_int_equal(parsed(script, bytes, len, got), expected);
		if (expected == 0)
			assert_string_equal(got, want);
	}
	unlink(script);
	unlink(interp);
	rmdir(dir);
}

/* As an interpreter of a script this program prints what it was given. */
static int print_arguments(char **argv)
{
	for (; *argv; argv++)
		printf("[%s]", *argv);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_file),
		cmocka_unit_test(test_odd_but_good_segments),
		cmocka_unit_test(test_bad_files_are_told_apart),
		cmocka_unit_test(test_truncated_at_every_length),
		cmocka_unit_test(test_exit_statuses),
		cmocka_unit_test(test_scripts_as_the_kernel_reads_them),
	};

	if (argc > 1)
		return print_arguments(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
