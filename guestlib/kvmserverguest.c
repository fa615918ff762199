/* SPDX-License-Identifier: MIT */
/*
 * libkvmserverguest.so: a few system calls (guest/calls.h), and no need of anything: it is loaded
 * by glibc, musl, Go and whatever else can load a shared object. A remote call has two results, RAX
 * (0 or -errno) and RDX (the other program's own), since that program may answer with any number.
 */
#include "kvmserverguest.h"
#include "../src/guest/calls.h"

#define API __attribute__((visibility("default")))

int *__errno_location(void) __attribute__((weak));

static ssize_t fail(long error)
{
	if (__errno_location)
		*__errno_location() = (int)-error;
	return -1;
}

static long call(long nr, long a, long b, long *second)
{
	long result, d = 0;

	__asm__ volatile("syscall"
			 : "=a"(result), "+d"(d)
			 : "a"(nr), "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
	*second = d;
	return result;
}

API ssize_t kvmserverguest_remote_resume(void *buf, ssize_t len)
{
	long answer, error = call(TK_SYS_REMOTE_RESUME, (long)buf, len, &answer);

	return error ? fail(error) : answer;
}

API ssize_t kvmserverguest_storage_wait_paused(void **buf, ssize_t ret)
{
	long unused, len = call(TK_SYS_STORAGE_WAIT_PAUSED, (long)buf, ret, &unused);

	return len < 0 ? fail(len) : len;
}

API long kvmserverguest_generation(void)
{
	long unused, generation = call(TK_SYS_GENERATION, 0, 0, &unused);

	return generation < 0 ? fail(generation) : generation;
}
