/* SPDX-License-Identifier: MIT */
/* No C library at all: the stack as the kernel lays it out, and registers at the entry point. */
static long call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

static void print(const char *text)
{
	long len = 0;

	while (text[len])
		len++;
	call(1, 1, (long)text, len);
	call(1, 1, (long)"\n", 1);
}

__attribute__((used)) static void start(long *sp, long rdx)
{
	long argc = sp[0], i;
	char **envp = (char **)(sp + argc + 2);

	print((unsigned long)sp % 16 ? "misaligned" : "aligned");
	print(rdx ? "rdx set" : "rdx zero");
	for (i = 0; i < argc; i++)
		print(((char **)sp)[i + 1]);
	print(sp[argc + 1] ? "no end" : "end of argv");
	for (i = 0; envp[i]; i++)
		print(envp[i]);
	call(231, 21, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tmov %rdx, %rsi\n\tand $-16, %rsp\n\tcall start\n\thlt\n");
