/* SPDX-License-Identifier: MIT */
/*
 * SIGPIPE is held back around the call, and one that the call raised is taken away again, unless
 * one was pending before. write(2) has its own way (tk_writev_nosignal() in fs/pipe.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "fs/nosignal.h"

struct masked {
	sigset_t pipe_only, old;
	bool was_pending;
};

static void begin(struct masked *m)
{
	sigset_t pending;

	sigemptyset(&m->pipe_only);
	sigaddset(&m->pipe_only, SIGPIPE);
	sigpending(&pending);
	m->was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &m->pipe_only, &m->old);
}

static ssize_t end(struct masked *m, ssize_t n)
{
	static const struct timespec now = {0};
	ssize_t rc = n < 0 ? -errno : n;

	/* A partial transfer may have raised it too. */
	if (!m->was_pending)
		while (sigtimedwait(&m->pipe_only, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &m->old, NULL);
	return rc;
}

ssize_t tk_splice_nosignal(int in, s64 *in_off, int out, s64 *out_off, size_t len,
			   unsigned int flags)
{
	struct masked m;

	begin(&m);
	return end(&m, splice(in, in_off, out, out_off, len, flags));
}

ssize_t tk_tee_nosignal(int in, int out, size_t len, unsigned int flags)
{
	struct masked m;

	begin(&m);
	return end(&m, tee(in, out, len, flags));
}
