/* SPDX-License-Identifier: MIT */
/* What a fuzz target defines: libFuzzer's entry point, which replay.c calls too. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/types.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif
