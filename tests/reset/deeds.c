/* SPDX-License-Identifier: MIT */
/* What requests do to the program, and "probe", which tells what can be seen of it. */
#include "guest.h"

#include <grp.h>
#include <setjmp.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/uio.h>

#include "guest/calls.h"
#include "../lib/forget_files.h"
#include "guest/layout.h"

static char junk[PAGE_SIZE];

static void scribble(char *at, size_t len)
{
	for (size_t i = 0; i < len; i += 512)
		at[i] = (char)(at[i] * 3 + 17);
}

/* memory */

static void memory_write(int conn)
{
	scribble(have.anon, 7 * PAGE_SIZE);
	scribble(have.anon + 8 * PAGE_SIZE, (PAGES - 8) * PAGE_SIZE);
	scribble(have.file_private, 4 * PAGE_SIZE);
	scribble(have.reserved + (1 << 20), 16 * PAGE_SIZE);
	scribble((char *)sbrk(0) - 8 * PAGE_SIZE, 8 * PAGE_SIZE);
	scribble(junk, sizeof(junk));
	scribble(have.stack, 65536);
}

static void memory_shared(int conn)
{
	scribble(have.shared, 3 * PAGE_SIZE);
	scribble(have.shared + 4 * PAGE_SIZE, (PAGES - 4) * PAGE_SIZE);
}

static void memory_memfd(int conn)
{
	scribble(have.memfd_map, 8 * PAGE_SIZE);
}

/* Other pages at the same addresses, used so that every translation is of those. */
static void memory_replaced(int conn)
{
	const int rw = PROT_READ | PROT_WRITE, over = MAP_PRIVATE | MAP_FIXED;
	char *const at[] = {have.anon, have.file_private, have.read_only, have.wiped,
			    have.reserved + (1 << 20)};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		volatile char *p = mmap(at[i], 4 * PAGE_SIZE, rw, over | MAP_ANONYMOUS, -1, 0);

		for (int page = 0; page < 4; page++)
			p[page * PAGE_SIZE + 5] = (char)(p[page * PAGE_SIZE + 5] + 0x6e);
		p = mmap(at[i] + PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ, over, have.file, 0);
		p[5] ? scribble(at[i], PAGE_SIZE) : (void)0;
		mprotect(at[i], PAGE_SIZE, PROT_READ);
		(void)*(volatile char *)at[i];
	}
}

static void memory_by_kernel(int conn)
{
	int fd = open("/proc/self/status", O_RDONLY), file = dup(have.file);

	(void)!read(fd, have.anon + 9 * PAGE_SIZE, 2000);
	(void)!pread(file, have.anon + 12 * PAGE_SIZE, 3 * PAGE_SIZE, 0);
	(void)!getrandom(have.anon + 20 * PAGE_SIZE, 2 * PAGE_SIZE, 0);
	(void)!getcwd(have.shared + 10 * PAGE_SIZE, 200);
	close(fd);
	close(file);
}

static void memory_map(int conn)
{
	const int rw = PROT_READ | PROT_WRITE;
	char *p = mmap(NULL, 3 << 20, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 3, 3 << 20);
	p = mmap(have.anon + 7 * PAGE_SIZE, PAGE_SIZE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0);
	*p = 1;
	p = mmap(NULL, 1 << 20, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*p = 1;
}

static void memory_unmap(int conn)
{
	munmap(have.anon + 3 * PAGE_SIZE, 2 * PAGE_SIZE);
	munmap(have.file_private + PAGE_SIZE, PAGE_SIZE);
	munmap(have.reserved, 1 << 29);
	munmap(have.memfd_map + PAGE_SIZE, PAGE_SIZE);
	munmap(have.read_only, 16 * PAGE_SIZE);
}

static void memory_protect(int conn)
{
	mprotect(have.read_only, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE);
	scribble(have.read_only, PAGES * PAGE_SIZE);
	mprotect(have.read_only + PAGE_SIZE, PAGE_SIZE, PROT_NONE);
	mprotect(have.anon, PAGE_SIZE, PROT_READ);
	mprotect(have.reserved, 4 << 20, PROT_READ | PROT_WRITE);
	scribble(have.reserved, 4 << 20);
}

static void memory_advise(int conn)
{
	madvise(have.anon + 10 * PAGE_SIZE, 4 * PAGE_SIZE, MADV_DONTNEED);
	scribble(have.anon + 11 * PAGE_SIZE, PAGE_SIZE);
	madvise(have.file_private, 4 * PAGE_SIZE, MADV_DONTNEED);
	madvise(have.shared + 6 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_DONTNEED);
	madvise(have.shared + 8 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_REMOVE);
}

static void memory_wipe(int conn)
{
	scribble(have.wiped, 4 * PAGE_SIZE);
	madvise(have.wiped, 2 * PAGE_SIZE, MADV_KEEPONFORK);
	madvise(have.wiped + 3 * PAGE_SIZE, PAGE_SIZE, MADV_WIPEONFORK);
	madvise(have.anon + 8 * PAGE_SIZE, 3 * PAGE_SIZE, MADV_WIPEONFORK);
}

static void generation(int conn)
{
	syscall(TK_SYS_GENERATION);
}

static void memory_remap(int conn)
{
	char *p = mremap(have.anon + 16 * PAGE_SIZE, 4 * PAGE_SIZE, 64 * PAGE_SIZE, MREMAP_MAYMOVE);

	if (p != MAP_FAILED)
		scribble(p, 64 * PAGE_SIZE);
}

static void memory_break(int conn)
{
	char *p = sbrk(300 * PAGE_SIZE);

	if (p != (void *)-1)
		scribble(p, 300 * PAGE_SIZE);
	sbrk(-310 * PAGE_SIZE);
}

static void memory_lock(int conn)
{
	munlock(have.anon, 2 * PAGE_SIZE);
	mlock(have.shared, 2 * PAGE_SIZE);
}

/* registers */

static void registers(int conn)
{
	static const double numbers[8] = {1.5, 2.5, 3.5};

	__asm__ volatile("mov %0, %%ds\n mov %0, %%es\n" ::"r"(0x2b));
	__asm__ volatile("mov %0, %%gs\n" ::"r"(0x2b));
	__asm__ volatile("wrgsbase %0" ::"r"(0x123456789000ull));
	__asm__ volatile("ldmxcsr %0" ::"m"((uint32_t){0x7f80}));
	__asm__ volatile("fldcw %0\n fldl %1\n fldl %1" ::"m"((uint16_t){0x27f}), "m"(numbers[1]));
	__asm__ volatile("movups %0, %%xmm15" ::"m"(numbers[0]) : "xmm15");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vmovups %0, %%ymm9\n" ::"m"(numbers[0]));
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile("vmovups %0, %%zmm29\n kxnorw %%k1, %%k1, %%k3" ::"m"(numbers));
}

/* Every selector that a program can load; the base of FS it needs back. */
static void selectors(int conn)
{
	static const int values[] = {0x2b, 0, 3};
	uint64_t fs;

	__asm__ volatile("rdfsbase %0" : "=r"(fs));
	for (int i = 0; i < 3; i++) {
		__asm__ volatile("mov %0, %%gs\n mov %0, %%ds\n mov %0, %%es" ::"r"(values[i]));
		__asm__ volatile("mov %0, %%fs\n wrfsbase %1" ::"r"(values[i]), "r"(fs));
	}
}

/* Nothing that uses thread-local memory works any more. */
static void fs_base(int conn)
{
	(void)!write(conn, "\ndone\n", 6);
	close(conn);
	__asm__ volatile("wrfsbase %0" ::"r"(0x1000));
	raw_accept(listener);
	__builtin_trap();
}

static void spin(int conn)
{
	__asm__ volatile("std\n 1: add $1, %%rbx\n xor %%rbx, %%r14\n jmp 1b" ::: "rbx", "r14");
}

/* signals and timers */

static void other_handler(int signo)
{
	scribble(junk, sizeof(junk));
}

static void signals(int conn)
{
	struct sigaction action = {.sa_handler = other_handler, .sa_flags = SA_NODEFER};
	stack_t stack = {.ss_flags = SS_DISABLE};
	sigset_t set;

	for (int i = 1; i < 64; i++)
		sigaction(i, &action, NULL);
	raise(SIGUSR2);
	sigaltstack(&stack, NULL);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGTERM);
	for (int i = 0; i < 20; i++)
		sigqueue(getpid(), SIGRTMIN + i % 4, (union sigval){.sival_int = i});
}

static void signals_taken(int conn)
{
	struct signalfd_siginfo info;
	struct timespec now = {0};
	sigset_t set;

	(void)!read(have.signal, &info, sizeof(info));
	sigfillset(&set);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
	sigaddset(&set, SIGUSR1);
	signalfd(have.signal, &set, 0);
}

static void timers(int conn)
{
	struct itimerspec its = {.it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000};
	struct itimerval itv = {.it_value.tv_usec = 1};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	timer_t timer;

	timer_settime(have.posix_timer, 0, &its, NULL);
	for (int i = 0; i < 10; i++)
		if (!timer_create(CLOCK_REALTIME, &event, &timer))
			timer_settime(timer, 0, &its, NULL);
	timer_delete(have.posix_timer);
	signal(SIGALRM, other_handler);
	setitimer(ITIMER_REAL, &itv, NULL);
	signal(SIGPROF, SIG_IGN);
	setitimer(ITIMER_PROF, &itv, NULL);
	usleep(3000);
}

/* threads */

static void *thread_spin(void *arg)
{
	for (;;)
		__asm__ volatile("pause");
	return arg;
}

static void *thread_sleep(void *arg)
{
	prctl(PR_SET_NAME, arg);
	for (;;)
		sleep(100);
	return arg;
}

static void threads(int conn)
{
	pthread_t thread;

	for (int i = 0; i < 6; i++)
		pthread_create(&thread, NULL, thread_sleep, "guest");
	usleep(1000);
}

static void threads_running(int conn)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_spin, NULL);
	pthread_create(&thread, NULL, thread_spin, NULL);
}

/* The threads of the image are woken, killed or moved. */
static void threads_moved(int conn)
{
	int *word = (int *)(void *)(have.shared + 3 * PAGE_SIZE);

	(void)!write(have.pipe[1], "xyz", 3);
	syscall(SYS_futex, word, 1, 1000, NULL, NULL, 0);
	(void)!write(have.event, &(uint64_t){3}, 8);
	for (int tid = 3; tid < 8; tid++) {
		setpriority(PRIO_PROCESS, (id_t)tid, 9);
		syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
	}
	usleep(2000);
}

static void on_exit_signal(int signo)
{
	syscall(SYS_exit, 0);
}

static void threads_ended(int conn)
{
	signal(SIGUSR2, on_exit_signal);
	for (int tid = 3; tid < 8; tid++)
		syscall(SYS_tgkill, getpid(), tid, SIGUSR2);
	usleep(3000);
}

/* files */

static void files_many(int conn)
{
	for (int i = 0; i < 300; i++)
		(void)!open(i % 2 ? "/dev/null" : "file", O_RDWR);
	for (int i = 0; i < 100; i++)
		eventfd(1, 0);
	(void)!dup2(have.file, 700);
}

static void files_closed(int conn)
{
	for (int fd = 0; fd < 200; fd++)
		if (fd != conn && fd != listener)
			close(fd);
}

static void files_moved(int conn)
{
	dup2(have.file, 0);
	dup2(have.pipe[0], 1);
	dup2(have.event, have.file);
	dup2(have.dir, have.memfd + 100);
	dup2(have.null, have.pair[0]);
	fcntl(have.append, F_SETFD, 0);
	fcntl(have.file, F_SETFD, FD_CLOEXEC);
}

static void listener_replaced(int conn)
{
	int copy = dup(listener);

	dup2(have.null, listener);
	close(copy);
}

static void listener_shut(int conn)
{
	shutdown(listener, SHUT_RDWR);
}

static void listener_options(int conn)
{
	int on = 1, ms = 40000;

	fcntl(listener, F_SETFL, O_NONBLOCK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &ms, sizeof(ms));
	ms = 9;
	setsockopt(listener, SOL_SOCKET, SO_RCVLOWAT, &ms, sizeof(ms));
	listen(listener, 1000);
}

static void offsets(int conn)
{
	char text[100];

	lseek(have.file, 77, SEEK_SET);
	(void)!read(have.file, text, 50);
	(void)!read(have.proc, text, 10);
	lseek(have.dir, 0, SEEK_SET);
	syscall(SYS_getdents64, have.dir, junk, sizeof(junk));
}

static void flags(int conn)
{
	const int fds[] = {have.file,
			   have.append,
			   have.pipe[0],
			   have.full_pipe[1],
			   have.event,
			   have.timer,
			   have.pair[1],
			   have.udp,
			   have.fresh,
			   have.signal,
			   have.inotify,
			   have.dir,
			   have.null,
			   0,
			   1,
			   2};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) ^ O_NONBLOCK ^ O_APPEND);
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
	}
}

static void locks(int conn)
{
	struct flock lock = {.l_type = F_WRLCK, .l_len = 10};

	fcntl(have.file, F_SETLK, &lock);
	lock.l_start = 100;
	fcntl(have.file, 37 /* F_OFD_SETLK */, &lock);
	syscall(SYS_flock, have.append, 2 /* LOCK_EX */);
}

static void record_lock(int conn)
{
	struct flock lock = {.l_type = F_WRLCK, .l_len = 10};

	fcntl(have.append, F_SETLK, &lock);
}

static void pipes(int conn)
{
	(void)!read(have.full_pipe[0], junk, 5);
	(void)!write(have.full_pipe[1], junk, 3000);
	(void)!read(have.lone_pipe, junk, 100);
	fcntl(have.full_pipe[0], 1031 /* F_SETPIPE_SZ */, 1 << 16 << 1);
}

static void pipes_full(int conn)
{
	fcntl(have.full_pipe[1], F_SETFL, O_NONBLOCK);
	while (write(have.full_pipe[1], junk, sizeof(junk)) > 0)
		;
	close(have.full_pipe[0]);
}

static void counters(int conn)
{
	uint64_t n = 100;
	struct itimerspec its = {.it_value.tv_nsec = 1};

	(void)!write(have.event, &n, 8);
	(void)!read(have.semaphore, &n, 8);
	timerfd_settime(have.timer, 0, &its, NULL);
	usleep(100);
	(void)!read(have.timer, &n, 8);
}

static void sockets(int conn)
{
	int n = 4096;

	(void)!read(have.pair[1], junk, 4);
	(void)!write(have.pair[1], junk, 1000);
	shutdown(have.pair[0], SHUT_WR);
	setsockopt(have.fresh, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
	connect(have.udp, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr));
	(void)!read(have.lone_pair, junk, 100);
	(void)!read(have.dead, junk, 1);
	(void)!write(have.dead, junk, 1);
	close(150);
}

/* A descriptor on its way through a socket when the reset comes. */
static void rights(int conn)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_base = junk, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.head), &have.file, sizeof(int));
	sendmsg(have.pair[0], &msg, 0);
	close(have.file);
}

static void epolls(int conn)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.u64 = 99}, events[8];

	epoll_ctl(have.epoll, EPOLL_CTL_MOD, have.event, &event);
	epoll_ctl(have.epoll, EPOLL_CTL_DEL, have.pipe[0], NULL);
	epoll_ctl(have.epoll, EPOLL_CTL_ADD, have.pair[1], &event);
	epoll_ctl(have.epoll, EPOLL_CTL_ADD, conn, &event);
	epoll_wait(have.epoll, events, 8, 0);
	close(have.full_pipe[0]);
}

static void epoll_closed(int conn)
{
	close(have.epoll);
	close(have.timer);
}

static void watches(int conn)
{
	inotify_add_watch(have.inotify, ".", IN_ALL_EVENTS);
	close(open("sub/made", O_CREAT | O_WRONLY, 0600));
	unlink("sub/made");
	(void)!read(have.inotify, junk, sizeof(junk));
	inotify_rm_watch(have.inotify, 2);
}

static void memfd_written(int conn)
{
	(void)!pwrite(have.memfd, "other", 5, 3 * PAGE_SIZE);
	(void)!ftruncate(have.memfd, 100);
}

/* the process */

static void process(int conn)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 200};

	(void)!chdir("sub");
	umask(0);
	setrlimit(RLIMIT_NOFILE, &limit);
	setrlimit(RLIMIT_STACK, &limit);
	setrlimit(RLIMIT_DATA, &limit);
	prctl(PR_SET_NAME, "changed");
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, 5);
	setpriority(PRIO_PROCESS, 0, 15);
	(void)!nice(1);
	personality(0x0040000);
	setsid();
	(void)!setgroups(3, (gid_t[]){4, 5, 6});
	(void)!setuid(12345);
	(void)!sethostname("other", 5);
	syscall(SYS_set_tid_address, junk);
	syscall(SYS_set_robust_list, junk, 24);
	syscall(SYS_membarrier, 16, 0, 0);
}

static void kernel_area(int conn)
{
	static const uint64_t pages[] = {0x7ffffffff000, 0x7fffffffe000, 0x7fffff000000,
					 0x7ffffff80000, 0};

	for (int i = 0; i < 5; i++) {
		(void)!read(have.file, (void *)pages[i], 100);
		(void)!mprotect((void *)pages[i], PAGE_SIZE, PROT_READ | PROT_WRITE);
		(void)!munmap((void *)pages[i], PAGE_SIZE);
	}
}

static sigjmp_buf stray;

static void on_stray(int signo)
{
	siglongjmp(stray, 1);
}

static const uint64_t kernel_pages[] = {
	TK_KERNEL_VA, TK_KERNEL_VA + TK_AREA_STUBS, TK_KERNEL_VA + TK_AREA_GDT,
	TK_KERNEL_VA + TK_AREA_TSS, TK_VVAR_VA, TK_STACKS_VA, TK_SHIM_VA, 0x7ffffffff000,
	0xffff800000000000, 0,
	/* of these a program may run the code: no jumps into the middle */
	TK_KERNEL_VA + TK_AREA_ENTRY, TK_VDSO_VA};
#define KERNEL_PAGES (sizeof(kernel_pages) / sizeof(kernel_pages[0]))

/* Stores, jumps, and pointers that the kernel writes through, into what is not the program's. */
static void touch(uint64_t page, int jump)
{
	if (!sigsetjmp(stray, 1))
		memset((void *)page, 0x5b, PAGE_SIZE);
	if (jump && !sigsetjmp(stray, 1))
		((void (*)(void))(page + 0x800))();
	syscall(SYS_set_tid_address, page);
	syscall(SYS_set_robust_list, page, 24);
	(void)!readv(have.file, &(struct iovec){(void *)page, 100}, 1);
	recvfrom(have.pair[1], (void *)page, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
}

static void kernel_area_touched(int conn)
{
	struct sigaction act = {.sa_handler = on_stray, .sa_flags = SA_NODEFER}, old[2];

	sigaction(SIGSEGV, &act, &old[0]);
	sigaction(SIGBUS, &act, &old[1]);
	for (size_t i = 0; i < KERNEL_PAGES; i++)
		touch(kernel_pages[i], i < KERNEL_PAGES - 2);
	sigaction(SIGSEGV, &old[0], NULL);
	sigaction(SIGBUS, &old[1], NULL);
}

/*
 * What is read ahead, and the pages that the shim writes; but not how long the fast path's record
 * is: garbage there ends the program.
 */
static void read_ahead(int conn)
{
	struct sigaction act = {.sa_handler = on_stray}, old;
	char path[64];
	int fd;

	sigaction(SIGSEGV, &act, &old);
	if (!sigsetjmp(stray, 1))
		memset((void *)TK_SHIM_VA, 0x5a, PAGE_SIZE);
	if (!sigsetjmp(stray, 1))
		memset((void *)(TK_SHIM_VA + TK_RECORD_AT + TK_RECORD_COUNT + 4), 0x5a,
		       TK_SHIM_SIZE - TK_RECORD_AT - TK_RECORD_COUNT - 4);
	sigaction(SIGSEGV, &old, NULL);
	forget_files();
	lseek(have.file, 0, SEEK_SET);
	while (read(have.file, junk, 512) == 512)
		;
	/* and what is opened, which stays open, not read to its end */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", have.append);
	fd = open(path, O_RDONLY);
	if (read(fd, junk, 3) == 3)
		(void)lseek(fd, 1, SEEK_CUR);
}

/* probe */

static uint64_t hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return h;
}

static void probe_file(int conn, const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -errno : read(fd, text, sizeof(text));

	dprintf(conn, "%s %zd %llx\n", path, n, n > 0 ? (long long)hash(text, (size_t)n) : 0);
	close(fd);
}

static void probe_fds(int conn)
{
	for (int fd = 0; fd < 160; fd++) {
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0 && fd != conn)
			dprintf(conn, "fd %d flags %o cloexec %d at %lld\n", fd, flags,
				fcntl(fd, F_GETFD), (long long)lseek(fd, 0, SEEK_CUR));
	}
}

static void probe_content(int conn)
{
	uint64_t n = 0;
	ssize_t got = read(have.full_pipe[0], junk, sizeof(junk));

	dprintf(conn, "pipe %zd %llx\n", got, got > 0 ? (long long)hash(junk, (size_t)got) : 0);
	got = recv(have.pair[1], junk, sizeof(junk), MSG_DONTWAIT);
	dprintf(conn, "pair %zd %llx\n", got, got > 0 ? (long long)hash(junk, (size_t)got) : 0);
	got = recv(have.lone_pair, junk, sizeof(junk), MSG_DONTWAIT);
	dprintf(conn, "lone %zd\n", got);
	dprintf(conn, "dead %zd\n", recv(have.dead, junk, 1, MSG_DONTWAIT));
	(void)!read(have.event, &n, 8);
	dprintf(conn, "event %llu\n", (unsigned long long)n);
	(void)!read(have.semaphore, &n, 8);
	dprintf(conn, "semaphore %llu\n", (unsigned long long)n);
	got = pread(have.memfd, junk, sizeof(junk), 0);
	dprintf(conn, "memfd %zd %llx\n", got, (long long)hash(junk, sizeof(junk)));
}

/* By loads of the program's own: the VMM sees memory in another way. */
static void probe_memory(int conn)
{
	const struct {
		const char *at;
		size_t pages;
	} all[] = {{have.anon, 7},	    {have.anon + 8 * PAGE_SIZE, PAGES - 8},
		   {have.shared, PAGES},    {have.file_private, 4},
		   {have.file_shared, 4},   {have.reserved + (1 << 20), 256},
		   {have.read_only, PAGES}, {have.memfd_map, 8},
		   {have.wiped, 4},	    {(char *)sbrk(0) - 8 * PAGE_SIZE, 8}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t page = 0; page < all[i].pages; page++)
			dprintf(conn, "%llx%c",
				(long long)hash(all[i].at + page * PAGE_SIZE, PAGE_SIZE),
				page % 8 == 7 ? '\n' : ' ');
	/* A store, too, where there may be one. */
	have.anon[PAGE_SIZE] = have.file_private[PAGE_SIZE] = have.shared[PAGE_SIZE] = 1;
}

static void probe_signals(int conn)
{
	struct sigaction action;
	sigset_t set;
	stack_t stack;

	for (int i = 1; i < 65; i++)
		if (i != 32 && i != 33 && !sigaction(i, NULL, &action))
			dprintf(conn, "%d %p %x%c", i, (void *)action.sa_handler, action.sa_flags,
				i % 8 ? ' ' : '\n');
	sigprocmask(SIG_SETMASK, NULL, &set);
	dprintf(conn, "mask %llx", (long long)hash(&set, 8));
	sigpending(&set);
	sigaltstack(NULL, &stack);
	dprintf(conn, " pending %llx stack %p %x %zu\n", (long long)hash(&set, 8), stack.ss_sp,
		stack.ss_flags, stack.ss_size);
}

static void probe(int conn)
{
	char text[256] = "";

	for (int i = 0; i < 24; i++)
		dprintf(conn, "r%d %llx%c", i, (long long)snapshot.regs[i],
			i % 4 == 3 ? '\n' : ' ');
	memset(snapshot.xsave + 512, 0,
	       64); /* the header: which parts are in their initial state */
	memset(snapshot.xsave + 464, 0, 48);
	dprintf(conn, "xsave %llx\n", (long long)hash(snapshot.xsave, sizeof(snapshot.xsave)));
	probe_signals(conn);
	raise(SIGUSR1);
	dprintf(conn, "handled %d\n", handled);
	probe_memory(conn);
	probe_fds(conn);
	probe_content(conn);
	probe_file(conn, "/proc/self/maps");
	probe_file(conn, "/proc/self/comm");
	probe_file(conn, "/proc/self/limits");
	(void)!getcwd(text, sizeof(text));
	dprintf(conn, "cwd %s umask %o brk %p pid %d\n", text, umask(0), sbrk(0), getpid());
}

const struct deed deeds[] = {
	{"memory_write", memory_write},
	{"memory_shared", memory_shared},
	{"memory_memfd", memory_memfd},
	{"memory_replaced", memory_replaced},
	{"memory_by_kernel", memory_by_kernel},
	{"memory_map", memory_map},
	{"memory_unmap", memory_unmap},
	{"memory_protect", memory_protect},
	{"memory_advise", memory_advise},
	{"memory_wipe", memory_wipe},
	{"memory_remap", memory_remap},
	{"memory_break", memory_break},
	{"memory_lock", memory_lock},
	{"registers", registers},
	{"selectors", selectors},
	{"fs_base", fs_base},
	{"spin", spin},
	{"signals", signals},
	{"signals_taken", signals_taken},
	{"timers", timers},
	{"threads", threads},
	{"threads_running", threads_running},
	{"threads_moved", threads_moved},
	{"threads_ended", threads_ended},
	{"files_many", files_many},
	{"files_closed", files_closed},
	{"files_moved", files_moved},
	{"listener_replaced", listener_replaced},
	{"listener_shut", listener_shut},
	{"listener_options", listener_options},
	{"offsets", offsets},
	{"flags", flags},
	{"locks", locks},
	{"record_lock", record_lock},
	{"pipes", pipes},
	{"pipes_full", pipes_full},
	{"counters", counters},
	{"sockets", sockets},
	{"rights", rights},
	{"epolls", epolls},
	{"epoll_closed", epoll_closed},
	{"watches", watches},
	{"memfd_written", memfd_written},
	{"generation", generation},
	{"process", process},
	{"kernel_area", kernel_area},
	{"kernel_area_touched", kernel_area_touched},
	{"read_ahead", read_ahead},
	{"calls", calls},
	{"probe", probe},
	{NULL, NULL},
};
