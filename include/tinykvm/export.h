/* SPDX-License-Identifier: MIT */
/* What the shared library exports: functions marked TKVM_API and nothing else. */
#ifndef TINYKVM_EXPORT_H
#define TINYKVM_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define TKVM_API __attribute__((visibility("default")))
#else
#define TKVM_API
#endif

#endif
