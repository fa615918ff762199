/* SPDX-License-Identifier: MIT */
/* The public headers, each by itself and all together, are C++. */
#include "tinykvm/error.h"
#include "tinykvm/export.h"
#include "tinykvm/server.h"
#include "tinykvm/image.h"
#include "tinykvm/policy.h"
#include "tinykvm/machine.h"
#include "tinykvm/host.h"
#include "tinykvm/tinykvm.h"

#include <cstdio>

int main()
{
	tkvm_machine_options options{};

	options.size = sizeof(options);
	std::printf("1..1\n%s 1 - headers_are_cxx\n",
		    tkvm_version()[0] && options.size ? "ok" : "not ok");
	return 0;
}
