/* SPDX-License-Identifier: MIT */
/* How libtinykvm reports that a call failed. */
#ifndef TINYKVM_ERROR_H
#define TINYKVM_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Filled by every call that takes one and fails; untouched by calls that succeed.
 * A NULL pointer is allowed wherever one is taken: the text is then lost.
 */
struct tkvm_error {
	int code;	   /* an errno value, positive */
	char message[256]; /* "where: what", one line, no newline at the end */
};

#ifdef __cplusplus
}
#endif
#endif
