/* SPDX-License-Identifier: MIT */
/* kvmserver run, where the program is a server: warm-up, several copies, a fork for each request.
 */
#ifndef KVMSERVER_SERVE_H
#define KVMSERVER_SERVE_H

#include "guest.h"

/* The configuration asks for something that needs a server program. */
bool ks_serve_wanted(const struct ks_config *config);

/* How many copies of the program there are to be. */
unsigned int ks_serve_workers(const struct ks_config *config);

/* The program itself does not serve, but forks of it. */
bool ks_serve_by_forks(const struct ks_config *config);

/* 0, or an exit status after a message: options that contradict each other. */
int ks_serve_check(const struct ks_config *config);

/* Returns an exit status. */
int ks_serve(const struct ks_guest *guest);

#endif
