/* SPDX-License-Identifier: MIT */
/* From options to what a program may touch. */
#ifndef KVMSERVER_GRANTS_H
#define KVMSERVER_GRANTS_H

#include "options.h"
#include "tinykvm/tinykvm.h"

/* Make the policy that @config asks for. 0, or an exit status after a message. */
int ks_policy_make(const struct ks_config *config, struct tkvm_policy **ret);

#endif
