/* SPDX-License-Identifier: MIT */
/*
 * Forwarding of signals. Owns the process's signal handlers and, because a handler has no
 * argument, the one global variable: the machine that gets the signals. The program decides what
 * they do; kvmserver ends when the program does.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "signals.h"
#include "tinykvm/tinykvm.h"

static const int forwarded[] = {SIGHUP,	 SIGINT,  SIGQUIT, SIGTERM,
				SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

/*
 * A host file operation for the guest must fail (EPIPE, EFBIG) rather than end kvmserver; the
 * guest gets its signal from the library.
 */
static const int ignored[] = {SIGPIPE, SIGXFSZ};

static _Atomic(struct tkvm_machine *) target;

static void forward(int signo)
{
	struct tkvm_machine *machine = atomic_load(&target);
	int saved = errno;

	if (machine)
		tkvm_machine_signal(machine, signo);
	errno = saved;
}

static void handle(int signo, void (*handler)(int))
{
	struct sigaction old, action = {.sa_handler = handler, .sa_flags = SA_RESTART};

	sigfillset(&action.sa_mask);
	if (!sigaction(signo, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(signo, &action, NULL);
}

void ks_signals_forward(struct tkvm_machine *machine)
{
	atomic_store(&target, machine);
	if (!machine)
		return;
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		handle(forwarded[i], forward);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		handle(ignored[i], SIG_IGN);
}

const char *ks_signal_text(int signo)
{
	const char *text = sigdescr_np(signo);

	return text ? text : "real-time signal";
}

bool ks_signal_is_quiet(int signo)
{
	return signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGPIPE;
}
