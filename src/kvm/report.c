/* SPDX-License-Identifier: MIT */
/* Names of exits. */
#include "kvm/internal.h"

const char *tk_exit_name(enum tk_exit_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		TK_EXIT_LIST(X)
#undef X
	};

	return (unsigned int)kind < TK_ARRAY_SIZE(names) ? names[kind] : "unknown";
}

const char *tk_kvm_exit_name(unsigned int reason)
{
	return "";
}

void tk_vcpu_report(struct tk_vcpu *vcpu, const struct tk_exit *exit, struct tk_buf *out)
{
}
