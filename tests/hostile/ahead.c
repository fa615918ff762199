/* SPDX-License-Identifier: MIT */
/*
 * Misuse of what answers reads inside the machine: `ahead ENTRY DATA PAGE`, the addresses of the
 * entry page, of what is read ahead and of the page that can be written. Faults are expected and
 * survived; what counts is that the file's bytes, once read properly again, are the file's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE (1 << 20)

static sigjmp_buf back;
static char altstack[65536];
static uint8_t buf[65536];
static int fd;

static void handler(int signo)
{
	siglongjmp(back, 1);
}

static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at * 2654435761u >> 11);
}

static void make_file(void)
{
	uint8_t *content = malloc(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		content[i] = byte_at(i);
	fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, content, SIZE) != SIZE)
		exit(2);
	free(content);
}

/* From wherever the offset is now: what comes is what stands there. */
static int still_right(void)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t n = read(fd, buf, 100);

	for (ssize_t i = 0; i < n; i++)
		if (buf[i] != byte_at((size_t)(at + i)))
			return 0;
	return at >= 0 && at <= SIZE && n >= 0;
}

static void arm(void)
{
	lseek(fd, 0, SEEK_SET);
	for (int i = 0; i < 4; i++)
		if (read(fd, buf, 100) != 100 || buf[99] != byte_at((size_t)i * 100 + 99))
			exit(3);
}

/* As if by SYSCALL, with the given number and length. */
static void jump(unsigned long address, long nr, unsigned long n)
{
	register unsigned long to __asm__("r8") = address;

	if (sigsetjmp(back, 1))
		return;
	__asm__ volatile("lea 1f(%%rip), %%rcx\n\tpushfq\n\tpop %%r11\n\tjmp *%[to]\n1:"
			 : "+a"(nr), "+r"(to), "+d"(n)
			 : [to] "r"(to), "D"(fd), "S"(buf)
			 : "rcx", "r11", "r9", "r10", "r12", "r13", "r14", "r15", "memory");
}

static void scribble(volatile uint64_t *page, uint64_t with)
{
	if (sigsetjmp(back, 1))
		return;
	for (int i = 0; i < 8; i++)
		page[i] = with;
}

int main(int argc, char **argv)
{
	unsigned long entry = strtoul(argv[1], NULL, 0), page = strtoul(argv[3], NULL, 0);
	static const uint64_t words[] = {0, 1, ~0ul, 0xffffffff, 50, 1ul << 63, 0x7fffc0001000};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
	stack_t stack = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	int wrong = 0;

	make_file();
	sigaltstack(&stack, NULL);
	for (int signo = SIGILL; signo <= SIGSEGV; signo++)
		if (signo != SIGKILL)
			sigaction(signo, &action, NULL);
	for (unsigned long off = 0; off < 0x120; off++) {
		arm();
		scribble((void *)page, words[off % 7]);
		jump(entry + off, SYS_read, 100);
		wrong += !still_right();
	}
	for (int i = 0; i < 7; i++) {
		arm();
		scribble((void *)page, words[i]);
		(void)!read(fd, buf, 100);
		scribble((void *)page, words[i]);
		wrong += !still_right();
		arm();
		/* reads into what is read ahead, and into the page itself */
		(void)!read(fd, (void *)strtoul(argv[2], NULL, 0), 100);
		wrong += !still_right();
		arm();
		(void)!read(fd, (void *)page, 100);
		wrong += !still_right();
	}
	printf("%d wrong\n", wrong);
	return wrong != 0;
}
