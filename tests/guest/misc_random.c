/* SPDX-License-Identifier: MIT */
/* getrandom(2) of every size, into memory of every kind. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "check.h"

static unsigned char big[5 << 20];

int main(void)
{
	unsigned char *two =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int zeroes = 0;

	CHECK(syscall(SYS_getrandom, big, 0, 0) == 0);
	CHECK(syscall(SYS_getrandom, NULL, 0, 0) == 0);
	for (unsigned int flags = 0; flags < 8; flags++)
		if ((flags & 6) == 6)
			CHECK_ERR(syscall(SYS_getrandom, big, 16, flags), EINVAL);
		else
			CHECK(syscall(SYS_getrandom, big, 16, flags) == 16);
	CHECK_ERR(syscall(SYS_getrandom, big, 16, 8), EINVAL);
	CHECK(syscall(SYS_getrandom, big, sizeof(big), 0) == sizeof(big));
	for (size_t i = 0; i < sizeof(big); i++)
		zeroes += !big[i];
	CHECK(zeroes > sizeof(big) / 300 && zeroes < sizeof(big) / 220);

	CHECK(mprotect(two + 4096, 4096, PROT_NONE) == 0);
	CHECK_ERR(syscall(SYS_getrandom, two + 4096, 1, 0), EFAULT);
	CHECK_ERR(syscall(SYS_getrandom, BAD_POINTER, 1, 0), EFAULT);
	CHECK(syscall(SYS_getrandom, two + 4000, 96, 0) == 96);
	CHECK(syscall(SYS_getrandom, two, 8192, 0) == 4096); /* what fits */
	return check_done();
}
