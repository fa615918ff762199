/* SPDX-License-Identifier: MIT */
/*
 * A program without a C library, of a few kilobytes, that does what its first argument says;
 * with no such argument it prints its arguments, a line each.
 */
#include <asm/unistd.h>

typedef unsigned long ul;

static long call(long nr, ul a, ul b, ul c, ul d, ul e, ul f)
{
	register ul r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define CALL3(nr, a, b, c) call(nr, (ul)(a), (ul)(b), (ul)(c), 0, 0, 0)

static ul length(const char *text)
{
	ul len = 0;

	while (text[len])
		len++;
	return len;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void line(const char *text)
{
	CALL3(__NR_write, 1, text, length(text));
	CALL3(__NR_write, 1, "\n", 1);
}

static long number(const char *text)
{
	long n = 0;

	while (*text)
		n = n * 10 + *text++ - '0';
	return n;
}

static void finish(int status)
{
	for (;;)
		CALL3(__NR_exit_group, status, 0, 0);
}

static void on_signal(int signo)
{
	char text[3] = {'0' + signo / 10, '0' + signo % 10, 0};

	line(signo < 10 ? text + 1 : text);
	if (signo == 15)
		finish(15);
}

__attribute__((naked, used)) static void restore(void)
{
	__asm__("mov $15, %eax\n\tsyscall");
}

static void catch_signals(void)
{
	ul action[4] = {(ul)on_signal, 0x14000000 /* SA_RESTORER | SA_RESTART */, (ul)restore, 0};

	for (int signo = 1; signo < 32; signo++)
		call(__NR_rt_sigaction, signo, (ul)action, 0, 8, 0, 0);
	line("ready");
	for (;;)
		CALL3(__NR_pause, 0, 0, 0);
}

static void eat(void)
{
	for (;;) {
		ul size = 48 << 20, p = call(__NR_mmap, 0, size, 3, 0x22, -1, 0);

		if (p > -4096ul)
			finish(12);
		for (ul i = 0; i < size; i += 4096)
			*(volatile char *)(p + i) = 1;
	}
}

/* Fails unless the limit on descriptors is @soft, and mappings do not count as descriptors. */
static void map(long soft)
{
	ul limit[2];

	call(__NR_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, (ul)limit, 0, 0);
	if (limit[0] != (ul)soft)
		finish(1);
	for (long i = 0; i < 4 * soft; i++)
		if (call(__NR_mmap, 0, 4096, 3, 0x21 /* shared, anonymous */, -1, 0) < 0)
			finish(2);
	finish(0);
}

static char buffer[65536];

static void act(int argc, char **argv, char **envp)
{
	if (same(argv[1], "exit"))
		finish(argc > 2 ? number(argv[2]) : 0);
	if (same(argv[1], "kill")) {
		CALL3(__NR_kill, CALL3(__NR_getpid, 0, 0, 0), number(argv[2]), 0);
		finish(0);
	}
	if (same(argv[1], "catch"))
		catch_signals();
	if (same(argv[1], "wait")) {
		line("ready");
		for (;;)
			CALL3(__NR_pause, 0, 0, 0);
	}
	if (same(argv[1], "spin"))
		for (;;)
			__asm__ volatile("");
	if (same(argv[1], "eat"))
		eat();
	if (same(argv[1], "map"))
		map(number(argv[2]));
	if (same(argv[1], "flood"))
		while (CALL3(__NR_write, 1, buffer, sizeof(buffer)) > 0)
			;
	if (same(argv[1], "cat"))
		for (long n; (n = CALL3(__NR_read, 0, buffer, sizeof(buffer))) > 0;)
			CALL3(__NR_write, 1, buffer, n);
	if (same(argv[1], "env"))
		for (; *envp; envp++)
			line(*envp);
	if (same(argv[1], "cwd") && CALL3(__NR_getcwd, buffer, sizeof(buffer), 0) > 0)
		line(buffer);
}

__attribute__((used)) static void start(ul *sp)
{
	static const char *const modes[] = {"exit",  "kill", "catch", "wait", "spin", "eat",
					    "flood", "cat",  "env",   "cwd",  "map"};
	int argc = (int)sp[0];
	char **argv = (char **)(sp + 1);

	for (int i = 0; argc > 1 && i < 11; i++)
		if (same(argv[1], modes[i])) {
			act(argc, argv, argv + argc + 1);
			finish(0);
		}
	for (int i = 0; i < argc; i++)
		line(argv[i]);
	finish(0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n\thlt\n");
