/* SPDX-License-Identifier: MIT */
/* One of everything, each with a history. */
#include "guest.h"

volatile sig_atomic_t handled;

static void on_signal(int signo)
{
	handled += signo;
}

static void furnish_memory(void)
{
	const int rw = PROT_READ | PROT_WRITE;

	have.anon = mmap(NULL, PAGES * PAGE_SIZE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	have.shared = mmap(NULL, PAGES * PAGE_SIZE, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	have.reserved =
		mmap(NULL, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	have.read_only = mmap(NULL, PAGES * PAGE_SIZE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(have.anon != MAP_FAILED && have.shared != MAP_FAILED && have.reserved != MAP_FAILED,
	     "mmap");
	for (int i = 0; i < PAGES; i += 2) {
		have.anon[i * PAGE_SIZE] = (char)(i + 1);
		have.shared[i * PAGE_SIZE] = (char)(i + 2);
		have.read_only[i * PAGE_SIZE] = (char)(i + 3);
	}
	must(!mprotect(have.reserved + (1 << 20), 1 << 20, rw), "mprotect");
	memset(have.reserved + (1 << 20), 5, 8 * PAGE_SIZE);
	must(!mprotect(have.read_only, PAGES * PAGE_SIZE, PROT_READ), "mprotect");
	/* Zero in the image, whatever was in them. */
	have.wiped = mmap(NULL, 4 * PAGE_SIZE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(!madvise(have.wiped, 3 * PAGE_SIZE, MADV_WIPEONFORK), "MADV_WIPEONFORK");
	must(!munmap(have.anon + 7 * PAGE_SIZE, PAGE_SIZE), "munmap");
	must(!mlock(have.anon, 2 * PAGE_SIZE), "mlock");
	must(sbrk(20 * PAGE_SIZE) != (void *)-1, "sbrk");
}

static void furnish_files(const char *dir)
{
	char text[64];

	snprintf(have.dirname, sizeof(have.dirname), "%s", dir);
	must(!chdir(dir), "chdir");
	have.dir = open(".", O_RDONLY | O_DIRECTORY);
	have.file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
	for (int i = 0; i < 2000; i++)
		must(write(have.file, text, (size_t)snprintf(text, sizeof(text), "line %d\n", i)) >
			     0,
		     "write");
	must(lseek(have.file, 1234, SEEK_SET) == 1234, "lseek");
	have.append = open("append", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	must(write(have.append, "start\n", 6) == 6, "append");
	have.file_private =
		mmap(NULL, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, have.file, 0);
	have.file_private[100] = '!';
	have.file_shared = mmap(NULL, 4 * PAGE_SIZE, PROT_READ, MAP_SHARED, have.file, 0);
	have.null = open("/dev/null", O_RDWR);
	have.proc = open("/proc/self/comm", O_RDONLY);
	must(read(have.proc, text, 3) == 3, "/proc/self/comm");
	must(!symlink("file", "link") && !mkdir("sub", 0755), "names");
}

static void furnish_memfds(void)
{
	have.memfd = (int)syscall(SYS_memfd_create, "plain", 0);
	must(!ftruncate(have.memfd, 8 * PAGE_SIZE), "memfd");
	have.memfd_map =
		mmap(NULL, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, have.memfd, 0);
	memset(have.memfd_map + PAGE_SIZE, 9, 100);
	must(write(have.memfd, "memfd", 5) == 5, "memfd");
	have.sealed = (int)syscall(SYS_memfd_create, "sealed", 2 /* MFD_ALLOW_SEALING */);
	must(write(have.sealed, "sealed", 6) == 6, "memfd");
	must(!fcntl(have.sealed, 1033 /* F_ADD_SEALS */, 0xf), "seals");
}

static void furnish_objects(void)
{
	struct itimerspec its = {.it_value.tv_sec = 5000, .it_interval.tv_sec = 7};
	int fds[2];

	must(!pipe(have.pipe) && !pipe2(have.full_pipe, O_NONBLOCK) && !pipe(fds), "pipe");
	must(write(have.full_pipe[1], "left in the pipe", 16) == 16, "pipe");
	must(write(fds[1], "rest", 4) == 4, "pipe");
	close(fds[1]);
	have.lone_pipe = fds[0];
	have.event = eventfd(5, EFD_NONBLOCK);
	have.semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
	have.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	must(!timerfd_settime(have.timer, 0, &its, NULL), "timerfd");
	have.inotify = inotify_init1(IN_NONBLOCK);
	must(inotify_add_watch(have.inotify, "sub", IN_CREATE) == 1, "inotify");
	must(inotify_add_watch(have.inotify, "link", IN_ATTRIB | IN_DONT_FOLLOW) == 2, "inotify");
	must(!inotify_rm_watch(have.inotify, 1), "inotify");
	must(inotify_add_watch(have.inotify, ".", IN_DELETE) == 3, "inotify");
	must(read(have.inotify, (char[4096]){0}, 4096) > 0, "inotify");
	have.pid = (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static void furnish_sockets(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(9)};
	int fds[2], conn, on = 1;
	socklen_t len = sizeof(addr);

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, have.pair), "socketpair");
	must(write(have.pair[0], "in the pair", 11) == 11, "socketpair");
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair");
	must(write(fds[0], "last words", 10) == 10, "socketpair");
	close(fds[0]);
	have.lone_pair = fds[1];
	have.udp = socket(AF_INET, SOCK_DGRAM, 0);
	must(!connect(have.udp, (struct sockaddr *)&addr, sizeof(addr)), "udp");
	have.fresh = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	must(!setsockopt(have.fresh, IPPROTO_TCP, 1, &on, sizeof(on)), "TCP_NODELAY");
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	addr.sin_port = 0;
	must(!bind(fds[0], (struct sockaddr *)&addr, sizeof(addr)) && !listen(fds[0], 1), "tcp");
	must(!getsockname(fds[0], (struct sockaddr *)&addr, &len), "tcp");
	have.dead = socket(AF_INET, SOCK_STREAM, 0);
	must(!connect(have.dead, (struct sockaddr *)&addr, sizeof(addr)), "tcp");
	conn = accept(fds[0], NULL, NULL);
	must(conn >= 0, "tcp");
	close(fds[0]);
	dup2(conn, 150);
	close(conn);
}

static void watch(int fd, unsigned int events, int data)
{
	struct epoll_event event = {.events = events, .data.fd = data};

	must(!epoll_ctl(have.epoll, EPOLL_CTL_ADD, fd, &event), "epoll");
}

static void furnish_epoll(void)
{
	struct epoll_event events[16];
	int inner = epoll_create1(0), copy = dup(have.event);

	have.epoll = epoll_create1(EPOLL_CLOEXEC);
	watch(have.event, EPOLLIN | EPOLLET, 1);
	watch(copy, EPOLLIN | EPOLLONESHOT, 2); /* to be spent */
	watch(have.pipe[0], EPOLLIN, 3);
	watch(have.full_pipe[0], EPOLLIN | EPOLLET, 4);
	watch(have.timer, EPOLLIN | EPOLLONESHOT, 5);
	watch(have.pair[0], EPOLLIN | EPOLLRDHUP, 6);
	watch(inner, EPOLLIN, 7);
	while (epoll_wait(have.epoll, events, 16, 0) > 0)
		;
}

static void furnish_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3};
	struct itimerspec its = {.it_value.tv_sec = 4000, .it_interval.tv_nsec = 5};
	struct itimerval itv = {.it_value.tv_sec = 3000};
	stack_t stack = {.ss_size = 65536};
	union sigval value = {.sival_int = 77};
	sigset_t set;

	stack.ss_sp = have.stack = malloc(stack.ss_size);
	sigaddset(&action.sa_mask, SIGUSR2);
	must(!sigaction(SIGUSR1, &action, NULL) && !sigaltstack(&stack, NULL), "handler");
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, NULL);
	have.signal = signalfd(-1, &set, SFD_NONBLOCK);
	kill(getpid(), SIGHUP);
	sigqueue(getpid(), SIGRTMIN + 1, value);
	sigqueue(getpid(), SIGRTMIN + 1, value);
	syscall(SYS_tgkill, getpid(), gettid(), SIGHUP);
	must(!timer_create(CLOCK_MONOTONIC, &event, &have.posix_timer), "timer_create");
	must(!timer_settime(have.posix_timer, 0, &its, NULL), "timer_settime");
	must(!setitimer(ITIMER_REAL, &itv, NULL), "setitimer");
}

static void *wait_futex(void *arg)
{
	static int word;

	for (;;)
		syscall(SYS_futex, arg ? (int *)arg : &word, arg ? 0 : 128, 0, NULL, NULL, 0);
	return arg;
}

static void *wait_read(void *arg)
{
	char byte;

	while (read(have.pipe[0], &byte, 1) == 1)
		;
	return arg;
}

static void *wait_sleep(void *arg)
{
	prctl(PR_SET_NAME, "sleeper");
	for (;;)
		sleep(1000000);
	return arg;
}

static void *wait_epoll(void *arg)
{
	struct epoll_event event;

	for (;;) {
		epoll_wait(have.epoll, &event, 1, 900000000);
		sleep(1000); /* it is not to run for ever on what nobody reads */
	}
	return arg;
}

static void furnish_threads(void)
{
	void *(*const fns[])(void *) = {wait_futex, wait_read, wait_sleep, wait_epoll, wait_futex};
	pthread_t thread;

	for (int i = 0; i < 5; i++)
		must(!pthread_create(&thread, NULL, fns[i],
				     i == 4 ? have.shared + 3 * PAGE_SIZE : NULL),
		     "thread");
	usleep(20000);
}

static void furnish_process(void)
{
	struct rlimit limit = {.rlim_cur = 900, .rlim_max = 4096};

	umask(027);
	setrlimit(RLIMIT_NOFILE, &limit);
	prctl(PR_SET_NAME, "furnished");
	prctl(PR_SET_DUMPABLE, 0);
	setpriority(PRIO_PROCESS, 0, 5);
	syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, have.anon);
	__asm__ volatile("ldmxcsr %0" ::"m"((uint32_t){0x3f80})); /* round down, say */
}

void furnish(const char *dir)
{
	furnish_memory();
	furnish_files(dir);
	furnish_memfds();
	furnish_objects();
	furnish_sockets();
	furnish_epoll();
	furnish_signals();
	furnish_process();
	furnish_threads();
}
