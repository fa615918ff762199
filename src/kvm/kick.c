/* SPDX-License-Identifier: MIT */
/*
 * Owns the kick signal and the thread's timers. State of a kick, all of it in the kernel:
 *
 *	signal pending in the thread  -> KVM_RUN returns EINTR, fd is readable, until drained
 *	signal not pending            -> nothing to see
 *
 * so nothing is lost whatever the order of send, arm, run and drain.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm/kick.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct tk_kick {
	pid_t pid, tid;
	timer_t timer; /* the owner's */
	timer_t spare; /* the senders', see tk_kick_send() */
	int fd;	       /* signalfd(2): nothing is ever read from it */
};

static void kick_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, TK_KICK_SIGNAL);
}

static int create_timers(struct tk_kick *kick)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TK_KICK_SIGNAL};
	int rc;

	event.sigev_notify_thread_id = kick->tid;
	if (timer_create(CLOCK_MONOTONIC, &event, &kick->timer))
		return -errno;
	if (!timer_create(CLOCK_MONOTONIC, &event, &kick->spare))
		return 0;
	rc = -errno;
	timer_delete(kick->timer);
	return rc;
}

int tk_kick_create(struct tk_kick **ret, struct tkvm_error *err)
{
	struct tk_kick *kick = calloc(1, sizeof(*kick));
	sigset_t set;
	int rc;

	if (!kick)
		return tk_fail_errno(err, ENOMEM, "kick: allocate");
	kick->pid = getpid();
	kick->tid = (pid_t)syscall(SYS_gettid);
	kick_set(&set);
	rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc) {
		rc = tk_fail_errno(err, rc, "kick: block signal %d", TK_KICK_SIGNAL);
		goto out_free;
	}
	kick->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (kick->fd < 0) {
		rc = tk_fail_errno(err, errno, "kick: signalfd");
		goto out_free;
	}
	rc = create_timers(kick);
	if (rc) {
		rc = tk_fail_errno(err, -rc, "kick: timer_create");
		goto out_close;
	}
	*ret = kick;
	return 0;
out_close:
	close(kick->fd);
out_free:
	free(kick);
	return rc;
}

void tk_kick_destroy(struct tk_kick *kick)
{
	if (!kick)
		return;
	timer_delete(kick->timer);
	timer_delete(kick->spare);
	close(kick->fd);
	tk_kick_drain();
	free(kick);
}

/* A @when of 0 would disarm (timer_settime(2)); it has passed anyway. */
static void set_timer(timer_t timer, s64 when)
{
	struct itimerspec its = {.it_value = tk_ns_timespec(TK_MAX(when, (s64)1))};

	timer_settime(timer, TIMER_ABSTIME, &its, NULL);
}

void tk_kick_send(struct tk_kick *kick)
{
	/*
	 * EAGAIN: the user's queue of signals is full (RLIMIT_SIGPENDING), and not necessarily
	 * with ours. A timer's signal was allocated with the timer, so that one arrives. It is a
	 * timer of its own, as the owner may set the other one at any moment, and reckons with what
	 * it set.
	 */
	if (syscall(SYS_tgkill, kick->pid, kick->tid, TK_KICK_SIGNAL) && errno == EAGAIN)
		set_timer(kick->spare, 1);
}

void tk_kick_arm(struct tk_kick *kick, s64 when)
{
	if (when == TK_FOREVER)
		tk_kick_disarm(kick);
	else
		set_timer(kick->timer, when);
}

void tk_kick_disarm(struct tk_kick *kick)
{
	const struct itimerspec off = {0};

	timer_settime(kick->timer, 0, &off, NULL);
}

bool tk_kick_drain(void)
{
	const struct timespec now = {0};
	bool any = false;
	sigset_t set;

	kick_set(&set);
	while (sigtimedwait(&set, NULL, &now) > 0)
		any = true;
	return any;
}

int tk_kick_fd(const struct tk_kick *kick)
{
	return kick->fd;
}
