/* SPDX-License-Identifier: MIT */
/*
 * The program that tests/reset freezes and resets. It furnishes itself with every kind of state,
 * then answers requests, one per connection. A request is the name of a deed, some of which change
 * whatever a program can change; "probe" tells what the program can see of all that, so that the
 * answer of a fork that was reset can be compared with a new one's.
 *
 * Started as "guest DIRECTORY", an empty one.
 */
#include "guest.h"

#include <stddef.h>
#include <stdarg.h>

struct snapshot snapshot;
int listener = -1;
struct furniture have;

/*
 * accept(2) with known registers, and all of them noted the moment it returns: what a reset must
 * have put back, since this is where the program was frozen.
 */
__asm__(".text\n"
	".globl raw_accept\n"
	"raw_accept:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	"
	"push %r15\n"
	"	mov $0x1111, %ebx\n	mov $0x2222, %ebp\n	mov $0x4444, %r12d\n"
	"	mov $0x5555, %r13d\n	mov $0x6666, %r14d\n	mov $0x7777, %r15d\n"
	"	xor %esi, %esi\n	xor %edx, %edx\n	mov $0x8888, %r10d\n"
	"	mov $0x9999, %r8d\n	mov $0xaaaa, %r9d\n"
	"	mov $43, %eax\n"
	"	syscall\n"
	"	mov %rbx, snapshot+0(%rip)\n	mov %rbp, snapshot+8(%rip)\n"
	"	mov %r12, snapshot+16(%rip)\n	mov %r13, snapshot+24(%rip)\n"
	"	mov %r14, snapshot+32(%rip)\n	mov %r15, snapshot+40(%rip)\n"
	"	mov %r8, snapshot+48(%rip)\n	mov %r9, snapshot+56(%rip)\n"
	"	mov %r10, snapshot+64(%rip)\n	mov %r11, snapshot+72(%rip)\n"
	"	mov %rsi, snapshot+80(%rip)\n	mov %rdx, snapshot+88(%rip)\n"
	"	mov %rdi, snapshot+96(%rip)\n	mov %rsp, snapshot+104(%rip)\n"
	"	mov %rcx, snapshot+112(%rip)\n"
	"	pushfq\n	pop %rcx\n	mov %rcx, snapshot+120(%rip)\n"
	"	mov %ds, %ecx\n	mov %rcx, snapshot+128(%rip)\n"
	"	mov %es, %ecx\n	mov %rcx, snapshot+136(%rip)\n"
	"	mov %fs, %ecx\n	mov %rcx, snapshot+144(%rip)\n"
	"	mov %gs, %ecx\n	mov %rcx, snapshot+152(%rip)\n"
	"	rdfsbase %rcx\n	mov %rcx, snapshot+160(%rip)\n"
	"	rdgsbase %rcx\n	mov %rcx, snapshot+168(%rip)\n"
	"	mov %cs, %ecx\n	mov %rcx, snapshot+176(%rip)\n"
	"	mov %ss, %ecx\n	mov %rcx, snapshot+184(%rip)\n"
	"	mov %rax, %r8\n"
	"	mov $-1, %eax\n	mov $-1, %edx\n"
	"	lea snapshot+192(%rip), %rcx\n"
	"	xsave64 (%rcx)\n"
	"	mov %r8, %rax\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	"
	"pop %rbx\n"
	"	ret\n");
_Static_assert(offsetof(struct snapshot, xsave) == 192, "the code above");

void must(int good, const char *what)
{
	if (good)
		return;
	dprintf(2, "guest: %s: %s\n", what, strerror(errno));
	_exit(77);
}

static void open_listener(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(!bind(listener, (struct sockaddr *)&addr, sizeof(addr)) && !listen(listener, 10),
	     "listen");
}

static void do_deed(const char *name, int conn)
{
	for (const struct deed *deed = deeds; deed->name; deed++) {
		if (strcmp(deed->name, name))
			continue;
		deed->fn(conn);
		return;
	}
	dprintf(conn, "unknown deed");
}

static void serve(int conn)
{
	char line[512], *save = NULL;
	ssize_t n = read(conn, line, sizeof(line) - 1);

	if (n > 0) {
		line[n] = '\0';
		for (char *name = strtok_r(line, " ", &save); name;
		     name = strtok_r(NULL, " ", &save))
			do_deed(name, conn);
		(void)!write(conn, "\ndone\n", 6);
	}
	close(conn);
}

int main(int argc, char **argv)
{
	must(argc > 1, "usage");
	furnish(argv[1]);
	open_listener();
	for (;;) {
		int conn;

		memset(&snapshot, 0, sizeof(snapshot));
		conn = raw_accept(listener);
		if (conn >= 0)
			serve(conn);
	}
}
