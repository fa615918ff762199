/* SPDX-License-Identifier: MIT */
/* Making siginfo_t contents at the guest ABI's offsets (asm-generic/siginfo.h), and names. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "task/signal.h"
#include "task/siginfo.h"

#define FIRST_RT_USABLE 34 /* glibc's SIGRTMIN, the name people know */

struct tk_siginfo tk_siginfo_user(int signo, int code, int pid, uid_t uid)
{
	struct tk_siginfo info = {.signo = signo, .code = code};

	tk_siginfo_put(&info, TK_SI_PID, &pid, sizeof(pid));
	tk_siginfo_put(&info, TK_SI_UID, &uid, sizeof(uid));
	return info;
}

struct tk_siginfo tk_siginfo_kernel(int signo)
{
	return (struct tk_siginfo){.signo = signo, .code = SI_KERNEL};
}

const char *tk_signal_name(int signo, char *buf, size_t size)
{
	const char *abbrev = signo < FIRST_RT_USABLE ? sigabbrev_np(signo) : NULL;

	if (abbrev)
		snprintf(buf, size, "SIG%s", abbrev);
	else if (signo > FIRST_RT_USABLE && signo <= TK_NSIG)
		snprintf(buf, size, "SIGRTMIN+%d", signo - FIRST_RT_USABLE);
	else if (signo == FIRST_RT_USABLE)
		snprintf(buf, size, "SIGRTMIN");
	else
		snprintf(buf, size, "signal %d", signo);
	return buf;
}
