/* SPDX-License-Identifier: MIT */
/* All of libtinykvm: run Linux programs in KVM virtual machines that have no operating system. */
#ifndef TINYKVM_TINYKVM_H
#define TINYKVM_TINYKVM_H

#include "tinykvm/error.h"
#include "tinykvm/export.h"
#include "tinykvm/host.h"
#include "tinykvm/image.h"
#include "tinykvm/machine.h"
#include "tinykvm/policy.h"
#include "tinykvm/remote.h"
#include "tinykvm/server.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "MAJOR.MINOR.PATCH" of the library that runs, which may be newer than these headers. */
TKVM_API const char *tkvm_version(void);

#ifdef __cplusplus
}
#endif
#endif
