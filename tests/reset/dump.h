/* SPDX-License-Identifier: MIT */
/* All state of a machine as text, for comparison: see fields.txt for what is not in it, and why. */
#ifndef DUMP_H
#define DUMP_H

#include "base/buf.h"

struct tkvm_machine;

void dump_machine(struct tkvm_machine *machine, struct tk_buf *out);
void dump_files(struct tkvm_machine *machine, struct tk_buf *out);

#endif
