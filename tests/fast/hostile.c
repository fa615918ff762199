/* SPDX-License-Identifier: MIT */
/*
 * A server whose requests do to the fast path what no program should: "GET /DEED/NUMBER".
 * hostile PORT SHIM GIVEN ENTRY RELOAD: addresses of src/guest/layout.h.
 *
 *  good        calls of all kinds: what they give is the answer, the same whatever others did
 *  scribble N  garbage in all that it can write, between calls and, by other threads, during them
 *  leap N      into the shim's code, at offset N and the next ones, with registers made from it
 *  reload N    into the reload page at that offset
 *  alarm       calls while a timer's signals come: what they give is the answer
 *  step        calls with the trap flag set, likewise
 *  stacks      calls with stack pointers to nowhere, likewise
 *  hidden      output on a record that is refused, and a good answer behind it
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "leap.h"

#define PAGE	    4096ul
#define RECORD_AT   0x1000
#define OUT_AT	    0x3000
#define SHIM_SIZE   0x7000
#define CODE	    (entry + 0x7000) /* behind the entry page: the fast path's C code */
#define CODE_SIZE   0x2800
#define ENTRY_SIZE  0x400
#define SHIM_REGS   56 /* struct tk_shim_page: registers, and before them the new count, the result */
#define STATE_SIZE  40 /* struct tk_fast_state */
#define ENTRY_BYTES 24
#define ROUNDS	    300
#define DID_RECEIVE 2 /* src/guest/fast.h: what a record says was done */
#define DID_SEND    3
#define FLAG_TF	    0x100ul
#define FLAG_AC	    0x40000ul

static unsigned long shim, given, entry, reload;
static int ep, conn, listener;
static char text[1 << 16], request[4096], memory[4 * PAGE];
static size_t len;
static uint64_t seed;
static char *gap, *readonly; /* a page that is not there, one that cannot be written */
static sigjmp_buf back;
static volatile sig_atomic_t steps, alarms, landing;

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	len += (size_t)vsnprintf(text + len, sizeof(text) - len, format, args);
	va_end(args);
}

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static long outcome(long rc)
{
	return rc < 0 ? -errno : rc;
}

/* All kinds of calls that the shim answers; what they give is the same each time. */
static void good(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5}, ready[2];
	struct sockaddr_in name;
	socklen_t size = sizeof(name);
	char c[64];
	int on = 1;

	say("%ld ", outcome(recv(conn, c, 5, MSG_PEEK)));
	say("%ld ", outcome(getpeername(conn, (void *)&name, &size)));
	say("%ld ", outcome(setsockopt(conn, IPPROTO_TCP, 1, &on, sizeof(on))));
	say("%ld ", outcome(epoll_ctl(ep, EPOLL_CTL_ADD, conn, &event)));
	say("%ld ", outcome(epoll_wait(ep, ready, 2, 0)));
	say("%ld ", outcome(read(conn, c, 4)));
	say("%.4s ", c);
	say("%ld ", outcome(fcntl(conn, F_GETFL)));
	say("%ld ", outcome(epoll_ctl(ep, EPOLL_CTL_DEL, conn, &event)));
	say("%ld ", outcome(accept4(listener, NULL, NULL, 0)));
	say("%ld ", outcome(read(conn, (void *)8, 4)));
}

static volatile uint32_t *count_of_record(void)
{
	return (volatile uint32_t *)(shim + RECORD_AT);
}

/* Mostly what could be: that gets further. */
static void garble_record(void)
{
	volatile char *record = (volatile char *)(shim + RECORD_AT);

	for (unsigned int i = 0; i < 12; i++) {
		volatile uint64_t *e = (volatile uint64_t *)(record + 8 + 2 * STATE_SIZE +
							     i * ENTRY_BYTES);

		e[0] = any() % 16 | any() % 500 << 32;
		e[1] = any() % 4 ? any() % 100 : any();
		e[2] = any() % 4 ? any() % 100 : any();
	}
	for (unsigned int i = 8; i < 8 + 2 * STATE_SIZE; i += 4)
		if (any() % 4 == 0)
			*(volatile uint32_t *)(record + i) = any() % 2 ? any() % 3 : any();
	*count_of_record() = any() % 4 ? any() % 6 : (uint32_t)any();
}

static void garble_page(void)
{
	for (int i = 0; i < 64; i++)
		*(volatile uint64_t *)(shim + 8 * (any() % (SHIM_SIZE / 8))) = any();
	for (unsigned int i = 40; i < SHIM_REGS + 16 * 8 && any() % 2; i += 8)
		*(volatile uint64_t *)(shim + i) = any() % 2 ? any() % 100 : any();
}

static void *garble_for_ever(void *arg)
{
	for (;;) {
		garble_page();
		garble_record();
		/* Nothing else is done by this thread: the others' calls are what it disturbs. */
		if (any() % 1024 == 0)
			sched_yield();
	}
	return arg;
}

static void scribble(uint64_t number)
{
	int threads = number % 3;
	pthread_t thread;

	for (int i = 0; i < threads; i++)
		pthread_create(&thread, NULL, garble_for_ever, NULL);
	for (int i = 0; i < 40; i++) {
		switch (any() % 4) {
		case 0:
			garble_page();
			break;
		case 1:
			garble_record();
			break;
		case 2:
			memset((void *)(shim + 0x1000 * (any() % 7)), (int)any(), PAGE);
			break;
		}
		good();
		(void)!write(conn, ".", 1);
	}
}

static void go_back(int sig)
{
	siglongjmp(back, sig);
}

/* In the middle of anything, with the trap flag: so many steps, and no more. */
static void on_step(int sig)
{
	if (++steps > 400 && landing)
		siglongjmp(back, sig);
}

static void catch_all(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM, SIGSYS};
	static char stack[1 << 16];
	stack_t alt = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction sa = {.sa_handler = go_back, .sa_flags = SA_ONSTACK | SA_NODEFER};

	sigaltstack(&alt, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &sa, NULL);
	sa.sa_handler = on_step;
	sigaction(SIGTRAP, &sa, NULL);
}

static uint64_t odd_stack(void)
{
	const uint64_t stacks[] = {(uint64_t)memory + 2 * PAGE, 0, 8, (uint64_t)gap + PAGE,
				   (uint64_t)gap + 8, (uint64_t)readonly + 2048, 1ul << 63,
				   1ul << 47, shim + 0x3000, shim + 0x1000, given + 64,
				   entry + 0x100, 0x7fffc0000000, (uint64_t)-8, any()};

	return stacks[any() % (sizeof(stacks) / sizeof(*stacks))];
}

static void choose_registers(void)
{
	static const int calls[] = {SYS_read, SYS_write, SYS_close, SYS_sendto, SYS_recvfrom,
				    SYS_shutdown, SYS_epoll_wait, SYS_epoll_ctl, SYS_accept4,
				    SYS_getpeername, SYS_fcntl, SYS_getppid, SYS_poll, SYS_writev,
				    SYS_readv, SYS_setsockopt, SYS_ioctl};
	const uint64_t words[] = {(uint64_t)conn, (uint64_t)ep, (uint64_t)listener,
				  (uint64_t)memory, (uint64_t)gap, 4, 0, shim, given,
				  entry, shim + RECORD_AT, any(), any() % 100};

	for (int i = 0; i < REGS; i++)
		leap_regs[i] = words[any() % (sizeof(words) / sizeof(*words))];
	leap_regs[RSP] = odd_stack();
	leap_flags = 0x202 | (any() % 4 ? 0 : any() & 0xcd5);
	if (any() % 8 == 0)
		leap_flags |= any() % 2 ? FLAG_TF : FLAG_AC;
	if (any() % 4) {
		leap_regs[RAX] = (uint64_t)calls[any() % (sizeof(calls) / sizeof(*calls))];
		leap_regs[RDI] = any() % 2 ? (uint64_t)conn : (uint64_t)ep;
		leap_regs[RSI] = (uint64_t)memory;
	}
	if (any() % 4)
		leap_regs[RCX] = (uint64_t)leap_landed;
	if (any() % 2)
		leap_regs[R11] = leap_flags;
}

/* One leap; it comes back, or a signal does, or that of a timer. */
static void leap_to(uint64_t target)
{
	struct itimerval soon = {{0, 0}, {0, 20000}}, never = {{0, 0}, {0, 0}};

	choose_registers();
	if (any() % 3 == 0)
		garble_page();
	if (any() % 3 == 0)
		garble_record();
	leap_target = target;
	if (!sigsetjmp(back, 1)) {
		setitimer(ITIMER_REAL, &soon, NULL);
		steps = 0;
		landing = 1;
		leap();
	}
	landing = 0;
	setitimer(ITIMER_REAL, &never, NULL);
}

static void leaps(uint64_t from)
{
	catch_all();
	for (uint64_t at = from; at < from + 16; at++) {
		leap_to(at < ENTRY_SIZE ? entry + at : CODE + (at - ENTRY_SIZE) % CODE_SIZE);
		(void)!write(conn, ".", 1);
	}
}

static void on_alarm(int sig)
{
	char c;

	alarms++;
	(void)!recv(conn, &c, 1, MSG_PEEK | MSG_DONTWAIT);
}

/* One letter after the other, each once. */
static void with_alarms(void)
{
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	char c[8];

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < ROUNDS * 3; i++) {
		char letter = (char)('a' + i % 26);
		long n = write(conn, &letter, 1), m = recv(conn, c, 4, MSG_PEEK);

		if (n != 1 || m != 4 || fcntl(conn, F_GETFL) != (O_RDWR | O_NONBLOCK))
			say("%d: %ld %ld %d ", i, n, m, errno);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	say("%s ", alarms > 0 ? "alarms" : "none");
}

static void with_steps(void)
{
	struct sigaction sa = {.sa_handler = on_step};

	sigaction(SIGTRAP, &sa, NULL);
	for (int i = 0; i < 20; i++) {
		leap_regs[RAX] = i % 2 ? SYS_fcntl : SYS_recvfrom;
		leap_regs[RDI] = (uint64_t)conn;
		leap_regs[RSI] = i % 2 ? F_GETFL : (uint64_t)memory;
		leap_regs[RDX] = 4;
		leap_regs[R10] = MSG_PEEK;
		leap_regs[R8] = leap_regs[R9] = 0;
		leap_regs[RSP] = (uint64_t)memory + 3 * PAGE;
		leap_flags = 0x202 | FLAG_TF;
		leap_target = (uint64_t)leap_syscall;
		say("%ld ", leap());
	}
	say("%s ", steps > 20 ? "steps" : "none");
}

/* SYSCALL does not look at RSP. */
static void with_stacks(void)
{
	for (int i = 0; i < 200; i++) {
		leap_regs[RAX] = i % 2 ? SYS_write : SYS_recvfrom;
		leap_regs[RDI] = (uint64_t)conn;
		leap_regs[RSI] = i % 2 ? (uint64_t)".." : (uint64_t)memory;
		leap_regs[RDX] = 2;
		leap_regs[R10] = MSG_PEEK;
		leap_regs[R8] = leap_regs[R9] = 0;
		leap_regs[RSP] = odd_stack();
		leap_flags = 0x202;
		leap_target = (uint64_t)leap_syscall;
		say("%ld", leap());
	}
}

static void put_entry(unsigned int i, uint32_t deed, uint64_t a, uint64_t b)
{
	volatile uint64_t *entry =
		(volatile uint64_t *)(shim + RECORD_AT + 8 + 2 * STATE_SIZE + i * ENTRY_BYTES);

	entry[0] = deed;
	entry[1] = a;
	entry[2] = b;
}

/* No byte was received, and then something was sent: SIGSEGV, until this is what is on record. */
static void refused_output(void)
{
	static const char hidden[] = "hidden";

	for (volatile int i = 0; i < 50; i++) {
		if (sigsetjmp(back, 1))
			return;
		memcpy((void *)(shim + OUT_AT), hidden, sizeof(hidden) - 1);
		put_entry(0, DID_RECEIVE, 0, 0);
		put_entry(1, DID_SEND, 0, sizeof(hidden) - 1);
		*count_of_record() = 2;
		getsid(0);
	}
}

/* Its client may then ask again, by the same connection, or it has seen the end of it. */
static void hide(void)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
	struct epoll_event ready[4];

	catch_all();
	while (read(conn, request, sizeof(request)) > 0)
		;
	refused_output();
	(void)!write(conn, answer, sizeof(answer) - 1);
	for (;;)
		epoll_wait(ep, ready, 4, -1);
}

static void do_deed(const char *path)
{
	const char *slash = strchr(path + 1, '/');
	uint64_t number = slash ? strtoul(slash + 1, NULL, 0) : 0;

	seed = (number + 1) * 0x9e3779b97f4a7c15;
	if (!strncmp(path, "/good", 5))
		good();
	else if (!strncmp(path, "/scribble", 9))
		scribble(number);
	else if (!strncmp(path, "/leap", 5))
		leaps(number);
	else if (!strncmp(path, "/reload", 7)) {
		catch_all();
		leap_to(reload + number % PAGE);
	} else if (!strncmp(path, "/alarm", 6))
		with_alarms();
	else if (!strncmp(path, "/step", 5))
		with_steps();
	else if (!strncmp(path, "/stacks", 7))
		with_stacks();
	else if (!strncmp(path, "/hidden", 7))
		hide();
}

static void serve(void)
{
	struct pollfd fd = {.fd = conn, .events = POLLIN};
	ssize_t n;

	poll(&fd, 1, 5000);
	n = recv(conn, request, sizeof(request) - 1, MSG_PEEK);
	request[n > 0 ? n : 0] = 0;
	len = 0;
	if (n > 4)
		do_deed(request + 4);
	(void)!write(conn, text, len);
	/* What is not read would break the connection off. */
	while (read(conn, request, sizeof(request)) > 0)
		;
	close(conn);
}

static void arrange_memory(void)
{
	gap = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readonly = gap;
	gap += PAGE;
	munmap(gap, PAGE);
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	struct epoll_event event = {.events = EPOLLIN}, ready[4];
	int on = 1;

	signal(SIGPIPE, SIG_IGN);
	shim = strtoul(argv[2], NULL, 0);
	given = strtoul(argv[3], NULL, 0);
	entry = strtoul(argv[4], NULL, 0);
	reload = strtoul(argv[5], NULL, 0);
	arrange_memory();
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) || listen(listener, 16))
		return 98; /* ways.py: its port is taken */
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		epoll_wait(ep, ready, 4, -1);
		conn = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (conn >= 0)
			serve();
	}
}
