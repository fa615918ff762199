/* SPDX-License-Identifier: MIT */
/* Sending, blocking, queueing, ignoring and waiting for signals. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "check.h"

static int got[256], values[256];
static volatile int n_got;

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	got[n_got] = sig;
	values[n_got++] = info->si_code == SI_QUEUE ? info->si_value.sival_int : -1;
}

static void on_all(int flags)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};

	sigfillset(&sa.sa_mask);
	for (int sig = 1; sig < 65; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGSEGV && (sig < 32 || sig > 33))
			CHECK(sigaction(sig, &sa, NULL) == 0);
}

static sigset_t all_blocked(void)
{
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	return old;
}

/* Standard signals once, real-time ones each time; low numbers first, in order of sending. */
static void order(void)
{
	static const int expected[] = {SIGINT, SIGUSR1, SIGTERM, 40, 40, 40, 50};
	sigset_t old = all_blocked(), pending;
	union sigval value;

	n_got = 0;
	value.sival_int = 9;
	CHECK(sigqueue(getpid(), 50, value) == 0);
	for (value.sival_int = 1; value.sival_int <= 3; value.sival_int++)
		CHECK(sigqueue(getpid(), 40, value) == 0);
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGINT);
	CHECK(n_got == 0);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, 40) &&
	      sigismember(&pending, SIGTERM) && !sigismember(&pending, 41));
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(n_got == 7);
	for (int i = 0; i < 7; i++)
		CHECK(got[i] == expected[i]);
	CHECK(values[3] == 1 && values[4] == 2 && values[5] == 3 && values[6] == 9);
}

static void ignoring(void)
{
	sigset_t old, pending;

	signal(SIGUSR1, SIG_IGN);
	kill(getpid(), SIGUSR1);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGWINCH, SIG_DFL);
	kill(getpid(), SIGCHLD);
	kill(getpid(), SIGWINCH);
	kill(getpid(), SIGCONT);
	old = all_blocked();
	kill(getpid(), SIGUSR1); /* blocked: kept though ignored */
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	signal(SIGUSR1, SIG_IGN); /* set again: dropped */
	CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void waiting(void)
{
	struct timespec soon = {0, 1000000}, now = {0};
	sigset_t old = all_blocked(), set;
	union sigval value = {.sival_int = 42};
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, 45);
	CHECK_ERR(sigtimedwait(&set, &info, &now), EAGAIN);
	CHECK_ERR(sigtimedwait(&set, &info, &soon), EAGAIN);
	sigqueue(getpid(), 45, value);
	kill(getpid(), SIGUSR2);
	CHECK(sigtimedwait(&set, &info, NULL) == SIGUSR2 && info.si_code == SI_USER &&
	      info.si_pid == getpid());
	CHECK(sigwaitinfo(&set, &info) == 45 && info.si_value.sival_int == 42 &&
	      info.si_code == SI_QUEUE);
	soon.tv_nsec = 1000000000;
	CHECK_ERR(sigtimedwait(&set, &info, &soon), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 4), EINVAL);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void suspend(void)
{
	sigset_t old = all_blocked(), none, now;

	n_got = 0;
	on_all(0);
	kill(getpid(), SIGUSR1);
	sigemptyset(&none);
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK(n_got == 1 && got[0] == SIGUSR1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGHUP));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void once(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESETHAND};
	struct sigaction now;

	n_got = 0;
	sigaction(SIGURG, &sa, NULL);
	raise(SIGURG);
	raise(SIGURG); /* now ignored by default */
	CHECK(n_got == 1);
	CHECK(sigaction(SIGURG, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

static volatile int depth, deepest, n_nested;

static void nest(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (++n_nested < 5)
		raise(sig);
	depth--;
}

static void nesting(void)
{
	struct sigaction sa = {.sa_handler = nest, .sa_flags = SA_NODEFER};

	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	CHECK(deepest == 5 && n_nested == 5);
	deepest = n_nested = 0;
	sa.sa_flags = 0;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1); /* those raised inside wait for the handler's end */
	CHECK(deepest == 1 && n_nested == 5);
}

static void errors(void)
{
	struct sigaction sa = {.sa_handler = SIG_IGN};
	sigset_t set;

	CHECK_ERR(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, 0, NULL, &sa, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, 65, NULL, &sa, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 16), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, BAD_POINTER, NULL, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, BAD_POINTER, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, 9, &set, NULL, 8), EINVAL);
	CHECK(syscall(SYS_rt_sigprocmask, 9, NULL, &set, 8) == 0);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, BAD_POINTER, NULL, 8), EFAULT);
	CHECK_ERR(syscall(SYS_rt_sigpending, &set, 9), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigsuspend, &set, 4), EINVAL);
	CHECK_ERR(kill(getpid(), 65), EINVAL);
	CHECK_ERR(kill(getpid(), -1), EINVAL);
	CHECK(kill(getpid(), 0) == 0);
	CHECK_ERR(kill(0x3fffff, 0), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), 0, SIGUSR1), EINVAL);
	CHECK_ERR(syscall(SYS_tgkill, getpid() + 5000, getpid(), SIGUSR1), ESRCH);
	CHECK_ERR(syscall(SYS_tkill, -1, SIGUSR1), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, BAD_POINTER), EFAULT);
}

static void *die_with_signals(void *unused)
{
	union sigval value = {0};

	all_blocked();
	for (int i = 0; i < 300; i++)
		CHECK(pthread_sigqueue(pthread_self(), 60, value) == 0);
	return NULL;
}

/*
 * What was queued for a thread that ended counts no more. The limit leaves room for what other
 * processes have queued: natively the count is the user's.
 */
static void dead_threads(void)
{
	struct rlimit few = {1000, 1000}, was;
	sigset_t old = all_blocked();
	pthread_t thread;

	CHECK(getrlimit(RLIMIT_SIGPENDING, &was) == 0);
	few.rlim_max = was.rlim_max;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
	for (int i = 0; i < 5; i++) {
		CHECK(pthread_create(&thread, NULL, die_with_signals, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	CHECK(setrlimit(RLIMIT_SIGPENDING, &was) == 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void limit(void)
{
	struct rlimit few = {8, 8}, was;
	sigset_t old = all_blocked();
	union sigval value = {0};
	int n = 0;

	CHECK(getrlimit(RLIMIT_SIGPENDING, &was) == 0);
	few.rlim_max = was.rlim_max;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
	while (n < 100 && sigqueue(getpid(), 60, value) == 0)
		n++;
	CHECK(n <= 8 && errno == EAGAIN);
	CHECK(kill(getpid(), SIGHUP) == 0); /* standard signals get through */
	CHECK(setrlimit(RLIMIT_SIGPENDING, &was) == 0);
	signal(60, SIG_IGN);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
	on_all(0);
	order();
	ignoring();
	waiting();
	suspend();
	once();
	nesting();
	errors();
	on_all(0);
	dead_threads();
	limit();
	puts("signals queue");
	return check_done();
}
