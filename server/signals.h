/* SPDX-License-Identifier: MIT */
/* Signals that kvmserver gets while a program runs go to the program. */
#ifndef KVMSERVER_SIGNALS_H
#define KVMSERVER_SIGNALS_H

#include <stdbool.h>

struct tkvm_machine;

/*
 * From now on until ks_signals_forward(NULL), signals that people and supervisors send to a
 * program are sent on to @machine. Those that were ignored when kvmserver was started stay ignored.
 */
void ks_signals_forward(struct tkvm_machine *machine);

/* "Segmentation fault", as a shell would say it. */
const char *ks_signal_text(int signo);

/* Ends that need no message, since whoever sent the signal, or closed the pipe, knows. */
bool ks_signal_is_quiet(int signo);

#endif
