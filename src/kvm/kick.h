/* SPDX-License-Identifier: MIT */
/*
 * Interrupting a host thread that sits in tk_vcpu_run() or polls, without a signal handler: a
 * real-time signal that the thread keeps blocked, that KVM_RUN alone unblocks
 * (KVM_SET_SIGNAL_MASK) and that is consumed with sigtimedwait(2). Plus a timer that sends it.
 *
 * A kick says "look", not what at: the sender stores what is to be seen first. To interrupt a
 * particular vCPU, call tk_vcpu_kick() and then tk_kick_send().
 */
#ifndef TK_KVM_KICK_H
#define TK_KVM_KICK_H

#include <signal.h>

#include "base/clock.h"
#include "base/error.h"

/* Reserved by the library in every thread that runs guests; documented to embedders. */
#define TK_KICK_SIGNAL (SIGRTMIN + 7)

struct tk_kick;

/*
 * Make the calling thread one that can be kicked. TK_KICK_SIGNAL is blocked in it from now on and
 * for good (a kick may arrive after tk_kick_destroy(), and its default action kills).
 *   -EAGAIN, -EMFILE, -ENFILE, -ENOMEM  no timer or no descriptor to be had
 */
int tk_kick_create(struct tk_kick **ret, struct tkvm_error *err) TK_MUST_CHECK;

/* On the thread that created it, when nobody can send any more. NULL is fine. */
void tk_kick_destroy(struct tk_kick *kick);

/* Any thread. Never blocks, never fails. */
void tk_kick_send(struct tk_kick *kick);

/*
 * The owner: be kicked at @when, CLOCK_MONOTONIC ns (once; a time that has passed is now;
 * TK_FOREVER disarms). Replaces what was armed before.
 */
void tk_kick_arm(struct tk_kick *kick, s64 when);
void tk_kick_disarm(struct tk_kick *kick);

/* The calling thread: consume all pending kicks. True if there were any. */
bool tk_kick_drain(void);

/*
 * A descriptor that the owner may poll for POLLIN: readable while a kick is pending. (Unblocking
 * the signal in ppoll(2) instead would deliver it, and its default action ends the process.)
 */
int tk_kick_fd(const struct tk_kick *kick);

#endif
